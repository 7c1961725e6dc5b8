"""One thread that writes to a journal, over one connection, many writes to a commit."""

import asyncio
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from constitution.errors import InputError, StorageError
from constitution.identity import full_hash
from solon.database import Database, storage_errors

Values: TypeAlias = dict[str, str | bytes | int]


PATIENCE = "3s"  # for the server to notice that the process which wrote before is gone


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
    """The only thread that writes. What arrives during one commit goes into the next, all of it.

    On PostgreSQL its connection holds a lock that no other writer of the schema gets, wherever it runs. A connection
    that is lost takes the lock with it, and so it is never made again: the writer has failed.
    """

    def __init__(self, database: Database, engine: sa.Engine) -> None:
        """Raises InputError where somebody else writes."""
        self._database = database
        with storage_errors(database):
            self._connection = engine.connect()
            if not database.is_file:
                lock(database, self._connection)
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
            with storage_errors(self._database), self._connection.begin():
                for statement, values in batch.values.items():
                    self._connection.execute(statement, values)
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._failure = error
            batch.committed.set_exception(error)
        else:
            batch.committed.set_result(None)

    def close(self) -> None:
        self._thread.shutdown()
        self._connection.close()


def lock(database: Database, connection: sa.Connection) -> None:
    """Taken for as long as the connection lasts, which ends here where the lock is not to be had."""
    name = int(full_hash(["writer", database.schema])[:15], 16)
    try:
        with connection.begin():
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            connection.execute(sa.select(sa.func.pg_advisory_lock(name)))
    except DBAPIError as error:
        connection.close()
        if getattr(error.orig, "sqlstate", None) != "55P03":  # lock not available
            raise
        fact = "in use by another process, here or on another machine"
        raise InputError(str(database), fact, "wait for it, stop it, or give this run another name") from None
