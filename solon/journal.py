"""The journal of a run: every reply received and every row made from them, durable in one file.

It keeps bytes as they are and never looks inside them. SQLite in WAL mode today; for PostgreSQL the
schema stays, and ``_engine``, the dialect's ``insert`` and ``instr`` change.
"""

import asyncio
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import QueuePool

from constitution.errors import InputError, StorageError
from generator.chat import Usage
from solon.journal_writer import Commit, Values, Writer, not_a_journal, storage_errors
from solon.records import Receipt, RecordedCall, SentBatch, Spent

SCHEMA = 2  # raise it when a journal written from now on could not be read by the code before
BODIES_AT_ONCE = 200

_schema = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


_name, _key, _prompt = (sa.Column(name, sa.Text, primary_key=True) for name in ("name", "key", "prompt"))
_counts = [_count(name) for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "stored_tokens", "batch")]
_calls = sa.Table(
    "calls", _schema, _key, _text("model"), _bytes("request"), _bytes("reply"), _text("answered_by"), *_counts
)
_rows = sa.Table("rows", _schema, _prompt, _text("recipe"), _bytes("body"))
_notes = sa.Table("notes", _schema, _name, _text("value"))
_batch_name = sa.Column("name", sa.Text, primary_key=True)
_batches = sa.Table(
    "batches",
    _schema,
    _batch_name,
    _text("model"),
    _text("id"),
    _text("state"),
    _text("created"),
    _text("keys"),
    _text("dearest"),
)

_ADD_CALL = insert(_calls).on_conflict_do_nothing()
_NEW_ROW = insert(_rows)
_PUT_ROW = _NEW_ROW.on_conflict_do_update(
    index_elements=["prompt"], set_={"recipe": _NEW_ROW.excluded.recipe, "body": _NEW_ROW.excluded.body}
)
_NEW_NOTE = insert(_notes)
_PUT_NOTE = _NEW_NOTE.on_conflict_do_update(index_elements=["name"], set_={"value": _NEW_NOTE.excluded.value})
_NEW_BATCH = insert(_batches)
_PUT_BATCH = _NEW_BATCH.on_conflict_do_update(
    index_elements=["name"], set_={n: _NEW_BATCH.excluded[n] for n in ("id", "state", "keys")}
)
_REPLY = sa.select(_calls.c.reply).where(_calls.c.key == sa.bindparam("key"))
_NOTE = sa.select(_notes.c.value).where(_notes.c.name == sa.bindparam("name"))
_DROP_ROW = sa.delete(_rows).where(_rows.c.prompt == sa.bindparam("gone"))


