"""What anchoring with so many labels is worth: fitted to some of the labelled items, measured on the rest, many times.

Accuracy here is the share of the rest's items on which the side preferred is the side that people prefer. Where a
judge has no preference, or people have none, an item counts half, as if a coin were thrown: so all figures are shares
of the same items, and neither who abstains nor who guesses gains by it.
"""

from dataclasses import dataclass

import numpy as np

from judge.audit.anchor import Anchor, anchored_on, chances
from judge.audit.blend import ground, signed
from judge.audit.estimate import Estimate
from judge.audit.reliability import outcomes, reliability_curve
from judge.audit.table import NONE, Averaged, Floats, Ints


@dataclass(frozen=True, slots=True)
class Anchored:
    """Means over the splits; an interval holds what the middle 95 % of the splits gave, its ``n`` is their number."""

    labels: int  # that each split was fitted to
    accuracy: Estimate
    ece: Estimate
    ece_by_chance: Estimate  # what chances as sure as these, and exactly right, would show on as many items
    coverage: Estimate  # share of items with a preference
    best_single: Estimate  # accuracy of the judge that agreed most often on the split's labels
    oracle_single: Estimate  # of the judge that agrees most often on the split's rest, which nobody can know
    majority: Estimate  # of the judges' unweighted majority
    kept_single: float  # share of splits in which one judge alone was kept


def evaluate_anchor(averaged: Averaged, human: Ints, n: int, *, splits: int, seed: int) -> Anchored:
    """Anchors fitted to ``n`` labels, drawn ``splits`` times from those in ``human``, (items,).

    Raises:
        ValueError: ``n`` is below 1 or leaves no labelled item to measure on, or ``splits`` is below 1.
    """
    asked = np.flatnonzero(human != NONE)
    if not 1 <= n < len(asked):
        raise ValueError(f"{n} labels of {len(asked)} cannot be anchored on: take at least 1, and leave at least 1")
    if splits < 1:
        raise ValueError("anchoring is measured on at least one split")
    before, target = ground(signed(averaged)), outcomes(human)
    judges = tuple(str(column) for column in range(averaged.p_one.shape[1]))
    agrees = _agreement(before.signed, target[:, None])
    majority = _agreement(np.sign(before.signed).sum(axis=1), target)
    rng, rows, kept = np.random.default_rng(seed), [], 0
    for _ in range(splits):
        given, rest = np.split(rng.permutation(asked), [n])
        anchor = anchored_on(before, judges, human, given)
        kept += anchor.kind == "single judge"
        own = _measured(anchor, before.signed[rest], target[rest], rng.random(len(rest)))
        best = agrees[given].sum(axis=0).argmax()
        rows.append((*own, agrees[rest, best].mean(), agrees[rest].mean(axis=0).max(), majority[rest].mean()))
    accuracy, error, by_chance, coverage, chosen, oracle, most = (_over_splits(column) for column in np.array(rows).T)
    return Anchored(n, accuracy, error, by_chance, coverage, chosen, oracle, most, kept / splits)


def _measured(anchor: Anchor, verdicts: Floats, target: Floats, coin: Floats) -> tuple[float, float, float, float]:
    """Accuracy, ECE, the ECE of outcomes drawn by the chances themselves, coverage."""
    p = chances(verdicts, np.array(anchor.weights))
    sure = 0.5 + np.abs(p - 0.5)  # the coin falls on what is preferred, not on completion 1: so it may be either
    by_chance = _ece(sure, (coin < sure).astype(np.float64))
    return float(_agreement(p - 0.5, target).mean()), _ece(p, target), by_chance, float((p != 0.5).mean())


def _agreement(leaning: Floats, target: Floats) -> Floats:
    """1 where what is preferred, by sign, is what people prefer, 0 where it is not, one half for a tie of either."""
    return np.asarray(0.5 + np.sign(leaning) * np.sign(target - 0.5) / 2)


def _ece(p: Floats, y: Floats) -> float:
    """As `judge.audit.reliability.ece`, without the interval."""
    return sum(part.n * abs(part.confidence - part.agreement) for part in reliability_curve(p, y)) / len(p)


def _over_splits(values: Floats) -> Estimate:
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high), len(values))
