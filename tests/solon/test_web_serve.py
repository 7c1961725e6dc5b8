"""`solon serve`, as a process, and which runs it finds."""

import http.client
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import tomlkit

from constitution.errors import InputError
from solon.database import Database
from solon.folder import RunFolder, open_folder, save_config
from solon.review.opened import open_review
from solon.review.storage.store import Store
from solon.web.accounts.passwords import hash_of
from solon.web.accounts.store import Accounts
from solon.web.asked import ServeAsked
from solon.web.places import root_of, runs_of
from solon.web.serve import serve_until_stopped, server_of


def line_of(process: Any, beginning: str) -> str:
    """The rest of the first line that begins so."""
    for line in process.stdout:
        if line.startswith(beginning):
            return str(line.removeprefix(beginning).strip())
    raise AssertionError(process.stderr.read())


def port_of(process: Any) -> int:
    return int(line_of(process, "listening on http://127.0.0.1:"))


@contextmanager
def asking(port: int, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            yield response


def asked(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    with asking(port, path, **headers) as response:
        return response


def session_of_admin(root: Path) -> str:
    accounts = Accounts.open(Database.file(root / "accounts.db"))
    user = accounts.accept(accounts.add("root", "admin", [], time.time()), "", hash_of("x" * 12), time.time())
    return accounts.sessions.begin(user, time.time()).token


def test_it_says_where_it_listens_what_it_serves_and_how_the_first_admin_gets_in(write_run: Any, begin: Any) -> None:
    write_run()
    process = begin("serve", "--port", 0)
    port = port_of(process)
    assert line_of(process, "serving ").startswith("demo of ")
    link = line_of(process, "nobody is an admin yet; whoever opens this link becomes it: ")
    assert link.startswith(f"http://127.0.0.1:{port}/invite#")
    reply = asked(port, "/login")
    assert (reply.status, reply.getheader("server")) == (200, None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out.strip(), err) == (0, "stopped", "")


def test_it_ends_within_moments_though_a_stream_is_open(write_run: Any, begin: Any, tmp_path: Path) -> None:
    write_run()
    cookie = f"solon_session={session_of_admin(tmp_path)}"
    process = begin("serve", tmp_path / "run.toml", "--port", 0)
    with asking(port_of(process), "/api/runs/demo/events", Cookie=cookie) as stream:
        assert stream.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)  # a second or so; a stream lasts minutes
        stream.read()  # to its proper end: a cut one would raise
    assert (process.returncode, err) == (0, "")


def test_no_secret_gets_into_what_it_says_and_where_there_is_an_admin_no_link(
    write_run: Any, begin: Any, tmp_path: Path
) -> None:
    write_run()
    token = session_of_admin(tmp_path)
    process = begin("serve", "--port", 0)
    port = port_of(process)
    asked(port, f"/api/nothing?{token}", Cookie=f"solon_session={token}")
    asked(port, "/api/me", Host=f"{token}.example")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert token not in out + err
    assert "invite" not in out


def refused(place: Path, **options: Any) -> str:
    given = {"host": "127.0.0.1", "port": 0, "database_env": None, "allow_hosts": (), "behind_tls": False, **options}
    with pytest.raises(InputError) as error:
        serve_until_stopped(ServeAsked(place, **given))
    return str(error.value).replace(str(place), "PLACE")


def test_what_cannot_be_served_is_told_in_a_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert refused(tmp_path) == "PLACE: holds no run and no run.toml: make one: solon init DIR"
    assert refused(tmp_path / "no") == "PLACE: is not there: name a run folder, a run.toml, or a folder of these"
    assert not [*tmp_path.iterdir()]


def test_what_it_cannot_be_served_with_is_told_in_a_line(write_run: Any, tmp_path: Path) -> None:
    write_run()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = f"--port {port}: cannot be had (Address already in use): name another; 0 picks a free one"
        assert refused(tmp_path, port=port) == line
    assert refused(tmp_path, host="no such host").startswith("--host no such host: is no address of this machine: ")
    assert refused(tmp_path, host="203.0.113.7").startswith("--port 0: cannot be had (")
    assert refused(tmp_path, behind_tls=True).startswith(
        "--behind-tls: browsers come by another name: add --allow-host"
    )
    for name in ("https://labels.example", ":443", "a:b"):
        line = f"--allow-host {name}: is no name of a host: give NAME or NAME:PORT, without https://"
        assert refused(tmp_path, allow_hosts=(name,)) == line
    assert refused(tmp_path, database_env="NO_SUCH").startswith("--database-env: the variable NO_SUCH is not set: ")
    assert [file.name for file in tmp_path.glob("accounts*")] == []


def test_where_the_extra_is_missing_it_says_what_to_install(write_run: Any, cli: Any) -> None:
    write_run()
    done = cli("serve", script="import sys; sys.modules['uvicorn'] = None")
    assert (done.returncode, done.stderr) == (2, "error: serve: uvicorn is not installed: pip install 'solon[serve]'\n")


def test_beyond_loopback_it_warns_that_passwords_travel_unencrypted(write_run: Any, begin: Any) -> None:
    write_run()
    process = begin("serve", "--host", "0.0.0.0", "--port", 0)
    port = port_of(process)
    assert "passwords travel unencrypted" in line_of(process, "warning: ")
    assert asked(port, "/login", Host="labels.example").status == 400


def test_behind_tls_the_link_has_the_proxys_name(write_run: Any, begin: Any) -> None:
    write_run()
    process = begin("serve", "--behind-tls", "--allow-host", "Labels.example:8443", "--port", 0)
    port = port_of(process)
    assert line_of(process, "nobody").partition(": ")[2].startswith("https://Labels.example:8443/invite#")
    assert asked(port, "/login", Host="labels.example").status == 200


def test_it_takes_fewer_connections_than_it_may_have_files_open(web: Any, tmp_path: Path) -> None:
    asked = ServeAsked(tmp_path, "127.0.0.1", 0, None, (), False)
    assert server_of(web.site, asked).config.limit_concurrency == 900


# what is found


@pytest.fixture
def carried_out(write_run: Callable[..., Path], cli: Any, tmp_path: Path) -> Path:
    assert cli("run", write_run()).returncode == 0
    return tmp_path / "runs/demo"


def test_a_run_is_found_by_its_folder_by_its_file_and_by_what_they_lie_in(
    carried_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = [runs_of(place) for place in (carried_out, Path("run.toml"), Path(), tmp_path / "runs")]
    for (one,) in found:
        assert (one.name, one.folder.path, one.config_file) == ("demo", carried_out, tmp_path / "run.toml")
    assert root_of(tmp_path / "run.toml") == root_of(tmp_path) == tmp_path


def test_a_run_that_has_not_begun_lies_where_it_would_begin(write_run: Any, tmp_path: Path) -> None:
    (found,) = runs_of(write_run().parent)
    assert (found.name, found.folder.path) == ("demo", tmp_path / "runs/demo")
    assert not found.folder.path.exists()


def test_what_cannot_be_read_hides_no_other(write_run: Any, tmp_path: Path) -> None:
    write_run()
    for name, text in (("a", "not toml ["), ("b", 'name = "b"')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.toml").write_text(text)
        (tmp_path / name / "config.toml").write_text(text)
    assert [found.name for found in runs_of(tmp_path)] == ["demo"]


ODD = {
    "config.toml": (b"\xff\xfe", b"a = " + b"[" * 20_000, b"a" + b".a" * 2_000 + b" = 1", b"\0"),
    "origin": (b"\xff", b"a\0b", b"x" * 5000),
}


@pytest.mark.parametrize(("name", "content"), [(name, one) for name, many in ODD.items() for one in many])
def test_an_odd_file_in_a_run_folder_hides_no_other_run_and_breaks_nothing(
    name: str, content: bytes, write_run: Any, web: Any
) -> None:
    (before,) = runs_of(write_run().parent)
    for run in ("odd", "sound"):
        begin_run(replace(before.folder, path=web.root / "runs" / run))
    (web.root / "runs/odd" / name).write_bytes(content)
    assert {"demo", "sound"} <= {one["name"] for one in web.visitor("admin").get("/api/runs").json()}


@pytest.mark.parametrize("error", [PermissionError(13, "not for you"), ValueError("odd"), RecursionError()])
def test_whatever_a_run_folder_fails_with_hides_no_other(
    error: Exception, web: Any, write_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = runs_of(write_run().parent)
    for run in ("odd", "sound"):
        begin_run(replace(before.folder, path=web.root / "runs" / run))

    def opened(path: Path) -> RunFolder:
        if path.name == "odd":
            raise error
        return open_folder(path)

    monkeypatch.setattr("solon.web.places.opened", opened)
    assert [found.name for found in runs_of(web.root)] == ["demo", "sound"]


def begin_run(folder: RunFolder) -> None:
    """Up to the point from which people may look at it."""
    folder.path.mkdir(parents=True)
    save_config(folder)


def test_where_the_runs_cannot_be_looked_for_those_found_before_are_served_and_the_log_says_so(
    web: Any, write_run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def look() -> tuple[Any, ...]:
        raise PermissionError("not for you")

    write_run()
    before = web.site.runs()
    web.site.look = look
    web.now += 5
    assert web.site.runs() is before
    assert "PermissionError" in caplog.text


# their reviews


@pytest.fixture
def begun(web: Any, write_run: Any) -> Any:
    """The service, with the run demo begun."""
    (found,) = runs_of(write_run().parent)
    begin_run(found.folder)
    return web


def test_a_review_whose_file_is_removed_is_opened_anew(begun: Any) -> None:
    served = begun.site.runs()["demo"]
    before = served.store
    assert served.store is before
    for file in served.folder.path.glob("review.db*"):
        file.unlink()
    served.store.set_guidelines("Kept.", "admin", begun.now)
    assert (served.folder.path / "review.db").is_file()
    with Store.open(served.folder.review, served.folder.id) as again:
        assert again.guidelines().text == "Kept."


def test_a_review_that_takes_long_to_open_keeps_no_other_waiting(begun: Any) -> None:
    begin_run(replace(begun.site.runs()["demo"].folder, path=begun.root / "runs" / "slow"))
    opening, go_on = Event(), Event()

    def open_store(folder: RunFolder) -> Store:
        if folder.path.name == "slow":
            opening.set()
            assert go_on.wait(30)
        return open_review(folder)

    begun.site.open_store = open_store
    begun.now += 5
    slow = Thread(target=lambda: begun.site.runs()["slow"].store)
    slow.start()
    assert opening.wait(30)
    found: list[Any] = []
    other = Thread(target=lambda: found.append(begun.site.runs()["demo"].store))
    other.start()
    other.join(timeout=30)
    assert found
    go_on.set()
    slow.join(timeout=30)


def test_a_review_that_cannot_be_opened_is_told_to_annotators_without_where_it_lies(
    begun: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (begun.root / "runs/demo/review.db").write_text("no database at all" * 100)
    reply = begun.visitor("annotator").post("/api/runs/demo/review/next")
    assert (reply.status_code, reply.json()["fact"]) == (503, "the service is out of order just now")
    assert "review.db" not in reply.text
    assert "review.db: this file is not a database" in caplog.text


def test_where_the_databases_variable_is_not_set_annotators_are_not_told_its_name(
    web: Any, write_run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (found,) = runs_of(write_run({"storage": {"database_env": "NO_SUCH_DATABASE"}}).parent)
    begin_run(found.folder)
    reply = web.visitor("annotator").post("/api/runs/demo/review/next")
    assert reply.status_code == 503
    assert "NO_SUCH_DATABASE" not in reply.text
    assert "NO_SUCH_DATABASE is not set" in caplog.text


def test_a_new_folder_takes_no_name_away_from_a_run(carried_out: Path, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/config.toml").write_bytes((carried_out / "config.toml").read_bytes())
    (found,) = runs_of(tmp_path)
    assert found.folder.path == carried_out


def test_a_run_started_elsewhere_or_renamed_since_is_not_started_from_that_file(
    carried_out: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(tomlkit.dumps({**tomlkit.parse(file.read_text()), "name": "other"}))
    assert {found.name: found.config_file for found in runs_of(tmp_path)} == {"demo": None, "other": file}


def test_a_look_at_the_runs_holds_for_some_seconds(web: Any, write_run: Any) -> None:
    assert not web.site.runs()
    file = write_run()
    assert not web.site.runs()
    web.now += 5
    assert [*web.site.runs()] == ["demo"]
    file.write_text(file.read_text().replace('name = "demo"', 'name = "renamed"'))
    web.now += 5
    assert [*web.site.runs()] == ["renamed"]


def test_while_one_looks_the_others_go_on_with_what_was_found_before(web: Any, write_run: Any) -> None:
    write_run()
    before = web.site.runs()
    web.now += 5
    seen: list[Any] = []

    def look() -> tuple[Any, ...]:
        other = Thread(target=lambda: seen.append(web.site.runs()))
        other.start()
        other.join(timeout=30)
        return ()

    web.site.look = look
    assert not web.site.runs()
    assert seen == [before]
