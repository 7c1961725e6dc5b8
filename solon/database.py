"""Where Solon's tables are: a SQLite file beside the run, or a schema of a PostgreSQL database for a team.

Statements are SQLAlchemy Core's and the same for both. What differs is here: how a connection is made, how a write
transaction begins, how an insert gives way to a row that is there, and what is told when something goes wrong.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from constitution.errors import InputError, SolonError, StorageError
from constitution.identity import short_id

POSTGRESQL = "postgresql://USER:PASSWORD@HOST/DATABASE"
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # sorted by code point, as SQLite does
COUNT = sa.BigInteger()

# Of each PostgreSQL connection. A server that is gone is noticed within a minute, on either side; synchronous_commit
# may be off where the server is set up so.
_CONNECT = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 60_000, "application_name": "solon"}
_SETTINGS = {"synchronous_commit": "on", "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10"}

for _package in ("psycopg", "sqlalchemy"):  # what they would print of a lost connection is told by the error
    logging.getLogger(_package).addHandler(logging.NullHandler())

# Of a service: nobody waits for ever.
_SERVING = {"statement_timeout": "20s", "lock_timeout": "10s"}
_FREE_WITHIN = {True: 10.0, False: 60.0}  # seconds that one waits for a connection of the pool, served or not

_AGAIN = "run again; what was recorded is kept"

# SQLite's own wait for a writer sleeps and looks again; a lock in front of each file queues.
_writing: dict[str, Lock] = {}


@dataclass(frozen=True, slots=True)
class Database:
    """A place for tables. Its text never holds a password."""

    url: sa.URL = field(repr=False)
    schema: str = ""  # of PostgreSQL

    @classmethod
    def file(cls, path: Path) -> Self:
        return cls(sa.URL.create("sqlite", database=str(path)))

    @classmethod
    def of_variable(cls, variable: str, schema: str, place: str) -> Self:
        """The PostgreSQL database that the environment variable names, which may hold a password.

        Raises:
            InputError: the variable is not set, or is no such URL; ``place`` is what asked for it.
        """
        given = os.environ.get(variable, "")
        if not given:
            raise InputError(place, f"the variable {variable} is not set", f"set it to {POSTGRESQL}")
        try:
            url = sa.make_url(given)
            fine = url.get_backend_name() in ("postgresql", "postgres") and "@" not in (url.host or "")
        except (ArgumentError, NoSuchModuleError, ValueError):
            fine = False
        if not fine:
            remedy = f"write {POSTGRESQL}, with any @ in a password as %40"
            raise InputError(place, f"{variable} holds no address of a PostgreSQL database", remedy)
        if find_spec("psycopg") is None:
            raise InputError(place, "psycopg is not installed", "pip install 'solon[postgres]'")
        return cls(url.set(drivername="postgresql+psycopg"), schema_name(schema))

    @property
    def path(self) -> Path | None:
        """The file, where it is one."""
        return Path(self.url.database) if self.is_file and self.url.database else None

    @property
    def is_file(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def __str__(self) -> str:
        if self.is_file:
            return str(self.url.database)
        at = sa.URL.create("postgresql", self.url.username, None, self.url.host, self.url.port, self.url.database)
        return f"{at.render_as_string()} schema {self.schema}"

    def engine(self, *, read_only: bool = False, serving: bool = False) -> sa.Engine:
        """Whatever it acknowledges survives a power cut.

        Args:
            serving: people wait for it, so that what takes long fails; a journal is read for as long as it takes.
        """
        path = self.path
        if path:
            return sa.create_engine(
                self.url,
                creator=lambda: sqlite_connection(path, read_only),
                poolclass=QueuePool,
                max_overflow=-1,
                hide_parameters=True,
            )
        settings = {**_SETTINGS, **(_SERVING if serving else {}), "search_path": self.schema}
        if read_only:
            settings["default_transaction_read_only"] = "on"
        options = " ".join(f"-c{name}={value}" for name, value in settings.items())
        given = str(self.url.query.get("options", ""))
        arguments = {**_CONNECT, **self.url.query, "options": f"{given} {options}".strip()}
        wait = _FREE_WITHIN[serving]
        return sa.create_engine(
            self.url, connect_args=arguments, pool_pre_ping=True, pool_timeout=wait, hide_parameters=True
        )


def sqlite_connection(path: Path, read_only: bool) -> sqlite3.Connection:
    """A write-ahead log, synced at every commit."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    if read_only and not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        uri += "&immutable=1"  # an archived run: SQLite may not put its shared memory beside it
    connection = sqlite3.connect(uri, uri=True, timeout=30, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def schema_name(name: str) -> str:
    """A PostgreSQL identifier that needs no quotes, different for every name."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return f"solon_{plain}_{short_id('schema', name)[:8]}"


@contextmanager
def making(engine: sa.Engine, schema: str = "") -> Iterator[sa.Connection]:
    """One transaction that may make tables, whole or not at all; others who would make some wait for it."""
    with engine.connect() as connection:
        if is_file(engine):
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('solon'))"))
            if not sa.inspect(connection).has_schema(schema):  # only then the right to make one is needed
                connection.execute(sa.schema.CreateSchema(schema))
        yield connection
        connection.commit()


def prepare(engine: sa.Engine, tables: sa.MetaData, schema: str = "") -> None:
    """Makes what is missing of ``tables``, all of it or nothing; several processes may do so at once."""
    with making(engine, schema) as connection:
        tables.create_all(connection)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that may write, committed at the end; on SQLite no other one runs beside it."""
    if not is_file(engine):
        with engine.begin() as connection:
            yield connection
        return
    with _writing.setdefault(str(engine.url.database), Lock()), engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        connection.commit()


def insert(engine: sa.Engine, table: sa.Table) -> Any:
    """The dialect's insert, which alone knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return (sqlite if is_file(engine) else postgresql).insert(table)


def holds(engine: sa.Engine, column: sa.Column[bytes], fragment: bytes) -> sa.ColumnElement[bool]:
    """Whether the bytes of ``column`` contain ``fragment``."""
    if is_file(engine):
        return sa.func.instr(column, fragment) > 0
    return sa.func.position(sa.literal(fragment).op("IN")(column)) > 0


def is_file(engine: sa.Engine) -> bool:
    return engine.dialect.name == "sqlite"


@contextmanager
def storage_errors(database: Database) -> Iterator[None]:
    """What the database says becomes one line that names it and tells what to do."""
    try:
        yield
    except DBAPIError as error:
        raise error_of(database, error) from error
    except sa.exc.TimeoutError as error:  # of the pool
        raise StorageError(f"{database}: no connection is free: let fewer ask at once") from error


def error_of(database: Database, error: DBAPIError) -> SolonError:
    fact = error.orig
    if getattr(fact, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
        return InputError(str(database), "this file is not a database", "name another, or move it away")
    if database.is_file:
        return StorageError(f"{database}: {fact}: make room or repair the disk, then {_AGAIN}")
    words, state = " ".join(str(fact).split()), getattr(fact, "sqlstate", None)
    if state is None and re.search("authentication failed|no password supplied|does not exist", words):
        return InputError(str(database), words, "correct the address and the password that its variable holds")
    if state == "42501":  # insufficient privilege
        return InputError(str(database), words, "grant that role what it needs, or name another in the variable")
    return StorageError(f"{database}: {words}: see to the server, then {_AGAIN}")
