"""What the lead sends and sees."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from judge.review.draw import Policy
from judge.review.records import Choice, Guide, Turn
from judge.review.words import WordDiff, word_diff
from solon.review.lead.desk import Given, Looked, Rewritten
from solon.review.lead.progress import Progress
from solon.review.records import Annotator, Decision, Guidelines, StoredRound
from solon.web.lead.measuring import Figures


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Deciding(Body):
    choice: Choice = Field(description="as shown to this adjudicator: 1 is left, 2 is right")
    rationale: str = Field("", max_length=5000)


class Dropping(Body):
    dropped: bool


class Writing(Body):
    text: str = Field(max_length=50_000)


class Drawing(Body):
    """A further round. Items whose label is known come from a file, which only the command line names."""

    n: int = Field(ge=1, le=100_000)
    policy: Policy = "mixed"
    overlap: int = Field(1, ge=1, le=20, description="labels wanted of an item that is drawn for overlap")
    overlap_share: float = Field(1.0, ge=0, le=1)
    audit_share: float = Field(0.5, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Summary:
    run: str
    now: float
    progress: Progress
    disputes: int  # still to be decided
    decided: int
    annotators: tuple[Annotator, ...]
    rounds: tuple[StoredRound, ...]
    guidelines: Guidelines
    labels_by_version: Mapping[int, int]
    figures: Figures  # without the audit


@dataclass(frozen=True, slots=True)
class ItemShown:
    """An item in dispute: completions and choices are as this adjudicator sees them, left and right."""

    item: str
    source: str
    prompt: tuple[Turn, ...]
    completions: tuple[str, str]  # left, right
    diff: WordDiff | None  # where one revises the other
    guides: tuple[Guide, ...]
    labels: tuple[Given, ...]
    decision: Decision | None
    edits: tuple[Rewritten, ...]
    known: Choice | None  # the label of an item that checks annotators, which no decision changes


@dataclass(frozen=True, slots=True)
class VersionOfGuidelines:
    guidelines: Guidelines
    labels: int  # made under it


def shown(seen: Looked) -> ItemShown:
    task, texts = seen.task, seen.left_and_right
    diff = word_diff(*texts) if task.related else None
    return ItemShown(
        task.item, task.source, task.prompt, texts, diff, task.guides,
        seen.labels, seen.decision, seen.edits, seen.known,
    )  # fmt: skip
