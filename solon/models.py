"""Models that remember: a backend with the journal, the gate and the meter around it."""

import asyncio
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Protocol

from constitution.errors import InputError, ModelError
from constitution.identity import canonical_json
from generator.chat import STOPS_THE_RUN, Backend, CallFailure, ChatReply, ChatRequest, Outcome, Usage, call_key


class Draining(Exception):
    """No call may start any more; what is in flight is still received."""


class Ledger(Protocol):
    """Where replies are kept: the journal, as far as a model needs it."""

    async def find(self, key: str) -> bytes | None: ...

    async def record(self, key: str, model: str, request: bytes, reply: bytes) -> None: ...


@dataclass(slots=True)
class Meter:
    """What was asked so far, and what came of it."""

    sent: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def count(self, usage: Usage) -> None:
        self.sent += 1
        self.prompt_tokens += usage.prompt
        self.completion_tokens += usage.completion
        self.cached_tokens += usage.cached


class Gate:
    """Lets at most ``in_flight`` calls out at once, and none once it is shut."""

    def __init__(self, in_flight: int) -> None:
        self.slots = asyncio.Semaphore(in_flight)
        self.shut = False
        self.out: set[asyncio.Task[Outcome]] = set()

    async def __aenter__(self) -> None:
        await self.slots.acquire()
        if self.shut:
            self.slots.release()
            raise Draining

    async def __aexit__(self, *_: object) -> None:
        self.slots.release()

    def shut_down(self) -> None:
        """From now on no call starts; those that wait for a place are turned away."""
        self.shut = True

    async def settled(self) -> None:
        """Waits until every call that is out has been received and recorded."""
        while self.out:
            await asyncio.wait(self.out)


class JournaledModel:
    """A ``ChatModel`` that pays for no reply twice.

    A call belongs to the gate, not to the prompt that asked: cancelling the prompt leaves it to be
    received and recorded. Two prompts that ask the same share one call.
    """

    def __init__(self, backend: Backend, ledger: Ledger, gate: Gate, meter: Meter) -> None:
        self.backend = backend
        self.ledger = ledger
        self.gate = gate
        self.meter = meter
        self.pending: dict[str, asyncio.Task[Outcome]] = {}

    async def reply(self, request: ChatRequest) -> Outcome:
        key = call_key(self.backend.identity, request)
        task = self.pending.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self.obtain(key, request))
            self.pending[key] = task
            self.gate.out.add(task)
            task.add_done_callback(lambda done: self.forget(key, done))
        return await asyncio.shield(task)

    def forget(self, key: str, task: asyncio.Task[Outcome]) -> None:
        del self.pending[key]
        self.gate.out.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it sees it; nobody may be left

    async def obtain(self, key: str, request: ChatRequest) -> Outcome:
        raw = await self.ledger.find(key)
        if raw is None:
            return await self.pay(key, request)
        self.meter.reused += 1
        return self.backend.read(key, raw)

    async def pay(self, key: str, request: ChatRequest) -> Outcome:
        async with self.gate:
            raw = await self.backend.send(request)
            if isinstance(raw, CallFailure) and raw.reason in STOPS_THE_RUN:
                self.gate.shut_down()  # before the next in line is let out
        if isinstance(raw, CallFailure):
            self.meter.failures[raw.reason] += 1
            if raw.reason == "unknown model":
                raise InputError(self.backend.identity, f"no such model ({raw.detail})", "correct the model's name")
            if raw.reason in STOPS_THE_RUN:
                raise ModelError(f"{self.backend.identity}: {raw.reason}: {raw.detail}")
            return raw
        await self.ledger.record(key, self.backend.identity, canonical_json(asdict(request)), raw)
        outcome = self.backend.read(key, raw)
        self.meter.count(outcome.usage if isinstance(outcome, ChatReply) else Usage())
        return outcome
