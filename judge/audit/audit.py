"""The whole audit of recorded verdicts beside human labels: every figure, each once, in one record."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from constitution.errors import InputError
from judge.audit.alternative import Alternative, NotTested, alternative_test
from judge.audit.anchor import Anchor, anchored_on, fit_anchor
from judge.audit.anchored import Anchored, evaluate_anchor
from judge.audit.blend import ground, signed
from judge.audit.parts import Part, part
from judge.audit.plain import plain
from judge.audit.powered import Powered, powered
from judge.audit.reliability import deviation
from judge.audit.selective import Promise, Selection, select
from judge.audit.table import (
    NONE,
    Averaged,
    Bools,
    Ints,
    Labels,
    Material,
    average,
    choices,
    human_choice,
    unevenly_drawn,
)

FEWEST_IN_STRATUM = 2  # items below which a stratum has no figures of its own
MOST_STRATA = 100  # that have figures of their own: the largest ones
MOST_ANCHORED = 200  # labels to anchor on where nobody said how many
FEWEST_ANNOTATORS = 3  # for the alternative annotator test
MOST_ANNOTATORS = 200  # above it they are a crowd, of whom nobody labelled enough
FEWEST_TO_SELECT = 20  # labels below which nothing can be promised
UNEVEN = (
    "the labels were drawn unevenly: only ppi is corrected for it; every other figure is of the items that happen to "
    "be labelled, and no threshold is promised"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """``anchor``: how many labels are pretended to be all there are; None tries no such thing."""

    anchor: int | None = None
    splits: int = 100  # random draws of so many labels
    seed: int = 0
    alpha: float = 0.2  # disagreement that selective labelling may promise


@dataclass(frozen=True, slots=True)
class Audit:
    material: Material
    whole: Part
    strata: Mapping[str, Part]
    anchored: Anchored | None  # measured on labels held out; None where there are too few
    anchor: Anchor | None  # fitted to all labels; None without any
    selection: Selection | None
    powered: Powered | None
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
    return Audit(
        material,
        part(material, averaged, everything, seed),
        strata_of(material, averaged, seed),
        anchored,
        anchor_of(averaged, material.verdicts.judges, human),
        None if unevenly_drawn(material) else selection_of(averaged, material.verdicts.judges, human, settings),
        powered(material, averaged, settings.anchor, settings.splits, seed),
        alternatives(material, averaged),
        settings,
    )


def judged(material: Material) -> Material:
    """Only the items that a judge was asked about: whoever was not asked has not failed."""
    kept = np.zeros(len(material.items), dtype=np.bool_)
    kept[material.verdicts.item] = True
    if kept.all():
        return material
    return among(material, kept, f"{int((~kept).sum())} labelled items have no verdict at all and are left out")


def among(material: Material, kept: Bools, note: str) -> Material:
    """Only the items of the mask ``kept``, (items,), with what there is to know about that."""
    verdicts, labels = material.verdicts, material.labels
    place, said, rows = np.cumsum(kept) - 1, kept[verdicts.item], kept[labels.item]
    heard = replace(
        verdicts, item=place[verdicts.item[said]], judge=verdicts.judge[said], order=verdicts.order[said],
        choice=verdicts.choice[said], p_one=verdicts.p_one[said], graded=verdicts.graded[said],
        notes=(*verdicts.notes, note),
    )  # fmt: skip
    return Material(
        tuple(name for name, keep in zip(material.items, kept, strict=True) if keep),
        heard,
        Labels(
            labels.annotators,
            place[labels.item[rows]],
            labels.annotator[rows],
            labels.choice[rows],
            None if labels.probability is None else labels.probability[kept],
            None if labels.decided is None else labels.decided[kept],
            None if labels.even is None else labels.even[kept],
        ),
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
    uneven = unevenly_drawn(material)
    return {
        "items": whole.items,
        "labelled": whole.labelled,
        "judges": list(material.verdicts.judges),
        "annotators": whole.people.annotators,
        "notes": notes_of(material),
        "drawn_unevenly": uneven,
        "best_judge": best_corrected(audit.powered) if uneven and audit.powered else best_judge(whole),
        "no_verdicts": dict(material.verdicts.no_verdicts),
        **{key.replace("answered", "coverage"): value for key, value in figures["together"].items()},
        "anchored": anchored_told(audit),
        "selective": plain(audit.selection),
        "ppi": audit.powered.told() if audit.powered else None,
        "budget": plain(audit.powered.budget) if audit.powered else [],
        "needed": audit.powered.needed() if audit.powered else None,
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
    if unevenly_drawn(material):
        notes.append(UNEVEN)
    return notes


def best_judge(whole: Part) -> str | None:
    """The judge whose single verdicts agree with people most; of equals the first by name."""
    found = {name: judge.accuracy.value for name, judge in whole.judges.items() if judge.accuracy}
    return min(found, key=lambda name: (-found[name], name)) if found else None


def best_corrected(found: Powered) -> str | None:
    """The judge whose order-averaged verdicts agree with people most, corrected for an uneven draw."""
    return min(found.accuracy, key=lambda name: (-found.accuracy[name].estimate, name), default=None)
