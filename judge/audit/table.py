"""Recorded verdicts and human labels as arrays: what every figure of the audit is counted from.

Wherever a choice is a number, 1 and 2 are the item's own completions, not the slots they were shown in.
Items, judges, annotators and strata are indices into sorted names, and rows stand in the order of
(item, judge, order), so that no figure hangs on the order of a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

TIE, NONE = 0, -1  # beside 1 and 2, in every array of choices


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Single verdicts, one a row; a row without a verdict is kept, since it was asked for."""

    judges: tuple[str, ...]
    item: Ints  # (rows,)
    judge: Ints  # (rows,)
    order: Ints  # (rows,) the completion that was shown first: 1 or 2
    choice: Ints  # (rows,) 1, 2, TIE or NONE
    p_one: Floats  # (rows,) chance that completion 1 is preferred: as the judge gave it, else 1, 0 or one half
    graded: Bools  # (rows,) whether the judge gave a chance, so that p_one says more than choice
    no_verdicts: Mapping[str, int]  # reason to count
    notes: tuple[str, ...] = ()  # what had to be decided in reading them, for a person to know


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What people said, one answer a row."""

    annotators: tuple[str, ...]
    item: Ints  # (rows,)
    annotator: Ints  # (rows,)
    choice: Ints  # (rows,) 1, 2, TIE or NONE
    probability: Floats | None = None  # (items,) chance that each had to be labelled, 0 where untold; None: all alike
    decided: Ints | None = None  # (items,) an adjudicator's choice, which stands for the answers; NONE without one
    even: Bools | None = None  # (items,) whether it was drawn with the same chance as all; None: nothing tells


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """All that an audit looks at. ``items`` has every item that has a verdict or a label."""

    items: tuple[str, ...]
    verdicts: Verdicts
    labels: Labels
    strata: tuple[str, ...]  # one name, "all", where the items are not divided
    stratum: Ints  # (items,)
    lengths: NDArray[np.int64] | None  # (items, 2) characters of the two completions; negative where not given


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """Each judge's word on each item, orders averaged."""

    p_one: Floats  # (items, judges) in [0, 1]; one half where not known
    known: Bools  # (items, judges) whether every order that was asked gave a verdict
    agree: Ints  # (items, judges) 1 where both orders prefer the same, 0 where not, -1 where not both gave a verdict


def average(material: Material) -> Averaged:
    """Repetitions averaged within an order, then the orders; a missing verdict leaves the item unknown.

    A judge whose verdict failed in one of two orders has shown nothing of the other's position, so the
    item is unknown for it. A judge that was asked in one order only is taken at its word.
    """
    verdicts = material.verdicts
    shape = (len(material.items), len(verdicts.judges), 2)
    cell = np.ravel_multi_index((verdicts.item, verdicts.judge, verdicts.order - 1), shape)
    size = int(np.prod(shape))
    said = verdicts.choice != NONE
    asked = np.bincount(cell, minlength=size).reshape(shape)
    spoken = np.bincount(cell[said], minlength=size).reshape(shape)
    # Measured from one half, in steps of 2^-53, so that exchanged completions give exactly mirrored means.
    away = np.rint(verdicts.p_one[said] * 2.0**53) / 2.0**53 - 0.5
    total = np.bincount(cell[said], weights=away, minlength=size).reshape(shape)
    has = spoken > 0
    mean = np.divide(total, spoken, out=np.zeros(shape), where=has)
    orders = has.sum(axis=2)
    known = (orders > 0) & (has | (asked == 0)).all(axis=2)
    averaged = np.divide(mean.sum(axis=2), orders, out=np.zeros(shape[:2]), where=known)
    both = has.all(axis=2)
    sides = np.sign(np.round(mean, 12))  # a rest of rounding prefers nothing
    agree = np.where(both, sides[..., 0] == sides[..., 1], -1).astype(np.int64)
    return Averaged(0.5 + averaged, known, agree)


def choices(p_one: Floats, known: Bools) -> Ints:
    """The choice that a chance amounts to: 1, 2, TIE at exactly one half, NONE where not known."""
    return np.where(known, np.where(p_one > 0.5, 1, np.where(p_one < 0.5, 2, TIE)), NONE).astype(np.int64)


def human_choice(material: Material) -> Ints:
    """What most people chose, (items,): 1, 2 or TIE; TIE too where two are named equally often, NONE where unasked.

    Where an adjudicator decided, the decision.
    """
    labels = material.labels
    counts = np.zeros((len(material.items), 3), dtype=np.int64)
    said = labels.choice != NONE
    np.add.at(counts, (labels.item[said], labels.choice[said]), 1)
    most = counts.max(axis=1)
    single = (counts == most[:, None]).sum(axis=1) == 1
    chosen = np.where(most == 0, NONE, np.where(single, counts.argmax(axis=1), TIE)).astype(np.int64)
    return chosen if labels.decided is None else np.where(labels.decided != NONE, labels.decided, chosen)


def unevenly_drawn(material: Material) -> bool:
    """Whether the labelled items had different chances to be labelled, so that they are no picture of all."""
    if material.labels.probability is None:
        return False
    had = material.labels.probability[human_choice(material) != NONE]
    return bool(had.size and had.min() < had.max())
