"""One look at a run a second, for everybody who watches it; with nobody watching, none."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from constitution.errors import SolonError

Seen = TypeVar("Seen")
EVERY = 1.0  # seconds between two looks
SHARE = 10  # a look that takes long is followed by so many times its length of rest
HEARTBEAT = 15.0  # seconds without a change, after which a listener is told that the line is alive


class Feed(Generic[Seen]):
    """What ``look`` sees, to any number of listeners in one event loop.

    ``look`` runs in a thread for as long as it takes, and no longer: listeners hold none, and no connection either.
    """

    def __init__(self, look: Callable[[], Seen], every: float = EVERY) -> None:
        self.look = look
        self.every = every
        self.listeners = 0
        self.newest: Seen | None = None
        self.changed = asyncio.Event()
        self.looking: asyncio.Task[None] | None = None

    async def listen(self, heartbeat: float = HEARTBEAT) -> AsyncGenerator[Seen | None, None]:
        """What is seen now, then whatever is seen anew; None after a while without anything new."""
        self.listeners += 1
        looking = self.begin()
        known: Seen | None = None
        try:
            while not looking.done():
                changed = self.changed
                if self.newest is not None and self.newest != known:
                    known = self.newest
                    yield known
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), heartbeat)
                    continue
                yield None
        finally:
            self.listeners -= 1
            if not self.listeners:
                looking.cancel()
                self.looking = None  # it is not done yet: who comes in this moment must not take it for alive

    def begin(self) -> asyncio.Task[None]:
        if self.looking is None or self.looking.done():
            self.newest = None
            self.looking = asyncio.create_task(self.keep_looking())
        return self.looking

    async def keep_looking(self) -> None:
        try:
            while True:
                began = time.monotonic()
                with suppress(SolonError):  # of a folder that is just being made, say: the next look may do better
                    self.see(await asyncio.to_thread(self.look))
                await asyncio.sleep(max(self.every, SHARE * (time.monotonic() - began)))
        finally:
            self.wake()

    def see(self, seen: Seen) -> None:
        if seen != self.newest:
            self.newest = seen
            self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
