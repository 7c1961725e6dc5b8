"""Maps from the chance that a judge states to the chance that people bear out.

A map must not care which completion is called 1, so it is odd about one half: it looks only at the evidence, the
size of the log-odds that the judge states, gives the chance that the judge is right when it states as much, and
keeps the side. A chance of exactly one half stays. No map turns a preference round: a judge that is right less
than half of the time is taken down to one half, since a handful of labels cannot tell bad luck from a judge to be
believed in reverse. For the same reason no map makes a surer verdict less sure than a less sure one.

``p``, ``y`` and ``items`` are as in ``judge.audit.reliability``. An item's rows stand or fall together: they are held
out at once, and all rows weigh as much as there are items, so that copies of a judge teach no more than it does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp
from typing import TypeAlias

import numpy as np
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit, log_expit

from judge.audit.reliability import SMALLEST, Reliability, deviation, numbered, reliability, rightness
from judge.audit.table import Floats, Ints

FEWEST = 10  # labels on items where the judge prefers a side, below which its chances are left as they are
FOLDS = 5
REPEATS = 3
PER_UNIT = 64  # levels of evidence in a unit of log-odds: maps are fitted to counts by level
LOG_SCALES = (-7.0, 4.0)  # between which the logarithm of a scale lies
STEPS = 50  # of Newton's at most; five or six are usual
ENOUGH = 1e-8  # change of a line at which it is found
WIDTH = 2.0  # the priors' standard deviation: of the logarithm of a scale, of a slope about 1, of a shift


@dataclass(frozen=True, slots=True)
class Identity:
    """Chances as they are."""

    def right(self, evidence: Floats) -> Floats:
        return np.asarray(expit(evidence))

    def apply(self, p: Floats) -> Floats:
        return np.asarray(0.5 + deviation(p))


@dataclass(frozen=True, slots=True)
class TemperatureMap:
    """Log-odds times ``scale``, which is above 0; below 1 it makes the judge less sure."""

    scale: float

    def right(self, evidence: Floats) -> Floats:
        return np.asarray(expit(self.scale * evidence))

    def apply(self, p: Floats) -> Floats:
        return _odd(self.right, p)


@dataclass(frozen=True, slots=True)
class PlattMap:
    """The log-odds of being right as a line in the evidence; ``slope`` is at least 0.

    After Platt 1999, "Probabilistic Outputs for Support Vector Machines", but on the unsigned evidence: a line in
    the signed one would need its shift to be 0 to be odd, and would then be the temperature.
    """

    slope: float
    shift: float

    def right(self, evidence: Floats) -> Floats:
        return np.asarray(np.maximum(0.5, expit(self.slope * evidence + self.shift)))

    def apply(self, p: Floats) -> Floats:
        return _odd(self.right, p)


@dataclass(frozen=True, slots=True)
class IsotonicMap:
    """Straight lines between knots, level outside them; both tuples are equally long and never fall."""

    evidence: tuple[float, ...]
    chances: tuple[float, ...]  # of being right

    def right(self, evidence: Floats) -> Floats:
        return np.asarray(np.maximum(0.5, np.interp(evidence, self.evidence, self.chances)))

    def apply(self, p: Floats) -> Floats:
        return _odd(self.right, p)


Map: TypeAlias = Identity | TemperatureMap | PlattMap | IsotonicMap
NAMES: dict[type[Map], str] = {
    Identity: "identity",
    TemperatureMap: "temperature",
    PlattMap: "platt",
    IsotonicMap: "isotonic",
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """The map whose kind had the lowest held-out log loss, fitted to all labels."""

    map: Map
    name: str  # identity, temperature, platt or isotonic
    held_out: Mapping[str, float]  # name to mean log loss against smoothed outcomes; empty where labels are too few


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What calibration is worth: every item's chance ``after`` is by a map chosen and fitted without that item."""

    chosen: Fitted  # on all items, for use on others
    before: Reliability
    after: Reliability


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """Labels counted by evidence, rising; items on which the judge prefers no side are left out."""

    evidence: Floats
    n: Floats  # labels, each row counting as its part of an item
    right: Floats  # how many of them people bear out, a tie counting one half


def fit_calibrator(p: Floats, y: Floats, seed: int, items: Ints | None = None) -> Fitted:
    """The map for these chances and outcomes, which are equally long.

    Below `FEWEST` labelled items the identity. Else each kind is scored on labels held out, in `FOLDS` folds drawn
    `REPEATS` times, and the best is fitted to all; among equals the plainest. Outcomes are scored smoothed (see
    `_smoothed`): where all of few labels bear the judge out, the plain score would choose whatever is surest.
    """
    preferring = deviation(p) != 0
    evidence, right = _evidence(deviation(p))[preferring], rightness(p, y)[preferring]
    item, n = numbered(preferring.sum().item(), None if items is None else items[preferring])
    if n < FEWEST:
        return Fitted(Identity(), "identity", {})
    weight = n / len(item)
    rng = np.random.default_rng(seed)
    total = dict.fromkeys(NAMES.values(), 0.0)
    for _ in range(REPEATS):
        fold = (rng.permutation(n) % FOLDS)[item]
        for k in range(FOLDS):
            rest, held = (_levels(evidence[part], right[part], weight) for part in (fold != k, fold == k))
            for name, fit in FITS.items():
                total[name] += _loss(fit(rest), held, _smoothed(rest, held))
    held_out = {name: loss / (REPEATS * n) for name, loss in total.items()}
    chosen = min(held_out, key=lambda name: held_out[name])
    return Fitted(FITS[chosen](_levels(evidence, right, weight)), chosen, held_out)


