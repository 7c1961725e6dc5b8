"""Which couples of several candidates to compare next, so that few comparisons rank them all.

A tournament goes in rounds: the couples of one round are asked at once, and what they say decides the
next. It refuses to ask about one couple twice: a judge at temperature 0 would only repeat itself.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations, pairwise

from constitution.identity import unit_interval
from judge.strength import Comparison, Strengths, fit, spread

SETTLED = 1.96  # standard errors between neighbours, from which on their order counts as known
ROUNDING = 9  # decimals of a couple's worth: what differs beyond them is equal

Couple = tuple[str, str]  # sorted


def all_pairs(names: Iterable[str]) -> tuple[Couple, ...]:
    return tuple(combinations(sorted(set(names)), 2))


def default_budget(count: int) -> int:
    """``count`` times log2 of it, rounded up: about what sorting takes. Up to 5 candidates it is every couple."""
    return min(count * max(0, count - 1).bit_length(), count * (count - 1) // 2)


def next_round(
    names: Iterable[str], comparisons: Collection[Comparison], seed: int, budget: int | None = None
) -> tuple[Couple, ...]:
    """The couples to ask about now, sorted; none when the tournament is over.

    Every candidate plays at most once a round. The couples are those whose outcome is worth most given what
    is known: both about equally strong, and their difference uncertain. Equal worth is decided by a hash
    of seed and names, so neither the order of the arguments nor of arrival matters.

    Args:
        comparisons: of all rounds before, those without a verdict included: they were asked too.
        budget: the most comparisons in the whole tournament; ``default_budget`` where it is None.
    """
    ordered = sorted(set(names))
    asked = {(min(c.a, c.b), max(c.a, c.b)) for c in comparisons}
    left = (default_budget(len(ordered)) if budget is None else budget) - len(asked)
    strengths = fit(ordered, comparisons)
    open_couples = [couple for couple in all_pairs(ordered) if couple not in asked]
    if left <= 0 or settled(strengths):
        return ()

    def worth_first(couple: Couple) -> tuple[float, float]:
        return -round(worth(strengths, couple), ROUNDING), unit_interval("tournament", seed, *couple)

    return tuple(sorted(disjoint(sorted(open_couples, key=worth_first))[:left]))


def worth(strengths: Strengths, couple: Couple) -> float:
    """How much the couple's outcome is expected to tell: p(1 - p) times the variance of the difference."""
    a, b = couple
    return spread(strengths.of(a) - strengths.of(b)) * strengths.error_between(a, b) ** 2


def disjoint(couples: Sequence[Couple]) -> list[Couple]:
    """From the first on, every couple of which neither candidate was taken before."""
    taken: set[str] = set()
    chosen = []
    for couple in couples:
        if taken.isdisjoint(couple):
            taken.update(couple)
            chosen.append(couple)
    return chosen


def settled(strengths: Strengths, errors: float = SETTLED) -> bool:
    """Whether every two neighbours in the ranking lie more than that many standard errors apart.

    Comparisons of weight 1, one a couple, hardly ever get so far: then the budget ends the tournament.
    """
    return all(
        strengths.of(a) - strengths.of(b) > errors * strengths.error_between(a, b)
        for a, b in pairwise(strengths.ranking())
    )
