"""One label for a pair of candidates, out of what every principle said."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from constitution.principle import Constitution, Principle
from judge.verdict import Judgement, from_half


@dataclass(frozen=True, slots=True)
class Label:
    """The AI label of an unordered pair ``a < b``.

    ``p_a`` is None where no principle gave a verdict. ``margin`` is |2·p_a - 1|, in [0, 1]; a tie has 0.
    """

    a: str
    b: str
    p_a: float | None
    decided_by: tuple[str, ...]  # ids of the principles that were heard, sorted
    orders_agree: bool | None  # None where no model gave both orders

    @property
    def margin(self) -> float:
        return 0.0 if self.p_a is None else abs(2 * self.p_a - 1)

    def share(self, candidate: str) -> float | None:
        """The chance that ``candidate``, which is ``a`` or ``b``, is preferred."""
        return None if self.p_a is None else self.p_a if candidate == self.a else 1 - self.p_a

    @property
    def preferred(self) -> str | None:
        if self.p_a is None or self.p_a == 0.5:
            return None
        return self.a if self.p_a > 0.5 else self.b


def label(a: str, b: str, judgements: Sequence[Judgement], constitution: Constitution) -> Label:
    """The label that ``judgements`` of the pair ``a < b`` give together.

    Hard principles are heard first, then priorities from the highest down; the first level that
    prefers one candidate decides, by the weighted mean of its principles. Judgements may come in any
    order: they are sorted by principle, so that not even a rounding error depends on it.
    """
    heard = sorted(judgements, key=lambda j: j.principle)
    spoken = [(constitution.get(j.principle), p) for j in heard if (p := j.p_a) is not None]
    agreements = [j.orders_agree for j in heard if j.orders_agree is not None]
    orders_agree = all(agreements) if agreements else None

    p_a: float | None = None
    decided_by: tuple[str, ...] = ()
    for _, level in groupby(sorted(spoken, key=lambda s: rank(s[0])), key=lambda s: rank(s[0])):
        members = list(level)
        p_a = weighted_mean(members)
        decided_by = tuple(sorted(principle.id for principle, _ in members))
        if p_a != 0.5:
            break
    return Label(a, b, p_a, decided_by, orders_agree)


def rank(principle: Principle) -> tuple[bool, int]:
    """Sorts the principles that are heard first to the front."""
    return not principle.hard, -principle.priority


def weighted_mean(spoken: Sequence[tuple[Principle, float]]) -> float:
    """Measured from one half, so that mirrored verdicts give exactly mirrored means and ties stay exact."""
    total = sum(principle.weight for principle, _ in spoken)
    return from_half(sum(principle.weight * (p - 0.5) for principle, p in spoken) / total)
