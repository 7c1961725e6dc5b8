import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from socket import create_server

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from constitution.errors import InputError, StorageError
from solon.config import RunConfig
from solon.config_file import load_config
from solon.database import COUNT, TEXT, Database, holds, insert, making, prepare, schema_name, storage_errors, writing
from solon.folder import RunFolder, name_run, open_folder, save_config
from solon.review.opened import open_review

Cli = Callable[..., subprocess.CompletedProcess[str]]
Connect = Callable[..., sa.Engine]
WriteRun = Callable[..., Path]
ENV = "SOLON_TEAM"
ON_TEAM = {"storage": {"database_env": ENV}}

TABLES = sa.MetaData()
THINGS = sa.Table(
    "things",
    TABLES,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("many", COUNT),
    sa.Column("body", sa.LargeBinary),
)


@contextmanager
def closing_engine(database: Database, **how: bool) -> Iterator[sa.Engine]:
    engine = database.engine(**how)
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes engines, and closes their connections at the test's end."""
    with ExitStack() as end:
        yield lambda *given, **more: end.enter_context(closing_engine(*given, **more))


@pytest.fixture
def engine(database: Database, connect: Connect) -> sa.Engine:
    """Of a place where the tables are."""
    made = connect(database)
    prepare(made, TABLES, database.schema)
    return made


def names(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(THINGS.c.name).order_by(THINGS.c.name)))


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ("", "the variable SOLON_TEAM is not set: set it to postgresql://"),
        ("not an address s3cret", "SOLON_TEAM holds no address of a PostgreSQL database"),
        ("mysql://u:s3cret@h/d", "SOLON_TEAM holds no address of a PostgreSQL database"),
        ("unheard-of://u:s3cret@h/d", "SOLON_TEAM holds no address of a PostgreSQL database"),
        ("postgresql://u:s@3cret@h/d", "SOLON_TEAM holds no address .*%40"),  # part of it would be told as the host
        ("postgresql://u:p@h:s3cret/d", "SOLON_TEAM holds no address of a PostgreSQL database"),
    ],
)
def test_an_address_that_is_none_is_refused_without_being_told(
    monkeypatch: pytest.MonkeyPatch, given: str, fact: str
) -> None:
    monkeypatch.setenv(ENV, given)
    with pytest.raises(InputError, match=rf"run\.toml: {fact}") as refusal:
        Database.of_variable(ENV, "x", "run.toml")
    assert "3cret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_without_its_driver_a_postgresql_address_names_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENV, "postgresql://u@h/d")
    monkeypatch.setattr("solon.database.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"psycopg is not installed: pip install 'solon\[postgres\]'"):
        Database.of_variable(ENV, "x", "run.toml")


@pytest.mark.parametrize("address", ["postgresql://u:s3cret@h:1/d", "postgres://u@h/d?password=s3cret&sslmode=require"])
def test_no_text_of_a_database_holds_its_password(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(ENV, address)
    database = Database.of_variable(ENV, "x", "run.toml")
    assert "s3cret" not in f"{database} {database!r} {[database]}"
    assert str(database).startswith("postgresql://u@h")


@given(st.text(), st.text())
def test_every_name_has_a_schema_of_its_own_that_needs_no_quotes(one: str, other: str) -> None:
    assert (schema_name(one) == schema_name(other)) == (one == other)
    assert schema_name(one).isidentifier()
    assert schema_name(one) == schema_name(one).lower()
    assert len(schema_name(one)) <= 63


def test_many_at_once_may_make_the_same_tables(database: Database, connect: Connect) -> None:
    engines = [connect(database) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(prepare, engine, TABLES, database.schema) for engine in engines]:
            done.result()
    assert names(engines[0]) == []


def test_tables_are_made_whole_or_not_at_all(database: Database, connect: Connect) -> None:
    engine = connect(database)
    with suppress(ZeroDivisionError), making(engine, database.schema) as connection:
        TABLES.create_all(connection)
        raise ZeroDivisionError
    assert sa.inspect(engine).get_table_names(database.schema or None) == []


def test_what_fails_in_the_middle_leaves_nothing_behind(engine: sa.Engine) -> None:
    with suppress(ZeroDivisionError), writing(engine) as connection:
        connection.execute(insert(engine, THINGS), {"name": "a"})
        raise ZeroDivisionError
    with writing(engine) as connection:
        connection.execute(insert(engine, THINGS), {"name": "b"})
    assert names(engine) == ["b"]


def test_an_insert_gives_way_or_replaces_as_it_is_told(engine: sa.Engine) -> None:
    new = insert(engine, THINGS)
    with writing(engine) as connection:
        for many in (1, 2):
            connection.execute(new.on_conflict_do_nothing(), {"name": "kept", "many": many})
            replaced = new.on_conflict_do_update(index_elements=["name"], set_={"many": new.excluded.many})
            connection.execute(replaced, {"name": "replaced", "many": many})
        assert dict(connection.execute(sa.select(THINGS.c.name, THINGS.c.many)).all()) == {"kept": 1, "replaced": 2}


def test_two_databases_may_be_written_one_inside_the_other(engine: sa.Engine, connect: Connect, tmp_path: Path) -> None:
    other = connect(Database.file(tmp_path / "other.db"))
    prepare(other, TABLES)
    with writing(engine) as connection, writing(other) as beside:
        for to in (connection, beside):
            to.execute(sa.insert(THINGS), {"name": "a"})
    assert names(engine) == names(other) == ["a"]


def test_writers_of_one_place_wait_for_each_other(engine: sa.Engine) -> None:
    def add(number: int) -> None:
        with writing(engine) as connection:
            connection.execute(insert(engine, THINGS), {"name": f"{number:03}"})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(100)))
    assert names(engine) == [f"{number:03}" for number in range(100)]


