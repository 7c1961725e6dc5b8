"""Anchored labels: from a few human labels, how far to believe each judge, and one calibrated chance an item.

A judge here is a column: a model, a prompt style, a principle. Two explanations of the labels compete: that judges
together know best, and that one judge alone does. Each is believed as far as it foretells the labels, and the
weights are averaged accordingly. Where one judge alone is all but certain, anchoring does not help, and that judge
is kept, with its own sureness fitted. No majority vote is in it: on adversarial pairs most judges can be worse than
a coin, and then a majority is too.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import expit, logit

from judge.audit.blend import SCALES, Fits, Ground, fit_all, ground, signed
from judge.audit.reliability import STEPS, outcomes
from judge.audit.table import NONE, Averaged, Floats, Ints

Kind: TypeAlias = Literal["combined", "single judge"]

ALONE = 0.2  # belief, before any label, that one judge alone knows best: errors of several seldom fall together
CERTAIN = 0.9  # belief in one judge from which it is kept alone


@dataclass(frozen=True, slots=True)
class Anchor:
    """What was learnt from the labels. ``judges`` and ``weights`` are equally long."""

    kind: Kind
    judges: tuple[str, ...]
    weights: tuple[float, ...]  # what a judge wholly on completion 1's side adds to the log-odds; may be negative
    single: str  # the judge that does best alone
    combined_loss: float  # of judges together, held out, in nats a label; log 2 = 0.69 is a coin's
    single_loss: float  # likewise of one judge alone, the search for it paid for
    belief_single: float  # in [0, 1] that one judge alone knows best, whichever it is
    labels: int  # that it was fitted to

    def p_one(self, averaged: Averaged) -> Floats:
        """The chance that people prefer completion 1, (items,); one half where no judge says anything.

        An item's chance hangs on no other item, and with its completions exchanged is exactly ``1 - p``.

        Raises:
            ValueError: the columns are not as many as the judges; they must be the same, in the same order.
        """
        if averaged.p_one.shape[1] != len(self.judges):
            raise ValueError(f"verdicts of {averaged.p_one.shape[1]} judges for an anchor on {len(self.judges)} judges")
        return chances(signed(averaged), np.array(self.weights))


def chances(verdicts: Floats, weights: Floats) -> Floats:
    """``verdicts`` as of `signed`. Steps of 2^-53 make mirrored verdicts give exactly mirrored chances."""
    odds = (verdicts * weights).sum(axis=1)
    return np.asarray(0.5 + np.rint(np.tanh(odds / 2) / 2 * STEPS) / STEPS)


def fit_anchor(averaged: Averaged, judges: tuple[str, ...], human: Ints, labelled: Ints) -> Anchor:
    """The anchor from the labels of the items ``labelled``; the others' verdicts are looked at, their labels never.

    Args:
        judges: the names of the columns.
        human: (items,) what people chose; a tie counts as half a vote for each.
        labelled: indices of items; those that nobody labelled are passed over.

    Raises:
        ValueError: there is no label at all, or no judge.
    """
    if not judges:
        raise ValueError("an anchor needs at least one judge")
    return anchored_on(ground(signed(averaged)), judges, human, labelled)


def anchored_on(before: Ground, judges: tuple[str, ...], human: Ints, labelled: Ints) -> Anchor:
    """As `fit_anchor`, with what does not hang on the labels made ready."""
    asked = np.unique(labelled[human[labelled] != NONE])
    n = len(asked)
    if n == 0:
        raise ValueError("an anchor needs at least one label")
    verdicts, target = _turned(before.signed[asked], outcomes(human[asked]))
    combined, single = (fit_all(verdicts, prior, target) for prior in (before.combined, before.single))
    alone = float(expit(combined.loss - single.loss + logit(ALONE)))
    rows = single.shares.reshape(len(SCALES), len(judges))
    best = int(rows.sum(axis=0).argmax())
    kept = alone * rows[:, best].sum() >= CERTAIN
    weights = _of(single, best, len(judges)) if kept else (1 - alone) * combined.average + alone * single.average
    return Anchor(
        "single judge" if kept else "combined",
        judges,
        tuple(weights.tolist()),
        judges[best],
        combined.loss / n,
        single.loss / n,
        alone,
        n,
    )


def _turned(verdicts: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Every item's completions named so that people prefer the first, or the first judge that speaks does on a tie.

    Fits are odd, so this changes nothing but the last bits: labels do not hang on them, whichever was called 1.
    """
    first = np.take_along_axis(verdicts, (verdicts != 0).argmax(axis=1)[:, None], axis=1)[:, 0]
    side = np.where(target == 0.5, np.sign(first), np.sign(target - 0.5))
    return verdicts * side[:, None], np.maximum(target, 1 - target)


def _of(single: Fits, judge: int, judges: int) -> Floats:
    """One judge's weights, its scales averaged."""
    return Fits(single.weights[judge::judges], single.losses[judge::judges]).average
