"""Each annotator by the numbers: how they choose, how fast, and how well beside known labels and beside the others.

Only the lead is shown these. A label counts for nobody but its own annotator, and the order of labels changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import median
from typing import TypeAlias

from judge.audit.estimate import Estimate, proportion
from judge.review.records import Choice, HumanLabel, shown_choice

FLOOR = 2.0  # seconds, within which nobody has read two texts
WORDS_A_SECOND = 15.0  # faster than anybody reads: people read four words a second, and skim eight
WINDOW = 10  # known items that a point of the course is made of
TIES = ("tie", "both good", "both bad")

Said: TypeAlias = Mapping[str, Mapping[str, Choice]]  # by item and annotator


@dataclass(frozen=True, slots=True)
class Fall:
    """A share in the earlier and in the later half, by time, of what it is counted from."""

    before: Estimate
    after: Estimate
    change: Estimate  # after - before, its interval by Newcombe's score method

    @property
    def fell(self) -> bool:
        return self.change.high < 0


@dataclass(frozen=True, slots=True)
class Known:
    """What is told of items beside the labels themselves."""

    right: Mapping[str, Choice] = field(default_factory=dict)  # of the items whose label is known
    words: Mapping[str, int] = field(default_factory=dict)  # to be read before an item can be labelled
    skips: Mapping[str, int] = field(default_factory=dict)  # by annotator
    dropped: frozenset[str] = frozenset()  # annotators nobody is compared with


@dataclass(frozen=True, slots=True)
class Person:
    """One annotator. Shares are None where there is nothing to count them from."""

    annotator: str
    labels: int
    left: Estimate | None  # of labels that prefer a side, the share that prefers the one shown on the left
    seconds: float | None  # the median time of a label
    hasty: Estimate | None  # share of labels that came before the texts can have been read
    ties: Estimate | None  # share of labels that prefer neither
    skips: Estimate | None  # of all items dealt with, the share that was skipped
    flags: int
    gold: Estimate | None  # share right of the items whose label is known
    gold_fall: Fall | None
    gold_course: tuple[float, ...]  # the share right in every WINDOW known items in a row, earliest first
    agreement: Estimate | None  # share that says what most of the item's other people say
    agreement_fall: Fall | None


def people(labels: Sequence[HumanLabel], known: Known) -> tuple[Person, ...]:
    """Everybody who labelled or skipped, by name."""
    mine: dict[str, list[HumanLabel]] = defaultdict(list)
    said: dict[str, dict[str, Choice]] = defaultdict(dict)
    for label in sorted(labels, key=lambda one: (one.at, one.item)):
        mine[label.annotator].append(label)
        if label.annotator not in known.dropped and label.kind != "gold":
            said[label.item][label.annotator] = label.choice
    return tuple(person(name, mine[name], known, said) for name in sorted({*mine, *known.skips}))


def person(name: str, labels: Sequence[HumanLabel], known: Known, said: Said) -> Person:
    """
    Args:
        labels: the annotator's own, by time.
        said: what people said of each item, the annotator's own word among it or not.
    """
    n, skipped = len(labels), known.skips.get(name, 0)
    timed = [label for label in labels if label.seconds or not label.source]  # some tools tell no times
    sides = [shown_choice(label.choice, label.side) for label in labels if label.choice not in TIES]
    right = [float(same(label.choice, known.right[label.item])) for label in labels if label.item in known.right]
    shared = [(label, others) for label in labels if (others := of_others(said.get(label.item, {}), name))]
    agreeing = [with_most(label.choice, others) for label, others in shared]
    return Person(
        name,
        n,
        left=proportion(sides.count("1"), len(sides)),
        seconds=median(label.seconds for label in timed) if timed else None,
        hasty=proportion(sum(label.seconds < least(known.words.get(label.item, 0)) for label in timed), len(timed)),
        ties=proportion(n - len(sides), n),
        skips=proportion(skipped, n + skipped),
        flags=sum(bool(label.flag) for label in labels),
        gold=share(right),
        gold_fall=halves(right),
        gold_course=tuple(sum(right[i : i + WINDOW]) / WINDOW for i in range(len(right) - WINDOW + 1)),
        agreement=share(agreeing),
        agreement_fall=halves(agreeing),
    )


def least(words: int) -> float:
    """The seconds that reading so many words takes anybody at least."""
    return max(FLOOR, words / WORDS_A_SECOND)


def three(choice: Choice) -> Choice:
    """The choice with every kind of tie as one."""
    return "tie" if choice in TIES else choice


def same(one: Choice, other: Choice) -> bool:
    return three(one) == three(other)


def of_others(said: Mapping[str, Choice], name: str) -> Counter[Choice]:
    return Counter(three(choice) for who, choice in said.items() if who != name)


def with_most(choice: Choice, others: Counter[Choice]) -> float:
    """1 where most of the others say the same; where they are split evenly, the chance that a lot names it."""
    leading = [one for one, count in others.items() if count == max(others.values())]
    return (three(choice) in leading) / len(leading)


def share(hits: Sequence[float]) -> Estimate | None:
    return proportion(sum(hits), len(hits))


def halves(hits: Sequence[float]) -> Fall | None:
    """The earlier half beside the later one, which has the odd hit; None with fewer than two."""
    middle = len(hits) // 2
    before, after = share(hits[:middle]), share(hits[middle:])
    return Fall(before, after, difference(before, after)) if before and after else None


def difference(before: Estimate, after: Estimate) -> Estimate:
    """``after`` less ``before``, which are independent.

    Source: Newcombe 1998, "Interval Estimation for the Difference between Independent Proportions", method 10.
    """
    change = after.value - before.value
    low = sqrt((after.value - after.low) ** 2 + (before.high - before.value) ** 2)
    high = sqrt((after.high - after.value) ** 2 + (before.value - before.low) ** 2)
    return Estimate(change, change - low, change + high, before.n + after.n)
