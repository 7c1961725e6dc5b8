"""How a stream ends when the service does."""

import asyncio
from dataclasses import dataclass, field

from starlette.types import Message, Receive


@dataclass(slots=True)
class Ending:
    """Wakes everyone who waits for a browser to go away, once the service ends."""

    ended: bool = False
    waiting: set[asyncio.Future[None]] = field(default_factory=set)

    def end(self) -> None:
        """In the event loop that they wait in."""
        self.ended = True
        for future in self.waiting:
            if not future.done():
                future.set_result(None)

    async def first(self, receive: Receive) -> Message:
        """The next message, or that the other side is gone, if the service ends before one comes."""
        end = asyncio.get_running_loop().create_future()
        message = asyncio.ensure_future(receive())
        self.waiting.add(end)
        try:
            if not self.ended:
                await asyncio.wait((message, end), return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else {"type": "http.disconnect"}
        finally:
            self.waiting.discard(end)
            message.cancel()
