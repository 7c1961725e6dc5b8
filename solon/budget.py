"""A hard cap on what a run may cost: the worst case is put aside before a call goes out, and settled after it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Self

from constitution.errors import NotFinished
from generator.chat import ChatRequest, Usage
from solon.prices import Price, most_prompt_tokens

NANO = 10**9
TAKEN_UP_WITHIN = 5.0  # seconds in which calls that lie in batches of earlier sessions are asked for again


@dataclass(frozen=True, slots=True)
class Amount:
    """Money and tokens, in whole numbers so that sums are exact."""

    nanodollars: int = 0
    tokens: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.nanodollars + other.nanodollars, self.tokens + other.tokens)

    def __mul__(self, times: int) -> "Amount":
        return Amount(self.nanodollars * times, self.tokens * times)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.nanodollars - other.nanodollars, self.tokens - other.tokens)

    def within(self, other: "Amount") -> bool:
        return self.nanodollars <= other.nanodollars and self.tokens <= other.tokens

    def most(self, other: "Amount") -> "Amount":
        return Amount(max(self.nanodollars, other.nanodollars), max(self.tokens, other.tokens))

    @property
    def usd(self) -> float:
        return self.nanodollars / NANO

    def dump(self) -> str:
        return f"{self.nanodollars} {self.tokens}"

    @classmethod
    def load(cls, text: str) -> Self:
        return cls(*map(int, text.split()))


NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class Cap:
    """What a run may cost in all; None is no limit."""

    usd: float | None = None
    tokens: int | None = None

    def holds(self, amount: Amount) -> bool:
        money = self.usd is None or amount.nanodollars <= self.usd * NANO
        return money and (self.tokens is None or amount.tokens <= self.tokens)

    def clip(self, amount: Amount) -> Amount:
        """``amount``, but no more of it than the cap allows."""
        money = amount.nanodollars if self.usd is None else min(amount.nanodollars, int(self.usd * NANO))
        return Amount(money, amount.tokens if self.tokens is None else min(amount.tokens, self.tokens))

    def __bool__(self) -> bool:
        return self.usd is not None or self.tokens is not None

    def __str__(self) -> str:
        parts = [f"{self.usd:g} USD"] if self.usd is not None else []
        parts += [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        return " or ".join(parts)


class Budget:
    """What was spent, what is put aside, and the cap over both.

    ``spent`` begins with what recorded replies cost and with what earlier sessions may have been charged
    without a reply to show for it. That second part is noted durably before it can come about: ``note``
    is called, and waited for, before more is out than it was told of. So also a killed run stays within
    its cap, at the price of counting calls that were in flight as paid.

    A reply stays at risk until ``kept`` says that it is on record: between the two it is paid for, and a
    kill would lose it.
    """

    def __init__(
        self, cap: Cap, recorded: Amount, unaccounted: Amount, note: Callable[[Amount], Awaitable[None]]
    ) -> None:
        self.cap = cap
        self.spent = recorded + unaccounted
        self.unaccounted = unaccounted
        self.noted = unaccounted  # what the disk holds by now
        self.asked = unaccounted  # what it will hold when all notes are written: one after the other, so never less
        self.note = note
        self.held = NOTHING
        self.parked = NOTHING  # the part of it that earlier sessions' batches may cost, until their calls are taken up
        self.at_risk = NOTHING  # what a kill would leave unaccounted for
        self.line: deque[tuple[Amount, asyncio.Future[None]]] = deque()  # calls that do not fit yet

    async def reserve(self, worst: Amount, durable: bool = False) -> None:
        """Puts ``worst`` aside, waiting for others to settle where it does not fit beside them.

        Args:
            durable: whether the call is on record even if this process is killed, as a batch's are.

        Raises:
            NotFinished: it does not fit at all.
        """
        if self.fits(worst) and not self.line:
            self.held += worst
        elif self.held == NOTHING:
            raise self.reached(worst)
        else:
            await self.stand_in_line(worst)  # in which a call from a batch of an earlier session may free some
        if not durable:
            self.at_risk += worst
        try:
            await self.cover()
        except BaseException:
            self.settle(worst, NOTHING, durable)
            raise

    def fits(self, worst: Amount) -> bool:
        return self.cap.holds(self.spent + self.held + worst)

    def reached(self, worst: Amount) -> NotFinished:
        lost = self.unaccounted
        cut_off = f" ({lost.usd:.4f} USD and {lost.tokens:,} tokens of it perhaps, by calls that were cut off)"
        return NotFinished(
            f"the budget of {self.cap} is reached: {self.spent.usd:.4f} USD and {self.spent.tokens:,} tokens "
            f"are spent{cut_off if lost != NOTHING else ''}, "
            f"and the next call may take {worst.usd:.4f} USD and {worst.tokens:,} tokens: "
            "raise it and run again; nothing that was paid for is lost"
        )

    async def stand_in_line(self, worst: Amount) -> None:
        """Returns with ``worst`` put aside, in the order in which calls came."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.line.append((worst, turn))
        self.advance()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.held -= worst
                self.advance()
            raise

    def advance(self, waited: bool = False) -> None:
        """Lets through who is first in line and fits. Whoever does not fit beside nothing never will.

        Where all that is held is held for batches of earlier sessions, their calls may not have been asked
        for yet, or never will be: that shows after a while.
        """
        while self.line:
            worst, turn = self.line[0]
            if not turn.done():
                if self.fits(worst):
                    self.held += worst
                    turn.set_result(None)
                elif self.held == self.parked and (waited or self.parked == NOTHING):
                    turn.set_exception(self.reached(worst))
                elif self.held == self.parked:
                    asyncio.get_running_loop().call_later(TAKEN_UP_WITHIN, self.advance, True)
                    return
                else:
                    return
            self.line.popleft()

    def park(self, amount: Amount) -> None:
        """Puts aside what the batches of earlier sessions may still cost."""
        self.parked += amount
        self.held += amount

    def take_up(self, amount: Amount) -> None:
        """A call out of such a batch is asked for: it will be settled like any other."""
        self.parked -= amount

    async def cover(self) -> None:
        """Notes what may be lost before it can be: in leaps, so that it is seldom."""
        exposed = self.unaccounted + self.at_risk
        if not exposed.within(self.noted):
            leap = self.asked = self.asked.most(self.cap.clip(exposed + self.at_risk))
            await self.note(leap)
            self.noted = self.noted.most(leap)

    def settle(self, worst: Amount, actual: Amount | None, durable: bool = False) -> None:
        """Takes ``worst`` back and books what the call really cost; None where only the worst is known."""
        self.held -= worst
        if not durable:
            self.at_risk -= worst
        if actual is None:
            self.unaccounted += worst
        elif not durable:
            self.at_risk += actual
        self.spent += worst if actual is None else actual
        self.advance()

    def kept(self, actual: Amount) -> None:
        """The reply that was settled at ``actual`` is on record: the next session finds it there."""
        self.at_risk -= actual

    async def close(self) -> None:
        """Notes what is unaccounted for in the end, replies among it that never came on record."""
        lost = self.unaccounted + self.at_risk
        if self.asked != lost:
            await self.note(lost)


