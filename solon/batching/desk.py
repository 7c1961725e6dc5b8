"""Where the calls of one model are collected, sent in batches, and handed what came of them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from constitution.errors import ModelError
from generator.chat import MAY_PASS, CallFailure, ChatRequest
from generator.models.batches import BatchTransport, Matched, split
from generator.models.door import Closed
from solon.batching.collect import Collector
from solon.batching.session import Batch, Batching

MOST_REFUSED = 20  # batches in a row that the service does not take

Result: TypeAlias = bytes | CallFailure


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that somebody waits for."""

    request: ChatRequest
    result: asyncio.Future[Result]


class Desk:
    """Collects calls, sends them in batches and hands out what comes back.

    What a batch holds is on the disk before the batch is sent, and its id after. So a call that is asked
    for is first looked for in the batches of earlier sessions. A batch that may or may not have been sent
    is looked for at the service before its calls are sent again.
    """

    def __init__(
        self,
        identity: str,
        transport: BatchTransport,
        batching: Batching,
        closed: asyncio.Event,
        dearest: Callable[[Sequence[ChatRequest]], str] = lambda requests: "",
    ) -> None:
        self.dearest = dearest
        self.identity = identity
        self.transport = transport
        self.batching = batching
        self.closed = closed
        self.collector = Collector(identity, transport, batching)
        self.asked: dict[str, Asked] = {}
        self.queue: dict[str, bytes] = {}  # the lines of calls that are in no batch yet
        self.size = 0  # of the queue, in bytes
        self.full = asyncio.Event()
        self.under_way: dict[str, Batch] = {}  # the batch that has a call's reply, or will
        self.opened: asyncio.Task[None] | None = None
        self.pump: asyncio.Task[None] | None = None
        self.submitting = False
        self.resting = 0  # calls that pause before they are sent again
        self.reserving = 0  # calls that wait for money
        self.refused = 0  # batches in a row
        self.tasks: set[asyncio.Task[None]] = set()
        batching.senders.append(self)

    async def obtain(self, key: str, request: ChatRequest) -> Result:
        """What comes of the call, out of a batch under way or of the next.

        Raises:
            Closed: the door was closed; a batch that has the call stays at the service.
            NotFinished: the wait for batches is over.
            InputError, ModelError: the service takes no batches, or does not know one that is under way.
        """
        await self.ready()
        if self.closed.is_set():
            raise Closed
        if self.batching.left:
            raise self.batching.unfinished()
        self.batching.stir()
        call = self.asked.get(key)
        if call is None:
            call = self.asked[key] = Asked(request, asyncio.get_running_loop().create_future())
            if key in self.under_way:
                self.follow(self.under_way[key])
            else:
                self.enqueue(key)
        return await asyncio.shield(call.result)

    async def ready(self) -> None:
        """Returns when the batches of earlier sessions are known."""
        if self.opened is None:
            self.opened = self.start(self.open())
        await asyncio.shield(self.opened)

    async def open(self) -> None:
        """Takes up the batches of earlier sessions; a call that several of them have belongs to the last."""
        for batch in await self.batching.open_batches(self.identity):
            self.under_way |= dict.fromkeys(batch.keys, batch)
        self.start(self.end_when_closed())

    async def end_when_closed(self) -> None:
        await self.closed.wait()
        self.fail(Closed)

    def enqueue(self, key: str) -> None:
        line = self.transport.line(key, self.asked[key].request)
        if isinstance(line, bytes) and len(line) >= self.transport.limits.bytes:
            line = CallFailure(key, "context overflow", f"{len(line):,} bytes are more than a batch takes")
        if isinstance(line, CallFailure):
            self.resolve(key, line)
            return
        self.queue[key] = line
        self.size += len(line) + 1
        if len(self.queue) >= self.transport.limits.requests or self.size >= self.transport.limits.bytes:
            self.full.set()
        if self.pump is None or self.pump.done():
            self.pump = self.start(self.submit_all())

    async def submit_all(self) -> None:
        """Sends what is in the queue: full files at once, the rest when nothing more is to be expected."""
        while self.queue:
            await self.batching.quiet(self.full)
            files = split(self.queue, self.transport.limits)
            rest = files.pop() if self.full.is_set() and len(files) > 1 else {}
            self.queue, self.size = rest, sum(len(line) + 1 for line in rest.values())
            self.full.clear()
            while files and not self.closed.is_set():
                await self.submit(files.pop(0))
                if self.refused:
                    await asyncio.sleep(self.batching.times.settle)

    async def submit(self, file: dict[str, bytes]) -> None:
        requests = [self.asked[key].request for key in file if key in self.asked]
        batch = self.batching.new_batch(self.identity, file, self.dearest(requests))
        self.submitting = True
        try:
            await self.batching.journal.save_batch(batch.record("submitting"))
            self.under_way |= dict.fromkeys(file, batch)
            said = await self.transport.submit(batch.name, list(file.values()))
            await self.submitted(batch, said)
        finally:
            self.submitting = False

    async def submitted(self, batch: Batch, said: str | CallFailure) -> None:
        """Takes down what came of sending a batch."""
        self.collector.refuse_where_nobody_is(said)
        if isinstance(said, str):
            self.refused = 0
            batch.ids, batch.certain = (said,), True
            await self.batching.journal.save_batch(batch.record("sent"))
        elif said.reason not in MAY_PASS:
            await self.book(batch, Matched({}, dict.fromkeys(batch.keys, said), frozenset()))
            return
        elif self.refused >= MOST_REFUSED:
            raise ModelError(f"{self.identity}: the service takes no batches ({said.detail}): run again when it does")
        else:  # there may be a batch all the same: whoever follows it looks for it
            self.refused += 1
        self.batching.moved()
        self.follow(batch)

    def follow(self, batch: Batch) -> None:
        if not batch.followed and not self.closed.is_set():
            batch.checked = False
            batch.following = self.start(self.bring_in(batch))
            self.batching.watch()

    async def bring_in(self, batch: Batch) -> None:
        """Hands out what the batch has for those who ask, as long as anybody does."""
        while True:
            if not batch.keys.keys() <= self.asked.keys():  # others of its calls may yet be asked for
                await self.batching.quiet()
            if not self.waiting_for(batch):
                return
            matched = await self.collector.collect(batch)
            batch.checked = False
            if isinstance(matched, CallFailure):  # of the service, not of the batch
                for key in self.waiting_for(batch):
                    self.resolve(key, matched)
                return
            await self.book(batch, matched)

    def waiting_for(self, batch: Batch) -> list[str]:
        return [key for key in self.asked if self.under_way.get(key) is batch]

    async def book(self, batch: Batch, matched: Matched) -> None:
        """Takes down which replies the batch has, and then hands them out. Calls that are not in it are free again."""
        batch.keys = dict.fromkeys(matched.replies)
        if matched.failures or matched.missing or not batch.keys:
            await self.batching.journal.save_batch(batch.record("sent" if batch.keys else "done"))
        waiting = self.waiting_for(batch)
        for key in (*matched.failures, *matched.missing):
            if self.under_way.get(key) is batch:
                del self.under_way[key]
        for key in waiting:
            if key in matched.replies:
                del self.under_way[key]
                self.resolve(key, matched.replies[key])
            elif key in matched.failures:
                self.resolve(key, replace(matched.failures[key], key=key))
            else:
                self.enqueue(key)
        self.batching.moved()

    def resolve(self, key: str, result: Result) -> None:
        self.asked.pop(key).result.set_result(result)

    def fail(self, make: Callable[[], BaseException]) -> None:
        asked, self.asked = self.asked, {}
        self.queue, self.size = {}, 0
        for call in asked.values():
            call.result.set_exception(make())
            call.result.exception()  # whoever waits for it sees it; nobody may be left

    @property
    def idle(self) -> bool:
        return not (self.queue or self.submitting or self.resting)

    @property
    def waiting(self) -> int:
        return len(self.asked) + self.reserving

    @property
    def followed(self) -> list[Batch]:
        batches = {batch.name: batch for batch in self.under_way.values() if batch.followed}
        return list(batches.values())

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Whatever goes wrong in the work is told to all who wait."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.finished)
        return task

    def finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(partial(BaseException.with_traceback, error, error.__traceback__))

    async def close(self) -> None:
        """Lets a batch that is being sent be sent, and leaves the others where they are."""
        self.fail(Closed)
        self.closed.set()
        self.batching.close()
        for task in self.tasks:
            if not (task is self.pump and self.submitting):
                task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
