"""The whole audit of recorded verdicts beside human labels: every figure, each once, in one record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from constitution.errors import InputError
from judge.audit.alternative import Alternative, NotTested, alternative_test
from judge.audit.anchor import Anchor, anchored_on, fit_anchor
from judge.audit.anchored import Anchored, evaluate_anchor
from judge.audit.blend import ground, signed
from judge.audit.budget import WidthAt, widths
from judge.audit.parts import Part, part
from judge.audit.plain import plain
from judge.audit.ppi import MeanEstimate, PpiEstimate, estimate_mean, predictions_of_agreement
from judge.audit.reliability import deviation, outcomes
from judge.audit.selective import Promise, Selection, select
from judge.audit.table import NONE, Averaged, Ints, Labels, Material, average, choices, human_choice
from judge.audit.warnings import warnings_of

FEWEST_IN_STRATUM = 2  # items below which a stratum has no figures of its own
MOST_STRATA = 100  # that have figures of their own: the largest ones
MOST_ANCHORED = 200  # labels to anchor on where nobody said how many
MOSTLY = 0.5  # share of items with a label above which what all labels say is known, and few can be tried out
LABEL_COUNTS = (25, 50, 100, 200, 500, 1000, 2000, 5000)
FEWEST_ANNOTATORS = 3  # for the alternative annotator test
MOST_ANNOTATORS = 200  # above it they are a crowd, of whom nobody labelled enough
FEWEST_TO_SELECT = 20  # labels below which nothing can be promised


@dataclass(frozen=True, slots=True)
class Settings:
    """``anchor``: how many labels are pretended to be all there are; None tries no such thing."""

    anchor: int | None = None
    splits: int = 100  # random draws of so many labels
    seed: int = 0
    alpha: float = 0.2  # disagreement that selective labelling may promise


@dataclass(frozen=True, slots=True)
class Powered:
    """Prediction-powered estimates: of how often people prefer completion 1, and of each judge's accuracy."""

    win_rate: PpiEstimate
    simulated: int  # draws of the labels that the figures are means over; 0 where the labels are used as they are
    covered: float | None  # share of those draws whose interval holds what all labels say
    accuracy: Mapping[str, PpiEstimate]


@dataclass(frozen=True, slots=True)
class Audit:
    material: Material
    whole: Part
    strata: Mapping[str, Part]
    anchored: Anchored | None  # measured on labels held out; None where there are too few
    anchor: Anchor | None  # fitted to all labels; None without any
    selection: Selection | None
    powered: Powered | None
    budget: tuple[WidthAt, ...]
    alternative: Mapping[str, Alternative | NotTested]
    settings: Settings


def audit(material: Material, settings: Settings) -> Audit:
    """Looks at everything once; the same material and settings give the same figures to the last bit.

    Raises:
        InputError: more labels are to be anchored on than there are.
    """
    material = judged(material)
    averaged, human, seed = average(material), human_choice(material), settings.seed
    everything = np.ones(len(material.items), dtype=np.bool_)
    anchored = anchored_of(averaged, human, settings)
    powered = powered_of(averaged, human, material.verdicts.judges, settings)
    return Audit(
        material,
        part(material, averaged, everything, seed),
        strata_of(material, averaged, seed),
        anchored,
        anchor_of(averaged, material.verdicts.judges, human),
        selection_of(averaged, material.verdicts.judges, human, settings),
        powered,
        widths(powered.win_rate, LABEL_COUNTS) if powered else (),
        alternatives(material, averaged),
        settings,
    )


def judged(material: Material) -> Material:
    """Only the items that a judge was asked about: whoever was not asked has not failed."""
    verdicts, labels = material.verdicts, material.labels
    kept = np.zeros(len(material.items), dtype=np.bool_)
    kept[verdicts.item] = True
    if kept.all():
        return material
    place, rows = np.cumsum(kept) - 1, kept[labels.item]
    note = f"{int((~kept).sum())} labelled items have no verdict at all and are left out"
    return Material(
        tuple(name for name, keep in zip(material.items, kept, strict=True) if keep),
        replace(verdicts, item=place[verdicts.item], notes=(*verdicts.notes, note)),
        Labels(labels.annotators, place[labels.item[rows]], labels.annotator[rows], labels.choice[rows]),
        material.strata,
        material.stratum[kept],
        None if material.lengths is None else material.lengths[kept],
    )


