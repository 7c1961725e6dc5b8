"""Whom to take the judge's word for: the lowest confidence above which people agree with it often enough.

Promised is agreement of at least ``1 - alpha`` among the accepted items, with chance at least ``1 - delta`` over
which items happened to be labelled. Nothing is assumed of the confidences: where they say nothing, or the judge is
poor, nothing can be promised, and no threshold is given.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.stats import binom, hypergeom

from constitution.errors import InputError
from judge.audit.estimate import Estimate, proportion
from judge.audit.table import Bools, Floats, Ints

DELTA = 0.05
HOPED = 0.4  # of the wrong ones that are allowed: the search begins where a judge that makes so many would pass
SHARES = 20  # thresholds that are tried accept about 1/20, 2/20, ... of the items
Promise: TypeAlias = Literal["population", "rest"]


@dataclass(frozen=True, slots=True)
class Selection:
    """An item is accepted where its confidence is at least ``threshold``; none is where that is None."""

    threshold: float | None
    accepted_share: float  # of all items, in [0, 1]
    agreement: Estimate | None  # on the accepted labelled items: they chose the threshold, so it flatters a little
    alpha: float
    delta: float
    promise: Promise


def select(
    confidence: Floats,
    right: Bools,
    rest: Floats,
    *,
    alpha: float,
    delta: float = DELTA,
    promise: Promise = "population",
) -> Selection:
    """The lowest threshold that can be promised, by tests in a sequence fixed beforehand.

    Thresholds are tried from the surest down. At each the exact chance is found of so few wrong items among the
    accepted labelled ones, if the promise were broken there; at the first at which it is above ``delta`` the
    search ends, and the last one before it holds. As every test stands behind all before it, none pays for their
    number. Which thresholds are tried is read from the confidences, never from the labels.

    Args:
        confidence: (labelled,) how sure the judge is, on any scale; equal ones are accepted together or not at all.
        right: (labelled,) whether people choose the same; a tie of people with a judge that prefers a side is not.
        rest: (unlabelled,) the confidences of the items that nobody labelled; may be empty. Which items were
            labelled must have been drawn by chance.
        promise: "population" speaks of the accepted items of all that ``confidence`` and ``rest`` are a sample of;
            "rest" of just the accepted items of ``rest``, whose agreement has chance in it too.

    Source: fixed sequence testing as in Angelopoulos, Bates, Candès, Jordan and Lei 2021, "Learn then Test"; for
    judges, Jung, Brahman and Choi 2024, "Trust or Escalate". The test for "rest" is ours: the labelled items are a
    draw without replacement from the accepted ones. It is exact at each threshold by itself; that the sequence
    keeps the promise too is shown by simulation, in the tests, and not proved.
    """
    _check(alpha, delta)
    everything = np.concatenate([confidence, rest])
    tried = _thresholds(everything)
    finite = promise == "rest"
    n, m = _at_least(confidence, tried), _at_least(rest, tried)
    wrong = _at_least(confidence[~right], tried)
    begun = _begun(_at_least(everything, tried), len(confidence) / max(1, len(everything)), alpha, delta, finite)
    passed = begun & (_by_luck(wrong, n, m if finite else None, alpha) <= delta)
    failed = np.flatnonzero(begun & ~passed)
    held = np.flatnonzero(passed[: failed[0]] if len(failed) else passed)
    if not len(held):
        return Selection(None, 0.0, None, alpha, delta, promise)
    last = int(held[-1])
    share = float((everything >= tried[last]).mean())
    agreement = proportion(int(n[last] - wrong[last]), int(n[last]))
    return Selection(float(tried[last]), share, agreement, alpha, delta, promise)


def _thresholds(confidence: Floats) -> Floats:
    """Distinct confidences, falling."""
    ordered = np.sort(confidence)[::-1]
    n = len(ordered)
    if not n:
        return ordered
    return np.unique(ordered[np.ceil(np.arange(1, SHARES + 1) * n / SHARES).astype(np.int64) - 1])[::-1]


def _begun(accepted: Ints, labelled: float, alpha: float, delta: float, finite: bool) -> Bools:
    """From the first threshold on that would pass with a share of alpha * `HOPED` wrong among the labelled expected.

    Where none would, the lowest is tried nevertheless: there may be fewer wrong ones.
    """
    n = np.round(accepted * labelled).astype(np.int64)
    rest = accepted - n
    luck = _by_luck(np.ceil(n * alpha * HOPED).astype(np.int64), n, rest if finite else None, alpha)
    lowest = np.arange(len(n)) == len(n) - 1
    return np.logical_or.accumulate(((luck <= delta) | lowest) & ((rest > 0) | (not finite)))


def _by_luck(wrong: Ints, n: Ints, m: Ints | None, alpha: float) -> Floats:
    """The chance of at most ``wrong`` of ``n`` labelled items being wrong if the promise were just broken.

    For the population it is broken where a share of more than ``alpha`` is wrong. For ``m`` items that were not
    drawn it is broken where more than ``alpha * m`` of them are wrong, which takes at least ``wrong`` + that many
    + 1 wrong ones among all ``n + m``.
    """
    if m is None:
        return np.asarray(binom.cdf(wrong, n, alpha))
    allowed = np.floor(alpha * m + 1e-9)
    return np.asarray(hypergeom.cdf(wrong, n + m, np.minimum(wrong + allowed + 1, n + m), n))


def _at_least(confidence: Floats, thresholds: Floats) -> Ints:
    """How many confidences reach each threshold."""
    return len(confidence) - np.searchsorted(np.sort(confidence), thresholds, side="left").astype(np.int64)


def _check(alpha: float, delta: float) -> None:
    for name, value in (("alpha", alpha), ("delta", delta)):
        if not 0 < value < 1:
            raise InputError("selective labelling", f"{name} is {value!r}", "choose a number between 0 and 1")
