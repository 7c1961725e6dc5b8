"""Log-odds from several judges' verdicts: ridge logistic fits, each with its evidence.

Every fit here is odd: it has no intercept, so that exchanging the completions of an item turns its log-odds round
and nothing else. A verdict goes in as a number in [-1, 1], 1 for a judge wholly on completion 1's side; one that
is missing is 0 and says nothing.

With few labels and many judges a fit is mostly its prior, and "no judge knows anything" is a poor one. All items,
labelled or not, show in which direction the judges move together. That direction costs one parameter and is tried
first, leaning to the side of most judges; labels can turn it round, since what moves judges together may be a
shared error. Each judge by itself can move the fit away from it, at a higher price.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp, softmax

from judge.audit.reliability import deviation
from judge.audit.table import Averaged, Floats

# Standard deviations of a typical item's log-odds before any label is seen, from "hardly anything to be learnt from
# these judges" to "they tell nearly all". The labels decide between them, so only the range matters.
SCALES = (0.5, 1.0, 2.0, 4.0, 8.0)
OWN = 1.0  # a judge's freedom to differ, beside the common direction's 1; 0.5 to 2 differ by less than a point
LEAN = 1.0  # prior mean in standard deviations: of 100 judges 84 are thought to be right more often than wrong
STEPS, HALVINGS, SETTLED = 50, 30, 1e-9  # of Newton's method; it takes about six steps


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Models of one kind: coefficients of features are normal about ``means`` with standard deviation 1."""

    maps: Floats  # (models, judges, features) from verdicts to features
    means: Floats  # (models, features)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What can be said of the verdicts before any label is seen."""

    signed: Floats  # (items, judges) in [-1, 1]
    combined: Prior  # one model: every judge, and last the common direction; a mean squared length of 1 over items
    single: Prior  # a model for each judge alone, likewise scaled


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Fits of one kind, differing in judge or scale; a loss is the evidence's negative logarithm, in nats.

    But for Laplace's approximation it is the sum of the labels' log losses, each predicted from those before it, in
    whatever order: so it is held out, though every label was fitted.
    """

    weights: Floats  # (fits, judges) what a judge wholly on completion 1's side adds to the log-odds
    losses: Floats  # (fits,)

    @property
    def shares(self) -> Floats:
        """How far each fit is to be believed beside the others; they sum to 1."""
        return np.asarray(softmax(-self.losses))

    @property
    def average(self) -> Floats:
        """The weights, (judges,), averaged by how far each fit is to be believed."""
        return np.asarray(self.shares @ self.weights)

    @property
    def loss(self) -> float:
        """The loss of the kind as a whole: of the mean evidence.

        The best of many fits is best partly by luck. The mean pays for the search: one judge picked from 65 must
        do better by log 65 nats than one that was named beforehand.
        """
        return float(np.log(len(self.losses)) - logsumexp(-self.losses))


def signed(averaged: Averaged) -> Floats:
    """Verdicts in [-1, 1], exactly negated where completions are exchanged; 0 where not known."""
    return 2 * deviation(averaged.p_one) * averaged.known


def ground(verdicts: Floats) -> Ground:
    """The features for ``verdicts`` as of `signed`, (items, judges)."""
    judges = verdicts.shape[1]
    together = verdicts.T @ verdicts / len(verdicts)
    values, vectors = np.linalg.eigh(together)
    common = vectors[:, -1:] / np.sqrt(values[-1]) if values[-1] > 0 else np.zeros((judges, 1))
    power = np.diag(together)
    own = OWN * np.eye(judges) / np.sqrt(power.sum()) if power.any() else np.zeros((judges, judges))
    side = -1 if common.sum() < 0 else 1
    combined = np.hstack([own, side * common]) / np.sqrt(1 + OWN**2)
    alone = np.divide(1, np.sqrt(power), out=np.zeros(judges), where=power > 0)
    # Where judges pull to both sides there is no side of most judges: the lean is the direction's cosine with all ones.
    means = np.zeros((1, judges + 1))
    means[0, -1] = LEAN * abs(vectors[:, -1].sum()) / np.sqrt(judges)
    return Ground(verdicts, Prior(combined[None], means), Prior(np.diag(alone)[:, :, None], np.full((judges, 1), LEAN)))


def fit_all(verdicts: Floats, prior: Prior, target: Floats) -> Fits:
    """A fit for every scale and model, in this order.

    Args:
        verdicts: (labels, judges) of the labelled items.
        target: (labels,) chance that people prefer completion 1: 1, 0 or one half.
    """
    features = verdicts @ prior.maps
    offset, turn = _times(features, prior.means), None
    if features.shape[2] > features.shape[1]:  # only the span of the labelled items can move from the prior's mean
        left, size, turn = np.linalg.svd(features, full_matrices=False)
        features = left * size[:, None, :]
    weights, losses = [], []
    for scale in SCALES:
        moved = ridge(features * scale, offset * scale, target)
        back = moved if turn is None else np.einsum("bk,bkf->bf", moved, turn)
        weights.append(_times(prior.maps, scale * (prior.means + back)))
        losses.append(loss(features * scale, offset * scale, target, moved))
    return Fits(np.concatenate(weights), np.concatenate(losses))


def ridge(features: Floats, offset: Floats, target: Floats) -> Floats:
    """Logistic coefficients, (batch, k), with a standard normal prior.

    Args:
        features: (batch, labels, k).
        offset: (batch, labels) log-odds before the features have their say.
    """
    found = np.zeros((features.shape[0], features.shape[2]))
    for _ in range(STEPS):
        chance = expit(offset + _times(features, found))
        slope = _times(features.swapaxes(1, 2), chance - target) + found
        step = np.linalg.solve(_curvature(features, chance), slope[..., None])[..., 0]
        now = _objective(features, offset, target, found)
        for _ in range(HALVINGS):
            worse = _objective(features, offset, target, found - step) > now + SETTLED
            if not worse.any():
                break
            step[worse] /= 2
        found = found - step
        if np.abs(step).max(initial=0.0) < SETTLED:
            break
    return found


def loss(features: Floats, offset: Floats, target: Floats, found: Floats) -> Floats:
    """The negative log evidence, (batch,), by a normal approximation about the coefficients ``found``.

    Source: MacKay 1992, "The Evidence Framework Applied to Classification Networks".
    """
    curvature = _curvature(features, expit(offset + _times(features, found)))
    return np.asarray(_objective(features, offset, target, found) + np.linalg.slogdet(curvature).logabsdet / 2)


def _times(matrices: Floats, vectors: Floats) -> Floats:
    return np.asarray((matrices @ vectors[..., None])[..., 0])


def _curvature(features: Floats, chance: Floats) -> Floats:
    weighted = features * (chance * (1 - chance))[..., None]
    return np.asarray(weighted.swapaxes(1, 2) @ features + np.eye(features.shape[2]))


def _objective(features: Floats, offset: Floats, target: Floats, found: Floats) -> Floats:
    odds = offset + _times(features, found)
    return np.asarray((np.logaddexp(0, odds) - target * odds).sum(axis=1) + (found**2).sum(axis=1) / 2)
