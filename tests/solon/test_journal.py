import asyncio
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import Pool

import solon.journal
import solon.journal_writer
from constitution.errors import InputError, StorageError
from generator.chat import Usage
from solon.database import Database
from solon.journal import BODIES_AT_ONCE, Journal
from solon.journal_tables import SCHEMA
from solon.records import Receipt, Spent

ROOT = Path(solon.journal.__file__).parents[1]
SETTINGS = {  # that make a commit durable, as each says them; 2: FULL, the log is synced at every commit
    "sqlite": (("PRAGMA journal_mode", "wal"), ("PRAGMA synchronous", 2)),
    "postgresql": (("SHOW synchronous_commit", "on"), ("SHOW fsync", "on")),
}
NONE = Receipt("", Usage())

RECORD_UNTIL_KILLED = """
import asyncio, hashlib, sys
from itertools import count
from sqlalchemy import make_url
from generator.chat import Usage
from solon.database import Database
from solon.journal import Journal
from solon.records import Receipt

NONE = Receipt("", Usage())

async def worker(journal, numbers):
    for number in numbers:
        key = hashlib.sha256(f"{sys.argv[2]} {number}".encode()).hexdigest()
        await journal.record(key, "m", b"{}", key.encode() * 20, NONE)
        sys.stdout.write(key + "\\n")
        sys.stdout.flush()

async def main():
    journal, numbers = Journal.open(Database(make_url(sys.argv[1]), sys.argv[3])), count()
    await asyncio.gather(*(worker(journal, numbers) for _ in range(32)))

asyncio.run(main())
"""


CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'"


