"""What people would say on average, from few human labels and predictions for every item.

The labelled items say how far the predictions are off, and the predictions say how the labelled items
differ from the rest: mean of the labels + tuning * (mean prediction of all - mean prediction of the labelled).
Predictions that say nothing get the tuning 0, and then only the labels count.

Source: Angelopoulos, Duchi and Zrnic 2023, "PPI++: Efficient Prediction-Powered Inference" (the tuning), and
Zrnic and Candes 2024, "Active Statistical Inference" (labels drawn with unequal chances). What is ours: one
prediction out of several judges' by cross-fitted ridge regression, the interval for these very items, and the
caution with few labels.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtrit

from constitution.errors import InputError
from judge.audit.crossfit import Drawn, crossfit, features_of, random_folds, ridge_slopes
from judge.audit.table import TIE, Bools, Floats, Ints

DOUBT = 3.0  # variances are taken as if so many more labelled items had been seen that are badly predicted
FEWEST_IN_STRATUM = 5

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean with two 95 % intervals.

    Attributes:
        interval: of the mean of these items, each of which people might have labelled; a point where all are.
        interval_beyond: of the mean of all items like these, from which these were drawn.
    """

    estimate: float
    interval: Interval
    interval_beyond: Interval


@dataclass(frozen=True, slots=True)
class PpiEstimate:
    """A mean from labels and predictions, beside what the labels alone say.

    Attributes:
        interval: of the mean of these items, as in ``human_only``.
        interval_beyond: of the mean of all items like these.
        width_ratio: width of ``interval`` in widths of the labels' own; at most 1.
        tuning: how far the predictions are believed, 0 to 1; PPI++'s lambda is this times the unlabelled share.
        effective_labels: how many labels alone would have said as much.
        spread: variance of a label.
        left: share of that variance that the predictions do not explain; 1 where they are not believed.
    """

    estimate: float
    interval: Interval
    interval_beyond: Interval
    human_only: MeanEstimate
    width_ratio: float
    tuning: float
    effective_labels: float
    spread: float
    left: float
    labels: int
    items: int


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """What makes an interval of a variance.

    Attributes:
        unit: variance of one label: share * (1 - share) of a share, and 1 where the labels are no share.
        single: variance of one label over the number of items: what the items' mean owes to the draw of the items.
        bad: the estimate's variance were all labels half the scale off.
    """

    share: bool
    unit: float
    single: float
    bad: float
    t: float


def estimate_mean(
    labels: Floats,
    labelled: Ints,
    predictions: Floats,
    known: Bools,
    *,
    strata: Ints | None = None,
    probabilities: Floats | None = None,
    seed: int = 0,
) -> PpiEstimate | None:
    """The mean human label of all items; None with fewer than two labels.

    Labels that all lie within 0 and 1 are taken for a share, whose intervals stay within 0 and 1.

    Args:
        labels: (n,) what people said, in the order of ``labelled``.
        labelled: (n,) indices of items, each once, drawn at random: all alike, or alike within a stratum.
        predictions: (items, judges) of one judge or more, on any scale; looked at only where ``known``.
        strata: (items,) the mean is estimated within each and weighted by its size: needed where strata were
            labelled at different rates, and else welcome where people differ by stratum. Those with fewer than
            5 labels are put together.
        probabilities: (items,) chance of each item to be labelled, where items were drawn independently with
            unequal chances; 1 for those that had labels anyhow.
    """
    if len(labels) < 2:
        return None
    drawn = _drawn(labelled, len(predictions), strata, probabilities)
    scale = _scale(labels, drawn)
    alone, noise_alone = float(drawn.weight @ labels), _alone(drawn, scale, labels)
    human_only = _mean(scale, alone, noise_alone)
    predicted, shift = crossfit(drawn, labels, features_of(predictions, known), labelled, seed)
    tuning, noise = _tuned(drawn, scale, labels, predicted)
    powered = _mean(scale, alone + tuning * shift, noise)
    width, width_alone = (high - low for low, high in (powered.interval, human_only.interval))
    if tuning == 0.0 or noise >= noise_alone or width >= width_alone:
        powered, width, tuning, noise = human_only, width_alone, 0.0, noise_alone
    n, items, left = len(labels), drawn.items, noise / noise_alone if tuning else 1.0
    return PpiEstimate(
        powered.estimate,
        powered.interval,
        powered.interval_beyond,
        human_only,
        width_ratio=width / width_alone if tuning else 1.0,
        tuning=tuning,
        effective_labels=1 / (1 / items + (1 / n - 1 / items) * left),
        spread=scale.single * items,
        left=left,
        labels=n,
        items=items,
    )


def predictions_of_agreement(choice: Ints, p_one: Floats) -> Floats:
    """(items, judges): how likely each judge makes it that people choose as one judge does.

    With these, labels of 1 where people chose ``choice`` and 0 elsewhere give that judge's accuracy.
    """
    mine = choice[:, None]
    return np.where(mine == TIE, 1 - 2 * np.abs(p_one - 0.5), np.where(mine == 1, p_one, 1 - p_one))


