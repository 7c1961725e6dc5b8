"""What people would say of all items, estimated from the labels of some and the verdicts on all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from constitution.errors import InputError
from constitution.identity import unit_interval
from judge.audit.budget import WidthAt, labels_needed, propose, widths
from judge.audit.levels import estimate_drawn
from judge.audit.plain import plain
from judge.audit.ppi import MeanEstimate, PpiEstimate, estimate_mean, predictions_of_agreement
from judge.audit.reliability import outcomes
from judge.audit.table import NONE, Averaged, Bools, Floats, Ints, Material, choices, human_choice, unevenly_drawn

LABEL_COUNTS = (25, 50, 100, 200, 500, 1000, 2000, 5000)
WIDTHS = (0.2, 0.1, 0.05)  # of intervals from end to end: 10, 5 and 2.5 points to either side
MOSTLY = 0.5  # share of items with a label above which what all labels say is known, and few can be tried out
MORE = 100  # labels that the next round is thought to bring

State: TypeAlias = Literal["now", "done", "later"]


@dataclass(frozen=True, slots=True)
class Active:
    """Whether it pays to label the items that the judges leave open more often than others."""

    pays: bool
    variance_ratio: float  # by uneven chances over that by even ones


@dataclass(frozen=True, slots=True)
class Powered:
    """Prediction-powered estimates: of how often people prefer completion 1, and of each judge's accuracy."""

    win_rate: PpiEstimate
    stratified: bool  # whether the win rate was estimated within the strata, which made it narrower
    simulated: int  # draws of the labels that the figures are means over; 0 where the labels are used as they are
    covered: float | None  # share of those draws whose interval holds what all labels say
    accuracy: Mapping[str, PpiEstimate]  # by judge; of the first draw where labels are only pretended to be few
    budget: tuple[WidthAt, ...]  # widths to expect of so many labels
    active: Active | None  # None where nothing is left to label

    def told(self) -> dict[str, Any]:
        """As JSON, the win rate's figures at the top; the budget is told apart."""
        whole: dict[str, Any] = plain(replace(self, budget=()))
        whole.pop("budget")
        return {**whole.pop("win_rate"), **whole}

    def needed(self) -> dict[str, Any]:
        """As JSON, how many of these items must be labelled for intervals of some widths, with judges and without."""
        accuracy = {name: fewest(one) for name, one in self.accuracy.items()}
        return {"win_rate": fewest(self.win_rate), "accuracy": accuracy}


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """All items, with what judges say of them."""

    averaged: Averaged
    judges: tuple[str, ...]
    human: Ints
    strata: Ints | None
    probabilities: Floats | None

    def among(self, items: Ints) -> "Pool":
        """Only those items, labelled alike."""
        averaged = self.averaged
        kept = Averaged(averaged.p_one[items], averaged.known[items], averaged.agree[items])
        strata = None if self.strata is None else self.strata[items]
        return Pool(kept, self.judges, self.human[items], strata, None)

    def win_rate(self, labels: Floats, labelled: Ints, seed: int) -> tuple[PpiEstimate | None, bool]:
        """The estimate, within strata where that makes it narrower, and whether it does.

        Its ratio is to the labels' own mean without strata, which is what anybody would take.
        """
        p_one, known = self.averaged.p_one, self.averaged.known
        whole = estimated(labels, labelled, (p_one, known), self.probabilities, seed)
        if whole is None or self.strata is None or self.probabilities is not None:
            return whole, False
        within = estimate_mean(labels, labelled, p_one, known, strata=self.strata, seed=seed)
        if within is None or width(within) >= width(whole) or whole.width_ratio == 0.0:
            return whole, False
        ratio = whole.width_ratio * width(within) / width(whole)
        n, items = whole.labels, whole.items
        effective = 1 / (1 / items + (1 / n - 1 / items) * ratio**2)
        beside = replace(within, human_only=whole.human_only, width_ratio=ratio, effective_labels=effective)
        return replace(beside, spread=whole.spread, left=ratio**2), True


def estimated(
    labels: Floats, labelled: Ints, verdicts: tuple[Floats, Bools], probabilities: Floats | None, seed: int
) -> PpiEstimate | None:
    """By the way in which the labels were drawn: ``probabilities``, (items,), where not all had the same."""
    if probabilities is None:
        return estimate_mean(labels, labelled, *verdicts, seed=seed)
    return estimate_drawn(labels, labelled, *verdicts, probabilities=probabilities, seed=seed)


def width(estimate: PpiEstimate) -> float:
    return estimate.interval[1] - estimate.interval[0]


def fewest(pilot: PpiEstimate) -> list[dict[str, Any]]:
    return [{"width": width, **plain(found)} for width in WIDTHS if (found := labels_needed(pilot, width))]


def powered(material: Material, averaged: Averaged, pretended: int | None, splits: int, seed: int) -> Powered | None:
    """With labels as they are; where most items have one, as if only ``pretended`` of these were known.

    Nothing is pretended of labels that were drawn unevenly. None with fewer than two labels.
    """
    strata = material.stratum if len(material.strata) > 1 else None
    human, uneven = human_choice(material), unevenly_drawn(material)
    pool = Pool(averaged, material.verdicts.judges, human, strata, material.labels.probability if uneven else None)
    labelled = np.flatnonzero(human != NONE)
    if pretended and pretended < len(labelled) and len(labelled) > MOSTLY * len(human) and not uneven:
        return simulated(pool.among(labelled), pretended, splits, seed)
    labels = outcomes(human[labelled])
    found, stratified = pool.win_rate(labels, labelled, seed)
    if found is None:
        return None
    active, before = None, chances_so_far(material.labels.probability, labelled, len(human))
    if before is not None and len(labelled) < len(human):
        proposal = propose(labels, labelled, averaged.p_one, averaged.known, more=MORE, before=before, seed=seed)
        active = Active(proposal.pays, proposal.variance_ratio)
    budget = widths(found, LABEL_COUNTS)
    return Powered(found, stratified, 0, None, accuracies(pool, labelled, seed), budget, active)


