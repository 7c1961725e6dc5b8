"""Is the judge's verdict about the completions, or about the slot they stand in?"""

from collections.abc import Iterable
from dataclasses import dataclass

from judge.verdict import Judgement, Verdict

FEWEST = 20  # judgements in both orders below which nothing is said
TOO_BOUND = 0.8  # share of verdicts for one slot that no honest judge reaches when both orders are asked
TOO_FICKLE = 0.6  # order agreement that coin-flipping nearly reaches (0.5)


@dataclass(frozen=True, slots=True)
class Position:
    """How a judge model's verdicts hang on the order shown; both shares are in [0, 1], None without data."""

    judgements: int  # asked in both orders, with a verdict in each
    orders_agree: float | None  # share that prefers the same candidate both times
    first_slot: float | None  # share of all verdicts that prefer the slot shown first
    judge: str = ""  # its name, where there are several

    @property
    def warning(self) -> str | None:
        """Why this judge cannot judge, and what to do; None where nothing speaks against it."""
        if self.orders_agree is None or self.first_slot is None or self.judgements < FEWEST:
            return None
        slot, share = (1, self.first_slot) if self.first_slot > 0.5 else (2, 1 - self.first_slot)
        if share > TOO_BOUND:
            fault = f"picks slot {slot} in {share:.0%} of its verdicts, whatever stands in it"
        elif self.orders_agree < TOO_FICKLE:
            fault = "contradicts itself about as often as a coin would"
        else:
            return None
        who, where = (f"judge {self.judge!r}", "in its place") if self.judge else ("judge model", "under [judge]")
        return (
            f"The {who} cannot judge: it {fault}; the two orders agree in {self.orders_agree:.0%} of "
            f"{self.judgements} judgements. Its verdicts average out to near ties: trust only labels that checks "
            f"decide. Use a stronger model {where}, or write checks for what code can decide."
        )


@dataclass(slots=True)
class PositionCount:
    """Counts over the judgements of a model; checks see no order and are passed over."""

    total: int = 0
    agreeing: int = 0
    preferring: int = 0  # single verdicts that prefer a slot
    first: int = 0  # of those, the first

    def add(self, judgement: Judgement) -> None:
        forward, backward = judgement.forward, judgement.backward
        if not isinstance(forward, Verdict) or not isinstance(backward, Verdict):
            return
        self.total += 1
        self.agreeing += bool(judgement.orders_agree)
        slots = [slot for slot in (forward.slot, backward.slot) if slot]
        self.preferring += len(slots)
        self.first += slots.count(1)

    def told(self, judge: str = "") -> Position:
        return Position(
            self.total,
            self.agreeing / self.total if self.total else None,
            self.first / self.preferring if self.preferring else None,
            judge,
        )


def position(judgements: Iterable[Judgement]) -> Position:
    count = PositionCount()
    for judgement in judgements:
        count.add(judgement)
    return count.told()