class ModelPurse:
    """A model's way into the budget; one without a price costs tokens alone."""

    def __init__(self, budget: Budget, price: Price | None, batch: bool) -> None:
        self.budget = budget
        self.price = price
        self.batch = batch

    async def reserve(self, request: ChatRequest) -> None:
        await self.budget.reserve(self.worst(request), durable=self.batch)

    def settle(self, request: ChatRequest, usage: Usage | None) -> None:
        self.settle_at(self.worst(request), usage)

    def settle_at(self, aside: Amount, usage: Usage | None) -> None:
        """The same for a call that ``aside`` was put aside for."""
        actual = None if usage is None else amount_of(usage, self.price, self.batch)
        self.budget.settle(aside, actual, durable=self.batch)

    def dearest(self, requests: Sequence[ChatRequest]) -> str:
        """What each of the calls may cost at most, for the record."""
        worst = NOTHING
        for request in requests:
            worst = worst.most(self.worst(request))
        return worst.dump()

    def kept(self, usage: Usage) -> None:
        """The reply that was settled with ``usage`` is on record."""
        if not self.batch:
            self.budget.kept(amount_of(usage, self.price))

    def worst(self, request: ChatRequest) -> Amount:
        money = self.price.at_most(request, self.batch) if self.price else 0
        return Amount(money, most_prompt_tokens(request) + request.max_tokens)


def amount_of(usage: Usage, price: Price | None, batch: bool = False) -> Amount:
    return Amount(price.of(usage, batch) if price else 0, usage.prompt + usage.completion)
