"""The door to one endpoint: how many calls may be there at once, when, and whether any.

It learns from how calls come back. One call goes alone until the endpoint has answered, so that a wrong
key or a wrong name costs one request. A reply that asks to slow down cuts the number of calls at once;
good ones raise it again. An endpoint that only fails gets no calls but a probe now and then.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from constitution.errors import ModelError
from generator.chat import STOPS_THE_RUN, CallFailure, FailureReason

SLOW_DOWN: frozenset[FailureReason] = frozenset({"rate limit", "overloaded"})
IN_TROUBLE: frozenset[FailureReason] = SLOW_DOWN | {"server error", "connection", "timeout", "unreadable"}
SAYS_NOTHING: frozenset[FailureReason] = STOPS_THE_RUN | {"unsupported"}  # of whether the endpoint is well
CUT = 0.7  # what is left of the calls at once when the endpoint asks to slow down
FAILURES_IN_A_ROW = 20  # that open the circuit; by chance alone, at one failure in three, once in three billion
LONGEST_WAIT = 60.0  # seconds that an endpoint can ask for
FIRST_PROBE, LONGEST_BETWEEN_PROBES = 1.0, 30.0  # seconds


class Closed(Exception):
    """No call may start any more; what is in flight is still received."""


class Pace:
    """An even pace of requests and tokens: nobody passes before those ahead have had their time of both."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self.a_request = 60.0 / requests_per_minute if requests_per_minute else 0.0  # seconds
        self.a_token = 60.0 / tokens_per_minute if tokens_per_minute else 0.0
        self.free_at = 0.0

    def take(self, tokens: int, now: float) -> float:
        """Takes a turn for one request of ``tokens`` and says for how many seconds to wait for it."""
        begins = max(now, self.free_at)
        self.free_at = begins + max(self.a_request, tokens * self.a_token)
        return begins - now

    def hold_until(self, then: float) -> None:
        """Nobody takes a turn before ``then``."""
        self.free_at = max(self.free_at, then)


@dataclass(slots=True)
class Ticket:
    """A place at the endpoint, numbered in the order of entry."""

    number: int


class Door:
    """Lets calls out to one endpoint.

    Args:
        most: calls at once, at most.
        give_up_after: seconds for which the endpoint may only fail before the run is stopped.
        requests_per_minute, tokens_per_minute: the endpoint's limits, kept by pacing.
    """

    def __init__(
        self,
        most: int,
        *,
        give_up_after: float = 300.0,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        self.most = most
        self.give_up_after = give_up_after
        self.pacing = Pace(requests_per_minute, tokens_per_minute)
        self.limit = 1.0  # calls at once, as of now
        self.slow_start_below = float(most)  # the limit doubles up to here with every round of good calls
        self.proven = False  # whether the endpoint has ever answered
        self.out = 0
        self.entered = 0
        self.cut_from = 0  # tickets before this one were out when the limit was last cut
        self.failures = 0  # in a row
        self.broken_since: float | None = None  # when the circuit opened
        self.probes_from = 0  # tickets before this one were out when the circuit opened: no probes
        self.next_probe = 0.0
        self.between_probes = FIRST_PROBE
        self.last_failure = ""
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.closed = asyncio.Event()

    async def enter(self, tokens: int) -> Ticket:
        """Waits for a place for a call of about ``tokens`` tokens. Every ticket must be handed back to ``leave``.

        Raises:
            Closed: the door was closed.
            ModelError: the endpoint has only failed for too long.
        """
        while not self.open:
            await self.turn()
        self.out += 1
        self.entered += 1
        ticket = Ticket(self.entered)
        pause = self.pacing.take(tokens, clock())
        if pause > 0:
            await self.pace(ticket, pause)
        return ticket

    async def pace(self, ticket: Ticket, pause: float) -> None:
        try:
            if await self.rest(pause):
                raise Closed
        except BaseException:
            self.leave(ticket, None)
            raise

    @property
    def open(self) -> bool:
        if self.closed.is_set():
            raise Closed
        return (self.out < int(self.limit) and self.broken_since is None) or self.probe_is_due

    @property
    def probe_is_due(self) -> bool:
        return self.broken_since is not None and self.out == 0 and clock() >= self.next_probe

    async def turn(self) -> None:
        """Waits until something about the door has changed, or a probe is due."""
        now = clock()
        if self.broken_since is not None and now - self.broken_since > self.give_up_after:
            self.wake()  # those behind give up too
            raise ModelError(f"the endpoint only fails ({self.last_failure}): run again when it works")
        changed = asyncio.get_running_loop().create_future()
        self.waiting.append(changed)
        patience = max(0.01, self.next_probe - now) if self.broken_since is not None and self.out == 0 else None
        try:
            async with asyncio.timeout(patience):
                await changed
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self.wake()  # for the place, or to watch for the next probe: another must do what this one will not
            raise

    async def rest(self, seconds: float) -> bool:
        """Sleeps, and says whether it was woken because the door closed."""
        try:
            async with asyncio.timeout(seconds):
                await self.closed.wait()
        except TimeoutError:
            return False
        return True

    def leave(self, ticket: Ticket, failure: CallFailure | None, answered: bool = False) -> None:
        """Hands the place back and takes note of how the call went: ``answered`` if with a reply."""
        self.out -= 1
        if failure is not None and failure.reason in IN_TROUBLE:
            self.went_wrong(ticket, failure)
        elif answered or (failure is not None and failure.reason not in SAYS_NOTHING):
            self.went_well()
        self.wake()

    def went_well(self) -> None:
        self.failures = 0
        if not self.proven or self.broken_since is not None:
            self.limit = float(self.most) if not self.proven else 1.0
            self.proven, self.broken_since, self.between_probes = True, None, FIRST_PROBE
            return
        gain = 1.0 if self.limit < self.slow_start_below else 1.0 / self.limit
        self.limit = min(float(self.most), self.limit + gain)

    def went_wrong(self, ticket: Ticket, failure: CallFailure) -> None:
        self.failures += failure.reason != "rate limit"  # which only an endpoint that works tells
        self.last_failure = f"{failure.reason}: {failure.detail}"
        if failure.reason in SLOW_DOWN and ticket.number >= self.cut_from:
            self.limit = self.slow_start_below = max(1.0, self.limit * CUT)
            self.cut_from = self.entered + 1
        now = clock()
        if failure.reason in SLOW_DOWN and failure.wait:
            self.pacing.hold_until(now + min(failure.wait, LONGEST_WAIT))  # it speaks for all calls, not for one
        if self.broken_since is None and self.failures >= FAILURES_IN_A_ROW:
            self.broken_since, self.next_probe = now, now + self.between_probes
            self.probes_from = self.entered + 1
        elif self.broken_since is not None and ticket.number >= self.probes_from:
            self.between_probes = min(self.between_probes * 2, LONGEST_BETWEEN_PROBES)
            self.next_probe = now + self.between_probes

    def wake(self) -> None:
        """Wakes as many as there are places; when a probe is due only one can go, and the rest wait on."""
        places = max(1, int(self.limit) - self.out)
        while places > 0 and self.waiting:
            changed = self.waiting.popleft()
            if not changed.done():
                changed.set_result(None)
                places -= 1

    def close(self) -> None:
        """From now on no call starts; those that wait are turned away."""
        self.closed.set()
        while self.waiting:
            changed = self.waiting.popleft()
            if not changed.done():
                changed.set_result(None)


def clock() -> float:
    """The running loop's seconds, so that a loop whose time leaps takes the door with it."""
    return asyncio.get_running_loop().time()
