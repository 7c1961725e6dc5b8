"""The mean human label where items had a few different chances to be labelled: each level of chance by itself.

Weighting all labels together gives an interval that is too sure of itself. The labels drawn with a small chance weigh
most, and where the few of them happen to be of one mind, the many others hide how little is known. So items of one
chance are estimated as the random sample that they are, with Wilson's interval, and the levels' intervals are put
together by the squares of their lengths to either side.

Source: Zou and Donner 2008, "Construction of confidence limits about effect measures" (the putting together).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from judge.audit.ppi import Interval, MeanEstimate, PpiEstimate, estimate_mean
from judge.audit.table import Bools, Floats, Ints

FEWEST = 5  # labels of a level; smaller ones are taken together
DIGITS = 9  # chances that differ further behind are equal


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    share: float  # of all items
    found: PpiEstimate


def estimate_drawn(
    labels: Floats, labelled: Ints, predictions: Floats, known: Bools, *, probabilities: Floats, seed: int = 0
) -> PpiEstimate | None:
    """As `estimate_mean` with ``probabilities``, of labels that lie within 0 and 1.

    Where many levels are small, or the labels are not as many as the chances say, it is `estimate_mean`'s own.
    """
    whole = estimate_mean(labels, labelled, predictions, known, probabilities=probabilities, seed=seed)
    groups = _groups(probabilities, labelled)
    if whole is None or groups is None:
        return whole
    parts = []
    for group in np.unique(groups):
        pool, mine = np.flatnonzero(groups == group), groups[labelled] == group
        chances = probabilities[pool]
        found = estimate_mean(
            labels[mine], np.searchsorted(pool, labelled[mine]), predictions[pool], known[pool],
            probabilities=None if np.ptp(chances) < 10**-DIGITS else chances, seed=seed,
        )  # fmt: skip
        if found is None:
            return whole
        parts.append(_Part(len(pool) / len(groups), found))
    powered = _together([(one.share, one.found.estimate, one.found.interval) for one in parts])
    alone = _together([(one.share, one.found.human_only.estimate, one.found.human_only.interval) for one in parts])
    ratio = _width(powered) / _width(alone) if _width(alone) > 0 else 1.0
    beyond = whole.spread / whole.items
    return replace(
        whole,
        estimate=powered[0], interval=powered[1], interval_beyond=_wider(powered, beyond),
        human_only=MeanEstimate(alone[0], alone[1], _wider(alone, beyond)), width_ratio=min(1.0, ratio),
    )  # fmt: skip


def _groups(probabilities: Floats, labelled: Ints) -> Ints | None:
    """(items,) the level of each, small ones taken together; None where the labels do not fit the chances."""
    chance, level = np.unique(np.round(probabilities, DIGITS), return_inverse=True)
    level = level.ravel()
    size, count = np.bincount(level), np.bincount(level[labelled], minlength=len(chance))
    fits = np.abs(count - chance * size) <= 1 + np.sqrt(chance * (1 - chance) * size)
    if len(chance) < 2 or not fits.all():
        return None
    small = (count < FEWEST) & (count < size)
    if count[small].sum() < FEWEST and not small.all():
        largest = np.where(small | (count == size), -1, count)
        if small.any() and largest.max() < 0:
            return None
        small[largest.argmax()] |= small.any()
    joined: Ints = np.where(small, -1, np.arange(len(chance)))[level]
    return joined


def _together(parts: list[tuple[float, float, Interval]]) -> tuple[float, Interval]:
    mean = sum(share * estimate for share, estimate, _ in parts)

    def length(sides: Iterator[float]) -> float:
        return sqrt(sum(side**2 for side in sides))

    below = length(share * (estimate - low) for share, estimate, (low, _) in parts)
    above = length(share * (high - estimate) for share, estimate, (_, high) in parts)
    return mean, (mean - below, mean + above)


def _wider(mean: tuple[float, Interval], variance: float) -> Interval:
    """The interval with what the draw of all items from those like them adds."""
    estimate, (low, high) = mean
    more = 1.96**2 * variance
    below, above = sqrt((estimate - low) ** 2 + more), sqrt((high - estimate) ** 2 + more)
    return max(0.0, estimate - below), min(1.0, estimate + above)


def _width(mean: tuple[float, Interval]) -> float:
    return mean[1][1] - mean[1][0]
