"""How far a judge's chances can be taken at their word: ECE, Brier, log loss and the curve behind them.

Everywhere ``p`` is the chance that completion 1 is preferred and ``y`` what people said: 1 for completion 1,
0 for completion 2, one half for a tie, which counts as half a vote for each. Every measure is the same, to the
last bit, with all completions exchanged.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from judge.audit.estimate import NORMAL_95, Estimate, mean
from judge.audit.table import Bools, Floats, Ints

BINS = 15  # of [0, 1], as is usual; a confidence is at least one half, so it can fall into the upper eight
SMALLEST = 1e-6  # chances nearer to 0 or 1 are taken for this far from it wherever a logarithm is taken
RESAMPLES = 200
DRAWN_AT_ONCE = 1_000_000  # items; bounds memory
STEPS = 2.0**53  # chances are put on multiples of 2^-53, where a chance and its mirror are both exact


@dataclass(frozen=True, slots=True)
class Bin:
    """The items of one bin of confidence; both shares are in [0, 1]."""

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


def reliability(p: Floats, y: Floats, seed: int) -> Reliability | None:
    """All the measures; None without an item."""
    error, loss = brier(p, y), log_loss(p, y)
    if error is None or loss is None:
        return None
    chance = _by_chance(p, seed)
    return Reliability(_ece(p, y, chance, seed), error, loss, float(chance.mean()), reliability_curve(p, y))


def brier(p: Floats, y: Floats) -> Estimate | None:
    """The mean squared error, in [0, 1]: the expected one where a tie falls to either side by a coin."""
    sure, right = np.abs(deviation(p)), rightness(p, y)
    return mean(right * (0.5 - sure) ** 2 + (1 - right) * (0.5 + sure) ** 2)


def log_loss(p: Floats, y: Floats) -> Estimate | None:
    """The mean negative log-likelihood in nats, chances clipped to [1e-6, 1 - 1e-6]."""
    sure, right = np.minimum(np.abs(deviation(p)), 0.5 - SMALLEST), rightness(p, y)
    return mean(-(right * np.log(0.5 + sure) + (1 - right) * np.log(0.5 - sure)))


def reliability_curve(p: Floats, y: Floats) -> tuple[Bin, ...]:
    """Stated confidence, max(p, 1 - p), against agreement with people."""
    where, sure, right = _bin(p), 0.5 + np.abs(deviation(p)), rightness(p, y)
    n = np.bincount(where, minlength=BINS)
    confidence = np.bincount(where, sure, BINS) / np.maximum(n, 1)
    agreement = np.bincount(where, right, BINS) / np.maximum(n, 1)
    return tuple(Bin(float(confidence[b]), float(agreement[b]), int(n[b])) for b in np.flatnonzero(n))


def ece(p: Floats, y: Floats, seed: int) -> Estimate | None:
    """Expected calibration error: the bins' distances of mean confidence from agreement, weighted by their items.

    The value is the usual one, which lies above the truth on few items, since chance moves every bin away from
    its confidence. The interval is for the truth: its middle is the value less the bias that resampling shows, and
    it begins at 0 unless perfectly calibrated chances would show as much in less than 2.5 % of draws. It is
    widened where needed to hold the value. In simulations of 100 to 2,000 items it held the truth in 93 to 98 %.
    """
    return _ece(p, y, _by_chance(p, seed), seed) if len(p) else None


def ece_by_chance(p: Floats, seed: int) -> float:
    """The mean ECE if ``p`` were exactly right: what a finite set shows of miscalibration where there is none."""
    return float(_by_chance(p, seed).mean()) if len(p) else 0.0


def _ece(p: Floats, y: Floats, chance: Floats, seed: int) -> Estimate:
    n, where, gap = len(p), _bin(p), 0.5 + np.abs(deviation(p)) - rightness(p, y)
    sums: Floats = np.bincount(where, gap, BINS).astype(np.float64)
    value = float(_distance(sums[None], n)[0])
    middle = 2 * value - float(_resampled(where, gap, seed).mean())
    half = NORMAL_95 * float((np.sign(sums)[where] * gap).std()) / sqrt(n)
    low = middle - half if value > np.quantile(chance, 0.975) else 0.0
    return Estimate(value, min(value, max(0.0, low)), max(value, min(1.0, middle + half)), n)


def _by_chance(p: Floats, seed: int) -> Floats:
    """The ECE of ``RESAMPLES`` draws of outcomes by ``p`` itself."""
    where, sure = _bin(p), 0.5 + np.abs(deviation(p))
    rng, found = np.random.default_rng(seed), []
    for rows in _portions(len(p)):
        right: Bools = rng.random((rows, len(p))) < sure
        found.append(_distance(_sums(np.tile(where, rows), (sure - right).ravel(), rows), len(p)))
    return np.concatenate(found)


def _resampled(where: Ints, gap: Floats, seed: int) -> Floats:
    """The ECE of ``RESAMPLES`` draws of as many items with replacement."""
    n, rng, found = len(where), np.random.default_rng(seed), []
    for rows in _portions(n):
        drawn = rng.integers(0, n, size=rows * n)
        found.append(_distance(_sums(where[drawn], gap[drawn], rows), n))
    return np.concatenate(found)


def _portions(n: int) -> list[int]:
    """`RESAMPLES` in portions of about `DRAWN_AT_ONCE` items, ``n`` a resample."""
    rows = max(1, DRAWN_AT_ONCE // n)
    return [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]


def _bin(p: Floats) -> Ints:
    """The bin of each confidence; bins hold their upper edge."""
    return np.asarray(np.ceil((0.5 + np.abs(deviation(p))) * BINS) - 1).astype(np.int64)


def _sums(where: Ints, gap: Floats, rows: int) -> Floats:
    """Sums of ``gap`` by row and bin, (rows, BINS), of equally long rows laid end to end."""
    cell = where.reshape(rows, -1) + np.arange(rows)[:, None] * BINS
    return np.bincount(cell.ravel(), gap, rows * BINS).astype(np.float64).reshape(rows, BINS)


def _distance(sums: Floats, n: int) -> Floats:
    return np.asarray(np.abs(sums).sum(axis=1) / n)
