"""The tables of a journal, the statements that write them, and how a place becomes a journal."""

from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa

from constitution.errors import InputError
from solon.database import COUNT, TEXT, Database, insert, making, storage_errors

SCHEMA = 2  # raise it when a journal written from now on could not be read by the code before

_schema = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, COUNT, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _named(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, primary_key=True)


COUNTS = [_count(name) for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "stored_tokens", "batch")]
CALLS = sa.Table(
    "calls", _schema, _named("key"), _text("model"), _bytes("request"), _bytes("reply"), _text("answered_by"), *COUNTS
)
ROWS = sa.Table("rows", _schema, _named("prompt"), _text("recipe"), _bytes("body"))
NOTES = sa.Table("notes", _schema, _named("name"), _text("value"))
_BATCH = ("model", "id", "state", "created", "keys", "dearest")
BATCHES = sa.Table("batches", _schema, _named("name"), *map(_text, _BATCH))

REPLY = sa.select(CALLS.c.reply).where(CALLS.c.key == sa.bindparam("key"))
NOTE = sa.select(NOTES.c.value).where(NOTES.c.name == sa.bindparam("name"))
DROP_ROW = sa.delete(ROWS).where(ROWS.c.prompt == sa.bindparam("gone"))


@dataclass(frozen=True, slots=True)
class Puts:
    """What writes a whole row. A call that is there stays; a row, a note and a batch are replaced."""

    call: sa.Executable
    row: sa.Executable
    note: sa.Executable
    batch: sa.Executable

    @classmethod
    def of(cls, engine: sa.Engine) -> Self:
        def put(table: sa.Table, *columns: str) -> sa.Executable:
            new = insert(engine, table)
            changed = {name: new.excluded[name] for name in columns}
            done: sa.Executable = new.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)
            return done

        return cls(
            insert(engine, CALLS).on_conflict_do_nothing(),
            put(ROWS, "recipe", "body"),
            put(NOTES, "value"),
            put(BATCHES, "id", "state", "keys"),
        )


def prepare_journal(database: Database, engine: sa.Engine, read_only: bool) -> None:
    """Makes an empty place a journal, and refuses any other that is not one.

    Raises:
        InputError: there is no journal to read, it is none, or another version of Solon wrote it.
        StorageError: it cannot be read, or not made.
    """
    path = database.path
    if read_only and path and not path.exists():
        raise _nothing(database)
    with storage_errors(database):
        tables = _tables(database, engine)
        if not tables and read_only:
            raise _nothing(database)
        if not tables:
            with making(engine, database.schema) as connection:
                _schema.create_all(connection)
                connection.execute(Puts.of(engine).note, {"name": "schema", "value": str(SCHEMA)})
        elif not tables.issuperset(("calls", "rows", "notes")):  # which every journal has had
            raise _not_a_journal(database)
        with engine.connect() as connection:
            version = connection.scalar(NOTE, {"name": "schema"})
        if version is None or not version.isdecimal():
            raise _not_a_journal(database)
        if int(version) > SCHEMA:
            raise InputError(str(database), f"its schema {version} is newer than {SCHEMA}", "upgrade Solon")
        if int(version) < SCHEMA:
            raise InputError(str(database), "an older Solon wrote it", "begin the run anew in another folder")
        if not _tables(database, engine).issuperset(_schema.tables):
            raise _not_a_journal(database)


def _tables(database: Database, engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names(database.schema or None))


def _nothing(database: Database) -> InputError:
    return InputError(str(database), "there is no journal here", "name the folder of a run that has begun")


def _not_a_journal(database: Database) -> InputError:
    return InputError(str(database), "this is not a journal", "name another, or move it away")
