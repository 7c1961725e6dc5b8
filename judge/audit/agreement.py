"""How far a judge and people say the same, and people among themselves: the ceiling beside every judge.

Three choices are told apart throughout: completion 1, completion 2 and a tie. Exchanging the two
completions of every item changes no figure here, not even in its last bit.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from judge.audit.estimate import Estimate, proportion, resampled
from judge.audit.table import NONE, TIE, Averaged, Bools, Floats, Ints, Labels, Material, choices, human_choice

CHOICES = 3  # a tie, completion 1, completion 2
MIRRORED = np.array([TIE, 2, 1])  # the three choices after the completions were exchanged
MIRRORED_CELLS = (CHOICES * MIRRORED[:, None] + MIRRORED).ravel()
FEWEST_SHARED = 20  # items below which nothing is said about two annotators
MOST_PAIRS = 100  # pairs of annotators that are listed
ROUNDING = 1e-9  # what resamples of the same value may differ by


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two annotators on the items that both answered; ``one`` stands before ``other`` in the annotators' order."""

    one: str
    other: str
    accuracy: Estimate
    kappa: Estimate | None


@dataclass(frozen=True, slots=True)
class HumanAgreement:
    """People beside people. Figures are None where no item has two people's choices."""

    annotators: int  # who made at least one choice
    pairs: tuple[PairAgreement, ...]  # by items shared, most first: those of FEWEST_SHARED, MOST_PAIRS at most
    kappa: Estimate | None  # mean over ``pairs``; its bounds are the means of theirs, so it is rather too wide
    alpha: Estimate | None
    pairwise: Estimate | None  # chance that two people asked about one item choose the same
    left_out: Estimate | None  # chance that a person chooses what most of the item's other people chose


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """A judge, its orders averaged, beside the people's final choice; None where no item has both."""

    judge: str
    n: int  # items with a verdict and a human choice
    accuracy: Estimate | None
    kappa: Estimate | None
    alpha: Estimate | None


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """The different ways in which an item was answered by two people or more."""

    kinds: Ints  # (patterns, 3) how many chose a tie, completion 1, completion 2
    counts: Ints  # (patterns,) items


def accuracy(choice: Ints, human: Ints) -> Estimate | None:
    """Share of the same choice among the items where both choose."""
    both = (choice != NONE) & (human != NONE)
    return proportion(int((choice[both] == human[both]).sum()), int(both.sum()))


def cohen_kappa(one: Ints, other: Ints, seed: int) -> Estimate | None:
    """Cohen's kappa over the items where both choose; None where only one choice ever occurs.

    Source: Cohen 1960, "A Coefficient of Agreement for Nominal Scales".
    """
    both = (one != NONE) & (other != NONE)
    table = np.bincount(CHOICES * one[both] + other[both], minlength=CHOICES * CHOICES)
    return kappa_interval(table, seed)


def kappa_interval(table: Ints, seed: int) -> Estimate | None:
    """Cohen's kappa of a confusion table laid flat, (9,): of it or of its mirror image, which have the same."""
    found = resampled(kappa_of, min(table, table[MIRRORED_CELLS], key=lambda cells: tuple(cells.tolist())), seed)
    n, square = max(int(table.sum()), 1), table.reshape(CHOICES, CHOICES)
    expected = 1 - float(square.sum(axis=0) @ square.sum(axis=1)) / n**2
    return never_certain(found, float(np.trace(square)) / n, expected)


def never_certain(found: Estimate | None, agreement: float, expected: float) -> Estimate | None:
    """One less observed over ``expected`` disagreement, where all resamples say the same, as when all choices agree.

    Its bounds are then those that Wilson's of the share of agreement come to, the choices occurring as they do.
    """
    if found is None or found.high - found.low > ROUNDING:
        return found
    share = proportion(agreement * found.n, found.n)
    if share is None:
        return found
    low, high = (1 - (1 - bound) / expected for bound in (share.low, share.high))
    return Estimate(found.value, min(found.value, max(-1.0, low)), max(found.value, min(1.0, high)), found.n)


def kappa_of(table: Ints) -> float | None:
    """In whole numbers up to the division: so it is exact, and quick enough for a thousand resamples."""
    a, b, c, d, e, f, g, h, i = table.tolist()
    n, agreed = a + b + c + d + e + f + g + h + i, a + e + i
    chance = (a + b + c) * (a + d + g) + (d + e + f) * (b + e + h) + (g + h + i) * (c + f + i)
    return None if chance == n * n else float((n * agreed - chance) / (n * n - chance))


