"""Maps from the chance that a judge states to the chance that people bear out.

A map must not care which completion is called 1, so it is odd about one half: it looks only at the evidence, the
size of the log-odds that the judge states, gives the chance that the judge is right when it states as much, and
keeps the side. A chance of exactly one half stays. No map turns a preference round: a judge that is right less
than half of the time is taken down to one half, since a handful of labels cannot tell bad luck from a judge to be
believed in reverse. For the same reason no map makes a surer verdict less sure than a less sure one.

``p`` and ``y`` are as in ``judge.audit.reliability``.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import exp
from typing import TypeAlias

import numpy as np
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import expit, log_expit

from constitution.errors import InputError
from judge.audit.reliability import SMALLEST, Reliability, deviation, reliability, rightness
from judge.audit.table import Floats, Ints

FEWEST = 10  # labels on items where the judge prefers a side, below which its chances are left as they are
FOLDS = 5
REPEATS = 3
PER_UNIT = 64  # levels of evidence in a unit of log-odds: maps are fitted to counts by level
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
    n: Floats
    right: Floats  # how many of them people bear out, a tie counting one half


def to_json(map_: Map) -> dict[str, object]:
    return {"kind": NAMES[type(map_)], **asdict(map_)}


def from_json(written: Mapping[str, object], place: str) -> Map:
    """What `to_json` wrote; ``place`` names where it was read. Raises InputError for anything else."""
    try:
        return _read(written)
    except (KeyError, TypeError, ValueError):
        raise InputError(place, f"not a calibration map ({dict(written)!r})", "fit the map again") from None


def fit_calibrator(p: Floats, y: Floats, seed: int) -> Fitted:
    """The map for these chances and outcomes, which are equally long.

    Below `FEWEST` labels the identity. Else each kind is scored on labels held out, in `FOLDS` folds drawn
    `REPEATS` times, and the best is fitted to all; among equals the plainest. Outcomes are scored smoothed (see
    `_smoothed`): where all of few labels bear the judge out, the plain score would choose whatever is surest.
    """
    evidence, right = _preferring(p, y)
    if len(evidence) < FEWEST:
        return Fitted(Identity(), "identity", {})
    rng = np.random.default_rng(seed)
    total = dict.fromkeys(NAMES.values(), 0.0)
    for _ in range(REPEATS):
        fold = rng.permutation(len(evidence)) % FOLDS
        for k in range(FOLDS):
            rest, held = (_levels(evidence[part], right[part]) for part in (fold != k, fold == k))
            for name, fit in FITS.items():
                total[name] += _loss(fit(rest), held, _smoothed(rest, held))
    held_out = {name: loss / (REPEATS * len(evidence)) for name, loss in total.items()}
    chosen = min(held_out, key=lambda name: held_out[name])
    return Fitted(FITS[chosen](_levels(evidence, right)), chosen, held_out)


def calibration_report(p: Floats, y: Floats, seed: int) -> CalibrationReport | None:
    """The measures before and after calibration, the latter cross-fitted; None without an item."""
    after = np.zeros(len(p))
    fold = np.random.default_rng(seed).permutation(len(p)) % FOLDS
    for k in range(FOLDS):
        held = fold == k
        after[held] = fit_calibrator(p[~held], y[~held], seed).map.apply(p[held])
    measured = reliability(p, y, seed), reliability(after, y, seed)
    if measured[0] is None or measured[1] is None:
        return None
    return CalibrationReport(fit_calibrator(p, y, seed), measured[0], measured[1])


def _read(written: Mapping[str, object]) -> Map:
    kind = written["kind"]
    fields = {name: np.array(value, dtype=np.float64) for name, value in written.items() if name != "kind"}
    if not all(np.isfinite(value).all() for value in fields.values()):
        raise ValueError(written)
    match kind, fields:
        case "identity", {**rest} if not rest:
            return Identity()
        case "temperature", {"scale": scale, **rest} if not rest and scale > 0:
            return TemperatureMap(float(scale))
        case "platt", {"slope": slope, "shift": shift, **rest} if not rest and slope >= 0:
            return PlattMap(float(slope), float(shift))
        case "isotonic", {"evidence": knots, "chances": chances, **rest} if not rest and _rising(knots, chances):
            return IsotonicMap(tuple(knots.tolist()), tuple(chances.tolist()))
    raise ValueError(written)


def _rising(knots: Floats, chances: Floats) -> bool:
    fits = knots.ndim == 1 and knots.shape == chances.shape and len(knots) > 0
    return fits and bool((np.diff(knots) >= 0).all() and (np.diff(chances) >= 0).all() and chances[-1] <= 1)


def _odd(right: Callable[[Floats], Floats], p: Floats) -> Floats:
    """``right`` of the evidence, at least one half, on ``p``'s side; mirrored chances give exactly mirrored ones."""
    away = deviation(p)
    # Numbers from 1/2 to 1 are multiples of 2^-53, so neither sum is rounded.
    return np.asarray(0.5 + np.sign(away) * (right(_evidence(away)) - 0.5))


def _evidence(away: Floats) -> Floats:
    sure = np.minimum(np.abs(away), 0.5 - SMALLEST)
    return np.asarray(np.log(0.5 + sure) - np.log(0.5 - sure))


def _preferring(p: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Evidence and rightness of the items on which the judge prefers a side."""
    away = deviation(p)
    return _evidence(away)[away != 0], rightness(p, y)[away != 0]


def _levels(evidence: Floats, right: Floats) -> _Levels:
    level: Ints = np.rint(evidence * PER_UNIT).astype(np.int64)
    n = np.bincount(level)
    there = np.flatnonzero(n)
    return _Levels(there / PER_UNIT, n[there].astype(np.float64), np.bincount(level, right)[there].astype(np.float64))


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

    def loss(log_scale: float) -> float:
        odds = exp(log_scale) * levels.evidence
        fit = right * log_expit(odds) + (levels.n - right) * log_expit(-odds)
        return float(0.5 * (log_scale / WIDTH) ** 2 - fit.sum())

    return TemperatureMap(exp(float(minimize_scalar(loss, bounds=(-7, 4), method="bounded").x)))


def _platt(levels: _Levels) -> PlattMap:
    right = _smoothed(levels, levels)

    def loss(at: Floats) -> tuple[float, Floats]:
        odds = at[0] * levels.evidence + at[1]
        fit = right * log_expit(odds) + (levels.n - right) * log_expit(-odds)
        over = levels.n * expit(odds) - right
        from_prior = (at - [1.0, 0.0]) / WIDTH
        slope = np.array([over @ levels.evidence, over.sum()])
        return float(0.5 * from_prior @ from_prior - fit.sum()), np.asarray(slope + from_prior / WIDTH)

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]).x
    return PlattMap(float(found[0]), float(found[1]))


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
