"""Labels that people gave in another tool."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from constitution.identity import short_id
from judge.review.records import HumanLabel
from solon.database import insert
from solon.review.records import TakenIn
from solon.review.storage.counting import Change, add_up, recount
from solon.review.storage.holding import Row, Visit, hold_annotator, hold_run, hold_task
from solon.review.storage.leasing import change_assignment, given
from solon.review.storage.saying import own_word, take_back
from solon.review.storage.tables import ACTS, ASSIGNMENTS

_TAKEN = sa.select(ACTS.c.number).where(
    ACTS.c.run == sa.bindparam("run"),
    ACTS.c.annotator == sa.bindparam("annotator"),
    ACTS.c.item == sa.bindparam("item"),
    ACTS.c["key"] == sa.bindparam("key"),
)


def take_in(connection: sa.Connection, run: str, labels: Sequence[HumanLabel], source: str) -> TakenIn:
    """Takes the labels as they are, beyond the overlap too: what people said is kept. All of them, or none.

    A label that was taken in before is passed over, and so is one that is older than what the person said since, or
    the same.

    Raises:
        Unknown: an item is not in this review.
    """
    hold_run(connection, run)
    for name in sorted({label.annotator for label in labels}):
        hold_annotator(Visit(connection, run, name, 0.0))
    counted = {"new": 0, "replaced": 0, "passed over": 0}
    change = Change()
    for label in sorted(labels, key=lambda label: (label.item, label.annotator, label.at)):
        outcome, more = _take(Visit(connection, run, label.annotator, label.at), label, source)
        counted[outcome] += 1
        change += more
    add_up(connection, run, change)
    return TakenIn(counted["new"], counted["replaced"], counted["passed over"])


def _take(visit: Visit, label: HumanLabel, source: str) -> tuple[str, Change]:
    task = hold_task(visit.connection, visit.run, label.item)
    key = _key(label, source)
    if visit.connection.execute(_TAKEN, {**visit.mine, "item": label.item, "key": key}).first() is not None:
        return "passed over", Change()
    before = own_word(visit, label.item)
    if before is not None and (before.at > label.at or _says(before) == _said(label)):
        return "passed over", Change()
    if before is not None:
        take_back(visit, before, "replaced")
    visit.connection.execute(insert(visit.connection.engine, ACTS), {**visit.mine, **_act(label, source, key)})
    _assign(visit, label)
    more = 0 if before is not None and before.act == "label" else 1
    change = recount(visit.connection, task, more) if more else Change()
    return ("new" if before is None else "replaced"), change


def _key(label: HumanLabel, source: str) -> str:
    return short_id("taken in", source, label.item, label.annotator, label.at, _said(label))


def _said(label: HumanLabel) -> tuple[object, ...]:
    return label.choice, label.strength, label.rationale, label.flag


def _says(act: Row) -> tuple[object, ...]:
    return act.choice, act.strength, act.text, act.flag


def _act(label: HumanLabel, source: str, key: str) -> dict[str, Any]:
    return {
        "item": label.item, "act": "label", "choice": label.choice, "strength": label.strength, "flag": label.flag,
        "text": label.rationale, "key": key, "source": source, "side": label.side, "guidelines": label.guidelines,
        "seconds": label.seconds, "at": label.at,
    }  # fmt: skip


def _assign(visit: Visit, label: HumanLabel) -> None:
    """So that nobody gets an item that they labelled elsewhere."""
    if given(visit, label.item) is not None:
        change_assignment(visit, label.item, state="labelled")
        return
    values = {
        **visit.mine, "item": label.item, "state": "labelled", "side": label.side, "guidelines": label.guidelines,
        "shown_at": label.at - label.seconds, "lease_until": label.at,
    }  # fmt: skip
    visit.connection.execute(insert(visit.connection.engine, ASSIGNMENTS), values)
