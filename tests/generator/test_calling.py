import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import get_args

import pytest

from generator.chat import STOPS_THE_RUN, WORTH_RETRYING, CallFailure, FailureReason
from generator.models.calling import Patience, persist

HASTY = Patience(deadline=5, attempts=4, longest_pause=0.001)


class Endpoint:
    """Answers each try with the next of ``results``, and the last of them from then on."""

    def __init__(self, *results: bytes | CallFailure) -> None:
        self.results = results
        self.tries = 0

    async def __call__(self) -> bytes | CallFailure:
        self.tries += 1
        return self.results[min(self.tries, len(self.results)) - 1]


def failure(reason: FailureReason, detail: str = "") -> CallFailure:
    return CallFailure("key", reason, detail)


@pytest.mark.parametrize("reason", sorted(WORTH_RETRYING))
async def test_what_can_be_cured_is_tried_again(reason: FailureReason) -> None:
    endpoint = Endpoint(failure(reason), failure(reason), b"body")
    assert await persist("key", endpoint, HASTY) == b"body"
    assert endpoint.tries == 3


@pytest.mark.parametrize("reason", sorted(set(get_args(FailureReason)) - WORTH_RETRYING))
async def test_what_cannot_be_cured_is_tried_once(reason: FailureReason) -> None:
    endpoint = Endpoint(failure(reason), b"body")
    assert await persist("key", endpoint, HASTY) == failure(reason)
    assert endpoint.tries == 1


def test_what_a_person_must_mend_is_never_tried_again() -> None:
    assert STOPS_THE_RUN.isdisjoint(WORTH_RETRYING)


async def test_after_the_last_attempt_the_last_failure_is_given() -> None:
    endpoint = Endpoint(*(failure("server error", f"try {n}") for n in range(1, 9)))
    assert await persist("key", endpoint, HASTY) == failure("server error", "try 4")
    assert endpoint.tries == 4


async def test_a_retry_may_end_in_a_failure_that_no_retry_cures() -> None:
    endpoint = Endpoint(failure("rate limit"), failure("auth"), b"body")
    assert await persist("key", endpoint, HASTY) == failure("auth")


async def test_a_body_comes_through_as_it_is() -> None:
    endpoint = Endpoint(b"\xff\x00")
    assert await persist("key", endpoint, HASTY) == b"\xff\x00"
    assert endpoint.tries == 1


async def drip() -> bytes:
    while True:
        await asyncio.sleep(0.005)  # never silent for long, and never done


@pytest.mark.parametrize(
    ("send", "longest_pause"),
    [
        pytest.param(drip, 0.001, id="in one endless try"),
        pytest.param(Endpoint(failure("server error")), 0.01, id="over many tries"),
    ],
)
async def test_one_deadline_ends_all_tries(
    send: Callable[[], Awaitable[bytes | CallFailure]], longest_pause: float
) -> None:
    began = time.monotonic()
    result = await persist("key", send, Patience(deadline=0.1, attempts=10**6, longest_pause=longest_pause))
    assert result == failure("timeout", "no reply within 0.1 s")
    assert time.monotonic() - began < 2


async def test_stopping_a_run_is_not_taken_for_a_timeout() -> None:
    task = asyncio.create_task(persist("key", drip, HASTY))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