def test_text_is_sorted_by_code_point_whatever_the_locale(engine: sa.Engine) -> None:
    mixed = ["b", "a", "B", "_", "é", "-a", "a b", "ab", "Z", "ä", "😀", "\uffee"]
    with writing(engine) as connection:
        connection.execute(insert(engine, THINGS), [{"name": name} for name in mixed])
    assert names(engine) == sorted(mixed)


def test_bytes_are_found_inside_bytes(engine: sa.Engine) -> None:
    bodies = {"a": b"\0\xff%_needle", "b": b"NEEDLE needl", "c": b""}
    with writing(engine) as connection:
        connection.execute(insert(engine, THINGS), [{"name": n, "body": body} for n, body in bodies.items()])
        for fragment, found in (
            (b"needle", ["a"]),
            (b"\xff%", ["a"]),
            (b"needl", ["a", "b"]),
            (b"%", ["a"]),
            (b"x", []),
        ):
            where = holds(engine, THINGS.c.body, fragment)
            assert list(connection.scalars(sa.select(THINGS.c.name).where(where).order_by(THINGS.c.name))) == found


def test_what_is_open_for_reading_takes_no_writes(database: Database, engine: sa.Engine, connect: Connect) -> None:
    reader = connect(database, read_only=True)
    assert names(reader) == names(engine) == []
    with pytest.raises(StorageError, match=r"read-?only"), storage_errors(database), writing(reader) as connection:
        connection.execute(insert(reader, THINGS), {"name": "a"})


def asked(address: str, schema: str = "x") -> str:
    """The one line that somebody is told who asks the database at ``address`` for something."""
    database = Database(sa.make_url(address).set(drivername="postgresql+psycopg"), schema_name(schema))
    with (
        pytest.raises((InputError, StorageError)) as failure,
        closing_engine(database) as engine,
        storage_errors(database),
    ):
        prepare(engine, TABLES, database.schema)
    assert "\n" not in str(failure.value)
    return f"{type(failure.value).__name__}: {failure.value}"


