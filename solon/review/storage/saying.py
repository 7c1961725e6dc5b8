"""What annotators say: labels, skips, and taking the last of them back."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from judge.review.records import shown_choice
from solon.database import insert
from solon.review.errors import Dropped, LeaseLost, NotYours
from solon.review.records import Leased, OwnLabel, Said, Saved
from solon.review.storage.bodies import body_of
from solon.review.storage.counting import Change, add_up, progress, recount
from solon.review.storage.holding import Row, Visit, hold_annotator, hold_task
from solon.review.storage.keys import Once, read_saved, written
from solon.review.storage.leasing import as_side, change_assignment, given, has_room, lease
from solon.review.storage.tables import ACTS, CURRENT

_OWN = sa.select(ACTS).where(ACTS.c.run == sa.bindparam("run"), ACTS.c.annotator == sa.bindparam("annotator"), CURRENT)
_OWN_OF_ITEM = _OWN.where(ACTS.c.item == sa.bindparam("item"))
_NEWEST = _OWN.order_by(ACTS.c.number.desc())
_HERE = ACTS.c.source == ""
_TAKE_BACK = (
    sa.update(ACTS)
    .where(ACTS.c.number == sa.bindparam("of_number"), CURRENT)
    .values(undone_at=sa.bindparam("when"), undone_why=sa.bindparam("why"))
)


def save(visit: Visit, item: str, said: Said, key: str) -> Saved:
    """The label, the counts and the key, in one transaction.

    A second label of the same person on the item replaces the first.

    Raises:
        Unknown: no such item.
        NotYours: the item was never given to this person.
        LeaseLost: the time was over, and others have taken the place.
        Dropped: the lead has dropped this person. What was saved before is still acknowledged.
        KeyReused: the key was used for something else.
    """
    dropped = hold_annotator(visit)
    once = Once(visit, key, "label", item, asdict(said))
    if reply := once.reply():
        return read_saved(reply)
    if dropped:
        raise Dropped
    task = hold_task(visit.connection, visit.run, item)
    held = _given(visit, item)
    before = own_word(visit, item)
    more = 0 if before is not None and before.act == "label" else 1
    if more and not has_room(visit, task):
        raise LeaseLost
    if before is not None:
        take_back(visit, before, "replaced")
    choice = shown_choice(said.choice, as_side(held.side))
    word = {"act": "label", "choice": choice, "strength": said.strength, "text": said.rationale, "flag": said.flag}
    add_act(visit, held, key, word)
    change_assignment(visit, item, state="labelled")
    return _saved(visit, task, once, more)


def skip(visit: Visit, item: str, reason: str, key: str) -> Saved:
    """The item is over for this person; others may have it. A label that they gave it before holds no more.

    Raises:
        Unknown, NotYours, Dropped, KeyReused: as in ``save``.
    """
    dropped = hold_annotator(visit)
    once = Once(visit, key, "skip", item, reason)
    if reply := once.reply():
        return read_saved(reply)
    if dropped:
        raise Dropped
    task = hold_task(visit.connection, visit.run, item)
    held = _given(visit, item)
    before = own_word(visit, item)
    if before is not None:
        take_back(visit, before, "replaced")
    add_act(visit, held, key, {"act": "skip", "choice": None, "strength": None, "text": reason, "flag": ""})
    change_assignment(visit, item, state="skipped")
    return _saved(visit, task, once, -1 if before is not None and before.act == "label" else 0)


def undo(visit: Visit, key: str) -> Leased | None:
    """Takes this person's last label or skip back and gives them the item again.

    None where there is nothing to take back, or where it was a skip and others have filled the item since. A label
    that came from another tool is not taken back.

    Raises:
        Dropped, KeyReused: as in ``save``.
    """
    dropped = hold_annotator(visit)
    once = Once(visit, key, "undo")
    if reply := once.reply():
        return _leased_again(visit, reply)
    if dropped:
        raise Dropped
    last = visit.connection.execute(_NEWEST.where(_HERE).limit(1), visit.mine).first()
    leased = None if last is None else _undo(visit, last)
    once.keep({"leased": None if leased is None else [leased.item, leased.side, leased.until, _plain(leased.saved)]})
    return leased


def mine(connection: sa.Connection, run: str, annotator: str, limit: int) -> tuple[OwnLabel, ...]:
    rows = connection.execute(_NEWEST.where(ACTS.c.act == "label").limit(limit), {"run": run, "annotator": annotator})
    return tuple(OwnLabel(row.item, said_of(row), row.at) for row in rows)


def said_of(act: Row) -> Said:
    """A label as its annotator gave it."""
    return Said(shown_choice(act.choice, as_side(act.side)), act.strength, act.text, act.flag)


def own_word(visit: Visit, item: str) -> Row | None:
    """What this person's word on the item is now."""
    return visit.connection.execute(_OWN_OF_ITEM, {**visit.mine, "item": item}).first()


def take_back(visit: Visit, act: Row, why: str) -> None:
    values = {"of_number": act.number, "when": visit.now, "why": why}
    visit.connection.execute(_TAKE_BACK, values)


def add_act(visit: Visit, held: Row, key: str, word: dict[str, Any]) -> None:
    values = {
        **visit.mine, **word, "item": held.item, "key": key, "source": "", "side": held.side,
        "guidelines": held.guidelines, "seconds": max(0.0, visit.now - held.shown_at), "at": visit.now,
    }  # fmt: skip
    visit.connection.execute(insert(visit.connection.engine, ACTS), values)


def _given(visit: Visit, item: str) -> Row:
    held = given(visit, item)
    if held is None:
        raise NotYours
    return held


def _saved(visit: Visit, task: Row, once: Once, more: int) -> Saved:
    if more:
        add_up(visit.connection, visit.run, recount(visit.connection, task, more))
    saved = Saved(task.item, visit.now, progress(visit))
    once.keep(written(saved))
    return saved


def _undo(visit: Visit, last: Row) -> Leased | None:
    task = hold_task(visit.connection, visit.run, last.item)
    labelled = last.act == "label"
    take_back(visit, last, "undone")
    change = recount(visit.connection, task, -1) if labelled else Change()
    if has_room(visit, task, -1 if labelled else 0):
        leased = lease(visit, task, said_of(last) if labelled else None)
    else:
        leased = None
        change_assignment(visit, last.item, state="released")
    add_up(visit.connection, visit.run, change)
    return leased


def _leased_again(visit: Visit, reply: Any) -> Leased | None:
    if reply["leased"] is None:
        return None
    item, side, until, saved = reply["leased"]
    return Leased(item, body_of(visit.connection, visit.run, item), side, until, Said(**saved) if saved else None)


def _plain(said: Said | None) -> object:
    return None if said is None else asdict(said)
