"""What is asked of the process that makes the lead's figures, and what it gives: records that need no numpy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from judge.review.among import Among
from judge.review.doubts import Doubt
from judge.review.people import Known, Person
from judge.review.records import HumanLabel


@dataclass(frozen=True, slots=True)
class Asked:
    folder: Path  # the run's
    labels: tuple[HumanLabel, ...]  # of everybody, of those dropped too
    known: Known
    table: str  # the labels that count, as a CSV text


@dataclass(frozen=True, slots=True)
class Judged:
    """How often people agree with a judge under a principle, over all items that it gave a verdict on."""

    judge: str
    principle: str  # "" for the run's label
    value: float
    low: float
    high: float
    labels: int  # of items with a verdict of this judge


@dataclass(frozen=True, slots=True)
class Answered:
    """One of the questions that an audit is asked."""

    question: str
    state: Literal["good", "careful", "bad", "unknown"]
    figure: str
    words: str


@dataclass(frozen=True, slots=True)
class Against:
    """What speaks against the judges, and what to do about it; parts may be empty."""

    what: str
    fact: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Measured:
    """``audit`` is None, and ``why`` says why, where there is nothing to audit yet."""

    labels: int
    people: tuple[Person, ...]
    doubts: tuple[Doubt, ...]
    among: Among
    headline: str
    label: Judged | None
    judges: tuple[Judged, ...]  # by judge and principle, worst first
    answers: tuple[Answered, ...]
    findings: tuple[Against, ...]
    audit: dict[str, Any] | None = None  # the summary leaves it out
    why: str = ""


FIGURES, MEASURED = TypeAdapter(Asked), TypeAdapter(Measured)
