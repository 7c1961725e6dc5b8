"""Locks. On PostgreSQL rows are locked, always in this order: run, annotator, task, counts. On SQLite the transaction
is alone, and nothing needs a lock of its own."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from solon.database import insert
from solon.review.errors import Unknown
from solon.review.storage.tables import ANNOTATORS, RUNS, TASKS

Row: TypeAlias = sa.Row[Any]

_ANNOTATOR = (
    sa.select(ANNOTATORS.c.dropped)
    .where(ANNOTATORS.c.run == sa.bindparam("run"), ANNOTATORS.c.name == sa.bindparam("name"))
    .with_for_update()
)
_TASK = sa.select(TASKS).where(TASKS.c.run == sa.bindparam("run"), TASKS.c.item == sa.bindparam("item"))
_HELD_TASK = _TASK.with_for_update()
_RUN = sa.select(RUNS).where(RUNS.c.run == sa.bindparam("run"))
_HELD_RUN = _RUN.with_for_update()


@dataclass(frozen=True, slots=True)
class Visit:
    """One annotator in one write transaction."""

    connection: sa.Connection
    run: str
    annotator: str
    now: float  # Unix time

    @property
    def mine(self) -> dict[str, str]:
        """The values that pick this annotator's rows."""
        return {"run": self.run, "annotator": self.annotator}


def hold_annotator(visit: Visit) -> bool:
    """Whether the annotator is dropped. From here on nothing else is done in their name before this ends."""
    who = {"run": visit.run, "name": visit.annotator}
    held = visit.connection.execute(_ANNOTATOR, who).first()
    if held is None:
        visit.connection.execute(insert(visit.connection.engine, ANNOTATORS).on_conflict_do_nothing(), who)
        held = visit.connection.execute(_ANNOTATOR, who).one()
    return bool(held.dropped)


def hold_task(connection: sa.Connection, run: str, item: str) -> Row:
    """The task as it stands; its labels and leases stay so until this ends.

    Raises:
        Unknown: no such item.
    """
    held = connection.execute(_HELD_TASK, {"run": run, "item": item}).first()
    if held is None:
        raise Unknown(item)
    return held


def hold_run(connection: sa.Connection, run: str) -> Row:
    """For what the lead changes: one at a time."""
    return connection.execute(_HELD_RUN, {"run": run}).one()


def read_run(connection: sa.Connection, run: str) -> Row:
    return connection.execute(_RUN, {"run": run}).one()
