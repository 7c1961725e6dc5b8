"""What of an annotator's numbers should worry the lead, each in one sentence that says what to do."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from judge.audit.estimate import Estimate
from judge.review.people import Fall, Person

FEWEST = 20  # labels below which nobody is doubted
FEWEST_GOLD = 5
EVEN = 0.4, 0.6  # shares of the left within which a leaning does little harm
HASTY, TIES, SKIPS, GOLD = 0.1, 0.5, 0.25, 0.7  # shares beyond which the whole interval must lie
APART = 0.1  # how far below the others' agreement with one another

What: TypeAlias = Literal["position", "speed", "ties", "skips", "gold", "drift", "agreement"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """``severe``: the labels do harm as they are, whatever the reason."""

    annotator: str
    what: What
    severe: bool
    text: str  # a sentence without the name


def doubts(people: Sequence[Person], dropped: Collection[str] = ()) -> tuple[Doubt, ...]:
    """Of everybody, the severe ones first, then by name. Nobody is held beside those who were ``dropped``."""
    others = [person for person in people if person.annotator not in dropped]
    found = [doubt for person in people for doubt in of_person(person, others)]
    return tuple(sorted(found, key=lambda doubt: (not doubt.severe, doubt.annotator)))


def of_person(person: Person, people: Sequence[Person]) -> Iterator[Doubt]:
    for doubt in (leaning(person), speed(person), habits(person), known(person), drift(person), apart(person, people)):
        if doubt:
            yield Doubt(person.annotator, *doubt)


Told: TypeAlias = tuple[What, bool, str] | None


def leaning(person: Person) -> Told:
    left = person.left
    if left is None or left.n < FEWEST or left.low <= 0.5 <= left.high:
        return None
    side = "first" if left.value > 0.5 else "second"
    chosen = left if side == "first" else Estimate(1 - left.value, 1 - left.high, 1 - left.low, left.n)
    severe = not (left.low <= EVEN[1] and left.high >= EVEN[0])
    remedy = (
        "drop these labels, or ask them to read both texts before they choose"
        if severe
        else "ask them to read both texts before they choose, and look again after the next fifty"
    )
    fact = f"Chose the completion shown {side} in {of(chosen)} decided items, where one half is to be expected"
    return "position", severe, f"{fact}: {remedy}."


def speed(person: Person) -> Told:
    hasty = person.hasty
    if hasty is None or hasty.n < FEWEST or hasty.low <= HASTY:
        return None
    median = "" if person.seconds is None else f" (median {person.seconds:.1f} s)"
    fact = f"Labelled {percent(hasty.value)} of {hasty.n} items faster than they can be read{median}"
    return "speed", hasty.low > 0.5, f"{fact}: read some of these labels yourself before you keep them."


def habits(person: Person) -> Told:
    if person.skips and person.skips.n >= FEWEST and person.skips.low > SKIPS:
        fact = f"Skipped {of(person.skips)} items"
        return "skips", False, f"{fact}: read their reasons, and say in the guidelines what to do there."
    if person.ties and person.ties.n >= FEWEST and person.ties.low > TIES:
        return (
            "ties",
            False,
            f"Preferred neither in {of(person.ties)} items: say in the guidelines when a tie is meant.",
        )
    return None


def known(person: Person) -> Told:
    gold = person.gold
    if gold is None or gold.n < FEWEST_GOLD or gold.high >= GOLD:
        return None
    fact = f"Is right on {of(gold)} items whose label is known"
    return "gold", True, f"{fact}: drop these labels, or go through the guidelines with them."


def drift(person: Person) -> Told:
    for fall, what, fewest in (
        (person.gold_fall, "Accuracy on known items", FEWEST_GOLD),
        (person.agreement_fall, "Agreement with the others", FEWEST),
    ):
        if fall and fall.fell and min(fall.before.n, fall.after.n) >= fewest:
            return (
                "drift",
                False,
                f"{what} fell {from_to(fall)}: ask them to take a break, and look at the later labels.",
            )
    return None


def apart(person: Person, people: Sequence[Person]) -> Told:
    """Beside the others' agreement, each of their labels weighing alike."""
    own = person.agreement
    others = [one.agreement for one in people if one.annotator != person.annotator and one.agreement]
    if own is None or own.n < FEWEST or not others:
        return None
    usual = sum(one.value * one.n for one in others) / sum(one.n for one in others)
    if own.high >= usual - APART:
        return None
    fact = f"Agrees with the others in {of(own)} items, where the others do in {percent(usual)}"
    return "agreement", False, f"{fact}: talk through some items on which they differ."


def of(share: Estimate) -> str:
    return f"{percent(share.value)} ({100 * share.low:.0f} to {100 * share.high:.0f}) of {share.n}"


def from_to(fall: Fall) -> str:
    before, after = fall.before, fall.after
    return f"from {percent(before.value)} of the first {before.n} to {percent(after.value)} of the last {after.n}"


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"
