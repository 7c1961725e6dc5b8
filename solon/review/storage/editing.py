"""Completions that people rewrite. What they write becomes a candidate of the run, as a revision by hand."""

from dataclasses import asdict

import sqlalchemy as sa

from constitution.errors import InputError
from constitution.identity import full_hash
from generator.candidates import candidate_id
from generator.prompts import Prompt
from judge.review.records import Side
from solon.database import insert
from solon.review.errors import Dropped, NotYours, TooManyEdits
from solon.review.records import Edit, Edited, EditSaved
from solon.review.storage.bodies import read
from solon.review.storage.holding import Row, Visit, hold_annotator, hold_task
from solon.review.storage.keys import Once
from solon.review.storage.leasing import as_side, given
from solon.review.storage.tables import BODIES, EDITS

LONGEST = 20_000  # characters
MOST = 20  # edits of one item by one person

_BODY = sa.select(BODIES).where(BODIES.c.run == sa.bindparam("run"), BODIES.c.item == sa.bindparam("item"))
_OWN = (
    sa.select(sa.func.count())
    .select_from(EDITS)
    .where(
        EDITS.c.run == sa.bindparam("run"),
        EDITS.c.item == sa.bindparam("item"),
        EDITS.c.annotator == sa.bindparam("annotator"),
    )
)
_EDITS = sa.select(EDITS).where(EDITS.c.run == sa.bindparam("run")).order_by(EDITS.c.number)


def edit(visit: Visit, item: str, edited: Edited, key: str) -> EditSaved:
    """Keeps a new version of a completion; the item stays as it is, and its label is still to be given.

    Raises:
        InputError: the text is empty, too long, or what the completion says already.
        TooManyEdits: this person has made 20 of the item already.
        Unknown, NotYours, Dropped, KeyReused: as for a label.
    """
    dropped = hold_annotator(visit)
    once = Once(visit, key, "edit", item, asdict(edited))
    if reply := once.reply():
        return EditSaved(item, edited, reply["at"])
    if dropped:
        raise Dropped
    hold_task(visit.connection, visit.run, item)
    held = given(visit, item)
    if held is None:
        raise NotYours
    if visit.connection.execute(_OWN, {**visit.mine, "item": item}).scalar_one() >= MOST:
        raise TooManyEdits(MOST)
    body = visit.connection.execute(_BODY, {"run": visit.run, "item": item}).one()
    values = _values(body, own_number(edited.completion, as_side(held.side)), edited.text)
    values |= {**visit.mine, "item": item, "at": visit.now}
    visit.connection.execute(insert(visit.connection.engine, EDITS), values)
    once.keep({"at": visit.now})
    return EditSaved(item, edited, visit.now)


def own_number(shown: Side, left: Side) -> Side:
    """Which of the item's own completions is shown in that place."""
    return shown if left == 1 else as_side(3 - shown)


def edit_call(revises: str, text: str) -> str:
    """What stands for the call that no model got: the same text for the same completion is the same edit."""
    return full_hash(("edit", revises, text))


def edits(connection: sa.Connection, run: str) -> tuple[Edit, ...]:
    rows = connection.execute(_EDITS, {"run": run})
    return tuple(Edit(r.id, r.call, r.prompt, r.revises, r.text, r.item, r.annotator, r.at) for r in rows)


def _values(body: Row, number: Side, text: str) -> dict[str, str | float]:
    task = read(body.body)
    _check(text, task.completions[number - 1])
    revises = (body.one, body.two)[number - 1]
    call = edit_call(revises or f"{task.item} {number}", text)
    name = candidate_id(Prompt(task.prompt_id, ()), 0, 0, call)  # the call says of which candidate it is a version
    return {"id": name, "call": call, "prompt": task.prompt_id, "revises": revises, "text": text}


def _check(text: str, before: str) -> None:
    if not text.strip():
        raise InputError("edit", "the text is empty", "write the completion as it should be")
    if len(text) > LONGEST:
        raise InputError("edit", f"the text has more than {LONGEST} characters", "shorten it")
    if text.strip() == before.strip():
        raise InputError("edit", "the text is the completion as it was", "change it, or leave it")
