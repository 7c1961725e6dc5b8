"""The items on which people differ, in the order in which somebody should decide them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from judge.review.people import TIES, three
from judge.review.records import Choice, HumanLabel

Why: TypeAlias = Literal["opposite", "tie or not", "flagged"]
WHYS: tuple[Why, ...] = ("opposite", "tie or not", "flagged")


@dataclass(frozen=True, slots=True)
class Dispute:
    item: str
    why: tuple[Why, ...]  # the gravest first
    labels: int
    said: Mapping[Choice, int]  # how many chose what
    strength: int  # of the labels that prefer a side, summed; 1 where a person gave none
    decided: Choice | None


def disputes(
    labels: Sequence[HumanLabel], decided: Mapping[str, Choice], dropped: Collection[str] = ()
) -> tuple[Dispute, ...]:
    """Those still to be decided first; people who prefer opposite sides before others, strong words before weak ones.

    An item whose label is known is in it only where somebody flagged it: how people differ on it tells of them, not of
    the item. What annotators said who were ``dropped`` is out of it, but for a decision that was made.
    """
    on: dict[str, list[HumanLabel]] = defaultdict(list)
    for label in labels:
        if label.annotator not in dropped:
            on[label.item].append(label)
    found = [dispute(item, on[item], decided.get(item)) for item in sorted({*on, *decided})]
    kept = [one for one in found if one.why or one.decided]
    return tuple(sorted(kept, key=lambda one: (one.decided is not None, grade(one), -one.strength, one.item)))


def dispute(item: str, labels: Sequence[HumanLabel], decided: Choice | None) -> Dispute:
    said = Counter(three(label.choice) for label in labels)
    known = any(label.kind == "gold" for label in labels)
    facts = {
        "opposite": not known and said["1"] and said["2"],
        "tie or not": not known and len(said) > 1,
        "flagged": any(one.flag for one in labels),
    }
    why = tuple(name for name in WHYS if facts[name] and not (name == "tie or not" and facts["opposite"]))
    strength = sum(label.strength or 1 for label in labels if label.choice not in TIES)
    return Dispute(item, why, len(labels), Counter(label.choice for label in labels), strength, decided)


def grade(one: Dispute) -> int:
    return WHYS.index(one.why[0]) if one.why else len(WHYS)
