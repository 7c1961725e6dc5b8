"""Models that remember: a backend with the journal, the gate and the meter around it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from constitution.errors import InputError, ModelError, NotFinished, SolonError
from constitution.identity import bytes_hash
from generator.chat import (
    STOPS_THE_RUN,
    Backend,
    CallFailure,
    ChatReply,
    ChatRequest,
    Outcome,
    Usage,
    call_spelling,
)
from generator.models.door import Door
from solon.prices import Price
from solon.records import Receipt


class Ledger(Protocol):
    """Where replies are kept: the journal, as far as a model needs it."""

    async def find(self, key: str) -> bytes | None: ...

    async def record(self, key: str, model: str, request: bytes, reply: bytes, receipt: Receipt) -> None: ...


@dataclass(slots=True)
class Meter:
    """What was asked so far, and what came of it."""

    sent: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    nanodollars: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def count(self, usage: Usage, nanodollars: int) -> None:
        self.sent += 1
        self.prompt_tokens += usage.prompt
        self.completion_tokens += usage.completion
        self.cached_tokens += usage.cached
        self.nanodollars += nanodollars


class Gate:
    """The run's way out: shut for good, it closes every endpoint's door."""

    def __init__(self) -> None:
        self.doors: list[Door] = []
        self.shut = False
        self.out: set[asyncio.Task[Outcome]] = set()

    def shut_down(self) -> None:
        """From now on no call starts; those that wait for a place are turned away."""
        self.shut = True
        for door in self.doors:
            door.close()

    async def settled(self) -> None:
        """Waits until every call that is out has been received and recorded."""
        while self.out:
            await asyncio.wait(self.out)


class JournaledModel:
    """A ``ChatModel`` that pays for no reply twice.

    A call belongs to the gate, not to the prompt that asked: cancelling the prompt leaves it to be
    received and recorded. Two prompts that ask the same share one call.

    Args:
        price: what its tokens cost; None where that is unknown or nothing.
        batch: whether its calls go out in batches, at a batch's price.
        kept: told of a reply's tokens as soon as it is on record.
    """

    def __init__(
        self,
        backend: Backend,
        ledger: Ledger,
        gate: Gate,
        meter: Meter,
        price: Price | None = None,
        batch: bool = False,
        kept: Callable[[Usage], None] | None = None,
    ) -> None:
        self.backend = backend
        self.ledger = ledger
        self.gate = gate
        self.meter = meter
        self.price = price
        self.batch = batch
        self.kept = kept
        self.pending: dict[str, asyncio.Task[Outcome]] = {}

    async def reply(self, request: ChatRequest) -> Outcome:
        asked = call_spelling(self.backend.identity, request)
        key = bytes_hash(asked)
        task = self.pending.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self.obtain(key, request, asked))
            self.pending[key] = task
            self.gate.out.add(task)
            task.add_done_callback(lambda done: self.forget(key, done))
        return await asyncio.shield(task)

    def forget(self, key: str, task: asyncio.Task[Outcome]) -> None:
        del self.pending[key]
        self.gate.out.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it sees it; nobody may be left

    async def obtain(self, key: str, request: ChatRequest, asked: bytes) -> Outcome:
        raw = await self.ledger.find(key)
        if raw is not None:
            self.meter.reused += 1
            return self.backend.read(key, request, raw)
        try:
            return await self.pay(key, request, asked)
        except SolonError:
            self.gate.shut_down()  # before the next in line is let out
            raise

    async def pay(self, key: str, request: ChatRequest, asked: bytes) -> Outcome:
        raw = await self.backend.send(key, request)
        if isinstance(raw, CallFailure):
            if raw.reason != "unsupported":  # which is asked again in words, and so no failure
                self.meter.failures[raw.reason] += 1
            self.refuse_to_go_on(raw)
            return raw
        outcome = self.backend.read(key, request, raw)
        usage = outcome.usage if isinstance(outcome, ChatReply) else Usage()
        answered_by = outcome.model if isinstance(outcome, ChatReply) else ""
        await self.ledger.record(key, self.backend.identity, asked, raw, Receipt(answered_by, usage, self.batch))
        if self.kept:
            self.kept(usage)
        self.meter.count(usage, self.price.of(usage, self.batch) if self.price else 0)
        return outcome

    def refuse_to_go_on(self, failure: CallFailure) -> None:
        """Raises what stops the run, where the failure is of the kind that every other call would meet too."""
        said = f"{self.backend.identity}: {failure.reason}: {failure.detail}"
        if failure.reason == "unknown model":
            raise InputError(self.backend.identity, f"no such model ({failure.detail})", "correct its name or base_url")
        if failure.reason == "quota":
            raise NotFinished(f"{said}: pay or wait, then run again")
        if failure.reason in STOPS_THE_RUN:
            raise ModelError(f"{said}: correct the key or its rights, then run again")
