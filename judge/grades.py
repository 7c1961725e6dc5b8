"""A judge's reply about one candidate, read as a grade, and two grades compared.

Two scales. "yes-no" asks whether the completion follows the rule; the grade is the log-odds of Yes against
No. "1-10" asks how well; the grade is the expectation over the ten numbers. Grades are compared within one
scale and one principle only: a judge's 7 under one rule is not its 7 under another.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from generator.chat import CallFailure, ChatReply, Outcome, TokenLogprob
from judge.parsing import REASONING
from judge.reading import LEAST_LABEL_MASS, wants_words
from judge.verdict import NoVerdict, OneVerdict, Verdict, from_half

Scale = Literal["yes-no", "1-10"]
LABELS: Mapping[Scale, tuple[str, ...]] = {
    "yes-no": ("Yes", "No"),
    "1-10": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10"),
}
MOST_LOG_ODDS = 53 * math.log(2)  # beyond it a float's chance is 1: as certain as a Yes in words counts

MARKS, END = r"[\s\"'*(\[]*", r"[\s\"'*)\].:]*"
WORD = re.compile(rf"{MARKS}(yes|no){END}", re.A | re.I)
NUMBER = re.compile(rf"{MARKS}(10|[1-9]){END}", re.A)
# A grade as the ending of a longer text: "Rating: 7", "7/10", "[[7]]", or these together.
ENDING = re.compile(
    r"[*\s]*(?:(?P<named>rating|grade|score)\W{0,3}:[*\s]*)?(?P<fenced>\[\[)?(?P<number>10|[1-9])(?(fenced)\]\])"
    r"(?P<of>\s*/\s*10)?[*\s.]*",
    re.A | re.I,
)
BEGINS_ONE_OR_TEN = re.compile(r"\s*(10?)(?![0-9])", re.A)


@dataclass(frozen=True, slots=True)
class Grade:
    """What the judge says of one candidate under one principle, on its own."""

    candidate: str
    principle: str
    value: float  # log-odds within ±MOST_LOG_ODDS for "yes-no", an expectation in [1, 10] for "1-10"
    scale: Scale
    call: str  # the journal's key
    label_mass: float | None = None  # probability of all labels together, where log-probs were given


Graded: TypeAlias = Grade | NoVerdict


@dataclass(frozen=True, slots=True)
class Reading:
    """A grade not yet said to be anybody's."""

    value: float
    label_mass: float | None = None


def preference_of(one: Graded, other: Graded) -> OneVerdict:
    """The chance that ``one`` follows the rule better, as a verdict in which it stands first.

    Exactly mirrored when the two change places, and exactly one half for equal grades. For "yes-no" the
    chance is the logistic function of the difference; for "1-10" it grows in a straight line from 0, at
    grades 1 and 10, to 1. Both are orderly rather than calibrated. Where a grade is missing, so is the
    verdict, for that grade's reason.
    """
    if isinstance(one, NoVerdict) or isinstance(other, NoVerdict):
        missing = [graded for graded in (one, other) if isinstance(graded, NoVerdict)]
        return min(missing, key=lambda none: (none.reason, none.call, none.detail))
    if (one.scale, one.principle) != (other.scale, other.principle):
        raise ValueError(f"grades of {one.scale}, {one.principle!r} and {other.scale}, {other.principle!r} compared")
    difference = one.value - other.value
    deviation = math.tanh(difference / 2) / 2 if one.scale == "yes-no" else difference / 18
    masses = [grade.label_mass for grade in (one, other) if grade.label_mass is not None]
    return Verdict(from_half(deviation), call="", label_mass=min(masses, default=None))


def read_grade(outcome: Outcome, scale: Scale) -> Reading | NoVerdict:
    """What one call says. Whatever is not plainly a grade is none, with its reason."""
    if isinstance(outcome, CallFailure):
        return NoVerdict("error", outcome.key, f"{outcome.reason}: {outcome.detail}", outcome.reason)
    if outcome.finish in ("refusal", "content_filter"):
        return NoVerdict("refusal", outcome.key, outcome.text[:200])
    return read_logprobs(outcome, scale) if outcome.first_token else read_text(outcome, scale)