def test_a_server_that_is_not_there_is_a_storage_error_of_one_line() -> None:
    pytest.importorskip("psycopg")
    with closing(create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    told = asked(f"postgresql://u:s3cret@127.0.0.1:{port}/d")
    assert told.startswith(f"StorageError: postgresql://u@127.0.0.1:{port}/d schema solon_x_")
    assert told.endswith("see to the server, then run again; what was recorded is kept")
    assert "s3cret" not in told


def test_who_is_not_let_in_is_told_so_without_the_password(postgresql: Database) -> None:
    wrong = postgresql.url.set(password="s3cret")
    told = asked(wrong.render_as_string(hide_password=False))
    assert told.startswith("InputError: postgresql://")
    assert "password authentication failed" in told
    assert "correct the address and the password that its variable holds" in told
    assert "s3cret" not in told
    nowhere = postgresql.url.set(database="not_there").render_as_string(hide_password=False)
    assert "InputError: postgresql://" in (told := asked(nowhere))
    assert 'database "not_there" does not exist' in told
    assert str(postgresql.url.password) not in told


def test_who_may_make_no_schema_is_told_what_to_grant(server: str) -> None:
    owner = Database(sa.make_url(server).set(drivername="postgresql+psycopg"), "public")
    reader = owner.url.set(username="solon_reader", password="r3ader")
    with closing_engine(owner) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE ROLE solon_reader LOGIN PASSWORD 'r3ader'")
        try:
            told = asked(reader.render_as_string(hide_password=False))
        finally:
            with engine.begin() as connection:
                connection.exec_driver_sql("DROP ROLE solon_reader")
    assert told.startswith("InputError: postgresql://solon_reader@")
    assert "permission denied for database" in told
    assert "grant that role what it needs" in told


def test_a_run_on_postgresql_shows_and_exports_the_same_bytes_as_one_in_a_file(
    cli: Cli, write_run: WriteRun, server: str, tmp_path: Path
) -> None:
    seen = []
    for place, variables in (("file", {}), ("team", {ENV: server})):
        config = write_run(ON_TEAM if variables else {}, prompts=12)
        out = tmp_path / place / "demo"
        (out.parent).mkdir()
        assert cli("run", config, "--out", out, **variables).returncode == 0
        again = cli("run", config, "--out", out, "--json", **variables)
        assert '"calls_sent": 0' in again.stdout
        shown = cli("show", "prompt-3", "--run", out, **variables)
        assert "prompt-3" in shown.stdout
        assert cli("export", out, **variables).returncode == 0
        seen.append([shown.stdout, *((file.name, file.read_bytes()) for file in sorted((out / "export").iterdir()))])
        assert (out / "journal.db").exists() == (place == "file")
        report = (out / "report.md").read_text()
        assert ("PostgreSQL, schema solon_run_demo_" in report) == (place == "team")
    assert seen[0] == seen[1]
    password = sa.make_url(server).password
    assert password
    assert [
        file for file in (tmp_path / "team").rglob("*") if file.is_file() and password.encode() in file.read_bytes()
    ] == []


def test_a_run_that_has_begun_in_one_place_is_not_paid_for_again_in_another(
    cli: Cli, write_run: WriteRun, server: str, tmp_path: Path
) -> None:
    variables = {ENV: server}
    assert cli("run", write_run({}), "--out", tmp_path / "file").returncode == 0
    refused = cli("run", write_run(ON_TEAM), "--out", tmp_path / "file", **variables)
    assert refused.returncode == 2
    assert "journal.db: this run has begun in the file, not in PostgreSQL: remove [storage]" in refused.stderr
    assert cli("run", write_run(ON_TEAM), "--out", tmp_path / "team", **variables).returncode == 0
    refused = cli("run", write_run({}), "--out", tmp_path / "team")
    assert refused.returncode == 2
    assert (
        f'this run has begun in PostgreSQL, not in a file: give [storage] database_env = "{ENV}" again'
        in refused.stderr
    )
    unset = cli("show", "prompt-3", "--run", tmp_path / "team")
    assert unset.returncode == 2
    assert f"storage.database_env: the variable {ENV} is not set" in unset.stderr


def begun(config: RunConfig, *folders: Path) -> list[RunFolder]:
    made = [RunFolder(folder, config, folder) for folder in folders]
    for folder in made:
        folder.path.mkdir(parents=True)
        name_run(folder)
    return made


def test_runs_of_one_database_have_schemas_of_their_own_and_one_for_what_people_say(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV, "postgresql://h/d")
    folders = begun(load_config(write_run(ON_TEAM)), *(tmp_path / name / "demo" for name in ("a", "b", "c")))
    assert len({folder.journal.schema for folder in folders} | {folder.review.schema for folder in folders}) == 4
    assert len({folder.id for folder in folders}) == 3
    filed = RunFolder(tmp_path, load_config(write_run({})), tmp_path)
    assert (filed.journal.path, filed.review.path) == (tmp_path / "journal.db", tmp_path / "review.db")


def test_a_run_of_a_database_keeps_its_id_wherever_its_folder_goes(
    write_run: WriteRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV, "postgresql://h/d")
    (folder,) = begun(load_config(write_run(ON_TEAM)), tmp_path / "demo")
    before = folder.id, folder.journal.schema
    folder.path.rename(tmp_path / "other")
    moved = replace(folder, path=tmp_path / "other")
    name_run(moved)
    assert (moved.id, moved.journal.schema) == before
    save_config(moved)
    for lost in (b"", b"\xff", None):
        moved.id_file.unlink() if lost is None else moved.id_file.write_bytes(lost)
        name_run(moved)  # no new one where replies are paid for under the old one
        with pytest.raises(InputError, match=r"run\.id: cannot be read, and says which run .*: put it back") as refusal:
            _ = moved.journal
        assert "\n" not in str(refusal.value)


def test_two_projects_with_runs_of_one_name_share_no_call_and_no_label(
    cli: Cli, write_run: WriteRun, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV, server)
    config = write_run(ON_TEAM, prompts=12)
    for project in ("one", "other"):
        (tmp_path / project).mkdir()
        ran = cli("run", config, "--out", tmp_path / project / "demo", "--json", **{ENV: server})
        assert '"calls_sent": 0' not in ran.stdout
    assert cli("review", "draw", tmp_path / "one" / "demo", "--n", "4", **{ENV: server}).returncode == 0
    (tmp_path / "one" / "demo").rename(tmp_path / "one" / "renamed")
    with open_review(open_folder(tmp_path / "one" / "renamed")) as store:
        assert len(store.tasks()) == 4
    with open_review(open_folder(tmp_path / "other" / "demo")) as store:
        assert (store.tasks(), store.rounds()) == ((), ())


def test_the_labels_of_a_run_in_files_go_with_its_folder(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    run = tmp_path / "demo"
    assert cli("run", write_run({}, prompts=12), "--out", run).returncode == 0
    assert cli("review", "draw", run, "--n", "4").returncode == 0
    shutil.copytree(run, tmp_path / "copy")
    run.rename(tmp_path / "renamed")
    for name in ("copy", "renamed"):
        with open_review(open_folder(tmp_path / name)) as store:
            assert len(store.tasks()) == 4
    assert not (tmp_path / "copy" / "run.id").exists()


def test_a_service_waits_for_no_lock_and_no_statement_for_long_and_a_journal_does(
    postgresql: Database, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("SHOW statement_timeout", "SHOW lock_timeout")

    def limits(engine: sa.Engine) -> list[str]:
        with engine.connect() as connection:
            return [str(connection.exec_driver_sql(one).scalar()) for one in asked]

    assert limits(connect(postgresql, serving=True)) == ["20s", "10s"]
    assert limits(connect(postgresql)) == limits(connect(postgresql, read_only=True)) == ["0", "0"]
    monkeypatch.setattr("solon.database._SERVING", {"statement_timeout": "50ms"})
    hasty = connect(postgresql, serving=True)
    with (
        pytest.raises(StorageError, match="canceling statement due to statement timeout: see to the server") as failure,
        storage_errors(postgresql),
        hasty.connect() as connection,
    ):
        connection.exec_driver_sql("SELECT pg_sleep(5)")
    assert "\n" not in str(failure.value)


def test_no_error_of_a_database_holds_what_people_wrote(engine: sa.Engine) -> None:
    new = sa.insert(THINGS).values(name="a", body=b"my private rationale")
    with writing(engine) as connection:
        connection.execute(new)
    with pytest.raises(sa.exc.IntegrityError) as failure, writing(engine) as connection:
        connection.execute(new)
    assert "private" not in str(failure.value)


def test_who_may_make_no_schema_may_use_the_one_that_is_there(postgresql: Database, connect: Connect) -> None:
    owner, role = connect(postgresql), f"user_{postgresql.schema}"[:60]
    prepare(owner, TABLES, postgresql.schema)
    user = Database(postgresql.url.set(username=role, password="us3r"), postgresql.schema)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'us3r'")
        connection.exec_driver_sql(f"GRANT ALL ON SCHEMA {postgresql.schema} TO {role}")
        connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA {postgresql.schema} TO {role}")
    try:
        engine = connect(user)
        prepare(engine, TABLES, user.schema)
        assert names(engine) == []
        engine.dispose()
    finally:
        with owner.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
