"""One thread that writes to a journal, many writes to a commit."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from constitution.errors import InputError, StorageError

Values: TypeAlias = dict[str, str | bytes | int]


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        fact = error.orig
        if getattr(fact, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise not_a_journal(path) from error
        remedy = "make room or repair the disk, then run again; what was recorded is kept"
        raise StorageError(f"{path}: {fact}: {remedy}") from error


def not_a_journal(path: Path) -> InputError:
    return InputError(str(path), "this file is not a journal", "name another, or move it away")


class Commit:
    """Writes that become durable together."""

    def __init__(self) -> None:
        self.noticed: asyncio.Future[None] | None = None  # one notice to the event loop, for all who wait there
        self.values: dict[sa.Executable, list[Values]] = defaultdict(list)
        self.committed: Future[None] = Future()
        self.committed.set_running_or_notify_cancel()  # so one waiter's cancellation stays its own

    async def durable(self) -> None:
        """Returns once the writes are committed."""
        if self.noticed is None:
            self.noticed = asyncio.wrap_future(self.committed)
        await asyncio.shield(self.noticed)  # one waiter's cancellation stays its own


class Writer:
    """The only thread that writes. What arrives during one commit goes into the next, all of it."""

    def __init__(self, path: Path, engine: sa.Engine) -> None:
        self._path = path
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "journal")
        self._lock = Lock()
        self._next = Commit()
        self._failure: Exception | None = None
        self._last: Future[None] | None = None

    def add(self, statement: sa.Executable, values: list[Values]) -> Commit:
        """The batch that the values are committed with. ``values`` is not empty."""
        with self._lock:
            if self._failure is not None:
                raise StorageError(str(self._failure)) from self._failure
            if not self._next.values:
                self._thread.submit(self._commit)
            self._next.values[statement].extend(values)
            self._last = self._next.committed
            return self._next

    @property
    def busy(self) -> bool:
        return self._last is not None and not self._last.done()

    def _commit(self) -> None:
        with self._lock:
            batch, self._next = self._next, Commit()
        try:
            if self._failure is not None:
                raise self._failure
            with storage_errors(self._path), self._engine.begin() as connection:
                for statement, values in batch.values.items():
                    connection.execute(statement, values)
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._failure = error
            batch.committed.set_exception(error)
        else:
            batch.committed.set_result(None)

    def close(self) -> None:
        self._thread.shutdown()