def anchor_of(averaged: Averaged, judges: tuple[str, ...], human: Ints) -> Anchor | None:
    labelled = np.flatnonzero(human != NONE)
    return fit_anchor(averaged, judges, human, labelled) if labelled.size else None


def anchored_of(averaged: Averaged, human: Ints, settings: Settings) -> Anchored | None:
    """What anchoring on ``settings.anchor`` labels is worth; if not said, on half of them."""
    labelled = int((human != NONE).sum())
    if settings.anchor is not None and settings.anchor >= labelled:
        fact = f"{labelled} judged items have a label, and some must be left to measure on"
        remedy = f"anchor on {labelled - 1} at most" if labelled > 1 else "label more items"
        raise InputError(f"anchoring on {settings.anchor} labels", fact, remedy)
    n = settings.anchor or min(labelled // 2, MOST_ANCHORED)
    if not 1 <= n < labelled:
        return None
    return evaluate_anchor(averaged, human, n, splits=settings.splits, seed=settings.seed)


def strata_of(material: Material, averaged: Averaged, seed: int) -> dict[str, Part]:
    if len(material.strata) < 2:
        return {}
    size = np.bincount(material.stratum, minlength=len(material.strata))
    largest = np.sort(np.argsort(-size, kind="stable")[:MOST_STRATA])
    return {
        material.strata[number]: part(material, averaged, material.stratum == number, seed)
        for number in largest.tolist()
        if size[number] >= FEWEST_IN_STRATUM
    }


def selection_of(averaged: Averaged, judges: tuple[str, ...], human: Ints, settings: Settings) -> Selection | None:
    """The threshold on anchored chances: one half of the labels fits them, the other half, unseen, sets it."""
    labelled = np.flatnonzero(human != NONE)
    if len(labelled) < FEWEST_TO_SELECT:
        return None
    drawn = np.random.default_rng(settings.seed).permutation(labelled)
    fitted, held = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    p_one = anchored_on(ground(signed(averaged)), judges, human, fitted).p_one(averaged)
    confidence = 0.5 + np.abs(deviation(p_one))
    right = choices(p_one, np.asarray(averaged.known.any(axis=1))) == human
    rest = np.flatnonzero(human == NONE)
    promise: Promise = "rest" if rest.size else "population"
    return select(confidence[held], right[held], confidence[rest], alpha=settings.alpha, promise=promise)


def powered_of(averaged: Averaged, human: Ints, judges: tuple[str, ...], settings: Settings) -> Powered | None:
    """With labels as they are; where most items have one, those items as if ``settings.anchor`` labels were known."""
    labelled = np.flatnonzero(human != NONE)
    if settings.anchor and len(labelled) > MOSTLY * len(human):
        return simulated(among(averaged, labelled), human[labelled], judges, settings)
    found = estimate_mean(outcomes(human[labelled]), labelled, averaged.p_one, averaged.known, seed=settings.seed)
    if found is None:
        return None
    return Powered(found, 0, None, accuracies(averaged, human, judges, labelled, settings.seed))


def among(averaged: Averaged, items: Ints) -> Averaged:
    return Averaged(averaged.p_one[items], averaged.known[items], averaged.agree[items])


def simulated(averaged: Averaged, human: Ints, judges: tuple[str, ...], settings: Settings) -> Powered | None:
    """Means over random draws of the labels, the others hidden; what all of them say is known, so coverage is too."""
    labels = outcomes(human)
    found: list[PpiEstimate] = []
    drawn = list(draws(len(human), settings.anchor or 0, settings.splits, settings.seed))
    for chosen in drawn:
        one = estimate_mean(labels[chosen], chosen, averaged.p_one, averaged.known, seed=settings.seed)
        if one is not None:
            found.append(one)
    if not found:
        return None
    truth = float(labels.mean())
    covered = float(np.mean([one.interval[0] <= truth <= one.interval[1] for one in found]))
    accuracy = accuracies(averaged, human, judges, drawn[0], settings.seed)
    return Powered(mean_of(found), len(found), covered, accuracy)


def accuracies(
    averaged: Averaged, human: Ints, judges: tuple[str, ...], labelled: Ints, seed: int
) -> dict[str, PpiEstimate]:
    """Each judge's agreement with people over all items that it gave a verdict on."""
    found = {}
    said = choices(averaged.p_one, averaged.known)
    for judge, name in enumerate(judges):
        mine = labelled[averaged.known[labelled, judge]]
        pool = np.flatnonzero(averaged.known[:, judge])
        place = np.searchsorted(pool, mine)
        right = (said[mine, judge] == human[mine]).astype(np.float64)
        agreeing = predictions_of_agreement(said[pool, judge], averaged.p_one[pool])
        one = estimate_mean(right, place, agreeing, averaged.known[pool], seed=seed)
        if one is not None:
            found[name] = one
    return found


def mean_of(found: Sequence[PpiEstimate]) -> PpiEstimate:
    """Every figure's mean; of an interval, its bounds'."""

    def average_of(figures: Sequence[Any]) -> Any:
        first = figures[0]
        if isinstance(first, tuple):
            return tuple(average_of(column) for column in zip(*figures, strict=True))
        if isinstance(first, MeanEstimate):
            return MeanEstimate(*(average_of([getattr(f, field.name) for f in figures]) for field in fields(first)))
        return first if isinstance(first, int) else float(np.mean(figures))

    return PpiEstimate(*(average_of([getattr(one, field.name) for one in found]) for field in fields(PpiEstimate)))


def draws(items: int, count: int, splits: int, seed: int) -> Iterator[Ints]:
    """``splits`` random sets of ``count`` places out of ``items``, each in rising order."""
    rng = np.random.default_rng(seed)
    for _ in range(splits):
        yield np.sort(rng.permutation(items)[:count])


def alternatives(material: Material, averaged: Averaged) -> dict[str, Alternative | NotTested]:
    """Whether each judge may stand in for a person; of nobody where fewer than three people labelled."""
    labels = material.labels
    if len(labels.annotators) < FEWEST_ANNOTATORS or len(labels.annotators) > MOST_ANNOTATORS:
        return {}
    answers = np.full((len(material.items), len(labels.annotators)), NONE, dtype=np.int64)
    answers[labels.item, labels.annotator] = labels.choice
    said = choices(averaged.p_one, averaged.known)
    return {name: alternative_test(answers, said[:, j]) for j, name in enumerate(material.verdicts.judges)}


def told(audit: Audit) -> dict[str, Any]:
    """The audit as one JSON object; figures of all judges together stand at the top."""
    material, whole = audit.material, audit.whole
    figures: dict[str, Any] = plain(whole)
    return {
        "items": whole.items,
        "labelled": whole.labelled,
        "judges": list(material.verdicts.judges),
        "annotators": whole.people.annotators,
        "notes": notes_of(material),
        "warnings": warnings_of(audit.whole),
        "best_judge": best_judge(whole),
        "no_verdicts": dict(material.verdicts.no_verdicts),
        **{key.replace("answered", "coverage"): value for key, value in figures["together"].items()},
        "anchored": anchored_told(audit),
        "selective": plain(audit.selection),
        "ppi": powered_told(audit.powered),
        "budget": plain(audit.budget),
        "people": figures["people"],
        **{key: value for key, value in figures.items() if "longer" in key},
        "alternative": alternatives_told(audit),
        "by_judge": figures["judges"],
        "strata": plain(audit.strata),
    }


def anchored_told(audit: Audit) -> dict[str, Any] | None:
    """What was measured on labels held out, and the weights that all labels give."""
    anchor = audit.anchor
    if audit.anchored is None or anchor is None:
        return None
    weights = dict(zip(anchor.judges, anchor.weights, strict=True))
    fitted = {"kind": anchor.kind, "single": anchor.single, "weights": weights}
    return {**plain(audit.anchored), "splits": audit.settings.splits, "fitted_to_all": fitted}


def alternatives_told(audit: Audit) -> dict[str, Any]:
    """Each judge's outcome, people by name."""
    found: dict[str, Any] = plain(audit.alternative)
    for one in found.values():
        for row in one.get("rows", ()):
            row["annotator"] = audit.material.labels.annotators[row["annotator"]]
    return found


def notes_of(material: Material) -> list[str]:
    notes, strata = list(material.verdicts.notes), len(material.strata)
    if strata > MOST_STRATA:
        notes.append(f"of {strata} strata only the {MOST_STRATA} largest have figures of their own")
    return notes


def powered_told(powered: Powered | None) -> dict[str, Any] | None:
    """The win rate's figures at the top, as the others hang on it."""
    if powered is None:
        return None
    whole: dict[str, Any] = plain(powered)
    return {**whole.pop("win_rate"), **whole}


def best_judge(whole: Part) -> str | None:
    """The judge whose single verdicts agree with people most; of equals the first by name."""
    found = {name: judge.accuracy.value for name, judge in whole.judges.items() if judge.accuracy}
    return min(found, key=lambda name: (-found[name], name)) if found else None