class Journal:
    """One run's journal, used by one process at a time (``run_lock`` sees to that); readers may be many."""

    def __init__(self, path: Path, engine: sa.Engine, read_only: bool) -> None:
        """For ``open`` alone."""
        self._path = path
        self._engine = engine
        self._known = None if read_only else self._marks()
        self._writer = None if read_only else Writer(path, engine)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Opens the journal at ``path``; one that is to be written is created where there is none.

        Raises:
            InputError: no journal to read, not a journal, or one that a newer Solon wrote.
            StorageError: the file cannot be read, or cannot be written and is to be.
        """
        if read_only and not path.exists():
            raise InputError(str(path), "there is no journal here", "name the folder of a run that has begun")
        engine = _engine(path, read_only)
        try:
            with storage_errors(path), engine.connect() as connection:
                _prepare(path, connection, read_only)
            return cls(path, engine, read_only)
        except BaseException:
            engine.dispose()
            raise

    async def find(self, key: str) -> bytes | None:
        """The raw reply to the call, if one is recorded. Costs next to nothing where none is."""
        if self._known is not None and _mark(key) not in self._known:
            return None
        return await asyncio.to_thread(self._first, _REPLY, key=key)

    async def record(self, key: str, model: str, request: bytes, reply: bytes, receipt: Receipt) -> None:
        """Returns once the reply is on the disk. The first reply recorded for a key is the one kept."""
        if self._known is not None:
            self._known.add(_mark(key))
        usage = receipt.usage
        values: Values = {
            "key": key, "model": model, "request": request, "reply": reply, "answered_by": receipt.answered_by,
            "prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "cached_tokens": usage.cached,
            "stored_tokens": usage.stored, "batch": receipt.batch,
        }  # fmt: skip
        await self._write(_ADD_CALL, values).durable()

    def call(self, key_prefix: str, limit: int = 20) -> tuple[RecordedCall, ...]:
        """The first ``limit`` recorded calls, by key, whose key starts with these hex digits."""
        key = _calls.c.key
        within = sa.select(_calls).where(key >= key_prefix, key < key_prefix + "g")  # "g": past every hex digit
        rows = self._fetch(within.order_by(key).limit(limit))
        return tuple(RecordedCall(row[0], row[1], row[2], row[3], _receipt(*row[4:])) for row in rows)

    def spent(self) -> tuple[Spent, ...]:
        """What all recorded calls come to, by model, ordered by its name."""
        alike = (_calls.c.model, _calls.c.answered_by, _calls.c.batch)
        sums = (sa.func.sum(count) for count in _counts[:-1])
        query = sa.select(*alike, *sums, sa.func.count()).group_by(*alike).order_by(*alike)
        return tuple(
            Spent(row[0], _receipt(row[1], row[3], row[4], row[5], row[6], row[2]), row[7])
            for row in self._fetch(query)
        )

    def receipts(self, keys: Collection[str]) -> list[tuple[str, Receipt]]:
        """Of those of the calls that are recorded: which model was asked, and the receipt. In no order."""
        columns = (_calls.c.model, _calls.c.answered_by, *_counts)
        rows = self._fetch(sa.select(*columns).where(_calls.c.key.in_(keys)))
        return [(row[0], _receipt(*row[1:])) for row in rows]

    async def save_row(self, prompt: str, recipe: str, body: bytes) -> None:
        """Returns once the prompt's row is on the disk, in place of any earlier one."""
        await self._write(_PUT_ROW, {"prompt": prompt, "recipe": recipe, "body": body}).durable()

    def recipes(self) -> dict[str, str]:
        """Each prompt that has a row, with the recipe it was made by."""
        return dict(self._fetch(sa.select(_rows.c.prompt, _rows.c.recipe)))

    def bodies(self, prompts: Iterable[str]) -> Iterator[bytes]:
        """The rows of the prompts, in the order given, with few of them in memory at once.

        Raises:
            KeyError: a prompt has no row (skipping it would shift the others).
        """
        remaining = iter(prompts)
        while some := list(islice(remaining, BODIES_AT_ONCE)):
            found = dict(self._fetch(sa.select(_rows.c.prompt, _rows.c.body).where(_rows.c.prompt.in_(some))))
            yield from (found[prompt] for prompt in some)

    def find_rows(self, fragment: str) -> list[bytes]:
        """The rows that contain ``fragment``, letter for letter, ordered by prompt. Reads every row."""
        holds = sa.func.instr(_rows.c.body, fragment.encode()) > 0
        return [body for (body,) in self._fetch(sa.select(_rows.c.body).where(holds).order_by(_rows.c.prompt))]

    def forget_rows_except(self, prompts: Collection[str]) -> int:
        """Deletes the rows of all other prompts and says how many. Calls stay: they are paid for."""
        gone = self.recipes().keys() - set(prompts)
        if gone:
            values: list[Values] = [{"gone": prompt} for prompt in gone]
            self._write(_DROP_ROW, *values).committed.result()
        return len(gone)

    async def save_batch(self, batch: SentBatch) -> None:
        """Returns once the batch is on the disk as it stands now."""
        values: Values = {
            "name": batch.name, "model": batch.model, "id": batch.id, "state": batch.state, "created": batch.created,
            "keys": " ".join(batch.keys), "dearest": batch.dearest,
        }  # fmt: skip
        await self._write(_PUT_BATCH, values).durable()

    def batches(self) -> tuple[SentBatch, ...]:
        """All batches of the run, in the order in which they were sent."""
        columns = (getattr(_batches.c, name) for name in ("name", "model", "created", "state", "id", "dearest"))
        rows = self._fetch(sa.select(*columns, _batches.c["keys"]).order_by(_batches.c.name))
        return tuple(SentBatch(row[0], row[1], row[2], row[3], row[4], tuple(row[6].split()), row[5]) for row in rows)

    def lacking(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Those of the calls that no reply is recorded for."""
        return tuple(key for key in keys if self._known is None or _mark(key) not in self._known)

    @property
    def writing(self) -> bool:
        """Whether something is not on the disk yet."""
        return self._writer is not None and self._writer.busy

    def note(self, name: str) -> str | None:
        value: str | None = self._first(_NOTE, name=name)
        return value

    def set_note(self, name: str, value: str) -> None:
        """Returns once the note is on the disk."""
        self._write(_PUT_NOTE, {"name": name, "value": value}).committed.result()

    async def put_note(self, name: str, value: str) -> None:
        """The same, without keeping other work from going on."""
        await self._write(_PUT_NOTE, {"name": name, "value": value}).durable()

    def _write(self, statement: sa.Executable, *values: Values) -> Commit:
        if self._writer is None:
            raise StorageError(f"{self._path}: the journal is open for reading only: it takes no writes")
        return self._writer.add(statement, list(values))

    def _fetch(self, statement: sa.Select[Any], **values: str) -> list[Any]:
        with storage_errors(self._path), self._engine.connect() as connection:
            return list(connection.execute(statement, values))

    def _marks(self) -> set[int]:
        few = {"yield_per": 10_000}  # of a million keys
        with storage_errors(self._path), self._engine.connect() as connection:
            return {_mark(key) for key in connection.scalars(sa.select(_calls.c.key), execution_options=few)}

    def _first(self, statement: sa.Select[Any], **values: str) -> Any:
        return next((row[0] for row in self._fetch(statement, **values)), None)

    def close(self) -> None:
        """Commits what is under way."""
        if self._writer is not None:
            self._writer.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _receipt(answered_by: str, prompt: int, completion: int, cached: int, stored: int, batch: int) -> Receipt:
    return Receipt(answered_by, Usage(prompt, completion, cached, stored), bool(batch))


def _mark(key: str) -> int:
    """The key's first 60 bits: a filter in front of the file, at half a digest's memory."""
    return int(key[:15], 16)


def _engine(path: Path, read_only: bool) -> sa.Engine:
    """Whatever it acknowledges survives a power cut: a write-ahead log, synced at every commit."""

    def connect() -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        if read_only and not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
            uri += "&immutable=1"  # an archived run: SQLite may not put its shared memory beside it
        connection = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=QueuePool, max_overflow=-1)


def _prepare(path: Path, connection: sa.Connection, read_only: bool) -> None:
    """Makes an empty file a journal, and refuses any other file that is not one."""
    tables = set(sa.inspect(connection).get_table_names())
    if not tables and not read_only:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # all of it or nothing, even if killed here
        _schema.create_all(connection)
        connection.execute(_PUT_NOTE, {"name": "schema", "value": str(SCHEMA)})
        connection.commit()
    elif not tables.issuperset(("calls", "rows", "notes")):  # which every journal has had
        raise not_a_journal(path)
    version = connection.scalar(_NOTE, {"name": "schema"})
    if version is None or not version.isdecimal():
        raise not_a_journal(path)
    if int(version) > SCHEMA:
        raise InputError(str(path), f"its schema {version} is newer than {SCHEMA}", "upgrade Solon")
    if int(version) < SCHEMA:
        raise InputError(str(path), "an older Solon wrote it", "begin the run anew in another folder")
    if not set(sa.inspect(connection).get_table_names()).issuperset(_schema.tables):
        raise not_a_journal(path)
