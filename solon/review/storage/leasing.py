"""Leases: who has which item in hand, and for how long.

A lease runs out by the clock; nothing has to notice it. What ran out is only out of the count of those who hold
an item.
"""

from typing import Any

import sqlalchemy as sa

from judge.review.records import Side
from judge.review.sides import side
from solon.database import insert
from solon.review.errors import Dropped
from solon.review.records import Leased, Said
from solon.review.storage.bodies import body_of
from solon.review.storage.counting import strewn_for
from solon.review.storage.holding import Row, Visit, hold_annotator, hold_task, read_run
from solon.review.storage.tables import ACTS, ASSIGNMENTS, CURRENT, ROUNDS, TASKS

LEASE = 15 * 60.0  # seconds

_RUN: sa.BindParameter[Any] = sa.bindparam("run")
_ITEM: sa.BindParameter[Any] = sa.bindparam("item")
_ANNOTATOR: sa.BindParameter[Any] = sa.bindparam("annotator")
_NOW: sa.BindParameter[Any] = sa.bindparam("now")
_GIVEN = sa.select(ASSIGNMENTS).where(ASSIGNMENTS.c.run == _RUN, ASSIGNMENTS.c.annotator == _ANNOTATOR)
_GIVEN_ITEM = _GIVEN.where(ASSIGNMENTS.c.item == _ITEM)
_IN_HAND = _GIVEN.where(ASSIGNMENTS.c.state == "leased")
_OTHERS_HOLD = sa.and_(
    ASSIGNMENTS.c.annotator != _ANNOTATOR, ASSIGNMENTS.c.state == "leased", ASSIGNMENTS.c.lease_until > _NOW
)
_OTHERS = (
    sa.select(sa.func.count())
    .select_from(ASSIGNMENTS)
    .where(ASSIGNMENTS.c.run == _RUN, ASSIGNMENTS.c.item == _ITEM, _OTHERS_HOLD)
)

_OF_TASK = sa.and_(ASSIGNMENTS.c.run == TASKS.c.run, ASSIGNMENTS.c.item == TASKS.c.item)
_OWN_WORD = sa.and_(ASSIGNMENTS.c.annotator == _ANNOTATOR, ASSIGNMENTS.c.state.in_(("labelled", "skipped")))
_GOLDS = sa.select(TASKS).where(
    TASKS.c.run == _RUN,
    TASKS.c.shelf == "gold",
    ~sa.select(1).select_from(ASSIGNMENTS).where(_OF_TASK, _OWN_WORD).correlate(TASKS).exists(),
)

# What is taken of an item besides its labels, as one person finds it: all of it, where they have said their word. In
# one look at the item's assignments: as a join PostgreSQL might walk through the whole table for every task.
_TAKEN = sa.select(
    sa.func.coalesce(sa.func.sum(sa.case((_OWN_WORD, TASKS.c.overlap), (_OTHERS_HOLD, 1), else_=0)), 0)
).select_from(ASSIGNMENTS)
_FREE = (
    sa.select(TASKS)
    .where(
        TASKS.c.run == _RUN,
        TASKS.c.shelf == "open",
        TASKS.c.labels + _TAKEN.where(_OF_TASK).correlate(TASKS).scalar_subquery() < TASKS.c.overlap,
    )
    .order_by(TASKS.c.place, TASKS.c.item)
    .limit(1)
)
_FREE_NOW = _FREE.with_for_update(of=TASKS, skip_locked=True)
_FREE_SOON = _FREE.with_for_update(of=TASKS)

_OWN = (ACTS.c.run == _RUN, ACTS.c.annotator == _ANNOTATOR, CURRENT)
_POSITION = sa.select(sa.func.count()).where(*_OWN)
_LAST_SHELF = (
    sa.select(TASKS.c.shelf)
    .join(ACTS, sa.and_(ACTS.c.run == TASKS.c.run, ACTS.c.item == TASKS.c.item))
    .where(*_OWN)
    .order_by(ACTS.c.number.desc())
    .limit(1)
)
_SEED = sa.select(ROUNDS.c.seed).where(ROUNDS.c.run == _RUN, ROUNDS.c.number == sa.bindparam("round"))
_THIS = (ASSIGNMENTS.c.run == sa.bindparam("of_run"), ASSIGNMENTS.c.annotator == sa.bindparam("of_annotator"))
_THIS_ITEM = (*_THIS, ASSIGNMENTS.c.item == sa.bindparam("of_item"))
_RELEASE = (
    sa.update(ASSIGNMENTS)
    .where(*_THIS, ASSIGNMENTS.c.state == "leased", ASSIGNMENTS.c.item != sa.bindparam("of_item"))
    .values(state="released")
)
_CHANGE = sa.update(ASSIGNMENTS).where(*_THIS_ITEM)


