"""How many items people should label, and which."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from constitution.errors import InputError
from judge.audit.ppi import PpiEstimate, expected_labels
from judge.audit.table import Bools, Floats, Ints

EVEN_SHARE = 0.5  # of the labels are drawn evenly, so that no item weighs more than twice what it does in an even draw
SURE = 1.645  # standard errors, one-sided 95 %


@dataclass(frozen=True, slots=True)
class LabelsNeeded:
    with_judges: int
    human_only: int
    saved_share: float


@dataclass(frozen=True, slots=True)
class WidthAt:
    """Expected widths of the 95 % interval with so many labels."""

    labels: int
    with_judges: float
    human_only: float


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Chances of being labelled.

    Attributes:
        next: (items,) the chance to draw each item with now; 0 for those that have a label.
        probabilities: (items,) the chance of each item to be drawn in any round so far, this one included: what
            ``estimate_mean`` takes once the new labels are there.
        variance_ratio: the estimate's expected variance by uneven chances over that by even ones.
        pays: whether that ratio is surely below 1; if not, the chances are even.
    """

    next: Floats
    probabilities: Floats
    variance_ratio: float
    pays: bool


def labels_needed(pilot: PpiEstimate, width: float, *, beyond: bool = False) -> LabelsNeeded | None:
    """How many of the pilot's items must be labelled for a 95 % interval of this width from end to end.

    None where even all of them would not do, which happens only ``beyond`` these items.
    """
    if width <= 0.0:
        raise InputError("width", f"{width:g} is no width", "give one above 0")
    if beyond and _width(pilot, pilot.items, 1.0, beyond) > width:
        return None
    with_judges, human_only = (_fewest(pilot, width, left, beyond) for left in (pilot.left, 1.0))
    return LabelsNeeded(with_judges, human_only, 1 - with_judges / human_only)


def widths(pilot: PpiEstimate, counts: Iterable[int], *, beyond: bool = False) -> tuple[WidthAt, ...]:
    """The widths to expect of numbers of labels from 3 up to the number of items."""
    return tuple(
        WidthAt(n, _width(pilot, n, pilot.left, beyond), _width(pilot, n, 1.0, beyond))
        for n in counts
        if 3 <= n <= pilot.items
    )


def propose(
    labels: Floats,
    labelled: Ints,
    predictions: Floats,
    known: Bools,
    *,
    more: int,
    before: Floats | None = None,
    seed: int = 0,
) -> Proposal:
    """Chances for about ``more`` further labels: greater where the predictions leave open what people say.

    Items are to be drawn independently, and of the earlier rounds. Whether uneven chances pay is judged on the
    labelled items, by predictions fitted without them. With fewer than two labels the chances are even.

    Args:
        labels: (n,) shares of 0 to 1 of the items ``labelled``.
        before: (items,) the chance of each item to be drawn in the rounds before; None where it was the same for all.
    """
    items, n = len(predictions), len(labels)
    chance = np.full(items, n / items) if before is None else before
    fresh = np.ones(items, dtype=np.bool_)
    fresh[labelled] = False
    even = min(1.0, more / max(items - n, 1))
    now, ratio, pays = np.full(items, even), 1.0, False
    if n >= 2:
        share, apart = expected_labels(labels, labelled, predictions, known, seed)
        share[labelled] = apart
        uneven, had = _uneven(share, fresh, even), chance[labelled]
        ratio, pays = _compare(labels - apart, had, _either(had, uneven[labelled]), _either(had, now[labelled]))
        now = uneven if pays else now
    return Proposal(np.where(fresh, now, 0.0), _either(chance, now), ratio, pays)


def _either(before: Floats, now: Floats) -> Floats:
    """The chance to be drawn before or now."""
    chance: Floats = before + (1 - before) * now
    return chance


def _uneven(share: Floats, fresh: Bools, even: float) -> Floats:
    """(items,) chances that follow the spread of a label that is 1 with chance ``share``, mixed with even ones."""
    within = np.clip(share, 0.0, 1.0)
    spread = np.sqrt(within * (1 - within))
    total = float(spread[fresh].mean()) if fresh.any() else 0.0
    leaning = np.minimum(1.0, even * spread / total) if total > 0.0 else np.full(len(share), even)
    chance: Floats = EVEN_SHARE * even + (1 - EVEN_SHARE) * leaning
    return chance


def _compare(off: Floats, before: Floats, uneven: Floats, even: Floats) -> tuple[float, bool]:
    """The ratio of the variances by uneven and by even chances, and whether it is surely below 1.

    Args:
        before: (n,) the chances that the n items were drawn with: each stands for so many the more, the smaller it is.
    """
    squares = (off - np.average(off, weights=1 / before)) ** 2 / before
    saved = (1 / even - 1 / uneven) * squares
    cost = float(((1 / even - 1) * squares).sum())
    sure = float(saved.mean()) > SURE * float(saved.std(ddof=1)) / sqrt(len(off))
    return 1 - float(saved.sum()) / cost if cost > 0.0 else 1.0, sure


def _width(pilot: PpiEstimate, n: int, left: float, beyond: bool) -> float:
    variance = pilot.spread * (left * (1 / n - 1 / pilot.items) + (1 / pilot.items if beyond else 0.0))
    return 2 * float(stdtrit(max(n - 1 - (left < 1.0), 1), 0.975)) * sqrt(max(variance, 0.0))


def _fewest(pilot: PpiEstimate, width: float, left: float, beyond: bool) -> int:
    """Bisection: more labels never make an interval wider."""
    low, high = min(2, pilot.items), pilot.items
    while low < high:
        middle = (low + high) // 2
        if _width(pilot, middle, left, beyond) <= width:
            high = middle
        else:
            low = middle + 1
    return low
