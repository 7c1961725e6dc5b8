"""What all batches of a session have in common: when to send one, how long to wait, and when to leave."""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from constitution.errors import NotFinished
from solon.records import SentBatch

TICKS = 5  # looks in a row at which nothing may have stirred


class BatchLedger(Protocol):
    """Where batches are kept: the journal, as far as batching needs it."""

    @property
    def writing(self) -> bool: ...

    async def save_batch(self, batch: SentBatch) -> None: ...

    def batches(self) -> tuple[SentBatch, ...]: ...

    def lacking(self, keys: Collection[str]) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Times:
    """All in seconds."""

    wait: float = 86_400.0  # without any batch coming back, after which the run is left; 0: after one look
    poll: float = 30.0  # between two looks at a batch
    quiet: float = 0.5  # without a new call, after which all that can be asked for is taken to have been
    lull: float = 30.0  # the same, while calls are out that are in no batch
    settle: float = 15.0  # that a service may take to list a batch


class Batch:
    """A batch on its way.

    Attributes:
        ids: what may be its id at the service; empty where that is to be found out.
        certain: whether the first of them is.
        keys: of the calls whose replies are still to be had from it.
        size: how many calls were sent in it.
        dearest: what each of its calls may cost at most, for the budget of a later session.
        earlier: whether an earlier session sent it.
        checked: whether a look at it since anything last came back showed that it has not ended.
    """

    def __init__(
        self, model: str, name: str, created: str, keys: Collection[str], size: int | None = None, id: str = ""
    ) -> None:
        self.model = model
        self.size = len(keys) if size is None else size
        self.name = name
        self.created = created
        self.keys = dict.fromkeys(keys)
        self.ids: tuple[str, ...] = (id,) if id else ()
        self.certain = bool(id)
        self.checked = False
        self.dearest = ""
        self.earlier = False
        self.following: asyncio.Task[None] | None = None

    @property
    def since(self) -> float:
        """A time before it was sent, in seconds since the epoch."""
        return datetime.fromisoformat(self.created).timestamp()

    @property
    def followed(self) -> bool:
        return self.following is not None and not self.following.done()

    def record(self, state: Literal["submitting", "sent", "done"]) -> SentBatch:
        id = self.ids[0] if self.certain else ""
        return SentBatch(self.name, self.model, self.created, state, id, tuple(self.keys), self.dearest)


class Sender(Protocol):
    """A model whose calls go out in batches, as far as the others' batches are concerned."""

    @property
    def idle(self) -> bool:
        """Whether nothing is about to be sent or to come in."""
        ...

    @property
    def waiting(self) -> int:
        """How many calls wait for a batch, or for the money for one."""
        ...

    @property
    def followed(self) -> list[Batch]: ...

    def fail(self, make: Callable[[], BaseException]) -> None:
        """Ends every call that waits, each with an error of its own."""
        ...


class Batching:
    """The batches of one session, of all models.

    Args:
        out: how many calls are out in all, those of models without batches among them.
    """

    def __init__(self, journal: BatchLedger, times: Times, out: Callable[[], int] = lambda: 0) -> None:
        self.journal = journal
        self.times = times
        self.out = out
        self.senders: list[Sender] = []
        self.sent = len(journal.batches())
        self.stirred = 0  # counts whatever may be followed by another call
        self.came_back = time.monotonic()  # when anything last did, or went out
        self.left = ""  # why this session waits no longer
        self.leaving: asyncio.Task[None] | None = None

    async def open_batches(self, model: str) -> list[Batch]:
        """The model's batches of earlier sessions, oldest first. Those that have nothing more to give are closed."""
        batches: list[Batch] = []
        for sent in self.journal.batches():
            if sent.model != model or sent.state == "done":
                continue
            batch = Batch(model, sent.name, sent.created, self.journal.lacking(sent.keys), len(sent.keys), sent.id)
            batch.dearest, batch.earlier = sent.dearest, True
            if batch.keys:
                batches.append(batch)
            else:
                await self.journal.save_batch(batch.record("done"))
        return batches

    def new_batch(self, model: str, keys: Collection[str], dearest: str = "") -> Batch:
        """A batch under a name of its own; names sort in the order in which they are given."""
        self.sent += 1
        now = datetime.now(UTC).isoformat(timespec="seconds")
        batch = Batch(model, f"{self.sent:06d}-{secrets.token_hex(8)}", now, keys)
        batch.dearest = dearest
        return batch

    def stir(self) -> None:
        self.stirred += 1

    def moved(self) -> None:
        """Something went out or came back: the wait begins anew."""
        self.came_back = time.monotonic()
        self.stir()

    async def quiet(self, full: asyncio.Event | None = None) -> None:
        """Returns when all prompts wait for a batch, as far as can be told, or when ``full`` is set.

        While calls of other models are out, their replies may lead to more calls. Then a longer silence is
        waited for, and not for ever: such a call may itself wait for money that a batch has put aside.
        """
        calm, tick = 0, self.times.quiet / TICKS
        while not (full and full.is_set()):
            others = self.out() > sum(sender.waiting for sender in self.senders)
            if calm >= TICKS and (not others or calm * tick >= self.times.lull):
                return
            before = self.stirred
            await asyncio.sleep(tick)
            calm = calm + 1 if before == self.stirred and not self.journal.writing else 0

    def watch(self) -> None:
        """Sees to it that the session is left in time. Called whenever a batch is followed."""
        if self.leaving is None or self.leaving.done():
            self.leaving = asyncio.create_task(self.leave_in_time())

    async def leave_in_time(self) -> None:
        while any(sender.followed for sender in self.senders):
            remaining = self.came_back + self.times.wait - time.monotonic()
            if remaining > 0:
                await asyncio.sleep(min(remaining, 60.0))
                continue
            await self.quiet()
            if self.over:
                self.leave()
                return

    @property
    def over(self) -> bool:
        late = time.monotonic() >= self.came_back + self.times.wait
        return late and all(s.idle and all(b.checked for b in s.followed) for s in self.senders)

    @property
    def followed(self) -> list[Batch]:
        return [batch for sender in self.senders for batch in sender.followed]

    @property
    def under_way(self) -> int:
        """Calls whose replies are still to come from the service."""
        return sum(len(batch.keys) for batch in self.followed)

    def leave(self) -> None:
        batches = self.followed
        if not batches:
            return
        since = min(batch.created for batch in batches).replace("T", " ").replace("+00:00", " UTC")
        requests, several = self.under_way, len(batches) > 1
        self.left = (
            f"{requests:,} request{' is' if requests == 1 else 's are'} in {len(batches)} batch{'es' * several} "
            f"at the service since {since}: run again to pick {'it' if requests == 1 else 'them'} up"
        )
        for sender in self.senders:
            sender.fail(self.unfinished)

    def unfinished(self) -> NotFinished:
        return NotFinished(self.left)

    def close(self) -> None:
        if self.leaving is not None:
            self.leaving.cancel()
