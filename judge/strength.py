"""One strength for each of several candidates, out of comparisons of two at a time (Bradley-Terry).

The chance that ``a`` beats ``b`` is the logistic function of the difference of their strengths. Beside the
comparisons, every candidate plays part of a drawn game against a player of average strength, so that
one that is unbeaten, or was never compared, stays finite and uncertain.

Source: Bradley and Terry 1952, "Rank Analysis of Incomplete Block Designs". They count whole wins; here an
outcome may be a chance, which counts as that share of a win.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul

from judge.verdict import from_half

PRIOR = 0.5  # games against the average player, drawn
CONVERGED = 1e-10  # a Newton step this small is the last: the next one would be its square
LONGEST = 2.0  # step at once: far from the solution a whole one may overshoot, and the next one more
MOST_STEPS = 100  # some ten are needed
ROUNDING = 1e-15  # of a pivot: where the prior is lost beside many games, rounding must not make it negative
GRID = 2**40  # strengths are whole parts of this, so that equals stay equal whatever the order of a sum


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is said of one couple. Several comparisons of a couple add up, and either may stand first."""

    a: str
    b: str
    p_a: float | None  # the chance, in [0, 1], that a is preferred; None where no verdict came
    weight: float = 1.0  # in games: what a plain win or loss is worth; above 0


@dataclass(frozen=True, slots=True)
class Strengths:
    """Strengths on the log-odds scale, with mean zero to within ``len(names) / GRID``."""

    names: tuple[str, ...]  # sorted
    values: tuple[float, ...]  # one a name
    covariance: tuple[tuple[float, ...], ...]  # of ``values``; holds for the prior and games of weight 1

    def of(self, name: str) -> float:
        return self.values[self.names.index(name)]

    def error(self, name: str) -> float:
        """The standard error of one strength, measured from the mean of all."""
        place = self.names.index(name)
        return math.sqrt(max(0.0, self.covariance[place][place]))

    def error_between(self, a: str, b: str) -> float:
        """The standard error of the difference of two strengths."""
        i, j = self.names.index(a), self.names.index(b)
        return math.sqrt(max(0.0, self.covariance[i][i] + self.covariance[j][j] - 2 * self.covariance[i][j]))

    def p(self, a: str, b: str) -> float:
        """The chance that ``a`` beats ``b``; exactly what ``p(b, a)`` leaves of 1."""
        return from_half(math.tanh((self.of(a) - self.of(b)) / 2) / 2)

    def ranking(self) -> tuple[str, ...]:
        """Strongest first; equals by name."""
        return tuple(sorted(self.names, key=lambda name: (-self.of(name), name)))


@dataclass(frozen=True, slots=True)
class Games:
    """The comparisons added up: how many games each couple played, and how many more than half were won.

    Both are n x n by place. ``played`` is symmetric, ``surplus`` antisymmetric: mirrored outcomes negate it
    exactly, and with it everything that is computed here.
    """

    played: tuple[tuple[float, ...], ...]
    surplus: tuple[tuple[float, ...], ...]


def fit(names: Iterable[str], comparisons: Iterable[Comparison], prior: float = PRIOR) -> Strengths:
    """The strengths that make the comparisons likeliest, the drawn games counted among them.

    Names and comparisons may come in any order: the result is the same to the bit. Where every outcome is
    mirrored, every strength is exactly negated.

    Args:
        names: at least those that the comparisons name.
        prior: how many games each candidate drew against the average player, above 0.
    """
    ordered = tuple(sorted(set(names)))
    games = added_up(ordered, comparisons)
    values = [0.0] * len(ordered)
    for _ in range(MOST_STEPS):
        step = solved(cholesky(information(games, values, prior)), gradient(games, values, prior))
        longest = max(map(abs, step), default=0.0)
        share = LONGEST / max(longest, LONGEST)
        values = [value + share * move for value, move in zip(values, step, strict=True)]
        if longest < CONVERGED:
            break
    centre = math.fsum(values) / max(1, len(values))
    covariance = centred(inverse(cholesky(information(games, values, prior))))
    return Strengths(ordered, tuple(round((value - centre) * GRID) / GRID for value in values), covariance)


def added_up(names: Sequence[str], comparisons: Iterable[Comparison]) -> Games:
    """Sums are rounded once (``fsum``), so no order and no sign can show in them."""
    place = {name: i for i, name in enumerate(names)}
    played: dict[tuple[int, int], list[float]] = {}
    surplus: dict[tuple[int, int], list[float]] = {}
    for comparison in comparisons:
        if comparison.p_a is not None:
            i, j = place[comparison.a], place[comparison.b]
            won = comparison.weight * (round(comparison.p_a * 2**53) / 2**53 - 0.5)  # 1 - p_a gives exactly minus this
            for couple, share in (((i, j), won), ((j, i), -won)):
                played.setdefault(couple, []).append(comparison.weight)
                surplus.setdefault(couple, []).append(share)
    each = range(len(names))
    return Games(
        tuple(tuple(math.fsum(played.get((i, j), ())) for j in each) for i in each),
        tuple(tuple(math.fsum(surplus.get((i, j), ())) for j in each) for i in each),
    )


def gradient(games: Games, values: Sequence[float], prior: float) -> list[float]:
    """For each candidate: games won above what its strength expects."""
    rows = []
    for i, mine in enumerate(values):
        met = [(n, mine - other) for n, other in zip(games.played[i], values, strict=True) if n]
        expected = [n * math.tanh(difference / 2) / 2 for n, difference in (*met, (prior, mine))]
        rows.append(math.fsum([*games.surplus[i], *(-share for share in expected)]))
    return rows


def information(games: Games, values: Sequence[float], prior: float) -> list[list[float]]:
    """The negated second derivatives, n x n, positive definite."""
    rows = []
    for i, mine in enumerate(values):
        row = [-n * spread(mine - other) if n else 0.0 for n, other in zip(games.played[i], values, strict=True)]
        row[i] = prior * spread(mine) - math.fsum(row)
        rows.append(row)
    return rows


def spread(difference: float) -> float:
    """p(1 - p) for the chance p at that difference of strengths."""
    return 0.25 / math.cosh(min(abs(difference), 600.0) / 2) ** 2


def cholesky(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """The lower triangle whose product with its transpose is ``matrix``; row i has i + 1 entries."""
    lower: list[list[float]] = []
    for i, given in enumerate(matrix):
        row: list[float] = []
        for j in range(i):
            row.append((given[j] - sum(map(mul, row, lower[j]))) / lower[j][j])
        row.append(math.sqrt(max(given[i] - sum(map(mul, row, row)), given[i] * ROUNDING)))
        lower.append(row)
    return lower


def solved(lower: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """The solution of (lower · lowerᵀ) x = right."""
    forward: list[float] = []
    for row, value in zip(lower, right, strict=True):
        forward.append((value - sum(map(mul, row, forward))) / row[-1])
    for i in range(len(lower) - 1, -1, -1):
        forward[i] /= lower[i][i]
        for j in range(i):
            forward[j] -= lower[i][j] * forward[i]
    return forward


def inverse(lower: Sequence[Sequence[float]]) -> list[list[float]]:
    units = range(len(lower))
    return [solved(lower, [float(i == j) for j in units]) for i in units]


def centred(covariance: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """The covariance of the values measured from their mean."""
    count = max(1, len(covariance))
    means = [math.fsum(row) / count for row in covariance]
    whole = math.fsum(means) / count
    return tuple(
        tuple(value - mine - other + whole for value, other in zip(row, means, strict=True))
        for row, mine in zip(covariance, means, strict=True)
    )
