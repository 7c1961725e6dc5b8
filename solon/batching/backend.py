"""A model whose calls go out in batches. Whoever asks it waits, be it over several sessions."""

import asyncio

from generator.chat import WORTH_RETRYING, Backend, CallFailure, ChatReply, ChatRequest, Outcome, Usage
from generator.models.batches import BatchTransport
from solon.batching.desk import Desk, Result
from solon.batching.session import Batching
from solon.budget import NOTHING, Amount, ModelPurse

MOST_AGAIN = 3  # times that a call is sent after its first
LONGEST_PAUSE = 300.0  # seconds before a call is sent again


class BatchedBackend:
    """A ``Backend`` that gets its replies out of batches. A call that failed goes out again, in a later batch.

    Args:
        backend: reads the replies, and is closed with this.
        closed: set when no call may start any more; batches are left where they are then.
    """

    def __init__(
        self,
        backend: Backend,
        transport: BatchTransport,
        batching: Batching,
        closed: asyncio.Event,
        purse: ModelPurse | None = None,
    ) -> None:
        self.backend = backend
        self.transport = transport
        self.purse = purse
        self.desk = Desk(backend.identity, transport, batching, closed, purse.dearest if purse else lambda _: "")
        self.taken_up: set[str] = set()  # calls of earlier sessions' batches, by their keys

    @property
    def identity(self) -> str:
        return self.backend.identity

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        return self.backend.read(key, request, raw)

    async def send(self, key: str, request: ChatRequest) -> Result:
        """The reply's line, or the failure that sending again did not cure.

        Raises what ``Desk.obtain`` does.
        """
        for again in range(MOST_AGAIN + 1):
            line = hash(self.transport.line(key, request))
            result = await self.attempt(key, request)
            if isinstance(result, bytes) or again == MOST_AGAIN:
                break
            # A model's refusal of a parameter makes the line another one.
            if result.reason not in WORTH_RETRYING and hash(self.transport.line(key, request)) == line:
                break
            await self.pause(result, again)
        return result

    async def pause(self, failure: CallFailure, again: int) -> None:
        """Before a call is sent again that the service had no room for; any other goes with the next batch."""
        if failure.reason in ("rate limit", "overloaded", "server error"):
            self.desk.resting += 1
            seconds = max(failure.wait or 0.0, self.desk.batching.times.poll * 2**again)
            try:
                async with asyncio.timeout(min(LONGEST_PAUSE, seconds)):
                    await self.desk.closed.wait()
            except TimeoutError:
                pass
            finally:
                self.desk.resting -= 1

    async def put_aside(self, key: str, request: ChatRequest) -> Amount:
        """What is put aside for the call: with its batch, where an earlier session sent it, else for itself."""
        assert self.purse is not None
        await self.desk.ready()
        batch = self.desk.under_way.get(key)
        if batch is not None and batch.earlier and batch.dearest and key not in self.taken_up:
            self.taken_up.add(key)
            aside = Amount.load(batch.dearest)
            self.purse.budget.take_up(aside)
            return aside
        self.desk.reserving += 1
        try:
            await self.purse.reserve(request)
        finally:
            self.desk.reserving -= 1
        return self.purse.worst(request)

    async def attempt(self, key: str, request: ChatRequest) -> Result:
        aside = await self.put_aside(key, request) if self.purse else NOTHING
        usage: Usage | None = Usage()  # also where nothing came: the batch is on record, and is put aside again
        try:
            raw = await self.desk.obtain(key, request)
            outcome = raw if isinstance(raw, CallFailure) else self.backend.read(key, request, raw)
            if isinstance(outcome, ChatReply):
                usage = outcome.usage
                return raw
            usage = None if outcome.charged else Usage()
            return outcome
        finally:
            if self.purse:
                self.purse.settle_at(aside, usage)

    async def close(self) -> None:
        await self.desk.close()
        await self.backend.close()
