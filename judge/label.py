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
    both_bad: bool = False  # whether every judge model heard finds neither candidate any good

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


@dataclass(frozen=True, slots=True)
class Spoken:
    """One judge's word under one principle."""

    principle: Principle
    weight: float  # of the judge
    p_a: float


def label(a: str, b: str, judgements: Sequence[Judgement], constitution: Constitution) -> Label:
    """The label that ``judgements`` of the pair ``a < b`` give together.

    Hard principles are heard first, then priorities from the highest down; the first level that
    prefers one candidate decides, by the mean of its judgements, weighted by principle and judge.
    Judgements may come in any order: they are sorted, so that not even a rounding error depends on it.
    """
    heard = sorted((j for j in judgements if j.heard), key=lambda j: (j.principle, j.judge))
    spoken = [Spoken(constitution.get(j.principle), j.weight, p) for j in heard if (p := j.p_a) is not None]
    by_models = [j.both_bad for j in heard if j.by != "check"]
    agreements = [j.orders_agree for j in heard if j.orders_agree is not None]
    orders_agree = all(agreements) if agreements else None

    p_a: float | None = None
    decided_by: tuple[str, ...] = ()
    for _, level in groupby(sorted(spoken, key=rank), key=rank):
        members = list(level)
        p_a = weighted_mean(members)
        decided_by = tuple(sorted({member.principle.id for member in members}))
        if p_a != 0.5:
            break
    return Label(a, b, p_a, decided_by, orders_agree, bool(by_models) and all(by_models))


def rank(spoken: Spoken) -> tuple[bool, int]:
    """Sorts the principles that are heard first to the front."""
    return not spoken.principle.hard, -spoken.principle.priority


def weighted_mean(spoken: Sequence[Spoken]) -> float:
    """Measured from one half, so that mirrored verdicts give exactly mirrored means and ties stay exact."""
    weights = [s.principle.weight * s.weight for s in spoken]
    return from_half(sum(w * (s.p_a - 0.5) for w, s in zip(weights, spoken, strict=True)) / sum(weights))
