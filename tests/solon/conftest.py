"""Builders for the shell's tests: a run's files, and the command line in a child process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
import tomlkit

import solon
from solon.database import Database

ROOT = Path(solon.__file__).parents[1]
TEST_DATABASE = "SOLON_TEST_DATABASE"  # benchmarks/review/services.sh COMMAND starts a server and sets it
MAIN = "\nfrom solon.cli import main\nmain()\n"

CONFIG: dict[str, Any] = {
    "name": "demo",
    "constitution": "principles.toml",
    "prompts": {"files": ["prompts.jsonl"]},
    "policy": {"backend": "scripted", "model": "rambler", "max_tokens": 160},
    "judge": {"backend": "scripted", "model": "rambler", "allow_same_family": True},
    "export": {"test_share": 0.25},
}
PRINCIPLES: list[dict[str, Any]] = [
    {"id": "short", "rule": "At most 60 words.", "check": {"name": "max_words", "words": 60}},
    {"id": "direct", "rule": "The first sentence answers."},
    {"id": "plain", "rule": "It uses everyday words."},
]


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``, section by section; None takes a key away."""
    both = {**base, **changes}
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            both[key] = merged(base[key], value)
    return {key: value for key, value in both.items() if value is not None}


def numbered(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"Why does the thing number {n} matter so much?", "id": f"prompt-{n}"} for n in range(count)]


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes run.toml, principles.toml and prompts.jsonl, and returns the first of them.

    ``changes`` go over a working configuration. What is not given stays as it was written before.
    """

    def write(
        changes: Mapping[str, Any] | None = None,
        *,
        prompts: int | Sequence[Mapping[str, Any]] | None = None,
        principles: Sequence[Mapping[str, Any]] | None = None,
        file: str = "run.toml",
    ) -> Path:
        path, principles_file, prompts_file = (tmp_path / n for n in (file, "principles.toml", "prompts.jsonl"))
        if changes is not None or not path.exists():
            path.write_text(tomlkit.dumps(merged(CONFIG, changes or {})))
        if principles is not None or not principles_file.exists():
            rules = list(PRINCIPLES if principles is None else principles)
            principles_file.write_text(tomlkit.dumps({"constitution": {"title": "Test"}, "principle": rules}))
        if prompts is not None or not prompts_file.exists():
            wanted = 6 if prompts is None else prompts
            lines = numbered(wanted) if isinstance(wanted, int) else wanted
            prompts_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``solon`` in a child process, in the test's folder, after the Python code ``script``."""
    begun: list[subprocess.Popen[str]] = []

    def start(*args: object, script: str = "", **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script + MAIN, *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def cli(begin: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``solon`` in a child process to its end."""

    def run(*args: object, script: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        process = begin(*args, script=script, **variables)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run


@dataclass
class Service:
    """An endpoint on loopback that says what a test tells it to say."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)  # the bodies of all calls


Said = tuple[int, dict[str, str], dict[str, Any]]  # status, headers, body


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Starts a ``Service``; ``answer`` gets a call's headers and body, which is None where models are listed."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[Mapping[str, str], dict[str, Any] | None], Said]) -> Service:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.say(*answer(self.headers, None))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                service.asked.append(body)
                self.say(*answer(self.headers, body))

            def say(self, status: int, headers: dict[str, str], body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        service = Service(f"http://127.0.0.1:{server.server_port}/v1")
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return service

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def carry_out(database: Database, statement: str) -> None:
    """Outside any transaction; what a test left locked does not hold it up for ever."""
    engine = database.engine()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET lock_timeout = '10s'")
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def postgresql() -> Iterator[Database]:
    """A schema of a real PostgreSQL with nothing in it, dropped afterwards."""
    if not os.environ.get(TEST_DATABASE):
        pytest.skip(f"{TEST_DATABASE} is not set: benchmarks/review/services.sh COMMAND starts a PostgreSQL")
    place = Database.of_variable(TEST_DATABASE, f"test {uuid4().hex}", TEST_DATABASE)
    yield place
    carry_out(place, f"DROP SCHEMA IF EXISTS {place.schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A place for tables with nothing in it: a file that is not there yet, and a schema of a real PostgreSQL."""
    if request.param == "sqlite":
        return Database.file(tmp_path / "journal.db")
    place: Database = request.getfixturevalue("postgresql")
    return place


@pytest.fixture
def server(postgresql: Database) -> Iterator[str]:
    """The address, password and all, of a PostgreSQL database of the test's own, with nothing in it."""
    name = f"solon_test_{uuid4().hex}"
    carry_out(postgresql, f"CREATE DATABASE {name}")
    yield postgresql.url.set(database=name).render_as_string(hide_password=False)
    carry_out(postgresql, f"DROP DATABASE {name} WITH (FORCE)")


# ---- the web service ---------------------------------------------------------------------------------------------


@dataclass
class Web:
    """The service over the test's folder, in this process, with a clock that the test moves."""

    root: Path
    now: float = 1_800_000_000.0

    def __post_init__(self) -> None:
        from solon.review.opened import open_review
        from solon.web.accounts.store import Accounts
        from solon.web.app import create_app
        from solon.web.places import runs_of
        from solon.web.site import Site

        self.accounts = Accounts.open(Database.file(self.root / "accounts.db"))
        look = partial(runs_of, self.root)
        self.site = Site(self.root, self.accounts, lambda: self.now, look, open_review)
        self.app = create_app(self.site)

    def browser(self, **headers: str) -> Any:
        """A browser that nobody is logged in with yet."""
        from starlette.testclient import TestClient

        url = "http://127.0.0.1:8642"
        return TestClient(self.app, url, headers={"Origin": url, **headers}, raise_server_exceptions=False)

    def visitor(self, role: Any = "annotator", name: str = "", runs: Sequence[str] = ("*",)) -> Any:
        """A browser with somebody logged in, whose name is that of the role if none is given."""
        name = name or role
        if not self.accounts.user(name):
            self.accounts.accept(self.accounts.add(name, role, runs, self.now), name, password_hash(), self.now)
        user = self.accounts.user(name)
        assert user
        begun = self.accounts.sessions.begin(user, self.now)
        browser = self.browser(**{"X-CSRF-Token": begun.csrf})
        browser.cookies.set("solon_session", begun.token, domain="127.0.0.1")
        return browser

    def login(self, name: str) -> dict[str, str]:
        """What somebody whom ``visitor`` made sends to log in."""
        return {"name": name, "password": PASSWORD}


PASSWORD = "the fixture's password"


@cache
def password_hash() -> str:
    from solon.web.accounts.passwords import hash_of

    return hash_of(PASSWORD)


@pytest.fixture
def web(tmp_path: Path) -> Web:
    return Web(tmp_path)
