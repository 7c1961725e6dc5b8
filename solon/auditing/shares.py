"""What of a review's labels stands for what: those of items drawn evenly for all items, all of them by their chances.

Labels are a review's where their table says of each item how it was drawn.
"""

from dataclasses import replace

import numpy as np

from judge.audit.audit import among
from judge.audit.table import NONE, Bools, Ints, Labels, Material, human_choice


def reachable(material: Material) -> Material:
    """Without the items that had no chance to be labelled, of which a review's labels say nothing."""
    labels = material.labels
    if labels.even is None or labels.probability is None or (labels.probability > 0.0).all():
        return material
    kept = labels.probability > 0.0
    left = f"{int((~kept).sum())} couples that had no chance yet to be labelled are left out of every figure"
    return among(material, kept, left)


def even_share(material: Material) -> Material | None:
    """The same items, labelled only where they were drawn with the same chance as all; None where none of these is."""
    labels = material.labels
    if labels.even is None or not (labelled(material) & labels.even).any():
        return None
    return replace(material, labels=only(labels, labels.even))


def only(labels: Labels, items: Bools) -> Labels:
    """The labels of the items of the mask, (items,), which are taken to be drawn evenly."""
    rows = items[labels.item]
    decided = None if labels.decided is None else np.where(items, labels.decided, NONE)
    return Labels(labels.annotators, labels.item[rows], labels.annotator[rows], labels.choice[rows], None, decided)


def by_chance(material: Material) -> Ints:
    """The labelled items of the even share whose label was by chance: the picture of those that nobody labelled.

    Items that were to be labelled anyhow, which chance drew as well, have no like among those.
    """
    share = even_share(material)
    if share is None:
        return np.zeros(0, dtype=np.int64)
    found, chance = labelled(share), material.labels.probability
    uncertain = found if chance is None else found & (chance < 1.0)
    return np.flatnonzero(uncertain if uncertain.any() else found)


def labelled(material: Material) -> Bools:
    return np.asarray(human_choice(material) != NONE)


def shares_told(material: Material, share: Material | None) -> list[str]:
    """What a person should know of which labels are behind which figure."""
    if share is None:
        return []
    even, all_of_them = int(labelled(share).sum()), int(labelled(material).sum())
    return [
        f"figures beside people are counted on the {even} couples drawn evenly; only how often people agree with a "
        f"judge on all couples (ppi) takes all {all_of_them} labelled ones, each by its chance to be drawn"
    ]