def calibration_report(p: Floats, y: Floats, seed: int, items: Ints | None = None) -> CalibrationReport | None:
    """The measures before and after calibration, the latter cross-fitted; None without an item."""
    after = np.zeros(len(p))
    item, n = numbered(len(p), items)
    fold = (np.random.default_rng(seed).permutation(n) % FOLDS)[item]
    for k in range(FOLDS):
        held = fold == k
        after[held] = fit_calibrator(p[~held], y[~held], seed, item[~held]).map.apply(p[held])
    measured = reliability(p, y, seed, item), reliability(after, y, seed, item)
    if measured[0] is None or measured[1] is None:
        return None
    return CalibrationReport(fit_calibrator(p, y, seed, item), measured[0], measured[1])


def _odd(right: Callable[[Floats], Floats], p: Floats) -> Floats:
    """``right`` of the evidence, at least one half, on ``p``'s side; mirrored chances give exactly mirrored ones."""
    away = deviation(p)
    # Numbers from 1/2 to 1 are multiples of 2^-53, so neither sum is rounded.
    return np.asarray(0.5 + np.sign(away) * (right(_evidence(away)) - 0.5))


def _evidence(away: Floats) -> Floats:
    sure = np.minimum(np.abs(away), 0.5 - SMALLEST)
    return np.asarray(np.log(0.5 + sure) - np.log(0.5 - sure))


def _levels(evidence: Floats, right: Floats, weight: float) -> _Levels:
    """Each row counted as ``weight`` labels."""
    level: Ints = np.rint(evidence * PER_UNIT).astype(np.int64)
    n = np.bincount(level)
    there = np.flatnonzero(n)
    borne_out = np.bincount(level, right)[there].astype(np.float64)
    return _Levels(there / PER_UNIT, weight * n[there].astype(np.float64), weight * borne_out)


def _smoothed(of: _Levels, at: _Levels) -> Floats:
    """Platt's targets: ``at.right`` as if those right were so only with chance (R + 1) / (R + 2), R of them in ``of``.

    Likewise those wrong with chance 1 / (W + 2).
    """
    right = float(of.right.sum())
    wrong = float(of.n.sum()) - right
    low, high = 1 / (wrong + 2), (right + 1) / (right + 2)
    return low * at.n + (high - low) * at.right


def _loss(map_: Map, levels: _Levels, right: Floats) -> float:
    """The log loss summed over items, chances clipped."""
    chance = np.minimum(map_.right(levels.evidence), 1 - SMALLEST)
    return -float((right * np.log(chance) + (levels.n - right) * np.log1p(-chance)).sum())


def _identity(levels: _Levels) -> Identity:
    return Identity()


def _temperature(levels: _Levels) -> TemperatureMap:
    right = _smoothed(levels, levels)

    def slope(log_scale: float) -> float:
        scale = exp(log_scale)
        over = levels.n * expit(scale * levels.evidence) - right
        return log_scale / WIDTH**2 + scale * float(over @ levels.evidence)

    low, high = LOG_SCALES
    if slope(low) >= 0 or slope(high) <= 0:
        return TemperatureMap(exp(low if slope(low) >= 0 else high))
    return TemperatureMap(exp(float(brentq(slope, low, high))))


def _platt(levels: _Levels) -> PlattMap:
    right, ones = _smoothed(levels, levels), np.ones_like(levels.n)
    slope, shift = _line(np.stack([levels.evidence, ones]), levels.n, right, np.array([1.0, 0.0])).tolist()
    if slope < 0:  # the loss is convex: where its least lies beyond the edge, the least within lies on it
        slope, shift = 0.0, float(_line(ones[None], levels.n, right, np.zeros(1))[0])
    return PlattMap(slope, shift)


def _line(columns: Floats, n: Floats, right: Floats, expected: Floats) -> Floats:
    """The log-odds' line in ``columns``, (of them, levels), about ``expected``, by Newton steps, halved if too long."""

    def loss(at: Floats) -> float:
        odds, away = at @ columns, (at - expected) / WIDTH
        return float(0.5 * away @ away - right @ log_expit(odds) - (n - right) @ log_expit(-odds))

    at, least = expected, loss(expected)
    for _ in range(STEPS):
        chance = expit(at @ columns)
        slope = columns @ (n * chance - right) + (at - expected) / WIDTH**2
        bend = (columns * (n * chance * (1 - chance))) @ columns.T + np.eye(len(at)) / WIDTH**2
        step = np.linalg.solve(bend, slope)
        while loss(at - step) > least and np.abs(step).max() > ENOUGH:
            step = step / 2
        if np.abs(step).max() <= ENOUGH:
            break
        at, least = at - step, loss(at - step)
    return np.asarray(at)


def _isotonic(levels: _Levels) -> IsotonicMap:
    """Each block's share taken as (right + 1) / (n + 2), and pooled again, since that may put it out of order."""
    blocks = isotonic_regression(levels.right / levels.n, weights=levels.n).blocks
    n, right = (np.add.reduceat(column, blocks[:-1]) for column in (levels.n, levels.right))
    chances = isotonic_regression((right + 1) / (n + 2), weights=n + 2).x
    ends = np.stack([levels.evidence[blocks[:-1]], levels.evidence[blocks[1:] - 1]], axis=1).ravel()
    return IsotonicMap(tuple(ends.tolist()), tuple(np.repeat(chances, 2).tolist()))


FITS: dict[str, Callable[[_Levels], Map]] = {
    "identity": _identity,
    "temperature": _temperature,
    "platt": _platt,
    "isotonic": _isotonic,
}
