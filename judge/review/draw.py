"""Which couples people are asked about: a random share that keeps every estimate valid, and the most worthwhile rest.

In a round of n out of N couples with an audit share s, every couple is in the random part with the chance q = s·n/N.
The most worthwhile k = n·(1 - s) / (1 - q) are taken for certain, so that with those of the others that the random part
brings there are n. Of the k, a random share q counts as drawn at random too: by themselves the couples of kind "audit"
are an even sample of all, and with the others they are a sample in which everyone's chance is known.

Couples that are there only after the first round, since the run went on or people edited, are first drawn at random
with the chance that those before them had, as far as n goes: else the even sample would tell little of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from typing import Literal, TypeAlias, get_args

from constitution.identity import unit_interval
from judge.review.records import Kind
from judge.review.worth import Couple, worth

Policy: TypeAlias = Literal["random", "uncertain", "mixed"]

POLICIES: tuple[Policy, ...] = get_args(Policy)
BANDS = (("open", 1 / 3), ("leaning", 2 / 3), ("sure", inf))  # margins below which a label is called so
DIGITS = 9  # scores that differ further behind are equal: a rest of rounding is no reason


@dataclass(frozen=True, slots=True)
class Before:
    """What the rounds before have left."""

    chances: Mapping[str, float] = field(default_factory=dict)  # of every item of their pools, to be drawn in any
    kinds: Mapping[str, Kind] = field(default_factory=dict)  # of every item drawn; none is drawn again


@dataclass(frozen=True, slots=True)
class Picked:
    item: str
    kind: Kind
    place: float  # in (0, 1): by it kinds come mixed, and what is done so far is a random part of each


@dataclass(frozen=True, slots=True)
class Drawn:
    """A round.

    Attributes:
        tasks: by place.
        turned: of kind "worth" so far, and from now on of kind "audit": else what earlier rounds took for certain
            would be missing in the even sample that this round's "audit" is a part of.
        pool: the chance of every couple to be drawn in any round so far.
    """

    tasks: tuple[Picked, ...]
    turned: tuple[str, ...]
    pool: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a round does with a score: certain above the cut, by lot at it, by chance below."""

    cut: float
    at_cut: float  # chance of those whose score is the cut to be taken for it
    even: float  # chance of all others

    def chance(self, score: float) -> float:
        """To be drawn in this round, of a couple that was not drawn before."""
        if score > self.cut:
            return 1.0
        return either(self.at_cut if score == self.cut else 0.0, self.even)


def draw(
    couples: Iterable[Couple],
    n: int,
    policy: Policy = "mixed",
    *,
    audit_share: float = 0.5,
    seed: int = 0,
    before: Before | None = None,
) -> Drawn:
    """At most ``n`` couples that were not drawn before; the order of ``couples`` does not matter.

    Args:
        policy: "random" draws evenly, "uncertain" takes the most worthwhile only, so that all others have no chance
            and nothing can be estimated, and "mixed" does both.
        audit_share: of n, in [0, 1], for "mixed".
    """
    had, every = before or Before(), {couple.item: couple for couple in couples}
    known = [every[item] for item in sorted(every)]
    fresh = [couple for couple in known if couple.item not in had.kinds]
    n, salt = min(n, len(fresh)), (seed, len(had.kinds))
    share = {"random": 1.0, "uncertain": 0.0, "mixed": audit_share}[policy]
    late = [couple for couple in fresh if couple.item not in had.chances]
    caught_up = spread(late, min(n, _missed(len(late), had, salt)) if share else 0, "late", *salt)
    had_now = {couple.item for couple in caught_up}
    fresh, n = [couple for couple in fresh if couple.item not in had_now], n - len(caught_up)
    scores = {item: round(worth(couple).score, DIGITS) for item, couple in every.items()}
    sought, cut, at_cut = _sought(fresh, scores, _certain(n, share, len(fresh)), salt)
    taken = {couple.item for couple in sought}
    rest = [couple for couple in fresh if couple.item not in taken]
    by_lot = spread(rest, n - len(sought), "audit", *salt)
    plan = _Plan(cut, at_cut, len(by_lot) / len(rest) if rest else 0.0)
    even = plan.even if rest else share
    marked = _marked(sought, even, "mark", *salt)
    kinds: dict[str, Kind] = {couple.item: "audit" if couple.item in marked else "worth" for couple in sought}
    kinds |= dict.fromkeys((couple.item for couple in (*by_lot, *caught_up)), "audit")
    tasks = [Picked(item, kind, unit_interval("place", *salt, item)) for item, kind in kinds.items()]
    turned = _marked([couple for couple in known if had.kinds.get(couple.item) == "worth"], even, "turn", *salt)
    before_now = dict.fromkeys((couple.item for couple in late), len(caught_up) / len(late) if late else 0.0)
    before_now |= had.chances
    pool = {item: either(before_now.get(item, 0.0), plan.chance(scores[item])) for item in every}
    return Drawn(tuple(sorted(tasks, key=lambda one: (one.place, one.item))), tuple(sorted(turned)), pool)


