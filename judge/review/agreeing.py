"""How far people agree among themselves in review: the audit's own figures, and one more that tells ties apart."""

from collections.abc import Collection, Sequence

import numpy as np

from judge.audit.agreement import Patterns, alpha_interval, human_human
from judge.audit.estimate import Estimate
from judge.audit.table import TIE, Ints, Labels, Material, Verdicts
from judge.review.among import Among, Couple
from judge.review.records import CHOICES, HumanLabel

MIRRORED = [1, 0, 2, 3, 4]  # the five choices after the completions were exchanged


def among(labels: Sequence[HumanLabel], dropped: Collection[str] = (), seed: int = 0) -> Among:
    """Of all items but the known ones, which are easy to agree on, and of everybody but the ``dropped``."""
    kept = [label for label in labels if label.kind != "gold" and label.annotator not in dropped]
    material = people_alone(kept)
    found = human_human(material, seed)
    counts = np.zeros((len(material.items), len(CHOICES)), dtype=np.int64)
    places = {item: place for place, item in enumerate(material.items)}
    for label in kept:
        counts[places[label.item], CHOICES.index(label.choice)] += 1
    return Among(
        len(material.items),
        int((counts.sum(axis=1) >= 2).sum()),
        found.pairwise,
        found.left_out,
        found.alpha,
        alpha_of_five(counts, seed) if counts[:, 3:].any() else None,
        found.kappa,
        tuple(Couple(pair.one, pair.other, pair.accuracy, pair.kappa) for pair in found.pairs),
    )


def alpha_of_five(counts: Ints, seed: int) -> Estimate | None:
    """Krippendorff's alpha of (items, 5) answers; the same for exchanged completions, as in `agreement.patterns`."""
    several = counts[counts.sum(axis=1) >= 2]
    found = [Patterns(*np.unique(answers, axis=0, return_counts=True)) for answers in (several, several[:, MIRRORED])]
    return alpha_interval(min(found, key=lambda one: (one.kinds.tolist(), one.counts.tolist())), seed)


def people_alone(labels: Sequence[HumanLabel]) -> Material:
    """The labels as the audit takes them, without a verdict beside them."""
    items = tuple(sorted({label.item for label in labels}))
    names = tuple(sorted({label.annotator for label in labels}))
    place, who = ({name: index for index, name in enumerate(of)} for of in (items, names))
    rows = sorted((place[label.item], who[label.annotator], number(label)) for label in labels)
    item, annotator, choice = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    no, nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64)
    verdicts = Verdicts((), no, no, no, no, nothing, np.zeros(0, dtype=np.bool_), {})
    return Material(items, verdicts, Labels(names, item, annotator, choice), ("all",), np.zeros(len(items), int), None)


def number(label: HumanLabel) -> int:
    return {"1": 1, "2": 2}.get(label.choice, TIE)
