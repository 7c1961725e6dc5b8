"""How far a judge's chances can be taken at their word: ECE, Brier, log loss and the curve behind them.

Everywhere ``p`` is the chance that completion 1 is preferred and ``y`` what people said: 1 for completion 1,
0 for completion 2, one half for a tie, which counts as half a vote for each. ``items`` is the item of each row, where
several judges speak of one; each row is an item of its own if it is not given. Figures are shares of rows, intervals
and ``n`` count items. Every measure is the same, to the last bit, with all completions exchanged.
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from scipy.special import ndtr

from judge.audit.estimate import Estimate, mean
from judge.audit.table import Bools, Floats, Ints

BINS = 15  # of [0, 1], as is usual; a confidence is at least one half, so it can fall into the upper eight
SMALLEST = 1e-6  # chances nearer to 0 or 1 are taken for this far from it wherever a logarithm is taken
RESAMPLES = 200
DRAWN_AT_ONCE = 1_000_000  # rows; bounds memory
STEPS = 2.0**53  # chances are put on multiples of 2^-53, where a chance and its mirror are both exact


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows of one bin of confidence; both shares are in [0, 1]."""

    confidence: float  # mean
    agreement: float  # share in which people prefer what the judge prefers, ties counting one half
    n: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """The measures of one set of chances."""

    ece: Estimate
    brier: Estimate
    log_loss: Estimate
    ece_by_chance: float  # the mean ECE of perfectly calibrated chances, as many and as sure as these
    curve: tuple[Bin, ...]  # by rising confidence, empty bins left out


def deviation(p: Floats) -> Floats:
    """``p`` minus one half, in steps of 2^-53: ``1 - p`` gives exactly the negative."""
    return np.asarray((np.rint(p * STEPS) - STEPS / 2) / STEPS)


def outcomes(choice: Ints) -> Floats:
    """People's choices of 1, 2 or TIE as ``y``."""
    return np.where(choice == 0, 0.5, (choice == 1).astype(np.float64))


def rightness(p: Floats, y: Floats) -> Floats:
    """How far people prefer what ``p`` prefers, in {0, 1/2, 1}; one half where ``p`` prefers neither."""
    return np.asarray(0.5 + np.sign(deviation(p)) * (y - 0.5))


def reliability(p: Floats, y: Floats, seed: int, items: Ints | None = None) -> Reliability | None:
    """All the measures; None without an item."""
    if not len(p):
        return None
    error, loss, chance = brier(p, y, items), log_loss(p, y, items), _by_chance(p, seed, items)
    found = _ece(p, y, chance, items)
    if error is None or loss is None or found is None:
        return None
    return Reliability(found, error, loss, float(chance.mean()), reliability_curve(p, y))


def brier(p: Floats, y: Floats, items: Ints | None = None) -> Estimate | None:
    """The mean squared error, in [0, 1]: the expected one where a tie falls to either side by a coin."""
    sure = np.abs(deviation(p))
    return _mean((0.5 - sure) ** 2, (0.5 + sure) ** 2, rightness(p, y), items)


def log_loss(p: Floats, y: Floats, items: Ints | None = None) -> Estimate | None:
    """The mean negative log-likelihood in nats, chances clipped to [1e-6, 1 - 1e-6]."""
    sure = np.minimum(np.abs(deviation(p)), 0.5 - SMALLEST)
    return _mean(-np.log(0.5 + sure), -np.log(0.5 - sure), rightness(p, y), items)


def reliability_curve(p: Floats, y: Floats) -> tuple[Bin, ...]:
    """Stated confidence, max(p, 1 - p), against agreement with people."""
    where, sure, right = _bin(p), 0.5 + np.abs(deviation(p)), rightness(p, y)
    n = np.bincount(where, minlength=BINS)
    confidence = np.bincount(where, sure, BINS) / np.maximum(n, 1)
    agreement = np.bincount(where, right, BINS) / np.maximum(n, 1)
    return tuple(Bin(float(confidence[b]), float(agreement[b]), int(n[b])) for b in np.flatnonzero(n))


def ece(p: Floats, y: Floats, seed: int, items: Ints | None = None) -> Estimate | None:
    """Expected calibration error: the bins' distances of mean confidence from agreement, weighted by their rows.

    The value is the usual one, which lies above the truth on few items, since chance moves every bin away from
    its confidence. The interval is for the truth: the value's, as if a few more labels were known (see
    `judge.audit.estimate.mean`), moved down by the bias that drawing the items anew would show. It begins at 0
    unless perfectly calibrated chances would show as much in less than 2.5 % of draws, and is widened where needed
    to hold the value. In simulations of 20 to 2,000 items, of one judge and of several, it held the truth in 91 to
    100 % of draws.
    """
    return _ece(p, y, _by_chance(p, seed, items), items) if len(p) else None


