"""What the lead puts into the review: rounds of items, and guidelines."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import sqlalchemy as sa

from solon.database import insert
from solon.review.records import Guidelines, NewTask, Pooled, Round, StoredRound, StoredTask
from solon.review.storage.bodies import read, written
from solon.review.storage.counting import Change, add_up, shelf, wanted_of
from solon.review.storage.holding import Row, hold_run
from solon.review.storage.strewing import stretch_length
from solon.review.storage.tables import BODIES, GUIDELINES, POOL, ROUNDS, RUNS, TASKS

T = TypeVar("T")

AT_ONCE = 500  # values in one statement
_NO_GUIDELINES = Guidelines(0, "", 0.0, "")

_STORED = sa.select(TASKS, BODIES.c.one, BODIES.c.two, BODIES.c.body).join(
    BODIES, sa.and_(BODIES.c.run == TASKS.c.run, BODIES.c.item == TASKS.c.item)
)
_WIDER = (
    sa.update(TASKS)
    .where(TASKS.c.run == sa.bindparam("of_run"), TASKS.c.item == sa.bindparam("of_item"))
    .values({name: sa.bindparam(f"{name}_now") for name in ("overlap", "shelf", "kind", "turned")})
)


def add_round(
    connection: sa.Connection, run: str, asked: Round, pool: Sequence[Pooled], tasks: Sequence[NewTask], at: float
) -> int:
    """The round's number. An item that is there already stays as people have seen it. Only its overlap may grow, and
    its kind may turn from worth to audit, where the audit sample of all rounds takes it in.

    Raises:
        ValueError: an item comes twice.
    """
    if len({task.item for task in tasks}) < len(tasks):
        raise ValueError("an item comes twice in one round")
    hold_run(connection, run)
    last = connection.scalar(sa.select(sa.func.max(ROUNDS.c.number)).where(ROUNDS.c.run == run))
    number = int(last or 0) + 1
    values = {"run": run, "number": number, "at": at, "seed": str(asked.seed), "asked": json.dumps(asdict(asked))}
    connection.execute(sa.insert(ROUNDS), values)
    _put_pool(connection, run, number, pool)
    _strew(connection, run, asked, tasks)
    there = held_tasks(connection, run, [task.item for task in tasks])
    change = _widen(connection, number, there, tasks)
    change += _put_tasks(connection, run, number, [task for task in tasks if task.item not in there])
    add_up(connection, run, change)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE tasks")  # else the next plans are made for an empty table
    return number


def rounds(connection: sa.Connection, run: str) -> tuple[StoredRound, ...]:
    """In the order of their numbers."""
    kinds = sa.select(TASKS.c.round, TASKS.c.kind, sa.func.count()).where(TASKS.c.run == run)
    drawn: dict[int, dict[Any, int]] = {}
    for number, kind, count in connection.execute(kinds.group_by(TASKS.c.round, TASKS.c.kind)):
        drawn.setdefault(number, {})[kind] = count
    rows = connection.execute(sa.select(ROUNDS).where(ROUNDS.c.run == run).order_by(ROUNDS.c.number))
    return tuple(StoredRound(r.number, Round(**json.loads(r.asked)), r.at, drawn.get(r.number, {})) for r in rows)


def pool(connection: sa.Connection, run: str) -> tuple[Pooled, ...]:
    """By item."""
    rows = connection.execute(sa.select(POOL).where(POOL.c.run == run).order_by(POOL.c.item))
    return tuple(
        Pooled(row.item, row.stratum, row.score, row.probability, tuple(map(tuple, json.loads(row.chances))))
        for row in rows
    )


def tasks(connection: sa.Connection, run: str, items: Collection[str] | None) -> tuple[StoredTask, ...]:
    """All of them, or those asked for that are there, in the order in which people get them."""
    wanted = _STORED.where(TASKS.c.run == run)
    if items is None:
        rows = list(connection.execute(wanted))
    else:
        rows = [
            row for some in slices(sorted(items)) for row in connection.execute(wanted.where(TASKS.c.item.in_(some)))
        ]
    return tuple(_stored(row) for row in sorted(rows, key=lambda row: (row.place, row.item)))


def guidelines(connection: sa.Connection, run: str) -> Guidelines:
    row = connection.execute(_versions(run).limit(1)).first()
    return _NO_GUIDELINES if row is None else Guidelines(row.version, row.text, row.at, row.by)


def guideline_versions(connection: sa.Connection, run: str) -> tuple[Guidelines, ...]:
    """Oldest first."""
    rows = list(connection.execute(_versions(run)))
    return tuple(Guidelines(row.version, row.text, row.at, row.by) for row in reversed(rows))


def set_guidelines(connection: sa.Connection, run: str, text: str, by: str, at: float) -> Guidelines:
    """A new version, unless the text is what the newest one says."""
    hold_run(connection, run)
    before = guidelines(connection, run)
    if before.text == text:
        return before
    now = Guidelines(before.version + 1, text, at, by)
    connection.execute(sa.insert(GUIDELINES), {"run": run, **asdict(now)})
    connection.execute(sa.update(RUNS).where(RUNS.c.run == run).values(guidelines=now.version))
    return now


def _versions(run: str) -> sa.Select[Any]:
    return sa.select(GUIDELINES).where(GUIDELINES.c.run == run).order_by(GUIDELINES.c.version.desc())


def _put_pool(connection: sa.Connection, run: str, number: int, couples: Sequence[Pooled]) -> None:
    if couples:
        had = {one.item: one.by_round for one in pool(connection, run)}
        new = insert(connection.engine, POOL)
        changed = {name: new.excluded[name] for name in ("stratum", "score", "probability", "chances")}
        statement = new.on_conflict_do_update(index_elements=["run", "item"], set_=changed)
        rows = [
            {
                "run": run,
                "item": c.item,
                "stratum": c.stratum,
                "score": c.score,
                "probability": c.probability,
                "chances": json.dumps([*had.get(c.item, ()), (number, c.probability)]),
            }
            for c in couples
        ]
        connection.execute(statement, rows)


def _strew(connection: sa.Connection, run: str, asked: Round, tasks: Sequence[NewTask]) -> None:
    """The newest round that brings gold items says how they all are strewn."""
    if asked.gold_share > 0 and any(task.kind == "gold" for task in tasks):
        values = {"stretch": stretch_length(asked.gold_share), "gold_seed": str(asked.seed)}
        connection.execute(sa.update(RUNS).where(RUNS.c.run == run).values(**values))


def held_tasks(connection: sa.Connection, run: str, items: Sequence[str]) -> Mapping[str, Row]:
    """Those of the items that are there, locked."""
    held = sa.select(TASKS).where(TASKS.c.run == run).order_by(TASKS.c.item).with_for_update()
    return {
        row.item: row
        for some in slices(sorted(items))
        for row in connection.execute(held.where(TASKS.c.item.in_(some)))
    }


def _widen(connection: sa.Connection, number: int, there: Mapping[str, Row], tasks: Sequence[NewTask]) -> Change:
    """Gold items stay what they are, and what is there becomes none."""
    change = Change()
    for task in tasks:
        before = there.get(task.item)
        if before is None or "gold" in (before.kind, task.kind):
            continue
        overlap, kind = max(task.overlap, before.overlap), "audit" if task.kind == "audit" else before.kind
        now = shelf(kind, before.labels, overlap)
        turned = before.turned if kind == before.kind else number
        of = {"of_run": before.run, "of_item": before.item, "turned_now": turned}
        connection.execute(_WIDER, {**of, "overlap_now": overlap, "shelf_now": now, "kind_now": kind})
        counted = min(before.labels, overlap) - min(before.labels, before.overlap)
        opened = (now == "open") - (before.shelf == "open")
        change += Change(open=opened, labels=counted, wanted=overlap - wanted_of(before))
    return change


def _put_tasks(connection: sa.Connection, run: str, number: int, new: Sequence[NewTask]) -> Change:
    if not new:
        return Change()
    connection.execute(sa.insert(TASKS), [_row(run, number, task) for task in new])
    bodies = [
        {"run": run, "item": t.item, "one": t.candidates[0], "two": t.candidates[1], "body": written(t.body)}
        for t in new
    ]
    connection.execute(sa.insert(BODIES), bodies)
    ordinary = [task.overlap for task in new if task.kind != "gold"]
    return Change(items=len(ordinary), open=len(ordinary), wanted=sum(ordinary))


def _row(run: str, number: int, task: NewTask) -> dict[str, Any]:
    return {
        "run": run, "item": task.item, "round": number, "kind": task.kind, "place": task.place, "overlap": task.overlap,
        "shelf": shelf(task.kind, 0, task.overlap), "labels": 0, "known": task.known,
    }  # fmt: skip


def _stored(row: Row) -> StoredTask:
    task = NewTask(row.kind, row.place, row.overlap, read(row.body), (row.one, row.two), row.known)
    return StoredTask(task, row.round, row.labels, row.turned, row.shelf == "gone")


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
