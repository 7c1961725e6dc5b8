"""The journal of a run: every reply received and every row made from them, durable in one place.

It keeps bytes as they are and never looks inside them. It lies in a file of SQLite, or in a schema of PostgreSQL.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any, Self

import sqlalchemy as sa

from constitution.errors import StorageError
from generator.chat import Usage
from solon.database import COUNT, Database, holds, storage_errors
from solon.journal_tables import BATCHES, CALLS, COUNTS, DROP_ROW, NOTE, REPLY, ROWS, Puts, prepare_journal
from solon.journal_writer import Commit, Values, Writer
from solon.records import Receipt, RecordedCall, SentBatch, Spent

BODIES_AT_ONCE = 200


class Journal:
    """One run's journal, used by one process at a time (``run_lock`` sees to that); readers may be many."""

    def __init__(self, database: Database, engine: sa.Engine, writer: Writer | None) -> None:
        """For ``open`` alone."""
        self._database = database
        self._engine = engine
        self._writer = writer
        self._puts = Puts.of(engine)
        self._known = self._marks() if writer else None

    @classmethod
    def open(cls, database: Database, *, read_only: bool = False) -> Self:
        """Opens the journal there; one that is to be written is created where there is none.

        Raises:
            InputError: no journal to read, not a journal, one that a newer Solon wrote, or a database that lets
                nobody in so; on PostgreSQL also one that another process writes.
            StorageError: it cannot be read, or cannot be written and is to be.
        """
        with ExitStack() as undo:
            engine = database.engine(read_only=read_only)
            undo.callback(engine.dispose)
            prepare_journal(database, engine, read_only)
            writer = None if read_only else Writer(database, engine)
            if writer:
                undo.callback(writer.close)
            journal = cls(database, engine, writer)
            undo.pop_all()
        return journal

    async def find(self, key: str) -> bytes | None:
        """The raw reply to the call, if one is recorded. Costs next to nothing where none is."""
        if self._known is not None and _mark(key) not in self._known:
            return None
        return await asyncio.to_thread(self._first, REPLY, key=key)

    async def record(self, key: str, model: str, request: bytes, reply: bytes, receipt: Receipt) -> None:
        """Returns once the reply is on the disk. The first reply recorded for a key is the one kept."""
        if self._known is not None:
            self._known.add(_mark(key))
        usage, answered_by = receipt.usage, receipt.answered_by.replace("\0", "\ufffd")  # PostgreSQL's text has no NUL
        values: Values = {
            "key": key, "model": model, "request": request, "reply": reply, "answered_by": answered_by,
            "prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "cached_tokens": usage.cached,
            "stored_tokens": usage.stored, "batch": int(receipt.batch),
        }  # fmt: skip
        await self._write(self._puts.call, values).durable()

    def call(self, key_prefix: str, limit: int = 20) -> tuple[RecordedCall, ...]:
        """The first ``limit`` recorded calls, by key, whose key starts with these hex digits."""
        key = CALLS.c.key
        within = sa.select(CALLS).where(key >= key_prefix, key < key_prefix + "g")  # "g": past every hex digit
        rows = self._fetch(within.order_by(key).limit(limit))
        return tuple(RecordedCall(row[0], row[1], row[2], row[3], _receipt(*row[4:])) for row in rows)

    def spent(self) -> tuple[Spent, ...]:
        """What all recorded calls come to, by model, ordered by its name."""
        alike = (CALLS.c.model, CALLS.c.answered_by, CALLS.c.batch)
        sums = (sa.cast(sa.func.sum(count), COUNT) for count in COUNTS[:-1])
        query = sa.select(*alike, *sums, sa.func.count()).group_by(*alike).order_by(*alike)
        return tuple(
            Spent(row[0], _receipt(row[1], row[3], row[4], row[5], row[6], row[2]), row[7])
            for row in self._fetch(query)
        )

    def receipts(self, keys: Collection[str]) -> list[tuple[str, Receipt]]:
        """Of those of the calls that are recorded: which model was asked, and the receipt. In no order."""
        columns = (CALLS.c.model, CALLS.c.answered_by, *COUNTS)
        rows = self._fetch(sa.select(*columns).where(CALLS.c.key.in_(keys)))
        return [(row[0], _receipt(*row[1:])) for row in rows]

    async def save_row(self, prompt: str, recipe: str, body: bytes) -> None:
        """Returns once the prompt's row is on the disk, in place of any earlier one."""
        await self._write(self._puts.row, {"prompt": prompt, "recipe": recipe, "body": body}).durable()

    def recipes(self) -> dict[str, str]:
        """Each prompt that has a row, with the recipe it was made by."""
        return dict(self._fetch(sa.select(ROWS.c.prompt, ROWS.c.recipe)))

    def bodies(self, prompts: Iterable[str]) -> Iterator[bytes]:
        """The rows of the prompts, in the order given, with few of them in memory at once.

        Raises:
            KeyError: a prompt has no row (skipping it would shift the others).
        """
        remaining = iter(prompts)
        while some := list(islice(remaining, BODIES_AT_ONCE)):
            found = dict(self._fetch(sa.select(ROWS.c.prompt, ROWS.c.body).where(ROWS.c.prompt.in_(some))))
            yield from (found[prompt] for prompt in some)

    def find_rows(self, fragment: str) -> list[bytes]:
        """The rows that contain ``fragment``, letter for letter, ordered by prompt. Reads every row."""
        found = sa.select(ROWS.c.body).where(holds(self._engine, ROWS.c.body, fragment.encode()))
        return [body for (body,) in self._fetch(found.order_by(ROWS.c.prompt))]

    def forget_rows_except(self, prompts: Collection[str]) -> int:
        """Deletes the rows of all other prompts and says how many. Calls stay: they are paid for."""
        gone = self.recipes().keys() - set(prompts)
        if gone:
            values: list[Values] = [{"gone": prompt} for prompt in gone]
            self._write(DROP_ROW, *values).committed.result()
        return len(gone)

    async def save_batch(self, batch: SentBatch) -> None:
        """Returns once the batch is on the disk as it stands now."""
        values: Values = {
            "name": batch.name, "model": batch.model, "id": batch.id, "state": batch.state, "created": batch.created,
            "keys": " ".join(batch.keys), "dearest": batch.dearest,
        }  # fmt: skip
        await self._write(self._puts.batch, values).durable()

    def batches(self) -> tuple[SentBatch, ...]:
        """All batches of the run, in the order in which they were sent."""
        columns = (getattr(BATCHES.c, name) for name in ("name", "model", "created", "state", "id", "dearest"))
        rows = self._fetch(sa.select(*columns, BATCHES.c["keys"]).order_by(BATCHES.c.name))
        return tuple(SentBatch(row[0], row[1], row[2], row[3], row[4], tuple(row[6].split()), row[5]) for row in rows)

    def lacking(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Those of the calls that no reply is recorded for."""
        return tuple(key for key in keys if self._known is None or _mark(key) not in self._known)

    @property
    def writing(self) -> bool:
        """Whether something is not on the disk yet."""
        return self._writer is not None and self._writer.busy

    def note(self, name: str) -> str | None:
        value: str | None = self._first(NOTE, name=name)
        return value

    def set_note(self, name: str, value: str) -> None:
        """Returns once the note is on the disk."""
        self._write(self._puts.note, {"name": name, "value": value}).committed.result()

    async def put_note(self, name: str, value: str) -> None:
        """The same, without keeping other work from going on."""
        await self._write(self._puts.note, {"name": name, "value": value}).durable()

    def _write(self, statement: sa.Executable, *values: Values) -> Commit:
        if self._writer is None:
            raise StorageError(f"{self._database}: the journal is open for reading only: it takes no writes")
        return self._writer.add(statement, list(values))

    def _fetch(self, statement: sa.Select[Any], **values: str) -> list[Any]:
        with storage_errors(self._database), self._engine.connect() as connection:
            return list(connection.execute(statement, values))

    def _marks(self) -> set[int]:
        few = {"yield_per": 10_000}  # of a million keys
        with storage_errors(self._database), self._engine.connect() as connection:
            return {_mark(key) for key in connection.scalars(sa.select(CALLS.c.key), execution_options=few)}

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
