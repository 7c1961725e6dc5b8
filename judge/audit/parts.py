"""The figures of all judges on one part of the items: on all of them, or on one stratum."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from judge.audit.agreement import HumanAgreement, JudgeAgreement, bounded_mean, human_human, judge_human
from judge.audit.calibration import CalibrationReport, calibration_report
from judge.audit.consistency import PositionFigures, figures, position, preferred_slots, repetition
from judge.audit.coverage import Kept, coverage
from judge.audit.estimate import Estimate
from judge.audit.length import JudgeLength, length_figures
from judge.audit.reliability import outcomes
from judge.audit.table import NONE, Averaged, Bools, Floats, Ints, Material, human_choice


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """One judge beside the people. Each is None where nothing is there to count it from."""

    accuracy: Estimate | None  # of its single verdicts, orders weighing alike: share that people choose too
    label: JudgeAgreement  # of its verdicts with orders averaged; a tie of orders is right only where people tie
    answered: Estimate | None  # share of the items with a verdict in each order asked
    position: PositionFigures
    stability: Estimate | None  # chance to say the same when asked again in the same order
    length: JudgeLength | None
    calibration: CalibrationReport | None
    kept: tuple[Kept, ...]  # coverage against agreement


@dataclass(frozen=True, slots=True)
class Together:
    """All judges' verdicts in one heap, an item's judges weighing alike.

    What they say of one item hangs together: every interval counts items, and a map is never tried on an item that
    it was fitted to.
    """

    accuracy: Estimate | None
    answered: Estimate | None
    position: PositionFigures
    calibration: CalibrationReport | None


@dataclass(frozen=True, slots=True)
class Part:
    items: int
    labelled: int
    together: Together
    judges: Mapping[str, JudgeFigures]
    people: HumanAgreement  # the ceiling of every figure above
    longer: Estimate | None  # agreement with people of always preferring the longer completion
    people_longer: Estimate | None  # of the people's choices, the share for the longer one


def part(material: Material, averaged: Averaged, among: Bools, seed: int) -> Part:
    """Every figure on the items of the mask ``among``, (items,)."""
    human = human_choice(material)
    right, spoken = single_verdicts(material, human, among)
    lengths = length_figures(material, averaged, among)
    agreements = judge_human(material, averaged, seed, among)
    positions, repeated = position(material, among), repetition(material, among)
    covered = coverage(material, averaged, among)
    judges = {
        name: JudgeFigures(
            bounded_mean(right[spoken[:, j], j]),
            agreements[j],
            covered[j].answered,
            positions[j],
            repeated[j].stability,
            lengths.judges[j] if lengths else None,
            calibrated(averaged.p_one[:, [j]], averaged.known[:, [j]] & among[:, None], human, seed),
            covered[j].kept,
        )
        for j, name in enumerate(material.verdicts.judges)
    }
    return Part(
        int(among.sum()),
        int((among & (human != NONE)).sum()),
        together(material, averaged, among, seed),
        judges,
        human_human(material, seed, among),
        lengths.baseline if lengths else None,
        lengths.people_longer if lengths else None,
    )


def together(material: Material, averaged: Averaged, among: Bools, seed: int) -> Together:
    human = human_choice(material)
    right, spoken = single_verdicts(material, human, among)
    slots, both = preferred_slots(material)
    asked = np.zeros(averaged.known.shape, dtype=np.bool_)
    asked[material.verdicts.item, material.verdicts.judge] = True
    asked &= among[:, None]
    told, there = spoken.any(axis=1), asked.any(axis=1)
    paired = both & among[:, None]
    return Together(
        bounded_mean(right[told].sum(axis=1) / spoken[told].sum(axis=1)),
        bounded_mean((averaged.known & asked)[there].sum(axis=1) / asked[there].sum(axis=1)),
        figures("all", slots[paired], np.nonzero(paired)[0]),
        calibrated(averaged.p_one, averaged.known & among[:, None], human, seed),
    )


def single_verdicts(material: Material, human: Ints, among: Bools) -> tuple[Floats, Bools]:
    """The share of a judge's verdicts on an item that people choose too, orders weighing alike, and where there is one.

    Both are (items, judges); items without a human choice have none.
    """
    verdicts = material.verdicts
    shape = (len(material.items), len(verdicts.judges), 2)
    size = int(np.prod(shape))
    told = (verdicts.choice != NONE) & (human[verdicts.item] != NONE) & among[verdicts.item]
    cell = np.ravel_multi_index((verdicts.item, verdicts.judge, verdicts.order - 1), shape)[told]
    agreeing = (verdicts.choice == human[verdicts.item])[told]
    said = np.bincount(cell, minlength=size).reshape(shape)
    same = np.bincount(cell, weights=agreeing, minlength=size).reshape(shape)
    share = np.divide(same, said, out=np.zeros(shape), where=said > 0)
    orders = (said > 0).sum(axis=2)
    return np.divide(share.sum(axis=2), orders, out=np.zeros(shape[:2]), where=orders > 0), orders > 0


def calibrated(p_one: Floats, known: Bools, human: Ints, seed: int) -> CalibrationReport | None:
    """Of (items, judges) chances, where known and where people chose."""
    rows, columns = np.nonzero(known & (human != NONE)[:, None])
    return calibration_report(p_one[rows, columns], outcomes(human[rows]), seed, rows)