def without_logprobs(outcome: Outcome, scale: Scale) -> bool:
    """Whether a grade in words must be asked for."""
    return wants_words(outcome, lambda reply: read_grade(reply, scale))


def read_logprobs(reply: ChatReply, scale: Scale) -> Reading | NoVerdict:
    """The labels' probabilities at the first token, renormalised; other tokens count as none of them.

    Labels that are not among the tokens given are each at most as likely as the least likely of these, and
    all together as what these leave over; they are taken as that, so that a grade is never more
    certain than the log-probs show.
    """
    chances = [label_probability(reply.first_token, label) for label in LABELS[scale]]
    mass = math.fsum(chances)
    if mass < LEAST_LABEL_MASS:
        return NoVerdict("low label mass", reply.key, f"the labels hold {mass:.4f} of the probability")
    if scale == "1-10" and not chances[-1]:
        share = share_of_ten(chances, reply.text)
        chances[0], chances[-1] = chances[0] * (1 - share), chances[0] * share
    shown = [math.exp(token.logprob) for token in reply.first_token]
    floor = max(0.0, min(min(shown), (1 - math.fsum(shown)) / max(1, chances.count(0.0))))
    chances = [chance or floor for chance in chances]
    value = log_odds(*chances) if scale == "yes-no" else expectation(chances)
    return Reading(value, None if reply.held else min(mass, 1.0))


def label_probability(tokens: Sequence[TokenLogprob], label: str) -> float:
    """Over all spellings of the label: " Yes", "yes" and "YES" are one."""
    wanted = label.casefold()
    return math.fsum(math.exp(token.logprob) for token in tokens if token.token.strip().casefold() == wanted)


def share_of_ten(chances: Sequence[float], text: str) -> float:
    """How much of the first token "1" was on the way to "10", where no token "10" is among those given.

    Many tokenizers spell 10 as "1" and "0", and then the first token does not tell 1 from 10. If the reply
    itself went on to be one of the two, it decides. If not, the neighbours do: a judge that holds 8 and 9
    likely means 10, one that holds 2 and 3 likely means 1. With no neighbour either, it is half and half.
    """
    if begun := BEGINS_ONE_OR_TEN.match(text):
        return float(begun[1] == "10")
    low, high = math.fsum(chances[1:3]), math.fsum(chances[7:9])
    return high / (low + high) if low + high else 0.5


def log_odds(yes: float, no: float) -> float:
    if not yes or not no:
        return MOST_LOG_ODDS if yes else -MOST_LOG_ODDS
    return max(-MOST_LOG_ODDS, min(math.log(yes) - math.log(no), MOST_LOG_ODDS))


def expectation(chances: Sequence[float]) -> float:
    """Of the numbers 1 to 10, each with its chance, which need not add up to 1."""
    whole = math.fsum(chances)
    return max(1.0, min(math.fsum(n * chance for n, chance in enumerate(chances, 1)) / whole, 10.0))


def read_text(reply: ChatReply, scale: Scale) -> Reading | NoVerdict:
    """The label that is the whole of the text, after any reasoning; inside other words it means nothing."""
    text, cut = REASONING.sub("", reply.text), reply.finish == "length"
    value = word_value(text) if scale == "yes-no" else number_value(text, cut)
    if value is None:
        return NoVerdict("truncated" if cut else "unreadable", reply.key, reply.text[:200])
    return Reading(value)


def word_value(text: str) -> float | None:
    if match := WORD.fullmatch(text):
        return MOST_LOG_ODDS if match[1].lower() == "yes" else -MOST_LOG_ODDS
    return None


def number_value(text: str, cut: bool) -> float | None:
    """The number that is all of ``text``, or its last line if it is marked as a grade: "Rating: 7", "7/10", "[[7]]".

    A text that was cut off has no last line yet, and its 1 may be the beginning of 10.
    """
    if match := NUMBER.fullmatch(text):
        return None if cut and match[1] == "1" else float(match[1])
    ending = ENDING.fullmatch(text.strip().rpartition("\n")[2])
    marked = ending and not cut and (ending["named"] or ending["fenced"] or ending["of"])
    return float(ending["number"]) if ending and marked else None
