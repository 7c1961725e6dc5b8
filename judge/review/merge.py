"""What the words of several people on one item come to: most of them decide, and an adjudicator over all of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from judge.review.records import Choice


@dataclass(frozen=True, slots=True)
class Voice:
    """One person's word on an item."""

    annotator: str
    choice: Choice
    strength: int | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """People's label of an item."""

    choice: Choice
    people: int  # who looked, an adjudicator among them
    agree: int  # of them, who chose just this
    strength: float | None = None  # mean of what those say who agree and say how much better it is
    adjudicated: bool = False


def merge(voices: Sequence[Voice], decision: Voice | None = None) -> Merged | None:
    """The label of one item; None where nobody said anything. The order of ``voices`` is of no account."""
    said = [*voices, decision] if decision else list(voices)
    if not said:
        return None
    choice = decision.choice if decision else most_say([voice.choice for voice in voices])
    alike = [voice for voice in said if voice.choice == choice]
    given = [voice.strength for voice in alike if voice.strength is not None]
    return Merged(
        choice,
        len({voice.annotator for voice in said}),
        len({voice.annotator for voice in alike}),
        fsum(given) / len(given) if given else None,
        decision is not None,
    )


def most_say(choices: Sequence[Choice]) -> Choice:
    """What most chose; a tie where as many choose otherwise.

    Whoever finds both good, or both bad, prefers neither: a tie. Which of the three it is, more than half of those
    who prefer neither must say; else it is a plain tie.
    """
    sides = Counter("neither" if choice not in ("1", "2") else choice for choice in choices)
    (first, count), *others = sides.most_common()
    if others and others[0][1] == count:
        return "tie"
    if first == "1":
        return "1"
    if first == "2":
        return "2"
    kinds = Counter(choice for choice in choices if choice not in ("1", "2"))
    kind, most = kinds.most_common(1)[0]
    return kind if 2 * most > count else "tie"
