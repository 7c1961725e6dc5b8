"""What the services' backends have in common: asking without what a model refuses, and reading with care."""

import json
from collections.abc import Callable
from typing import Any

from generator.chat import CallFailure, ChatReply, Outcome
from generator.models.problems import problem_of
from generator.models.wire import Answer, Wire

# What a body that is not as promised makes a reader raise.
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)


async def ask_without_refused(
    wire: Wire,
    key: str,
    make: Callable[[], dict[str, Any] | CallFailure],
    refused: Callable[[Answer, dict[str, Any]], str | None],
    left_out: set[str],
) -> bytes | CallFailure:
    """The reply; a parameter that the model refuses is added to ``left_out``, and the call made anew without it.

    Args:
        make: the body as ``left_out`` stands, or why there is none.
        refused: the parameter that an answer refuses, where the call can do without it.
    """
    while True:
        body = make()
        if isinstance(body, CallFailure):
            return body
        answer = await wire.post(key, body)
        if isinstance(answer, CallFailure):
            return answer
        if answer.status == 200:
            return answer.body
        name = refused(answer, body)
        if name is None:
            return problem_of(answer).failure(key, answer)
        left_out.add(name)


def read_safely(key: str, raw: bytes, parse: Callable[[Any], ChatReply], charged: bool) -> Outcome:
    """What ``parse`` makes of the JSON in ``raw``; unreadable and empty replies as failures.

    Args:
        charged: whether somebody is charged for those, too.
    """
    try:
        reply = parse(json.loads(raw))
    except UNREADABLE as error:
        return CallFailure(key, "unreadable", f"{type(error).__name__}: {error}"[:300], charged=charged)
    if reply.finish == "stop" and not reply.text.strip() and not reply.first_token:
        return CallFailure(key, "empty", "a reply without text", charged=charged)
    return reply
