"""The annotator's part of the API: an item at a time, and what is said of it.

What the store says no to becomes a fault by itself (see ``door.faults``).
"""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query

from solon.review.errors import LeaseLost
from solon.review.records import Edited, Leased, Said
from solon.web.door.faults import Told
from solon.web.door.gates import Annotator, Here, RunHere
from solon.web.review.shapes import (
    Acknowledged,
    Beat,
    EditAcknowledged,
    EditSent,
    GuidelinesShown,
    LabelSent,
    Next,
    OwnShown,
    ProgressShown,
    SkipSent,
    own_shown,
    progress_shown,
    shown,
)

LEASE_LOST: dict[int | str, dict[str, Any]] = {409: {"model": Told, "description": "Somebody else has the item now"}}

Item = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Key = Annotated[str, Header(alias="Idempotency-Key", pattern=r"^[A-Za-z0-9-]{8,64}$")]

router = APIRouter(prefix="/api/runs/{run}/review", tags=["review"])


@router.post("/next")
def take_next(run: RunHere, member: Annotator, site: Here) -> Next:
    """The item in this person's hands, or else a new one for 15 minutes."""
    return _next(run, member, run.store.next(member.name, site.clock()), site.clock())


@router.post("/items/{item}/heartbeat", responses=LEASE_LOST)
def heartbeat(run: RunHere, member: Annotator, site: Here, item: Item) -> Beat:
    """The lease starts anew."""
    now = site.clock()
    until = run.store.heartbeat(member.name, item, now)
    if until is None:
        raise LeaseLost
    return Beat(seconds_left=until - now)


@router.put("/items/{item}/label", responses=LEASE_LOST)
def save_label(run: RunHere, member: Annotator, site: Here, item: Item, key: Key, sent: LabelSent) -> Acknowledged:
    """Saves a label. The same key again is the same label; another one replaces it."""
    said = Said(sent.choice, sent.strength, sent.rationale, sent.flag)
    saved = run.store.save(member.name, item, said, key=key, now=site.clock())
    return Acknowledged(item=saved.item, at=saved.at, progress=progress_shown(saved.progress))


@router.put("/items/{item}/skip", responses=LEASE_LOST)
def skip(run: RunHere, member: Annotator, site: Here, item: Item, key: Key, sent: SkipSent) -> Acknowledged:
    """Leaves the item to others."""
    saved = run.store.skip(member.name, item, sent.reason, key=key, now=site.clock())
    return Acknowledged(item=saved.item, at=saved.at, progress=progress_shown(saved.progress))


@router.put("/items/{item}/edit", responses=LEASE_LOST)
def edit(run: RunHere, member: Annotator, site: Here, item: Item, key: Key, sent: EditSent) -> EditAcknowledged:
    """Saves a new version of a completion, which becomes a candidate of the run."""
    edited = Edited(sent.completion, sent.text)
    saved = run.store.edit(member.name, item, edited, key=key, now=site.clock())
    return EditAcknowledged(item=saved.item, at=saved.at)


@router.post("/undo")
def undo(run: RunHere, member: Annotator, site: Here, key: Key) -> Next:
    """Takes the last label or skip back, and gives its item again with what was said. Null: there was nothing."""
    return _next(run, member, run.store.undo(member.name, key=key, now=site.clock()), site.clock())


@router.get("/progress")
def progress(run: RunHere, member: Annotator) -> ProgressShown:
    return progress_shown(run.store.progress(member.name))


@router.get("/mine")
def mine(run: RunHere, member: Annotator, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[OwnShown]:
    """This person's labels, newest first."""
    return [own_shown(label) for label in run.store.mine(member.name, limit)]


@router.get("/guidelines")
def guidelines(run: RunHere, _: Annotator) -> GuidelinesShown:
    """The current version; 0 where none were written."""
    current = run.store.guidelines()
    return GuidelinesShown(version=current.version, text=current.text, at=current.at)


def _next(run: RunHere, member: Annotator, leased: Leased | None, now: float) -> Next:
    return Next(
        shown=None if leased is None else shown(leased, now),
        progress=progress_shown(run.store.progress(member.name)),
        guidelines=run.store.guidelines().version,
    )
