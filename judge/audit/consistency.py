"""Does a judge say the same again: when asked twice, and when the two completions change slots?"""

from dataclasses import dataclass

import numpy as np

from judge.audit.agreement import CHOICES, bounded_mean, pairwise_shares
from judge.audit.estimate import Estimate
from judge.audit.position import FEWEST, TOO_BOUND, TOO_FICKLE
from judge.audit.table import NONE, Bools, Floats, Ints, Material


@dataclass(frozen=True, slots=True)
class Repetition:
    """``stability`` is the chance that two verdicts on one item in one order are the same choice.

    Failures are passed over. None where nothing was asked twice with a verdict each time.
    """

    judge: str
    stability: Estimate | None  # counted from items


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """How a judge's verdicts hang on the order shown, on the items with a verdict in both orders.

    Repetitions within an order are averaged first. A tie in both orders is consistent; a tie in one
    order and a preference in the other is not, and prefers no slot both times. Of several judges together
    ``first_both`` and ``second_both`` count each judge's word on an item; all else counts items.
    """

    judge: str
    items: int
    consistency: Estimate | None  # share of the items with the same choice in both orders
    first_both: int  # inconsistent items with the first slot preferred in both orders
    second_both: int  # and with the second
    fairness: Estimate | None  # (first_both - second_both) / inconsistent items, in [-1, 1]; 0 is fair to both slots
    first_slot: Estimate | None  # of the verdicts that prefer a slot, the share for the first; counted from items

    @property
    def warning(self) -> str | None:
        """Why this judge cannot judge, and what to do; None where nothing speaks against it."""
        if self.consistency is None or self.first_slot is None or self.items < FEWEST:
            return None
        share = self.first_slot.value
        slot, share = (1, share) if share > 0.5 else (2, 1 - share)
        if share > TOO_BOUND:
            fault = f"picks slot {slot} in {share:.0%} of its verdicts, whatever stands in it"
        elif self.consistency.value < TOO_FICKLE:
            fault = "contradicts itself about as often as a coin would"
        else:
            return None
        return (
            f"The judge {self.judge!r} cannot judge: it {fault}; the two orders agree in "
            f"{self.consistency.value:.0%} of {self.items} items. Its verdicts average out to near ties: do not "
            "label with it; use a stronger judge, or a check for what code can decide."
        )


def repetition(material: Material, among: Bools | None = None) -> tuple[Repetition, ...]:
    """Each judge's repetition stability, on the items of the mask ``among``, (items,), or on all.

    The agreeing share of the pairs of repeats, averaged over an item's orders, then over items: how
    often something was asked again weighs nothing.
    """
    verdicts = material.verdicts
    said = verdicts.choice != NONE
    shape = (len(material.items), len(verdicts.judges), 2)
    counts = np.zeros((*shape, CHOICES), dtype=np.int64)
    np.add.at(counts, tuple(a[said] for a in (verdicts.item, verdicts.judge, verdicts.order - 1, verdicts.choice)), 1)
    repeated = counts.sum(axis=3) >= 2
    if among is not None:
        repeated &= among[:, None, None]
    shares = np.zeros(shape)
    shares[repeated] = pairwise_shares(counts[repeated])
    orders = repeated.sum(axis=2)
    per_item = np.divide(shares.sum(axis=2), orders, out=np.zeros(shape[:2]), where=orders > 0)
    return tuple(
        Repetition(name, bounded_mean(per_item[orders[:, judge] > 0, judge]))
        for judge, name in enumerate(verdicts.judges)
    )


def position(material: Material, among: Bools | None = None) -> tuple[PositionFigures, ...]:
    """Each judge's position figures, on the items of the mask ``among``, (items,), or on all."""
    slots, both = preferred_slots(material)
    if among is not None:
        both = both & among[:, None]
    return tuple(figures(name, slots[both[:, j], j]) for j, name in enumerate(material.verdicts.judges))


def preferred_slots(material: Material) -> tuple[Ints, Bools]:
    """The slot preferred in each order, (items, judges, 2), and where both orders gave a verdict.

    1 for the first slot, -1 for the second, 0 for a tie.
    """
    verdicts = material.verdicts
    shape = (len(material.items), len(verdicts.judges), 2)
    said = verdicts.choice != NONE
    cell = np.ravel_multi_index((verdicts.item, verdicts.judge, verdicts.order - 1), shape)[said]
    spoken = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)
    total = np.bincount(cell, weights=verdicts.p_one[said] - 0.5, minlength=spoken.size).reshape(shape)
    sides = np.sign(np.round(total, 12)).astype(np.int64)  # a rest of rounding prefers nothing
    return sides * np.array([1, -1]), (spoken[..., 0] > 0) & (spoken[..., 1] > 0)


def figures(judge: str, slots: Ints, items: Ints | None = None) -> PositionFigures:
    """Of ``slots``, (rows, 2), with a verdict in each order.

    Args:
        items: (rows,) the item of each, whose rows weigh alike; each row is one of its own if not given.
    """
    item = np.arange(len(slots)) if items is None else items
    lean = slots.sum(axis=1)  # the same completion both times stands in different slots: 0
    differ, side = lean != 0, (lean == 2).astype(np.float64) - (lean == -2)
    return PositionFigures(
        judge,
        len(np.unique(item)),
        bounded_mean(item_means((lean == 0).astype(np.float64), item)),
        int((side == 1).sum()),
        int((side == -1).sum()),
        signed(item_means(side[differ], item[differ])),
        first_share(slots, item),
    )


def item_means(values: Floats, items: Ints) -> Floats:
    """The mean of each item's ``values``, (rows,), in the order of the items' numbers."""
    _, which, rows = np.unique(items, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(which, values, len(rows)) / rows)


def signed(values: Floats) -> Estimate | None:
    """A mean of values in [-1, 1], with the interval of ``bounded_mean``."""
    share = bounded_mean((values + 1) / 2)
    return share and Estimate(2 * share.value - 1, 2 * share.low - 1, 2 * share.high - 1, share.n)


def first_share(slots: Ints, items: Ints) -> Estimate | None:
    """Of the verdicts that prefer a slot, the share for the first.

    The verdicts on an item may be one and the same whim, so its interval counts items, not verdicts.
    """
    preferring = slots != 0
    n = len(np.unique(items[preferring.any(axis=1)]))
    shares: Floats = np.full(n, (slots == 1).sum() / max(int(preferring.sum()), 1))
    return bounded_mean(shares)