def ece_by_chance(p: Floats, seed: int, items: Ints | None = None) -> float:
    """The mean ECE if ``p`` were exactly right: what a finite set shows of miscalibration where there is none."""
    return float(_by_chance(p, seed, items).mean()) if len(p) else 0.0


def numbered(rows: int, items: Ints | None) -> tuple[Ints, int]:
    """Each row's item, numbered from 0 without gaps, and how many they are; each row is one of its own if not given."""
    if items is None:
        return np.arange(rows), rows
    names, which = np.unique(items, return_inverse=True)
    return which, len(names)


def _mean(if_right: Floats, if_wrong: Floats, right: Floats, items: Ints | None) -> Estimate | None:
    """The mean over rows of what each costs, being right or wrong; its interval counts items."""
    item, n = numbered(len(right), items)
    if n == 0:
        return None
    cost = right * if_right + (1 - right) * if_wrong
    about, rows = float(cost.mean()), np.bincount(item)
    # What each item moves the mean by: the costs themselves where each has one row.
    moved = about + (np.bincount(item, cost) - about * rows) * (n / len(cost))
    return mean(moved, np.concatenate([if_right, if_wrong]))


def _ece(p: Floats, y: Floats, chance: Floats, items: Ints | None) -> Estimate | None:
    where, sure, right = _bin(p), 0.5 + np.abs(deviation(p)), rightness(p, y)
    gap, decided = sure - right, np.sign(sure - 0.5) / 2
    sums: Floats = np.bincount(where, gap, BINS).astype(np.float64)
    value = float(np.abs(sums).sum()) / len(p)
    side = np.where(sums < 0, -1.0, 1.0)[where]
    found = _mean(side * (sure - 0.5 - decided), side * (sure - 0.5 + decided), right, items)
    if found is None:
        return None
    bias = _bias(where, gap, items)
    low = found.low - bias if value > np.quantile(chance, 0.975) else 0.0
    high = max(found.high, -found.low) - bias  # it may as well be the other side that agreement lies on
    return Estimate(value, min(value, max(0.0, low)), max(value, min(1.0, high)), found.n)


def _bias(where: Ints, gap: Floats, items: Ints | None) -> float:
    """How much higher the ECE is, on average, of as many items drawn with replacement.

    A bin's sum is taken as normal, which gives the mean of its size as a formula.
    """
    item, n = numbered(len(gap), items)
    cells = np.bincount(item * BINS + where, gap, n * BINS).reshape(n, BINS)
    sums = cells.sum(axis=0)
    spread = np.sqrt(((cells - np.bincount(item)[:, None] * (sums / len(gap))) ** 2).sum(axis=0))
    away = np.divide(np.abs(sums), spread, out=np.zeros(BINS), where=spread > 0)
    # The mean of |x| less |mean of x|, for x normal.
    more = spread * (sqrt(2 / pi) * np.exp(-(away**2) / 2) - 2 * away * ndtr(-away))
    return float(more.sum()) / len(gap)


def _by_chance(p: Floats, seed: int, items: Ints | None) -> Floats:
    """The ECE of ``RESAMPLES`` draws of outcomes by ``p`` itself; an item's rows share their coin."""
    item, n = numbered(len(p), items)
    along = _along(deviation(p), item, n)
    order = np.argsort(_bin(p), kind="stable")
    order = order[deviation(p)[order] != 0]  # one half is half right, whatever the coin says
    if not len(order):
        return np.zeros(RESAMPLES)
    item, along, sure = item[order], along[order], 0.5 + np.abs(deviation(p)[order])
    below = np.where(along, sure, 1 - sure)
    starts = np.flatnonzero(np.diff(_bin(p)[order], prepend=-1))
    expected, found, rng = np.add.reduceat(sure, starts), [], np.random.default_rng(seed)
    for rows in _portions(len(p)):
        coin = rng.random((rows, n))[:, item]
        right = np.add.reduceat((coin < below) == along, starts, axis=1, dtype=np.int64)
        found.append(np.abs(expected - right).sum(axis=1) / len(p))
    return np.concatenate(found)


def _along(away: Floats, item: Ints, items: int) -> Bools:
    """Whether each row prefers what its item's first row with a preference does."""
    rows = np.flatnonzero(away)[::-1]
    first = np.zeros(items)
    first[item[rows]] = np.sign(away[rows])  # of several the last assignment stays
    return np.asarray(np.sign(away) * first[item] >= 0)


def _portions(n: int) -> list[int]:
    """`RESAMPLES` in portions of about `DRAWN_AT_ONCE` rows, ``n`` a resample."""
    rows = max(1, DRAWN_AT_ONCE // n)
    return [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]


def _bin(p: Floats) -> Ints:
    """The bin of each confidence; bins hold their upper edge."""
    return np.asarray(np.ceil((0.5 + np.abs(deviation(p))) * BINS) - 1).astype(np.int64)
