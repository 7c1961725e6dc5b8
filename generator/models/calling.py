"""Patience with an endpoint: one deadline over all tries, and retries only where they can help."""

import asyncio
import random
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, wait_random_exponential

from constitution.errors import InputError, SolonError
from generator.chat import WORTH_RETRYING, Backend, CallFailure, ChatReply, ChatRequest, Outcome, Usage
from generator.models.door import LONGEST_WAIT, Closed, Door, Ticket

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English; a real count needs the model's tokenizer


@dataclass(frozen=True, slots=True)
class Patience:
    deadline: float = 300.0  # seconds for all tries of a call and the pauses between, not for waiting in line
    attempts: int = 8
    empty_attempts: int = 3  # a model that has nothing to say says it again, at a price
    longest_pause: float = 20.0  # seconds between two tries, drawn with full jitter below a doubling bound


PATIENT = Patience()


class Purse(Protocol):
    """What pays for a model's calls: the worst case is put aside before a call, and settled after it."""

    async def reserve(self, request: ChatRequest) -> None: ...

    def settle(self, request: ChatRequest, usage: Usage | None) -> None:
        """``usage`` is None where the endpoint may charge for a call that it did not account for."""
        ...


@runtime_checkable
class Refusing(Protocol):
    """A backend that knows of calls that its model cannot take."""

    def refusal(self, key: str, request: ChatRequest) -> CallFailure | None: ...


class FreeOfCharge:
    """The purse for models that nobody is billed for."""

    async def reserve(self, request: ChatRequest) -> None: ...

    def settle(self, request: ChatRequest, usage: Usage | None) -> None: ...


class Persistent:
    """A ``Backend`` that asks another again where that may help.

    A reply that cannot be read is no reply: it is asked for again like one that never came.
    """

    def __init__(self, backend: Backend, door: Door, patience: Patience = PATIENT, purse: Purse | None = None) -> None:
        self.backend = backend
        self.door = door
        self.patience = patience
        self.purse = purse or FreeOfCharge()

    @property
    def identity(self) -> str:
        return self.backend.identity

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        return self.backend.read(key, request, raw)

    async def close(self) -> None:
        await self.backend.close()

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        """The reply, or the failure that no retry cured. Waiting for a place takes no time off the deadline.

        Raises:
            Closed: the door was closed before the first try.
            InputError: nobody answers at an endpoint that never did.
        """
        if (refusal := self.refusal(key, request)) is not None:
            return refusal
        tries = Tries(self, key, request, await self.admit(request))
        try:
            async with asyncio.timeout(self.patience.deadline) as tries.clock:
                result = await tries.once()
                if can_be_cured(result):
                    result = await tries.again()
                return result
        except TimeoutError:
            return tries.late()

    def refusal(self, key: str, request: ChatRequest) -> CallFailure | None:
        """Why the call need not go out at all, where that is known: then it takes no place either."""
        return self.backend.refusal(key, request) if isinstance(self.backend, Refusing) else None

    async def admit(self, request: ChatRequest) -> Ticket:
        """A place, then what the call may cost: nothing is put aside for calls that only wait for a place."""
        ticket = await self.door.enter(likely_tokens(request) if self.door.pacing.a_token else 0)
        try:
            await self.purse.reserve(request)
        except BaseException:
            self.door.leave(ticket, None)
            raise
        if self.door.closed.is_set():
            self.purse.settle(request, Usage())
            self.door.leave(ticket, None)
            raise Closed
        return ticket

    async def attempt(self, key: str, request: ChatRequest, ticket: Ticket) -> bytes | CallFailure:
        """One try, and what the door and the purse learn of it, also where it is cancelled half-way."""
        failure: CallFailure | None = None
        usage: Usage | None = None
        answered = False
        try:
            raw = await self.backend.send(key, request)
            outcome = raw if isinstance(raw, CallFailure) else self.backend.read(key, request, raw)
            if isinstance(outcome, ChatReply):
                usage, answered = outcome.usage, True
                return raw
            failure = outcome
            usage = None if failure.charged else Usage()
            self.refuse_where_nobody_is(failure)
            return failure
        except asyncio.CancelledError:
            failure = CallFailure(key, "timeout", "given up", charged=True)
            raise
        except SolonError:
            usage = usage or Usage()
            raise
        finally:
            self.purse.settle(request, usage)
            self.door.leave(ticket, failure, answered)

    def refuse_where_nobody_is(self, failure: CallFailure) -> None:
        if failure.reason == "connection" and not failure.charged and not self.door.proven:
            raise InputError(self.identity, failure.detail, "start the endpoint, or correct base_url")


