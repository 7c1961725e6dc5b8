"""One run's review: items, leases, labels, and all that the lead sees. Safe from many threads and processes.

A thin face: each method is one transaction over functions of the rooms beside it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from judge.review.records import HumanLabel
from solon.database import Database, error_of, insert, making, storage_errors, writing
from solon.review.lead.disputes import Dispute
from solon.review.records import (
    Annotator,
    Decision,
    Edit,
    Edited,
    EditSaved,
    Flag,
    Guidelines,
    Leased,
    NewTask,
    OwnLabel,
    Pooled,
    Progress,
    Retired,
    Round,
    Said,
    Saved,
    Skip,
    StoredRound,
    StoredTask,
    TakenIn,
    Totals,
)
from solon.review.storage import counting, editing, gone, leasing, reading, rounds, saying, taking
from solon.review.storage.holding import Visit
from solon.review.storage.tables import COUNTS, RUNS, SCHEMA
from solon.review.storage.texts import check_item, check_said, check_text

T = TypeVar("T")

_CROSSED = ("40P01", "40001")  # PostgreSQL's: two transactions waited for each other, and this one was undone
_TRIES = 5


class Store:
    """``now`` and ``at`` are Unix time, given by the caller. Everything acknowledged is on the disk."""

    def __init__(self, database: Database, engine: sa.Engine, run: str) -> None:
        """For ``open`` alone."""
        self._database = database
        self._engine = engine
        self._run = run

    @classmethod
    def open(cls, database: Database, run: str) -> Self:
        """Makes the tables where they are missing.

        Raises:
            StorageError, InputError: the database cannot be used.
        """
        store = cls(database, database.engine(serving=True), run)
        with store._closed_on_error(), making(store._engine, database.schema) as connection:
            SCHEMA.create_all(connection)
            connection.execute(insert(store._engine, RUNS).on_conflict_do_nothing(), {"run": run, "gold_seed": ""})
            connection.execute(insert(store._engine, COUNTS).on_conflict_do_nothing(), {"run": run})
        return store

    @classmethod
    def open_to_read(cls, database: Database, run: str) -> Self | None:
        """The review as it lies, in an archive that nobody may write to as well; None where this run has none.

        Raises:
            StorageError, InputError: the database cannot be used.
        """
        store = cls(database, database.engine(read_only=True), run)
        with store._closed_on_error(), store._engine.connect() as connection:
            there = sa.inspect(connection).has_table(RUNS.name)
            begun = there and connection.scalar(sa.select(RUNS.c.run).where(RUNS.c.run == run)) is not None
        if not begun:
            store.close()
        return store if begun else None

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what the lead puts in

    def add_round(self, asked: Round, pool: Sequence[Pooled], tasks: Sequence[NewTask], at: float) -> int:
        """The round's number, from 1. An item that is there already keeps what it has, but its overlap may grow, and
        its kind may turn from worth to audit.

        Raises:
            ValueError: an item comes twice.
        """
        return self._write(lambda c: rounds.add_round(c, self._run, asked, pool, tasks, at))

    def retire(self, here: Collection[str], now: float) -> Retired:
        """Nobody is given an item any more that is not ``here``, among the run's couples; what is here again is open
        again. What somebody has labelled, or has in hand just now, stays as it is.
        """
        return self._write(lambda c: gone.retire(c, self._run, here, now))

    def rounds(self) -> tuple[StoredRound, ...]:
        return self._read(lambda c: rounds.rounds(c, self._run))

    def pool(self) -> tuple[Pooled, ...]:
        """Every couple that rounds chose from, by item."""
        return self._read(lambda c: rounds.pool(c, self._run))

    def tasks(self, items: Collection[str] | None = None) -> tuple[StoredTask, ...]:
        """All of them, or those asked for that are there, in the order in which people get them."""
        return self._read(lambda c: rounds.tasks(c, self._run, items))

    def guidelines(self) -> Guidelines:
        return self._read(lambda c: rounds.guidelines(c, self._run))

    def guideline_versions(self) -> tuple[Guidelines, ...]:
        """Oldest first."""
        return self._read(lambda c: rounds.guideline_versions(c, self._run))

    def set_guidelines(self, text: str, by: str, at: float) -> Guidelines:
        """A new version, unless the text is what the newest one says."""
        check_text("guidelines", text)
        return self._write(lambda c: rounds.set_guidelines(c, self._run, text, by, at))

    # -- an annotator

    def next(self, annotator: str, now: float) -> Leased | None:
        """The item in this person's hands, else a new one; None where nothing is left for them just now."""
        return self._visit(annotator, now, leasing.next_item)

    def heartbeat(self, annotator: str, item: str, now: float) -> float | None:
        """The new end of the lease; None where it is lost."""
        check_item(item)
        return self._visit(annotator, now, lambda visit: leasing.heartbeat(visit, item))

    def save(self, annotator: str, item: str, said: Said, *, key: str, now: float) -> Saved:
        """Keeps a label. The same key again gives the same reply and does nothing.

        Raises:
            LeaseLost, NotYours, Unknown, KeyReused, InputError.
        """
        check_item(item)
        check_said(said)
        check_text("Idempotency-Key", key)
        return self._visit(annotator, now, lambda visit: saying.save(visit, item, said, key))

    def skip(self, annotator: str, item: str, reason: str, *, key: str, now: float) -> Saved:
        """Leaves an item for others.

        Raises:
            NotYours, Unknown, KeyReused, InputError.
        """
        check_item(item)
        check_text("skip", reason, key)
        return self._visit(annotator, now, lambda visit: saying.skip(visit, item, reason, key))

    def edit(self, annotator: str, item: str, edited: Edited, *, key: str, now: float) -> EditSaved:
        """Keeps a new version of a completion; the item is still to be labelled.

        Raises:
            NotYours, Unknown, KeyReused, InputError.
        """
        check_item(item)
        check_text("edit", edited.text, key)
        return self._visit(annotator, now, lambda visit: editing.edit(visit, item, edited, key))

    def undo(self, annotator: str, *, key: str, now: float) -> Leased | None:
        """Takes the last label or skip back, and gives the item again where it has room.

        Raises:
            KeyReused, InputError.
        """
        check_text("Idempotency-Key", key)
        return self._visit(annotator, now, lambda visit: saying.undo(visit, key))

    def in_hand(self, annotator: str, now: float) -> str | None:
        """The item that this person is about to label."""
        return self._read(lambda c: leasing.in_hand(c, self._run, annotator, now))

    def mine(self, annotator: str, limit: int) -> tuple[OwnLabel, ...]:
        """Own current labels, newest first."""
        return self._read(lambda c: saying.mine(c, self._run, annotator, limit))

    def progress(self, annotator: str) -> Progress:
        return self._read(lambda c: counting.progress(Visit(c, self._run, annotator, 0.0)))

    # -- what the lead sees and settles

    def labels(self) -> tuple[HumanLabel, ...]:
        """Every current one, of dropped annotators too, in the order in which they came."""
        return self._read(lambda c: reading.labels(c, self._run))

    def skips(self) -> tuple[Skip, ...]:
        return self._read(lambda c: reading.skips(c, self._run))

    def flags(self) -> tuple[Flag, ...]:
        return self._read(lambda c: reading.flags(c, self._run))

    def edits(self) -> tuple[Edit, ...]:
        return self._read(lambda c: editing.edits(c, self._run))

    def decisions(self) -> tuple[Decision, ...]:
        """The last one of each item, by item."""
        return self._read(lambda c: reading.decisions(c, self._run))

    def disputes(self) -> tuple[Dispute, ...]:
        """Items on which people differ or that one of them flagged, the undecided first, the gravest first."""
        return self._read(lambda c: reading.disputes(c, self._run))

    def annotators(self) -> tuple[Annotator, ...]:
        return self._read(lambda c: reading.annotators(c, self._run))

    def dropped(self) -> frozenset[str]:
        return self._read(lambda c: reading.dropped(c, self._run))

    def totals(self) -> Totals:
        return self._read(lambda c: counting.totals(c, self._run))

    def set_dropped(self, annotator: str, dropped: bool, by: str, at: float) -> None:
        """Marks an annotator, who gets nothing new from then on. Their labels stay and reopen no item.

        Raises:
            Unknown: nobody of that name took part.
        """
        change = {"dropped": dropped, "changed_by": by, "changed_at": at}
        self._write(lambda c: reading.set_dropped(c, self._run, annotator, change))

    def decide(self, decision: Decision) -> None:
        """Settles an item; the last decision holds.

        Raises:
            Unknown: no such item.
        """
        check_item(decision.item)
        check_text("decision", decision.rationale)
        self._write(lambda c: reading.decide(c, self._run, decision))

    def take_in(self, labels: Sequence[HumanLabel], source: str) -> TakenIn:
        """Labels from another tool, ``source``. The same ones again change nothing.

        Raises:
            Unknown, InputError; then nothing is taken.
        """
        for label in labels:
            check_item(label.item)
            check_said(label)
            check_text("import", source, label.annotator)
        return self._write(lambda c: taking.take_in(c, self._run, labels, source))

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            with storage_errors(self._database):
                yield
        except BaseException:
            self.close()
            raise

    def _visit(self, annotator: str, now: float, work: Callable[[Visit], T]) -> T:
        return self._write(lambda c: work(Visit(c, self._run, annotator, now)))

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        with storage_errors(self._database), self._engine.connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[sa.Connection], T]) -> T:
        """One transaction, tried again where PostgreSQL undid it because it crossed another one."""
        for left in reversed(range(_TRIES)):
            try:
                with writing(self._engine) as connection:
                    return work(connection)
            except OperationalError as error:
                if not left or getattr(error.orig, "sqlstate", None) not in _CROSSED:
                    raise error_of(self._database, error) from error
        raise AssertionError("unreachable")
