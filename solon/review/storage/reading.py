"""What the lead sees and settles: labels with their annotators, disputes, decisions."""

from typing import Any

import sqlalchemy as sa

from judge.review.records import HumanLabel
from solon.review.errors import Unknown
from solon.review.lead.disputes import Dispute
from solon.review.lead.disputes import disputes as in_dispute
from solon.review.records import Annotator, Decision, Flag, Skip
from solon.review.storage.holding import Row
from solon.review.storage.leasing import as_side
from solon.review.storage.tables import ACTS, ANNOTATORS, CURRENT, DECISIONS, TASKS


def labels(connection: sa.Connection, run: str) -> tuple[HumanLabel, ...]:
    """Every current one, of dropped annotators too, in the order in which they came."""
    rows = connection.execute(_current(run, "label").add_columns(TASKS.c.kind).join(TASKS, _OF_TASK))
    return tuple(_label(row) for row in rows)


def skips(connection: sa.Connection, run: str) -> tuple[Skip, ...]:
    rows = connection.execute(_current(run, "skip"))
    return tuple(Skip(row.item, row.annotator, row.text, row.at) for row in rows)


def flags(connection: sa.Connection, run: str) -> tuple[Flag, ...]:
    rows = connection.execute(_current(run, "label").where(ACTS.c.flag != ""))
    return tuple(Flag(row.item, row.annotator, row.flag, row.at) for row in rows)


def decisions(connection: sa.Connection, run: str) -> tuple[Decision, ...]:
    """The last one of each item, by item."""
    rows = connection.execute(sa.select(DECISIONS).where(DECISIONS.c.run == run).order_by(DECISIONS.c.number))
    last = {row.item: Decision(row.item, row.choice, row.by, row.rationale, row.at) for row in rows}
    return tuple(last[item] for item in sorted(last))


def disputes(connection: sa.Connection, run: str) -> tuple[Dispute, ...]:
    decided = {decision.item: decision.choice for decision in decisions(connection, run)}
    return in_dispute(labels(connection, run), decided, dropped(connection, run))


def decide(connection: sa.Connection, run: str, decision: Decision) -> None:
    """Holds from now on; what was decided before is kept.

    Raises:
        Unknown: no such item.
    """
    known = sa.select(TASKS.c.item).where(TASKS.c.run == run, TASKS.c.item == decision.item)
    if connection.scalar(known) is None:
        raise Unknown(decision.item)
    values = {
        "run": run, "item": decision.item, "choice": decision.choice, "by": decision.by,
        "rationale": decision.rationale, "at": decision.at,
    }  # fmt: skip
    connection.execute(sa.insert(DECISIONS), values)


def annotators(connection: sa.Connection, run: str) -> tuple[Annotator, ...]:
    """Everybody who ever asked for an item, or whose labels came from elsewhere, by name."""
    said = {row.annotator: row for row in connection.execute(_SAID, {"run": run})}
    rows = connection.execute(sa.select(ANNOTATORS).where(ANNOTATORS.c.run == run).order_by(ANNOTATORS.c.name))
    return tuple(_annotator(row, said.get(row.name)) for row in rows)


def dropped(connection: sa.Connection, run: str) -> frozenset[str]:
    gone = sa.select(ANNOTATORS.c.name).where(ANNOTATORS.c.run == run, ANNOTATORS.c.dropped)
    return frozenset(connection.scalars(gone))


def set_dropped(connection: sa.Connection, run: str, name: str, change: dict[str, Any]) -> None:
    """Marks the annotator; their labels stay where they are.

    Raises:
        Unknown: nobody of that name took part.
    """
    who = sa.update(ANNOTATORS).where(ANNOTATORS.c.run == run, ANNOTATORS.c.name == name)
    if connection.execute(who.values(**change)).rowcount == 0:
        raise Unknown(name, "annotator")


_OF_TASK = sa.and_(TASKS.c.run == ACTS.c.run, TASKS.c.item == ACTS.c.item)
_SAID = (
    sa.select(
        ACTS.c.annotator,
        sa.func.count(sa.case((ACTS.c.act == "label", 1))).label("labels"),
        sa.func.count(sa.case((ACTS.c.act == "skip", 1))).label("skips"),
        sa.func.max(ACTS.c.at).label("last"),
    )
    .where(ACTS.c.run == sa.bindparam("run"), CURRENT)
    .group_by(ACTS.c.annotator)
)


def _current(run: str, act: str) -> sa.Select[Any]:
    return sa.select(ACTS).where(ACTS.c.run == run, ACTS.c.act == act, CURRENT).order_by(ACTS.c.number)


def _annotator(row: Row, said: Row | None) -> Annotator:
    if said is None:
        return Annotator(row.name, 0, 0, None, row.dropped)
    return Annotator(row.name, said.labels, said.skips, said.last, row.dropped)


def _label(row: Row) -> HumanLabel:
    return HumanLabel(
        row.item,
        row.annotator,
        row.choice,
        row.strength,
        row.text,
        as_side(row.side),
        row.seconds,
        row.at,
        row.guidelines,
        row.kind,
        row.flag,
        row.source,
    )
