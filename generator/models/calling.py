"""Patience with an endpoint: one deadline over all tries, and retries only where they can help."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_after_attempt,
    wait_random_exponential,
)

from generator.chat import WORTH_RETRYING, CallFailure


@dataclass(frozen=True, slots=True)
class Patience:
    deadline: float = 300.0  # seconds for a call, all tries and pauses included
    attempts: int = 8
    longest_pause: float = 20.0  # seconds between two tries, drawn with full jitter below a doubling bound


PATIENT = Patience()


async def persist(
    key: str, send: Callable[[], Awaitable[bytes | CallFailure]], patience: Patience
) -> bytes | CallFailure:
    """What ``send`` returns in the end: the body, or the failure that no retry cured."""
    retrying = AsyncRetrying(
        stop=stop_after_attempt(patience.attempts),
        wait=wait_random_exponential(multiplier=0.5, max=patience.longest_pause),
        retry=retry_if_result(can_be_cured),
        retry_error_callback=last_result,
    )

    async def attempt() -> bytes | CallFailure:
        return await send()  # a coroutine function, whatever callable `send` is: tenacity tells them apart

    try:
        async with asyncio.timeout(patience.deadline):
            return await retrying(attempt)
    except TimeoutError:
        return CallFailure(key, "timeout", f"no reply within {patience.deadline:g} s")


def can_be_cured(result: bytes | CallFailure) -> bool:
    return isinstance(result, CallFailure) and result.reason in WORTH_RETRYING


def last_result(state: RetryCallState) -> bytes | CallFailure:
    assert state.outcome is not None
    result: bytes | CallFailure = state.outcome.result()
    return result
