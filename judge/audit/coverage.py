"""How much a judge says, and how far it agrees with people where only its surer half, or tenth, is kept."""

from dataclasses import dataclass

import numpy as np

from judge.audit.estimate import Estimate, proportion
from judge.audit.table import NONE, Averaged, Bools, Floats, Ints, Material, choices, human_choice

WANTED = tuple(tenth / 10 for tenth in range(10, 0, -1))
DECIMALS = 9  # confidences that differ less are one confidence


@dataclass(frozen=True, slots=True)
class Kept:
    """The items of which a judge is sure enough."""

    coverage: float  # their share of the labelled items, items without a verdict counted in
    threshold: float  # the least confidence kept: the chance of the completion that is preferred, in [0.5, 1]
    agreement: Estimate  # share of them with the human choice


@dataclass(frozen=True, slots=True)
class JudgeCoverage:
    judge: str
    answered: Estimate | None  # of the items it was asked about, the share with a verdict in each order asked
    kept: tuple[Kept, ...]


def coverage(material: Material, averaged: Averaged, among: Bools | None = None) -> tuple[JudgeCoverage, ...]:
    """Each judge on the items it was asked about, of the mask ``among``, (items,), or of all."""
    verdicts, people = material.verdicts, human_choice(material)
    asked = np.zeros(averaged.known.shape, dtype=np.bool_)
    asked[verdicts.item, verdicts.judge] = True
    if among is not None:
        asked &= among[:, None]
    found = []
    for judge, name in enumerate(verdicts.judges):
        rows = asked[:, judge]
        known, p_one = averaged.known[rows, judge], averaged.p_one[rows, judge]
        answered = proportion(int(known.sum()), int(rows.sum()))
        found.append(JudgeCoverage(name, answered, coverage_curve(p_one, known, people[rows])))
    return tuple(found)


def coverage_curve(p_one: Floats, known: Bools, human: Ints) -> tuple[Kept, ...]:
    """Agreement with people at coverages of 100 %, 90 % and so on down to 10 %, or a little more.

    Items of equal confidence are kept or left together, so each step keeps the fewest surest items that
    reach its coverage, and has more where many are equally sure; steps that keep the same are one. The
    first step keeps every labelled item that has a verdict. Empty where there is none.
    """
    labelled = human != NONE
    rows = labelled & known
    if not rows.any():
        return ()
    surest, ends = groups_by_confidence(p_one[rows])
    sureness = np.abs(p_one[rows] - 0.5)[surest]
    same = np.cumsum((choices(p_one, known) == human)[rows][surest])
    n = int(labelled.sum())
    reached = np.searchsorted(ends, np.ceil(np.array(WANTED) * n - 1e-9))
    found = []
    for kept in ends[np.unique(np.minimum(reached, len(ends) - 1))[::-1]].tolist():
        agreement = proportion(int(same[kept - 1]), kept)
        if agreement is not None:
            found.append(Kept(kept / n, 0.5 + float(sureness[:kept].min()), agreement))
    return tuple(found)


def groups_by_confidence(p_one: Floats) -> tuple[Ints, Ints]:
    """The order from surest to least sure, and after how many items of it each group of equally sure ends."""
    confidence = np.round(np.abs(p_one - 0.5), DECIMALS)
    surest = np.argsort(-confidence, kind="stable")
    last = np.append(np.flatnonzero(np.diff(confidence[surest])), len(surest) - 1)
    return surest, last + 1