def expected_labels(
    labels: Floats, labelled: Ints, predictions: Floats, known: Bools, seed: int
) -> tuple[Floats, Floats]:
    """What people are expected to say: (items,) of all by all labels, and (n,) of the labelled without their own."""
    drawn = _drawn(labelled, len(predictions), None, None)
    features = features_of(predictions, known)
    fold = random_folds(drawn.group, seed)
    slopes = ridge_slopes(features[labelled], labels, drawn.group, fold)
    base = labels - (features[labelled] * slopes[fold]).sum(axis=1)
    apart = labels - base + (base.sum() - base) / (len(labels) - 1)
    return base.mean() + features @ slopes.mean(axis=0), apart


def _drawn(labelled: Ints, items: int, strata: Ints | None, probabilities: Floats | None) -> Drawn:
    pool_group = np.zeros(items, dtype=np.int64) if strata is None else _joined(strata, labelled)
    group = pool_group[labelled]
    size, count = np.bincount(pool_group), np.bincount(group)
    chance = (count / size)[group] if probabilities is None else probabilities[labelled]
    if not bool(((chance > 0.0) & (chance <= 1.0)).all()):
        raise InputError("probabilities", "a labelled item has no chance above 0 and up to 1", "give the chance it had")
    weight = (size / items / np.bincount(group, 1 / chance))[group] / chance
    noise = weight**2 * (1.0 - chance) * (count / np.maximum(count - 1.0, 1.0))[group]
    freedom = float(weight.sum() ** 2 / (weight**2).sum()) - len(size)
    return Drawn(items, pool_group, group, weight, noise, max(freedom, 1.0))


def _joined(strata: Ints, labelled: Ints) -> Ints:
    """Strata numbered from 0, those with too few labels put together, if need be with the next smallest."""
    index = np.unique(strata, return_inverse=True)[1].ravel()
    count = np.bincount(index[labelled], minlength=int(index.max()) + 1)
    by_count = np.argsort(count, kind="stable")
    few = int((count < FEWEST_IN_STRATUM).sum())
    if few and count[by_count[:few]].sum() < FEWEST_IN_STRATUM:
        few += 1
    number = np.zeros(len(count), dtype=np.int64)
    number[by_count[few:]] = np.arange(len(count[few:])) + (few > 0)
    joined: Ints = number[index]
    return joined


def _scale(labels: Floats, drawn: Drawn) -> _Scale:
    """Labels that are all the same show no spread, so their share is given that of a coin."""
    mean = float(drawn.weight @ labels)
    spread = float(drawn.weight @ (labels - mean) ** 2) * len(labels) / (len(labels) - 1)
    share = bool(labels.min() >= 0.0 and labels.max() <= 1.0)
    if share and labels.min() == labels.max():
        mean, spread = 0.5, 0.25
    bad = float(drawn.noise.sum()) * (0.25 if share else spread)
    t = float(stdtrit(drawn.freedom, 0.975))
    return _Scale(share, mean * (1 - mean) if share else 1.0, spread / drawn.items, bad, t)


def _alone(drawn: Drawn, scale: _Scale, labels: Floats) -> float:
    """The variance of the labels' own mean.

    Small strata can each be of one mind by chance, hence the doubt there; without strata Wilson's interval does.
    """
    within = float(drawn.noise @ drawn.within(labels) ** 2)
    if labels.min() == labels.max():
        return scale.bad
    if drawn.pool_group.max() == 0:
        return within
    return (drawn.freedom * within + DOUBT * scale.bad) / (drawn.freedom + DOUBT)


def _tuned(drawn: Drawn, scale: _Scale, labels: Floats, predicted: Floats) -> tuple[float, float]:
    """The tuning that makes the variance least, and that variance.

    Few labels may hold no wrong prediction by chance, hence the doubt.
    """
    label, guess = drawn.within(labels), drawn.within(predicted)
    spread = float(drawn.noise @ guess**2)
    tuning = min(1.0, max(0.0, float(drawn.noise @ (label * guess)) / spread)) if spread > 0.0 else 0.0
    left = float(drawn.noise @ (label - tuning * guess) ** 2)
    return tuning, (drawn.freedom * left + DOUBT * scale.bad) / (drawn.freedom - 1.0 + DOUBT)


def _mean(scale: _Scale, estimate: float, variance: float) -> MeanEstimate:
    variances = (variance, variance + scale.single)
    if scale.share:
        estimate = min(1.0, max(0.0, estimate))
        near, far = (_wilson(estimate, scale.t**2 * v / scale.unit) for v in variances)
    else:
        near, far = ((estimate - scale.t * sqrt(v), estimate + scale.t * sqrt(v)) for v in variances)
    return MeanEstimate(estimate, near, far)


def _wilson(share: float, narrow: float) -> Interval:
    """Wilson's interval for a share from 1/narrow labels in units of t: its width follows the share, not the labels.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    centre = (share + narrow / 2) / (1 + narrow)
    half = sqrt(narrow * share * (1 - share) + narrow**2 / 4) / (1 + narrow)
    return max(0.0, centre - half), min(1.0, centre + half)
