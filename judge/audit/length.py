"""What length alone explains: of a judge's choices, of people's, and of how far the two agree."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from judge.audit.agreement import accuracy
from judge.audit.estimate import NORMAL_95, Estimate, proportion
from judge.audit.table import NONE, TIE, Averaged, Bools, Floats, Ints, Material, choices, human_choice

STEPS = 100  # of Newton's method at most; a handful is usual
CLOSE = 1e-10  # a step shorter than this has arrived
# One made-up item, in quarters, longer and shorter and preferred either way. It keeps the fit finite where
# every choice is the same or length decides every one, and weighs next to nothing where there is data.
PRIOR_DIFFERENCE = np.array([1.0, 1.0, -1.0, -1.0])
PRIOR_TARGET = np.array([1.0, 0.0, 1.0, 0.0])
PRIOR_WEIGHT = 0.25


@dataclass(frozen=True, slots=True)
class Adjusted:
    """How often completion 1 is preferred, and how often it would be if the two were equally long."""

    plain: float  # mean p_one over the same items
    rate: Estimate  # with the influence of length taken out
    influence: float  # log-odds of preferring a completion for being much longer; 0 where length says nothing


@dataclass(frozen=True, slots=True)
class AccuracyByLength:
    """Agreement with people, apart for the items where the judge prefers the longer and the shorter completion."""

    longer: Estimate | None
    shorter: Estimate | None
    balanced: Estimate | None  # their mean, which "always the longer" cannot raise; None where one is None


@dataclass(frozen=True, slots=True)
class JudgeLength:
    judge: str
    longer_preferred: Estimate | None
    adjusted: Adjusted | None
    accuracy: AccuracyByLength


@dataclass(frozen=True, slots=True)
class LengthFigures:
    """``baseline`` is the agreement with people of always preferring the longer; a tie where equally long."""

    judges: tuple[JudgeLength, ...]
    people_longer: Estimate | None  # of the people's choices, the share for the longer completion
    baseline: Estimate | None


def length_figures(material: Material, averaged: Averaged, among: Bools | None = None) -> LengthFigures | None:
    """All figures of length, on the items of the mask ``among``, (items,), or on all; None without lengths."""
    if material.lengths is None:
        return None
    kept = np.ones(len(material.items), dtype=np.bool_) if among is None else among
    lengths, people = material.lengths[kept], human_choice(material)[kept]
    p_one, known = averaged.p_one[kept], averaged.known[kept]
    said = choices(p_one, known)
    judges = tuple(
        JudgeLength(
            name,
            longer_preferred(said[:, j], lengths),
            length_adjusted(p_one[:, j], known[:, j], lengths),
            accuracy_by_length(said[:, j], people, lengths),
        )
        for j, name in enumerate(material.verdicts.judges)
    )
    return LengthFigures(judges, longer_preferred(people, lengths), accuracy(longer(lengths), people))


def longer(lengths: Ints) -> Ints:
    """The longer completion, (items,): 1, 2, TIE where they are equally long, NONE where a length is not known."""
    given = (lengths >= 0).all(axis=1)
    one, other = lengths[:, 0], lengths[:, 1]
    return np.where(given, np.where(one > other, 1, np.where(one < other, 2, TIE)), NONE).astype(np.int64)


def longer_preferred(choice: Ints, lengths: Ints) -> Estimate | None:
    """Of the choices of a completion, where one is longer, the share for the longer; ties are passed over."""
    length = longer(lengths)
    told = (choice > 0) & (length > 0)
    return proportion(int((choice[told] == length[told]).sum()), int(told.sum()))


def accuracy_by_length(choice: Ints, human: Ints, lengths: Ints) -> AccuracyByLength:
    length = longer(lengths)
    told = (choice > 0) & (length > 0)
    long, short = told & (choice == length), told & (choice != length)
    apart = accuracy(choice[long], human[long]), accuracy(choice[short], human[short])
    return AccuracyByLength(*apart, midpoint(*apart))


def midpoint(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """The mean of two independent figures; the arms of their intervals combine as standard errors do."""
    if one is None or other is None:
        return None
    value = (one.value + other.value) / 2
    below = sqrt((one.value - one.low) ** 2 + (other.value - other.low) ** 2) / 2
    above = sqrt((one.high - one.value) ** 2 + (other.high - other.value) ** 2) / 2
    return Estimate(value, value - below, value + above, one.n + other.n)


def length_adjusted(p_one: Floats, known: Bools, lengths: Ints) -> Adjusted | None:
    """The rate at which completion 1 is preferred once length has no say; None without an item.

    A logistic model of the preference has one term for completion 1 and one for the difference of the
    lengths, tanh(difference / standard deviation of the differences); the rate is its prediction at
    difference zero. The interval is that of a robust ("sandwich") variance, by log-odds; the standard
    deviation is taken as given.

    Source: the length term is that of Dubois et al. 2024, "Length-Controlled AlpacaEval: A Simple Way to
    Debias Automatic Evaluators". Theirs also has a term for the difficulty of each prompt, which needs many
    models on the same prompts; this has none.
    """
    told = known & (lengths >= 0).all(axis=1)
    if not told.any():
        return None
    difference = (lengths[told, 0] - lengths[told, 1]).astype(np.float64)
    spread = difference.std()
    scaled = np.tanh(difference / spread) if spread > 0 else np.zeros(len(difference))
    features = np.column_stack([np.ones(len(scaled) + 4), np.concatenate([scaled, PRIOR_DIFFERENCE])])
    target = np.concatenate([p_one[told], PRIOR_TARGET])
    weight = np.concatenate([np.ones(len(scaled)), np.full(4, PRIOR_WEIGHT)])
    fitted, variance = fit_logistic(features, target, weight)
    level, influence = fitted.tolist()
    half = NORMAL_95 * sqrt(variance[0, 0])
    rate, low, high = sigmoid(np.array([level, level - half, level + half])).tolist()
    return Adjusted(float(p_one[told].mean()), Estimate(rate, low, high, len(scaled)), influence)


def fit_logistic(features: Floats, target: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The most likely coefficients, (terms,), and their robust covariance, (terms, terms); targets in [0, 1]."""
    fitted = np.zeros(features.shape[1])
    for _ in range(STEPS):
        chance = sigmoid(features @ fitted)
        step = np.linalg.solve(curvature(features, chance, weight), features.T @ (weight * (target - chance)))
        fitted = fitted + step
        if np.abs(step).max() < CLOSE:
            break
    chance = sigmoid(features @ fitted)
    inverse = np.linalg.inv(curvature(features, chance, weight))
    residual = (weight * (target - chance) ** 2)[:, None] * features
    return fitted, inverse @ (features.T @ residual) @ inverse


def curvature(features: Floats, chance: Floats, weight: Floats) -> Floats:
    matrix: Floats = features.T @ ((weight * chance * (1 - chance))[:, None] * features)
    return matrix


def sigmoid(logit: Floats) -> Floats:
    """By tanh, which is exactly odd and overflows nowhere."""
    chance: Floats = 0.5 + 0.5 * np.tanh(logit / 2)
    return chance