def simulated(pool: Pool, count: int, splits: int, seed: int) -> Powered | None:
    """Means over random draws of the labels, the others hidden; what all of them say is known, so coverage is too."""
    labels = outcomes(pool.human)
    drawn = list(draws(len(pool.human), count, splits, seed))
    tried = [pool.win_rate(labels[chosen], chosen, seed) for chosen in drawn]
    found = [one for one, _ in tried if one is not None]
    if not found:
        return None
    truth = float(labels.mean())
    covered = float(np.mean([one.interval[0] <= truth <= one.interval[1] for one in found]))
    mean = mean_of(found)
    stratified = sum(within for _, within in tried) > len(tried) / 2
    accuracy = accuracies(pool, drawn[0], seed)
    return Powered(mean, stratified, len(found), covered, accuracy, widths(mean, LABEL_COUNTS), None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An item, whether people should label it now, and the chance that it had to be drawn in any round so far."""

    item: str
    state: State
    probability: float


def first_round(items: Sequence[str], more: int, seed: int) -> tuple[Wanted, ...]:
    """About ``more`` items to label where nobody has labelled any: all have the same chance."""
    even = np.full(len(items), min(1.0, more / len(items)))
    return wanted(items, even, even, (np.zeros(len(items), dtype=np.bool_), seed))


def next_round(material: Material, averaged: Averaged, more: int, seed: int) -> tuple[Wanted, ...]:
    """About ``more`` items to label next, and all others; those to label first, then those that have a label.

    Those that the judges leave open are drawn more often, where that pays. An estimate from these labels
    needs each item's probability beside its label, and a further round needs the others' too.

    Raises:
        InputError: the labels were drawn unevenly, and nothing says by which chances the other items were not.
    """
    human = human_choice(material)
    labelled = np.flatnonzero(human != NONE)
    before = chances_so_far(material.labels.probability, labelled, len(human))
    if before is None:
        fact = "is not the same for all labels, and says nothing of items without one"
        remedy = "keep the rows of next.csv that nobody has labelled yet, with an empty choice"
        raise InputError("the labels' column 'probability'", fact, remedy)
    labels = outcomes(human[labelled])
    drawn = propose(labels, labelled, averaged.p_one, averaged.known, more=more, before=before, seed=seed)
    return wanted(material.items, drawn.next, drawn.probabilities, (human != NONE, seed))


def wanted(items: Sequence[str], chance: Floats, probability: Floats, after: tuple[Bools, int]) -> tuple[Wanted, ...]:
    """Each item drawn by its own number, which is another one in each round, whatever the other items are.

    Args:
        chance: (items,) to be drawn now; 0 for those with a label.
        probability: (items,) to be drawn in any round, this one included.
        after: (items,) which have a label, and the seed.
    """
    done, seed = after
    count = int(done.sum())
    found = [
        Wanted(item, state_of(bool(had), unit_interval("propose", seed, count, item) < now), float(ever))
        for item, now, ever, had in zip(items, chance, probability, done, strict=True)
    ]
    order: tuple[State, ...] = ("now", "done", "later")
    return tuple(sorted(found, key=lambda one: order.index(one.state)))


def state_of(done: bool, drawn: bool) -> State:
    return "done" if done else "now" if drawn else "later"


def chances_so_far(told: Floats | None, labelled: Ints, items: int) -> Floats | None:
    """(items,) the chance that each item had to be labelled so far; None where that is not known of every one.

    Items of chance 1 had their label anyhow. Where all other labels had one chance, so had the items without a label.
    """
    if told is None or not labelled.size:
        return np.full(items, labelled.size / items)
    by_chance = np.unique(told[labelled][told[labelled] < 1.0])
    if (told > 0.0).all() or by_chance.size > 1:
        return told if (told > 0.0).all() else None
    return np.where(told > 0.0, told, by_chance[0] if by_chance.size else 0.0)


def draws(items: int, count: int, splits: int, seed: int) -> Iterator[Ints]:
    """``splits`` random sets of ``count`` places out of ``items``, each in rising order."""
    rng = np.random.default_rng(seed)
    for _ in range(splits):
        yield np.sort(rng.permutation(items)[:count])


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


def accuracies(pool: Pool, labelled: Ints, seed: int) -> dict[str, PpiEstimate]:
    """Each judge's agreement with people over all items that it gave a verdict on."""
    averaged, human, found = pool.averaged, pool.human, {}
    said = choices(averaged.p_one, averaged.known)
    for judge, name in enumerate(pool.judges):
        mine = labelled[averaged.known[labelled, judge]]
        judged = np.flatnonzero(averaged.known[:, judge])
        right = (said[mine, judge] == human[mine]).astype(np.float64)
        agreeing = predictions_of_agreement(said[judged, judge], averaged.p_one[judged])
        place = np.searchsorted(judged, mine)
        chance = None if pool.probabilities is None else pool.probabilities[judged]
        one = estimated(right, place, (agreeing, averaged.known[judged]), chance, seed)
        if one is not None:
            found[name] = one
    return found
