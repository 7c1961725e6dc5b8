"""Work that takes seconds. It waits for threads of its own: those of every other handler are for people who label."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

T = TypeVar("T")

SLOW = CapacityLimiter(4)  # of the service's forty threads


async def slowly(work: Callable[[], T]) -> T:
    """For a handler that is ``async``: what the work gives or raises."""
    return await run_sync(work, limiter=SLOW)
