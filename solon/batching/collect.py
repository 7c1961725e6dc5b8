"""Bringing a batch's results in: finding it, waiting for its end, reading what it has. Patient, and sends nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from constitution.errors import InputError
from generator.chat import MAY_PASS, CallFailure
from generator.models.batches import BatchTransport, Matched, Progress, match
from generator.models.door import LONGEST_WAIT
from solon.batching.session import Batch, Batching

SEARCHES = 2  # for a batch that is not there, before it counts as never sent
LOOKS = 5  # at results that lack some, before those count as lost: paying for them again costs more than looking
NOWHERE = "the batch ended without a line for this call"
T = TypeVar("T")


class Collector:
    """Brings in the batches of one model.

    An endpoint in trouble is asked again until it answers: how long that may take is for ``Batching`` to say.
    """

    def __init__(self, identity: str, transport: BatchTransport, batching: Batching) -> None:
        self.identity = identity
        self.transport = transport
        self.batching = batching
        self.answered = False  # whether the service has ever, in this session

    def refuse_where_nobody_is(self, said: object) -> None:
        """Raises InputError where a service that has never answered cannot be reached: waiting would be in vain."""
        if not isinstance(said, CallFailure) or said.charged or said.reason != "connection":
            self.answered = True
        elif not self.answered:
            raise InputError(self.identity, said.detail, "start the endpoint, or correct base_url")

    async def collect(self, batch: Batch) -> Matched | CallFailure:
        """What the batch has for each of its calls. All are missing where there is no such batch.

        A failure is the service's: then nothing is known of the batch.
        """
        if not batch.ids:
            found = await self.search(batch)
            if isinstance(found, CallFailure):
                return found
            batch.ids = found
        while batch.ids:
            matched = await self.results(batch, batch.ids[0])
            if isinstance(matched, CallFailure):
                return matched
            if batch.certain or matched.replies or matched.failures:
                await self.make_certain(batch)
                return said_of_all(matched)
            batch.ids = batch.ids[1:]  # it has none of our calls: it is somebody else's
        return Matched({}, {}, frozenset(batch.keys))

    async def make_certain(self, batch: Batch) -> None:
        if not batch.certain:
            batch.ids, batch.certain = batch.ids[:1], True
            await self.batching.journal.save_batch(batch.record("sent"))

    async def search(self, batch: Batch) -> tuple[str, ...] | CallFailure:
        """What may be the batch at the service. A service that has just got one may not list it at once."""
        for search in range(SEARCHES):
            if search:
                await asyncio.sleep(self.batching.times.settle)
            found = await self.patiently(batch, lambda: self.transport.find(batch.name, batch.since, batch.size))
            if isinstance(found, CallFailure):
                return found
            others = {sent.id for sent in self.batching.journal.batches() if sent.id}
            if ids := tuple(id for id in found if id not in others):
                return ids
        return ()

    async def results(self, batch: Batch, id: str) -> Matched | CallFailure:
        progress = await self.end(batch, id)
        if isinstance(progress, CallFailure):
            return progress
        if progress.failure is not None:
            return failed(batch, progress.failure)
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(self.batching.times.poll)
            lines = await self.patiently(batch, lambda: self.transport.results(id))
            if isinstance(lines, CallFailure):
                return failed(batch, lines) if lines.reason == "expired" else lines
            matched = await asyncio.to_thread(match, batch.keys.keys(), lines, self.transport.read)
            of_others = matched.unknown and not (batch.certain or matched.replies or matched.failures)
            if not matched.missing or of_others:
                break
        return matched

    async def end(self, batch: Batch, id: str) -> Progress | CallFailure:
        while True:
            progress = await self.patiently(batch, lambda: self.transport.poll(id))
            if isinstance(progress, CallFailure) or progress.ended:
                batch.checked = False
                return progress
            batch.checked = True
            await asyncio.sleep(self.batching.times.poll)

    async def patiently(self, batch: Batch, ask: Callable[[], Awaitable[T | CallFailure]]) -> T | CallFailure:
        """What is asked for, however often it takes; or a failure that will not pass."""
        while True:
            said = await ask()
            self.refuse_where_nobody_is(said)
            if not isinstance(said, CallFailure) or said.reason not in MAY_PASS - {"expired"}:
                return said
            batch.checked = True
            await asyncio.sleep(max(min(said.wait or 0.0, LONGEST_WAIT), self.batching.times.poll))


def failed(batch: Batch, failure: CallFailure) -> Matched:
    """The batch as a whole brought nothing."""
    return Matched({}, dict.fromkeys(batch.keys, failure), frozenset())


def said_of_all(matched: Matched) -> Matched:
    """A call without a line may have been charged for: it has failed."""
    lost = {key: CallFailure(key, "unreadable", NOWHERE, charged=True) for key in matched.missing}
    return replace(matched, failures=matched.failures | lost, missing=frozenset())
