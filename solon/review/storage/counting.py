"""Counts, kept in the transaction that changes them."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from solon.review.records import Progress, Totals
from solon.review.storage.holding import Row, Visit, read_run
from solon.review.storage.strewing import Strewn
from solon.review.storage.tables import ACTS, COUNTS, CURRENT, TASKS

_IS_GOLD = TASKS.c.shelf == "gold"


def _number_of(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    return sa.func.count(sa.case((sa.and_(*conditions), 1)))


_OWN = (
    sa.select(
        _number_of(ACTS.c.act == "label").label("done"),
        _number_of(ACTS.c.act == "skip").label("skipped"),
        _number_of(ACTS.c.act == "label", _IS_GOLD).label("gold_done"),
        _number_of(_IS_GOLD).label("gold"),
        _number_of(TASKS.c.shelf == "open").label("open"),
    )
    .select_from(ACTS.join(TASKS, sa.and_(TASKS.c.run == ACTS.c.run, TASKS.c.item == ACTS.c.item)))
    .where(ACTS.c.run == sa.bindparam("run"), ACTS.c.annotator == sa.bindparam("annotator"), CURRENT)
)
_GOLDS = sa.select(sa.func.count()).where(TASKS.c.run == sa.bindparam("run"), _IS_GOLD)
_COUNTS = sa.select(COUNTS).where(COUNTS.c.run == sa.bindparam("run"))
_SET = (
    sa.update(TASKS)
    .where(TASKS.c.run == sa.bindparam("of_run"), TASKS.c.item == sa.bindparam("of_item"))
    .values(labels=sa.bindparam("labels_now"), shelf=sa.bindparam("shelf_now"))
)
_ADD = (
    sa.update(COUNTS)
    .where(COUNTS.c.run == sa.bindparam("of_run"))
    .values({name: COUNTS.c[name] + sa.bindparam(f"more_{name}") for name in ("items", "open", "labels", "wanted")})
)


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to the sums over ordinary tasks."""

    items: int = 0
    open: int = 0
    labels: int = 0
    wanted: int = 0

    def __add__(self, other: "Change") -> "Change":
        return Change(
            self.items + other.items, self.open + other.open, self.labels + other.labels, self.wanted + other.wanted
        )


def shelf(kind: str, labels: int, overlap: int) -> str:
    """Where an item belongs that the run still has, or that somebody has labelled."""
    if kind == "gold":
        return "gold"
    return "open" if labels < overlap else "full"


def wanted_of(task: Row) -> int:
    """What an ordinary task has put into the sum of labels wanted."""
    return 0 if task.shelf == "gone" else int(task.overlap)


def recount(connection: sa.Connection, task: Row, more: int) -> Change:
    """Puts ``more`` labels on a held task. What it changes of the sums is to be added at the end, by ``add_up``.

    One that was gone is an item like others again: somebody had it in hand, or another tool brought a label.
    """
    labels = task.labels + more
    now = shelf(task.kind, labels, task.overlap)
    values = {"of_run": task.run, "of_item": task.item, "labels_now": labels, "shelf_now": now}
    connection.execute(_SET, values)
    if now == "gold":
        return Change()
    counted = min(labels, task.overlap) - min(task.labels, task.overlap)
    opened = (now == "open") - (task.shelf == "open")
    return Change(open=opened, labels=counted, wanted=task.overlap - wanted_of(task))


def add_up(connection: sa.Connection, run: str, change: Change) -> None:
    """Locks the sums, so nothing else may be locked after it."""
    if change != Change():
        more = {f"more_{name}": getattr(change, name) for name in ("items", "open", "labels", "wanted")}
        connection.execute(_ADD, {"of_run": run, **more})


def totals(connection: sa.Connection, run: str) -> Totals:
    row = connection.execute(_COUNTS, {"run": run}).one()
    return Totals(row.items, row.open, row.labels, row.wanted)


def strewn_for(visit: Visit) -> Strewn:
    row = read_run(visit.connection, visit.run)
    return Strewn(row.gold_seed, visit.annotator, row.stretch)


def progress(visit: Visit) -> Progress:
    """Gold items are counted into all figures, those to come as well, so that one label moves them like another."""
    own = visit.connection.execute(_OWN, visit.mine).one()
    team = totals(visit.connection, visit.run)
    left = visit.connection.execute(_GOLDS, {"run": visit.run}).scalar_one() - own.gold
    still_open = team.open - own.open
    golds = min(left, strewn_for(visit).upcoming(own.done + own.skipped, still_open)) if left else 0
    return Progress(
        own.done, own.skipped, still_open + golds, team.labels + own.gold_done, team.wanted + own.gold + golds
    )