def key(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a journal in a file, for what only a file can suffer."""
    return tmp_path / "journal.db"


@pytest.fixture
def journal(database: Database) -> Iterator[Journal]:
    with Journal.open(database) as opened:
        yield opened


async def test_a_recorded_reply_is_found_and_any_other_key_is_not(journal: Journal) -> None:
    await journal.record(key(1), "m", b"{}", b"reply", NONE)
    assert await journal.find(key(1)) == b"reply"
    assert await journal.find(key(2)) is None
    assert await journal.find(key(1)[:15] + "0" * 49) is None  # shares the 60 bits kept in memory


async def test_a_recorded_reply_is_found_after_opening_again(database: Database) -> None:
    with Journal.open(database) as first:
        await first.record(key(1), "m", b"{}", b"reply", NONE)
    with Journal.open(database) as second:
        assert await second.find(key(1)) == b"reply"


async def test_the_first_reply_recorded_for_a_key_is_kept(journal: Journal) -> None:
    await asyncio.gather(*(journal.record(key(1), "m", b"{}", b"%d" % n, NONE) for n in range(10)))
    await journal.record(key(1), "m", b"{}", b"later", NONE)
    assert await journal.find(key(1)) == b"0"
    assert len(journal.call("")) == 1


@pytest.mark.parametrize(
    "reply",
    [b"", b"\0", b"a\0b\xff\xfe", "\ud800 alone".encode("utf-8", "surrogatepass"), b"\r\n \n", b"x" * 3_000_000],
    ids=["empty", "nul", "binary", "surrogate", "line ends", "large"],
)
async def test_every_byte_of_a_reply_survives(database: Database, reply: bytes) -> None:
    with Journal.open(database) as journal:
        await journal.record(key(1), "m", reply, reply, NONE)
    with Journal.open(database) as journal:
        assert await journal.find(key(1)) == reply
        assert journal.call(key(1))[0].request == reply


async def test_256_writers_at_once_lose_nothing(journal: Journal) -> None:
    numbers = iter(range(4096))

    async def writer() -> None:
        for number in numbers:
            await journal.record(key(number), "m", b"{}", b"%d" % number, NONE)
            assert await journal.find(key(number)) == b"%d" % number

    await asyncio.gather(*(writer() for _ in range(256)))
    assert len(journal.call("", limit=5000)) == 4096


async def test_records_that_wait_together_share_a_commit_that_is_synced(journal: Journal, database: Database) -> None:
    commits: list[bool] = []

    def committing(connection: Connection) -> None:
        settings = SETTINGS[connection.dialect.name]
        commits.append(all(connection.exec_driver_sql(asked).scalar() == wanted for asked, wanted in settings))

    event.listen(Engine, "commit", committing)
    try:
        await asyncio.gather(*(journal.record(key(n), "m", b"{}", b"x" * 2000, NONE) for n in range(256)))
    finally:
        event.remove(Engine, "commit", committing)
    assert 1 <= len(commits) <= 16
    assert all(commits)


def test_a_journal_in_postgresql_has_one_writer_and_any_number_of_readers(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solon.journal_writer, "PATIENCE", "50ms")
    with Journal.open(postgresql) as journal:
        journal.set_note("a", "b")
        with pytest.raises(InputError, match="in use by another process, here or on another machine: wait") as refusal:
            Journal.open(postgresql)
        assert "\n" not in str(refusal.value)
        with Journal.open(postgresql, read_only=True) as reader:
            assert reader.note("a") == "b"
    with Journal.open(postgresql) as journal:
        assert journal.note("a") == "b"


async def test_a_writer_that_loses_its_connection_has_failed_for_good(
    postgresql: Database, caplog: pytest.LogCaptureFixture
) -> None:
    named = Database(postgresql.url.update_query_dict({"application_name": postgresql.schema}), postgresql.schema)
    with Journal.open(named) as journal:
        await journal.record(key("before"), "m", b"{}", b"kept", NONE)
        engine = postgresql.engine()
        with engine.connect() as other:
            other.exec_driver_sql(CUT_OFF.format(postgresql.schema))
        engine.dispose()
        for name in ("lost", "after"):  # another process may hold the lock by now
            with pytest.raises(StorageError, match="see to the server, then run again") as failure:
                await journal.record(key(name), "m", b"{}", b"", NONE)
            assert "\n" not in str(failure.value)
        assert await journal.find(key("before")) == b"kept"
    with Journal.open(postgresql) as journal:
        assert [call.key for call in journal.call("")] == [key("before")]
    assert caplog.text == ""


async def test_a_nul_in_what_an_endpoint_calls_its_model_stops_nobody(journal: Journal) -> None:
    await journal.record(key(1), "m", b"{}", b"reply", Receipt("m\0-1", Usage(2**40, 1)))
    ((spent),) = journal.spent()
    assert spent.receipt == Receipt("m\ufffd-1", Usage(2**40, 1))


async def test_a_cancelled_waiter_cancels_nobody_else(journal: Journal) -> None:
    waiters = [asyncio.create_task(journal.record(key(n), "m", b"{}", b"r", NONE)) for n in range(64)]
    await asyncio.sleep(0)
    waiters[7].cancel()
    done = await asyncio.gather(*waiters, return_exceptions=True)
    assert [n for n, result in enumerate(done) if result is not None] == [7]


def test_every_acknowledged_record_survives_kill_9(database: Database) -> None:
    acknowledged: list[str] = []
    for round in range(10):
        address = database.url.render_as_string(hide_password=False)
        command = [sys.executable, "-c", RECORD_UNTIL_KILLED, address, str(round), database.schema]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        ) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(random.uniform(0, 0.15))
            child.send_signal(signal.SIGKILL)
            acknowledged += (first + child.stdout.read()).splitlines()
        assert child.returncode == -signal.SIGKILL
    assert len(acknowledged) > 100
    with Journal.open(database, read_only=True) as journal:
        replies = {call.key: call.reply for call in journal.call("", limit=1_000_000)}
    assert [name for name in acknowledged if replies.get(name) != name.encode() * 20] == []


async def test_reading_only_takes_no_writes(database: Database) -> None:
    with Journal.open(database) as journal:
        await journal.record(key(1), "m", b"{}", b"reply", NONE)
    with Journal.open(database, read_only=True) as reader:
        assert await reader.find(key(1)) == b"reply"
        with pytest.raises(StorageError, match="reading only"):
            await reader.record(key(2), "m", b"{}", b"", NONE)
        with pytest.raises(StorageError, match="reading only"):
            reader.set_note("a", "b")


def test_reading_only_creates_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no journal here"):
        Journal.open(Database.file(tmp_path / "journal.db"), read_only=True)
    assert list(tmp_path.iterdir()) == []


async def test_a_reader_sees_what_is_recorded_after_it_opened(journal: Journal, database: Database) -> None:
    with Journal.open(database, read_only=True) as reader:
        await journal.record(key(1), "m", b"{}", b"reply", NONE)
        assert await reader.find(key(1)) == b"reply"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_journal_in_a_folder_that_cannot_be_written_can_be_read(path: Path) -> None:
    with Journal.open(Database.file(path)) as journal:
        journal.set_note("a", "b")
    path.parent.chmod(0o500)
    try:
        with Journal.open(Database.file(path), read_only=True) as reader:
            assert reader.note("a") == "b"
    finally:
        path.parent.chmod(0o700)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_not_a_database_is_refused_and_left_alone(path: Path, read_only: bool) -> None:
    path.write_text("prompt,completion\n" * 500)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"journal\.db: this file is not a database") as refusal:
        Journal.open(Database.file(path), read_only=read_only)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", ["photos (id)", "notes (id)"])
def test_another_programs_database_is_refused_and_left_alone(path: Path, table: str) -> None:
    with sqlite3.connect(path) as other:
        other.execute(f"CREATE TABLE {table}")
    other.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="not a journal"):
        Journal.open(Database.file(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_a_journal_of_a_newer_schema_is_refused(database: Database, read_only: bool) -> None:
    with Journal.open(database) as journal:
        journal.set_note("schema", str(SCHEMA + 1))
    with pytest.raises(InputError, match=rf"its schema {SCHEMA + 1} is newer than {SCHEMA}: upgrade Solon") as refusal:
        Journal.open(database, read_only=read_only)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_journal_of_the_first_schema_is_told_to_be_old_and_left_alone(path: Path, read_only: bool) -> None:
    with sqlite3.connect(path) as old:
        old.execute("CREATE TABLE calls (key TEXT PRIMARY KEY, model TEXT, request BLOB, reply BLOB)")
        old.execute("CREATE TABLE rows (prompt TEXT PRIMARY KEY, recipe TEXT, body BLOB)")
        old.execute("CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT)")
        old.execute("INSERT INTO notes VALUES ('schema', '1')")
    old.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"journal\.db: an older Solon wrote it: begin the run anew in another folder"):
        Journal.open(Database.file(path), read_only=read_only)
    assert path.read_bytes() == before


async def test_receipts_are_kept_with_their_calls_and_added_up_by_who_was_asked_who_answered_and_how(
    database: Database,
) -> None:
    calls = [
        ("m", Receipt("m-1", Usage(10, 5, 4, 3))),
        ("m", Receipt("m-1", Usage(1, 2, 0, 0))),
        ("m", Receipt("m-1", Usage(7, 7, 0, 0), batch=True)),
        ("m", Receipt("m-2", Usage(100, 1, 0, 0))),
        ("n", Receipt("", Usage())),
    ]
    with Journal.open(database) as journal:
        for n, (model, receipt) in enumerate(calls):
            await journal.record(key(n), model, b"{}", b"r", receipt)
        await journal.record(key(0), "m", b"{}", b"again", Receipt("m-1", Usage(999, 999)))  # not the one that is kept
    with Journal.open(database, read_only=True) as journal:
        assert journal.spent() == (
            Spent("m", Receipt("m-1", Usage(11, 7, 4, 3)), 2),
            Spent("m", Receipt("m-1", Usage(7, 7), batch=True), 1),
            Spent("m", Receipt("m-2", Usage(100, 1)), 1),
            Spent("n", Receipt("", Usage()), 1),
        )
        assert [call.receipt for n in range(5) for call in journal.call(key(n))] == [receipt for _, receipt in calls]
        assert sorted(journal.receipts({key(0), key(4), key("absent")}), key=str) == sorted(
            [calls[0], calls[4]], key=str
        )


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open"):
        Journal.open(Database.file(tmp_path / "absent" / "journal.db"))


async def test_a_full_disk_stops_every_writer_and_leaves_the_journal_readable(path: Path) -> None:
    def small_disk(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count=300")

    event.listen(Pool, "connect", small_disk)
    try:
        with Journal.open(Database.file(path)) as journal:
            await journal.record(key("before"), "m", b"{}", b"kept", NONE)
            many = (journal.record(key(n), "m", b"{}", b"x" * 10_000, NONE) for n in range(256))
            results = await asyncio.wait_for(asyncio.gather(*many, return_exceptions=True), 10)
            assert any(isinstance(result, StorageError) for result in results)
            assert all(result is None or "full: make room" in str(result) for result in results)
            with pytest.raises(StorageError, match="full: make room"):
                await journal.record(key("after"), "m", b"{}", b"small", NONE)
            assert await journal.find(key("before")) == b"kept"
    finally:
        event.remove(Pool, "connect", small_disk)
    with Journal.open(Database.file(path)) as journal:
        assert await journal.find(key("before")) == b"kept"
        for number, result in enumerate(results):
            assert (await journal.find(key(number)) is not None) == (result is None)
        await journal.record(key("after"), "m", b"{}", b"small", NONE)


async def test_a_closed_journal_has_committed_what_was_under_way(database: Database) -> None:
    with Journal.open(database) as journal:
        waiter = asyncio.create_task(journal.record(key(1), "m", b"{}", b"reply", NONE))
        await asyncio.sleep(0)
    await waiter
    with Journal.open(database) as journal:
        assert await journal.find(key(1)) == b"reply"


async def test_calls_are_found_by_the_start_of_their_key(journal: Journal) -> None:
    for name in ("ab" + "0" * 62, "ab" + "f" * 62, "ac" + "0" * 62):
        await journal.record(name, "model", b"asked", name.encode(), NONE)
    assert [call.key[:3] for call in journal.call("ab")] == ["ab0", "abf"]
    (only,) = journal.call("ac")
    assert (only.model, only.request, only.reply) == ("model", b"asked", only.key.encode())
    assert journal.call("%") == journal.call("b") == ()
    assert len(journal.call("", limit=2)) == 2


async def test_a_row_saved_again_replaces_the_earlier_one(journal: Journal) -> None:
    await journal.save_row("p", "old", b"1")
    await asyncio.gather(journal.save_row("p", "newer", b"2"), journal.save_row("p", "newest", b"3"))
    assert journal.recipes() == {"p": "newest"}
    assert list(journal.bodies(["p"])) == [b"3"]


async def test_bodies_stream_in_the_order_asked_for(journal: Journal) -> None:
    names = [key(n)[:20] for n in range(2 * BODIES_AT_ONCE + 1)]
    await asyncio.gather(*(journal.save_row(name, "r", name.encode()) for name in names))
    random.Random(0).shuffle(names)
    assert list(journal.bodies(iter(names))) == [name.encode() for name in names]
    assert list(journal.bodies([names[0], names[0]])) == [names[0].encode()] * 2
    endless = iter(lambda: names[0], None)
    assert next(journal.bodies(endless)) == names[0].encode()


async def test_a_prompt_without_a_row_is_an_error_and_never_skipped(journal: Journal) -> None:
    await journal.save_row("p", "r", b"1")
    with pytest.raises(KeyError, match="absent"):
        list(journal.bodies(["p", "absent"]))


async def test_rows_of_other_prompts_are_forgotten_and_calls_are_not(journal: Journal) -> None:
    await journal.record(key(1), "m", b"{}", b"reply", NONE)
    await asyncio.gather(*(journal.save_row(str(n), "r", b"") for n in range(50)))
    assert journal.forget_rows_except({"3", "4", "absent"}) == 48
    assert journal.recipes().keys() == {"3", "4"}
    assert journal.forget_rows_except(["3", "4"]) == 0
    assert await journal.find(key(1)) == b"reply"


async def test_rows_are_found_by_an_id_they_contain_letter_for_letter(journal: Journal) -> None:
    await journal.save_row("2", "r", b'\0{"id":"abc_1%"}')
    await journal.save_row("1", "r", b'{"id":"abcd1x","also":"abc_1%"}')
    await journal.save_row("3", "r", b'{"id":"ABC_1%"}')
    assert journal.find_rows("abc_1%") == [b'{"id":"abcd1x","also":"abc_1%"}', b'\0{"id":"abc_1%"}']
    assert journal.find_rows("abcd1") == [b'{"id":"abcd1x","also":"abc_1%"}']
    assert journal.find_rows("%") != []
    assert journal.find_rows("nowhere") == []


async def test_notes_put_at_once_leave_the_last(journal: Journal) -> None:
    for _ in range(20):
        await asyncio.gather(*(journal.put_note("n", str(n)) for n in range(50)))
        assert journal.note("n") == "49"


def test_a_note_keeps_its_last_value(journal: Journal) -> None:
    assert journal.note("config") is None
    journal.set_note("config", "a")
    journal.set_note("config", "b")
    assert journal.note("config") == "b"