def krippendorff_alpha(answers: Ints, seed: int) -> Estimate | None:
    """Krippendorff's alpha for nominal data; items with fewer than two answers say nothing and are left out.

    Args:
        answers: (items, raters), NONE where a rater said nothing.

    Returns:
        None where no item is left or only one choice ever occurs.

    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    """
    return alpha_interval(patterns(np.stack([(answers == c).sum(axis=1) for c in range(CHOICES)], axis=1)), seed)


def alpha_interval(found: Patterns, seed: int) -> Estimate | None:
    answers = found.counts @ found.kinds
    total = int(answers.sum())
    expected = (total**2 - int(answers @ answers)) / max(total * (total - 1), 1)
    agreement = 1 - float(found.counts @ disagreement(found.kinds)) / max(total, 1)
    return never_certain(resampled(alpha_statistic(found.kinds), found.counts, seed), agreement, expected)


def alpha_statistic(kinds: Ints) -> Callable[[Ints], float | None]:
    """Alpha as a function of how many items are of each kind: one less observed over expected disagreement."""
    differing = disagreement(kinds)

    def alpha(counts: Ints) -> float | None:
        totals = counts @ kinds
        answers = int(totals.sum())
        expected = (answers**2 - int(totals @ totals)) / (answers - 1)
        return None if expected == 0 else 1 - float(counts @ differing) / expected

    return alpha


def disagreement(kinds: Ints) -> Floats:
    """Of each answer to an item the share of the others' that differ from it, summed over its answers, (patterns,)."""
    raters = kinds.sum(axis=1)
    differing: Floats = (raters**2 - (kinds**2).sum(axis=1)) / (raters - 1)
    return differing


def patterns(per_item: Ints) -> Patterns:
    """The patterns of (items, 3) answers; the mirror image of all patterns where that stands first in order."""
    several = per_item[per_item.sum(axis=1) >= 2]
    straight, mirrored = (Patterns(*distinct(answers)) for answers in (several, several[:, MIRRORED]))
    return min(straight, mirrored, key=lambda found: (found.kinds.tolist(), found.counts.tolist()))


