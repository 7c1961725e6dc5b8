"""Any endpoint that speaks Anthropic's Messages API, through the ``anthropic`` SDK."""

import json
import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import anthropic

from constitution.errors import InputError
from generator.chat import CallFailure, ChatReply, ChatRequest, Finish, Outcome, Usage, token_count
from generator.models.problems import problem_of
from generator.models.replies import ask_without_refused, read_safely
from generator.models.wire import IDLE, Answer, Wire

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    # What was said until the window was full comes with a 200 and is paid for: cut off, only earlier than asked.
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
CHOICE = "choice"  # the one property of the object that a held reply consists of

# What some models and servers refuse, and how their refusals name it.
CAN_BE_LEFT_OUT = {
    "temperature": re.compile(r"\btemperature\b", re.IGNORECASE),
    "output_config": re.compile(r"\boutput[_ ](config|format)\b|\bstructured[_ ]outputs?\b", re.IGNORECASE),
}


class AnthropicBackend:
    """A ``Backend`` over one model of one endpoint; sends each call once.

    Sampling cannot be seeded here: only the journal makes a run repeatable. Nor can it always be cooled:
    the API's version of October 2026, which the SDK speaks, takes no temperature and samples at 1, and so
    do many models. One that refuses a temperature is asked without. There are no log-probs.

    The model's name alone is its identity in every call's key, as in ``OpenAIBackend``.

    Args:
        base_url: what comes before ``/v1/messages``.
        extra: more of the request's body, the same in every call; the identity must tell of it.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None,
        api_key: str,
        *,
        identity: str | None = None,
        idle: float = IDLE,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self._identity = identity or model
        self.extra = dict(extra or {})
        self.left_out: set[str] = set()  # parameters that this model turned out to refuse
        http = anthropic.DefaultAioHttpClient()
        self.client = anthropic.AsyncAnthropic(base_url=base_url, api_key=api_key, max_retries=0, http_client=http)
        self.wire = Wire(self.client, "v1/messages", idle=idle, secret=api_key)

    @property
    def identity(self) -> str:
        return self._identity

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        """The reply; a model that refuses a parameter is asked again without it, and ever after.

        Raises:
            InputError: a temperature that the API does not have, whatever the model.
        """
        if not 0 <= request.temperature <= 1:
            raise InputError(self.model, f"temperature {request.temperature:g} is out of range", "set it from 0 to 1")

        def make() -> dict[str, Any] | CallFailure:
            return self.refusal(key, request) or self.body(request)

        return await ask_without_refused(self.wire, key, make, refused_parameter, self.left_out)

    def refusal(self, key: str, request: ChatRequest) -> CallFailure | None:
        return CallFailure(key, "unsupported", f"{self.model} gives no log-probs") if request.top_logprobs else None

    def body(self, request: ChatRequest) -> dict[str, Any]:
        said = turns(request)
        opening = list(takewhile(lambda turn: turn["role"] == "system", said))
        body: dict[str, Any] = {
            "model": self.model,
            "messages": said[len(opening) :],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if system := [block for turn in opening for block in turn["content"]]:
            body["system"] = system
        if request.choices:
            body["output_config"] = {"format": {"type": "json_schema", "schema": schema(request.choices)}}
        for name, value in self.extra.items():  # a table, such as output_config, adds to what stands there
            there = body.get(name)
            body[name] = there | value if isinstance(there, dict) and isinstance(value, dict) else value
        return {name: value for name, value in body.items() if name not in self.left_out}

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        return read_safely(key, raw, lambda body: read_reply(key, request.choices, unwrapped(key, body)), charged=True)

    async def close(self) -> None:
        await self.wire.close()
        await self.client.close()


def turns(request: ChatRequest) -> list[dict[str, Any]]:
    """The messages in their order, with a mark for the cache where what other calls begin with too ends."""
    said: list[dict[str, Any]] = []
    before = 0
    for message in request.messages:
        said.append({"role": message.role, "content": blocks(message.content, request.shared - before)})
        before += len(message.content)
    return said


def blocks(text: str, shared: int) -> list[dict[str, Any]]:
    """``text`` in the blocks that it is sent in, a marked one up to ``shared`` if that lies in it.

    The API refuses blocks without anything but white space, so no such block is cut off: the mark is
    left out then.
    """
    whole = [{"type": "text", "text": text}] if text else []
    if not 0 < shared <= len(text):
        return whole
    head, tail = text[:shared], text[shared:]
    if not head.strip() or (tail and not tail.strip()):
        return whole
    marked: dict[str, Any] = {"type": "text", "text": head, "cache_control": {"type": "ephemeral"}}
    return [marked, {"type": "text", "text": tail}] if tail else [marked]


def schema(choices: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {CHOICE: {"type": "string", "enum": list(choices)}},
        "required": [CHOICE],
        "additionalProperties": False,
    }


def refused_parameter(answer: Answer, body: dict[str, Any]) -> str | None:
    """The parameter that the endpoint will not take, where it says so and the call can do without it."""
    problem = problem_of(answer)
    if answer.status not in (400, 422) or problem.reason != "bad request":
        return None
    return next((name for name, said in CAN_BE_LEFT_OUT.items() if name in body and said.search(problem.message)), None)


def unwrapped(key: str, body: dict[str, Any]) -> dict[str, Any]:
    """The message, also where it came as a line of a batch; a line of another call or without a message raises."""
    if "custom_id" not in body:
        return body
    if body["custom_id"] != key:
        raise ValueError("the line answers another call")
    if body["result"]["type"] != "succeeded":
        raise ValueError(f"the batch says {body['result']['type']}")
    message: dict[str, Any] = body["result"]["message"]
    return message


def read_reply(key: str, choices: tuple[str, ...], body: dict[str, Any]) -> ChatReply:
    """The reply in a message's body; whatever is not as promised raises. Thinking is no text."""
    text = "".join(block["text"] for block in body["content"] if block["type"] == "text")
    finish = FINISHES[body["stop_reason"]]
    choice = chosen(text, choices) if finish == "stop" else None
    return ChatReply(
        key,
        text if choice is None else choice,
        finish,
        str(body["model"]),
        read_usage(body.get("usage") or {}),
        held=choice is not None,
    )


def chosen(text: str, choices: tuple[str, ...]) -> str | None:
    """The choice in a reply that was held to ``choices``; None where the text is anything else, however like it."""
    try:
        said = json.loads(text, object_pairs_hook=tuple)  # pairs show a property that comes twice
    except (ValueError, RecursionError):
        return None
    return next((choice for choice in choices if said == ((CHOICE, choice),)), None)


def read_usage(usage: dict[str, Any]) -> Usage:
    """The API counts what a cache had a part in apart; ``Usage.prompt`` is all of it."""

    def count(name: str) -> int:
        return token_count(usage.get(name))

    cached, stored = count("cache_read_input_tokens"), count("cache_creation_input_tokens")
    return Usage(count("input_tokens") + cached + stored, count("output_tokens"), cached, stored)
