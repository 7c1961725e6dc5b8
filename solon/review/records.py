"""The records of the review's store.

``Leased``, ``Saved``, ``OwnLabel``, ``EditSaved`` and ``Progress`` are all that an annotator's side ever gets. None of
them has a field for an item's kind, its known label, a score or a candidate's id, so none can slip out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from judge.review.records import Choice, Kind, Side, Task

Action: TypeAlias = Literal["label", "skip"]


@dataclass(frozen=True, slots=True)
class Round:
    """How one round of drawing was asked for."""

    n: int
    policy: str
    overlap: int  # labels wanted of an item that is drawn for overlap
    overlap_share: float  # of the items
    audit_share: float
    gold_share: float  # of what each annotator sees; 0 where the round brings no gold items
    seed: int


@dataclass(frozen=True, slots=True)
class StoredRound:
    number: int  # from 1
    round: Round
    at: float
    drawn: Mapping[Kind, int]  # items that came with this round


@dataclass(frozen=True, slots=True)
class Pooled:
    """A couple that a round chose from, and its chance to have been drawn in any round so far."""

    item: str
    stratum: str
    score: float
    probability: float
    by_round: tuple[tuple[int, float], ...] = ()  # that chance after each round that chose from it; the store's to fill


@dataclass(frozen=True, slots=True)
class NewTask:
    """An item that a round brings."""

    kind: Kind
    place: float  # in (0, 1): items come in this order
    overlap: int  # labels wanted, at least 1; means nothing for gold items, which everybody gets
    body: Task
    candidates: tuple[str, str] = ("", "")  # ids of completions 1 and 2; empty where they are not of this run
    known: Choice | None = None  # the label of a gold item

    @property
    def item(self) -> str:
        return self.body.item


@dataclass(frozen=True, slots=True)
class StoredTask:
    """An item as the lead may see it."""

    task: NewTask
    round: int  # that brought it
    labels: int  # current ones
    turned: int = 0  # the later round that made it one of kind "audit", if one did
    gone: bool = False  # the run no longer has its couple, and nobody is given it

    @property
    def item(self) -> str:
        return self.task.body.item


@dataclass(frozen=True, slots=True)
class Guidelines:
    version: int  # 0: none were written yet
    text: str
    at: float
    by: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says of an item."""

    choice: Choice  # as shown: 1 is left, 2 is right
    strength: int | None = None  # one of STRENGTHS, for 1 and 2 alone
    rationale: str = ""
    flag: str = ""  # why somebody should look at it


@dataclass(frozen=True, slots=True)
class Leased:
    """An item in one person's hands."""

    item: str
    body: Task
    side: Side
    until: float  # Unix time
    saved: Said | None = None  # what was just undone


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one annotator and the team are. Gold items look like any other in every figure."""

    done: int
    skipped: int
    open_for_you: int  # items still to come for this person, of which others may hold some just now
    labels: int  # of the team
    wanted: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A label or a skip is on the disk."""

    item: str
    at: float
    progress: Progress


@dataclass(frozen=True, slots=True)
class OwnLabel:
    """A current label as the person who gave it may see it again."""

    item: str
    said: Said
    at: float


@dataclass(frozen=True, slots=True)
class Edited:
    """A completion rewritten by a person."""

    completion: Side  # as shown: 1 is left, 2 is right
    text: str


@dataclass(frozen=True, slots=True)
class EditSaved:
    """A new version of a completion is on the disk."""

    item: str
    edited: Edited
    at: float


@dataclass(frozen=True, slots=True)
class Edit:
    """A new version of a completion as the run needs it: a candidate that a person wrote."""

    id: str  # of the candidate that it becomes
    call: str  # stands where other candidates have the journal's key of a reply
    prompt: str  # id
    revises: str  # id of the candidate; empty where the item is not of this run
    text: str
    item: str
    annotator: str
    at: float


@dataclass(frozen=True, slots=True)
class Skip:
    item: str
    annotator: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Flag:
    """A label that its annotator wants somebody to look at."""

    item: str
    annotator: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A disagreement settled by an adjudicator."""

    item: str
    choice: Choice  # of the item's own completions
    by: str
    rationale: str
    at: float


@dataclass(frozen=True, slots=True)
class Annotator:
    name: str
    labels: int  # current ones, of gold items too
    skips: int
    last: float | None  # when a current label or skip came last
    dropped: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """How far the review is, gold items left out."""

    items: int
    open: int  # items that want more labels
    labels: int  # at most the overlap of each item
    wanted: int


@dataclass(frozen=True, slots=True)
class Retired:
    """Items, after the run's couples changed."""

    gone: int  # that nobody is given any more
    back: int  # that are open again


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What an import changed."""

    new: int
    replaced: int
    passed_over: int  # taken in before, or older than what the person said since, or the same
