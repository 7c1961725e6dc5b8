"""What annotators send and are shown.

What leaves is built field by field from what an annotator may see before the label is in: no candidate's id, no model,
verdict, chance, kind or score, and nothing that others said.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from judge.review.records import Choice, Side
from judge.review.words import Segment, word_diff
from solon.review.records import Leased, OwnLabel, Progress, Said

Strength = Annotated[int, Field(ge=1, le=4)]
Note = Annotated[str, Field(max_length=500)]
Rationale = Annotated[str, Field(max_length=4_000)]


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TurnShown(BaseModel):
    role: str
    content: str


class ExampleShown(BaseModel):
    prompt: str
    better: str
    worse: str


class GuideShown(BaseModel):
    id: str
    rule: str
    rationale: str
    examples: list[ExampleShown]


class Piece(BaseModel):
    """A stretch of a completion; ``own`` where the other completion has not got it."""

    text: str
    own: bool


class Pieces(BaseModel):
    left: list[Piece]
    right: list[Piece]


class SaidShown(BaseModel):
    """What this person said; 1 is the left completion, 2 the right one."""

    choice: Choice
    strength: Strength | None
    rationale: str
    flag: str


class Shown(BaseModel):
    """An item on the screen; the first of ``completions`` is the left one."""

    item: str
    prompt: list[TurnShown]
    completions: tuple[str, str]
    diff: Pieces | None = Field(description="where one of the completions revises the other")
    guides: list[GuideShown]
    seconds_left: float = Field(description="of the lease")
    saved: SaidShown | None = Field(description="what was undone just now")


class ProgressShown(BaseModel):
    done: int
    skipped: int
    left: int = Field(description="for this person; others may take some of them")


class Next(BaseModel):
    shown: Shown | None = Field(description="null: there is nothing for this person now")
    progress: ProgressShown
    guidelines: int = Field(description="the current version; 0: there are none")


class Acknowledged(BaseModel):
    """It is on the disk."""

    item: str
    at: float
    progress: ProgressShown


class EditAcknowledged(BaseModel):
    """The new version is on the disk."""

    item: str
    at: float


class Beat(BaseModel):
    seconds_left: float


class GuidelinesShown(BaseModel):
    version: int
    text: str
    at: float


class OwnShown(BaseModel):
    item: str
    said: SaidShown
    at: float


class LabelSent(Sent):
    choice: Choice = Field(description="as shown: 1 is the left completion, 2 the right one")
    strength: Strength | None = None
    rationale: Rationale = ""
    flag: Note = ""

    @model_validator(mode="after")
    def _strength_of_a_preference(self) -> Self:
        if self.strength is not None and self.choice not in ("1", "2"):
            raise ValueError("only a choice of 1 or 2 has a strength")
        return self


class SkipSent(Sent):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class EditSent(Sent):
    completion: Literal[1, 2] = Field(description="as shown: 1 is left, 2 is right")
    text: Annotated[str, Field(min_length=1, max_length=20_000)]


def shown(leased: Leased, now: float) -> Shown:
    """The item as its annotator sees it: the completion of their side first, all else as it is written."""
    task = leased.body
    left, right = in_order(task.completions, leased.side)
    return Shown(
        item=leased.item,
        prompt=[TurnShown(role=turn.role, content=turn.content) for turn in task.prompt],
        completions=(left, right),
        diff=_diff(left, right) if task.related else None,
        guides=[
            GuideShown(
                id=guide.id,
                rule=guide.rule,
                rationale=guide.rationale,
                examples=[ExampleShown(prompt=e.prompt, better=e.better, worse=e.worse) for e in guide.examples],
            )
            for guide in task.guides
        ],
        seconds_left=max(0.0, leased.until - now),
        saved=None if leased.saved is None else _said(leased.saved),
    )


def in_order(completions: tuple[str, str], side: Side) -> tuple[str, str]:
    """Left and right."""
    return completions if side == 1 else (completions[1], completions[0])


def _diff(left: str, right: str) -> Pieces:
    diff = word_diff(left, right)
    return Pieces(left=_pieces(diff.left), right=_pieces(diff.right))


def _pieces(segments: tuple[Segment, ...]) -> list[Piece]:
    return [Piece(text=segment.text, own=segment.own) for segment in segments]


def _said(said: Said) -> SaidShown:
    return SaidShown(choice=said.choice, strength=said.strength, rationale=said.rationale, flag=said.flag)


def own_shown(label: OwnLabel) -> OwnShown:
    return OwnShown(item=label.item, said=_said(label.said), at=label.at)


def progress_shown(progress: Progress) -> ProgressShown:
    return ProgressShown(done=progress.done, skipped=progress.skipped, left=progress.open_for_you)