def distinct(per_item: Ints) -> tuple[Ints, Ints]:
    """The different rows of (items, 3) counts, sorted, and how often each occurs."""
    base = int(per_item.max(initial=0)) + 1
    codes, counts = np.unique(per_item @ np.array([base * base, base, 1]), return_counts=True)
    return np.stack([codes // (base * base), codes // base % base, codes % base], axis=1), counts


def human_human(material: Material, seed: int, among: Bools | None = None) -> HumanAgreement:
    """What people agree on among themselves, on the items of the mask ``among``, (items,), or on all."""
    answers = single_answers(material.labels, np.ones(len(material.items), dtype=np.bool_) if among is None else among)
    per_item = np.zeros((len(material.items), CHOICES), dtype=np.int64)
    np.add.at(per_item, (answers.item, answers.choice), 1)
    found = patterns(per_item)
    pairs = pair_agreements(answers, seed)
    return HumanAgreement(
        len(np.unique(answers.annotator)),
        pairs,
        mean_kappa([pair.kappa for pair in pairs if pair.kappa is not None]),
        alpha_interval(found, seed),
        bounded_mean(np.repeat(pairwise_shares(found.kinds), found.counts)),
        bounded_mean(np.repeat(left_out_shares(found.kinds), found.counts)),
    )


def single_answers(labels: Labels, among: Bools) -> Labels:
    """One choice of each annotator on each item: of several the most named, a tie where two are equally often."""
    kept = (labels.choice != NONE) & among[labels.item]
    asked, which = np.unique(
        labels.item[kept] * max(len(labels.annotators), 1) + labels.annotator[kept], return_inverse=True
    )
    counts = np.zeros((len(asked), CHOICES), dtype=np.int64)
    np.add.at(counts, (which, labels.choice[kept]), 1)
    single = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    item, annotator = np.divmod(asked, max(len(labels.annotators), 1))
    return Labels(labels.annotators, item, annotator, np.where(single, counts.argmax(axis=1), TIE))


def pair_agreements(answers: Labels, seed: int) -> tuple[PairAgreement, ...]:
    """Every two annotators that share enough items, those that share most first."""
    ones, others, tables = shared_tables(answers)
    shared = tables.sum(axis=1)
    listed = np.lexsort((others, ones, -shared))[: min(MOST_PAIRS, int((shared >= FEWEST_SHARED).sum()))]
    names = answers.annotators
    found = []
    for one, other, table in zip(ones[listed], others[listed], tables[listed], strict=True):
        same = proportion(int(table[0] + table[4] + table[8]), int(table.sum()))
        if same is not None:
            found.append(PairAgreement(names[one], names[other], same, kappa_interval(table, seed)))
    return tuple(found)


def shared_tables(answers: Labels) -> tuple[Ints, Ints, Ints]:
    """The confusion tables, (pairs, 9), of the annotators ``one < other`` who answered the same items.

    Who answered too little to be in a pair is left out before the pairs are counted, as crowds are large.
    """
    busy = np.bincount(answers.annotator, minlength=len(answers.annotators)) >= FEWEST_SHARED
    kept = busy[answers.annotator]
    column = CHOICES * answers.annotator[kept] + answers.choice[kept]
    shape = (int(answers.item.max(initial=0)) + 1, CHOICES * len(answers.annotators))
    said = csr_array((np.ones(len(column), dtype=np.int64), (answers.item[kept], column)), shape=shape)
    together = (said.T @ said).tocoo()
    one, one_chose = np.divmod(together.row.astype(np.int64), CHOICES)
    other, other_chose = np.divmod(together.col.astype(np.int64), CHOICES)
    once = one < other
    keys, which = np.unique(one[once] * len(answers.annotators) + other[once], return_inverse=True)
    tables = np.zeros((len(keys), CHOICES * CHOICES), dtype=np.int64)
    np.add.at(tables, (which, (CHOICES * one_chose + other_chose)[once]), together.data[once])
    return *np.divmod(keys, max(len(answers.annotators), 1)), tables


def mean_kappa(kappas: list[Estimate]) -> Estimate | None:
    if not kappas:
        return None
    figures = np.array([(kappa.value, kappa.low, kappa.high) for kappa in kappas])
    value, low, high = figures.mean(axis=0).tolist()
    return Estimate(value, low, high, len(kappas))


def pairwise_shares(kinds: Ints) -> Floats:
    """Of the pairs of answers to an item, (patterns,), the share that is the same."""
    raters = kinds.sum(axis=1)
    shares: Floats = (kinds * (kinds - 1)).sum(axis=1) / (raters * (raters - 1))
    return shares


def left_out_shares(kinds: Ints) -> Floats:
    """Of the answers to an item, (patterns,), the share that most of the item's other answers name.

    Where the others are split evenly among two or three choices, one of these is drawn by lot: a split
    of the others is no statement that the two completions are equal.
    """
    shares: Floats = np.zeros(len(kinds))
    for choice in range(CHOICES):
        others = kinds - np.eye(CHOICES, dtype=np.int64)[choice]
        leading = others == others.max(axis=1, keepdims=True)
        shares += kinds[:, choice] * leading[:, choice] / leading.sum(axis=1)
    shares /= kinds.sum(axis=1)
    return shares


def bounded_mean(values: Floats) -> Estimate | None:
    """A mean of independent values in [0, 1], with Wilson's interval for it.

    No such value varies more than a coin of the same mean, so the interval is rather too wide, and stays
    honest where all values are the same.
    """
    return proportion(values.sum().item(), len(values))


def judge_human(
    material: Material, averaged: Averaged, seed: int, among: Bools | None = None
) -> tuple[JudgeAgreement, ...]:
    """Each judge beside the people, in the order of the judges, on the items of the mask ``among`` or on all."""
    kept = np.ones(len(material.items), dtype=np.bool_) if among is None else among
    people = human_choice(material)[kept]
    said = choices(averaged.p_one, averaged.known)[kept]
    return tuple(
        beside_people(name, said[:, judge], people, seed) for judge, name in enumerate(material.verdicts.judges)
    )


def beside_people(judge: str, choice: Ints, human: Ints, seed: int) -> JudgeAgreement:
    both = (choice != NONE) & (human != NONE)
    return JudgeAgreement(
        judge,
        int(both.sum()),
        accuracy(choice, human),
        cohen_kappa(choice, human, seed),
        krippendorff_alpha(np.column_stack([choice, human]), seed),
    )