class Tries:
    """The tries of one call."""

    def __init__(self, persistent: Persistent, key: str, request: ChatRequest, ticket: Ticket) -> None:
        self.persistent = persistent
        self.key = key
        self.request = request
        self.ticket: Ticket | None = ticket
        self.last: CallFailure | None = None
        self.empties = 0
        self.pausing = False
        self.clock: asyncio.Timeout | None = None  # the deadline's

    async def once(self) -> bytes | CallFailure:
        """A try; the last failure again where the door was closed meanwhile."""
        ticket, self.ticket = self.ticket, None
        if ticket is None:
            try:
                ticket = await self.admitted()
            except Closed:
                assert self.last is not None
                return self.last
        self.pausing = False
        result = await self.persistent.attempt(self.key, self.request, ticket)
        if isinstance(result, CallFailure):
            self.last, self.pausing = result, True
            self.empties += result.reason == "empty"
        return result

    async def admitted(self) -> Ticket:
        """A place for another try. Waiting in line for it takes nothing off the deadline, as before the first."""
        assert self.clock is not None
        loop, when = asyncio.get_running_loop(), self.clock.when()
        assert when is not None
        left = when - loop.time()
        self.clock.reschedule(None)
        ticket = await self.persistent.admit(self.request)
        self.clock.reschedule(loop.time() + left)
        return ticket

    async def again(self) -> bytes | CallFailure:
        """What comes of trying on after a first try that failed."""
        patience, door = self.persistent.patience, self.persistent.door
        jitter = wait_random_exponential(multiplier=0.5, max=patience.longest_pause)

        def pause(state: RetryCallState) -> float:
            asked = min((self.last and self.last.wait) or 0.0, LONGEST_WAIT)
            return max(jitter(state), asked + random.uniform(0, asked / 10))

        async def sleep(seconds: float) -> None:
            await door.rest(seconds)

        def enough(state: RetryCallState) -> bool:
            many = state.attempt_number >= patience.attempts or self.empties >= patience.empty_attempts
            return many or door.closed.is_set()

        first = [self.last]  # tenacity counts and pauses from a first try, which has been made

        async def attempt() -> bytes | CallFailure:
            made = first.pop() if first else None
            return made or await self.once()

        retrying = AsyncRetrying(
            stop=enough, wait=pause, sleep=sleep, retry=retry_if_result(can_be_cured), retry_error_callback=last_result
        )
        return await retrying(attempt)

    def late(self) -> CallFailure:
        """The deadline's failure: what came last where it struck in a pause, else that nothing came."""
        within = f"no reply within {self.persistent.patience.deadline:g} s"
        if self.last is not None and self.pausing:
            return CallFailure(self.key, self.last.reason, f"{within}; last: {self.last.detail}")
        return CallFailure(self.key, "timeout", within, charged=True)


def likely_tokens(request: ChatRequest) -> int:
    return sum(len(m.content) for m in request.messages) // CHARACTERS_PER_TOKEN + request.max_tokens


def can_be_cured(result: bytes | CallFailure) -> bool:
    return isinstance(result, CallFailure) and result.reason in WORTH_RETRYING


def last_result(state: RetryCallState) -> bytes | CallFailure:
    assert state.outcome is not None
    result: bytes | CallFailure = state.outcome.result()
    return result