def stratum_of(couple: Couple) -> str:
    """The prompt's source and how sure the label is."""
    if couple.p is None:
        return f"{couple.stratum} / no verdict"
    return f"{couple.stratum} / {next(name for name, below in BANDS if couple.margin < below)}"


def spread(couples: Sequence[Couple], count: int, *salt: object) -> list[Couple]:
    """``count`` couples out of all strata in proportion: of each its share, rounded up or down, and of each source too.

    All have exactly the chance ``count`` / ``len(couples)``: every so many-th is taken in the order of the strata,
    and by lot within a stratum, from a start that is drawn as well.
    """
    if count >= len(couples):
        return list(couples)
    order = sorted(couples, key=lambda one: (one.stratum, stratum_of(one), unit_interval("lot", *salt, one.item)))
    start = unit_interval("start", *salt)
    places = (int((number + start) * len(order) / count) for number in range(count))
    return [order[min(place, len(order) - 1)] for place in places]


def either(before: float, now: float) -> float:
    """The chance to be drawn before or now."""
    return before + (1 - before) * now


def _missed(late: int, had: Before, salt: tuple[object, ...]) -> int:
    """How many of the couples that are there only now the rounds so far would have drawn as "audit"."""
    even = [had.kinds.get(item) == "audit" for item in had.chances]
    return int(late * sum(even) / len(even) + unit_interval("missed", *salt)) if even else 0


def _certain(n: int, share: float, fresh: int) -> int:
    """How many are taken for their worth."""
    even = share * n / fresh if fresh else 0.0
    return n if even == 1.0 else min(n, round(n * (1 - share) / (1 - even)))


def _sought(
    fresh: Sequence[Couple], scores: Mapping[str, float], count: int, salt: tuple[object, ...]
) -> tuple[list[Couple], float, float]:
    """The ``count`` couples of the highest scores, the lowest of these, and the chance of those that have just that.

    Among equals the lot decides, in proportion in all strata.
    """
    found: list[Couple] = []
    if count == 0:
        return found, inf, 0.0
    ranked = sorted(fresh, key=lambda one: -scores[one.item])
    for score, group in groupby(ranked, key=lambda one: scores[one.item]):
        equals, left = list(group), count - len(found)
        if left <= len(equals):
            return found + spread(equals, left, "worth", *salt), score, left / len(equals)
        found += equals
    raise AssertionError("more couples are sought than there are")


def _marked(couples: Sequence[Couple], share: float, *salt: object) -> set[str]:
    """A random ``share`` of them, up or down by the lot, so that on average it holds exactly."""
    count = int(len(couples) * share + unit_interval(*salt))
    return {couple.item for couple in spread(couples, count, *salt)}