def next_item(visit: Visit) -> Leased | None:
    """The item in this person's hands, else a new one; None where nothing is left for them just now."""
    if hold_annotator(visit):
        return None
    held = visit.connection.execute(_IN_HAND, visit.mine).first()
    if held is not None and held.lease_until > visit.now:
        change_assignment(visit, held.item, guidelines=read_run(visit.connection, visit.run).guidelines)
        return Leased(held.item, body_of(visit.connection, visit.run, held.item), as_side(held.side), held.lease_until)
    task = _due_gold(visit) or _free(visit)
    return None if task is None else lease(visit, task)


def heartbeat(visit: Visit, item: str) -> float | None:
    """The new end of the lease. One that ran out is taken up again where nobody took the place.

    Raises:
        Dropped: the lead has dropped this person, who is to keep it from nobody.
    """
    if hold_annotator(visit):
        raise Dropped
    held = given(visit, item)
    if held is None or held.state != "leased":
        return None
    if not has_room(visit, hold_task(visit.connection, visit.run, item)):
        return None  # it ran out, be it by another process's clock
    until = visit.now + LEASE
    change_assignment(visit, item, lease_until=until)
    return until


def in_hand(connection: sa.Connection, run: str, annotator: str, now: float) -> str | None:
    """The item that this person is about to label."""
    held = connection.execute(_IN_HAND, {"run": run, "annotator": annotator}).first()
    return held.item if held is not None and held.lease_until > now else None


def lease(visit: Visit, task: Row, saved: Said | None = None) -> Leased:
    """Puts a held task that has room into this person's hands, and whatever they held out of them."""
    of = {"of_run": visit.run, "of_annotator": visit.annotator, "of_item": task.item}
    visit.connection.execute(_RELEASE, of)
    before = given(visit, task.item)
    until = visit.now + LEASE
    values = {
        "state": "leased", "shown_at": visit.now, "lease_until": until,
        "guidelines": read_run(visit.connection, visit.run).guidelines,
    }  # fmt: skip
    if before is None:
        seed = visit.connection.execute(_SEED, {"run": visit.run, "round": task.round}).scalar_one()
        left = side(int(seed), task.item, visit.annotator)
        key = {**visit.mine, "item": task.item}
        visit.connection.execute(insert(visit.connection.engine, ASSIGNMENTS), {**key, **values, "side": left})
    else:
        left = as_side(before.side)
        change_assignment(visit, task.item, **values)
    return Leased(task.item, body_of(visit.connection, visit.run, task.item), left, until, saved)


def given(visit: Visit, item: str) -> Row | None:
    """The assignment, if the item was ever given to this person."""
    return visit.connection.execute(_GIVEN_ITEM, {**visit.mine, "item": item}).first()


def change_assignment(visit: Visit, item: str, **values: Any) -> None:
    of = {"of_run": visit.run, "of_annotator": visit.annotator, "of_item": item}
    visit.connection.execute(_CHANGE.values(**values), of)


def has_room(visit: Visit, task: Row, more: int = 0) -> bool:
    """Whether a held task wants a label of this person, with ``more`` labels than it had when it was read."""
    if task.shelf == "gold":
        return True
    values = {**visit.mine, "item": task.item, "now": visit.now}
    others: int = visit.connection.execute(_OTHERS, values).scalar_one()
    return bool(task.labels + more + others < task.overlap)


def as_side(number: int) -> Side:
    return 1 if number == 1 else 2


def _free(visit: Visit) -> Row | None:
    """The first item in order that is free, held.

    A search reads leases as they stood when it began, so what it found is looked at again under the lock. Items that
    others are about to change are passed over first, and waited for only where nothing else is left.
    """
    for search in (_FREE_NOW, _FREE_SOON):
        while (task := visit.connection.execute(search, {**visit.mine, "now": visit.now}).first()) is not None:
            if has_room(visit, task):
                return task
    return None


def _due_gold(visit: Visit) -> Row | None:
    """The gold item whose turn it is, if one is due and left. Everybody gets each once, so it needs no lock."""
    strewn = strewn_for(visit)
    if not strewn.is_gold(visit.connection.execute(_POSITION, visit.mine).scalar_one()):
        return None
    if visit.connection.execute(_LAST_SHELF, visit.mine).scalar() == "gold":
        return None  # a later round has changed the plan
    golds = {row.item: row for row in visit.connection.execute(_GOLDS, visit.mine)}
    return golds[strewn.choose(golds)] if golds else None
