"""Runs seen, started and paused by way of the service."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest

pytest.importorskip("fastapi")

import solon
from constitution.errors import InputError, SolonError
from solon.cli import actions, main
from solon.journal import Journal
from solon.run_lock import HOLDER, LOCK, hold
from solon.show import rows_beginning, rows_named
from solon.web.runs.feed import Feed
from solon.web.runs.hub import Hub
from solon.web.runs.live import AT_ONCE, Counting, RunFacts
from solon.web.runs.process import begin_log
from solon.web.runs.standing import LOG, is_locked, standing
from solon.web.served import Served

SLOW = {"policy": {"latency": 0.05}, "judge": {"latency": 0.05}, "limits": {"in_flight": 4}}
Begin = Callable[..., subprocess.Popen[str]]
WriteRun = Callable[..., Path]
Done = Callable[..., Path]
CarryOut = Callable[[Any], dict[str, Any]]


@pytest.fixture(autouse=True)
def children_find_this_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Also leaves no run behind that a failed test has started."""
    monkeypatch.setenv("PYTHONPATH", str(Path(solon.__file__).parents[1]))
    yield
    for holder in tmp_path.glob(f"runs/*/{HOLDER}"):
        found = json.loads(holder.read_bytes())["pid"]
        if found != os.getpid() and Path(f"/proc/{found}").exists():
            os.kill(found, signal.SIGKILL)


def until(happened: Callable[[], Any]) -> Any:
    """What ``happened`` gives as soon as it is something."""
    end = time.monotonic() + 60
    while not (found := happened()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def ended(visitor: Any) -> dict[str, Any]:
    """The run's facts once nobody works on it."""

    def look() -> dict[str, Any] | None:
        facts: dict[str, Any] = visitor.get("/api/runs/demo").json()
        return None if facts["state"] == "running" else facts

    found: dict[str, Any] = until(look)
    return found


@pytest.fixture
def done(write_run: WriteRun, tmp_path: Path) -> Callable[..., Path]:
    """A run carried out in this process: its folder."""

    def carry_out(*args: Any, name: str = "demo", **kwargs: Any) -> Path:
        folder = tmp_path / "runs" / name
        actions.run(write_run(*args, **kwargs), folder, accept_changes=False, no_budget=False)
        return folder

    return carry_out


@dataclass
class Started:
    """In the place of a child process: the command line in this one, when the test says so."""

    words: tuple[str, ...]
    log: Path
    code: int | None = None
    pid: int = 0
    over: Event = field(default_factory=Event)

    def poll(self) -> int | None:
        return self.code

    def wait(self) -> int:
        self.over.wait(60)
        return self.code or 0


@pytest.fixture
def carry_out(web: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], dict[str, Any]]:
    """Carries out what a visitor has started, and gives the run's facts after it."""
    started: list[Started] = []

    def begin(words: tuple[str, ...], log: Path) -> Started:
        started.append(Started(words, log))
        return started[-1]

    def carried_out(visitor: Any) -> dict[str, Any]:
        assert visitor.get("/api/runs/demo").json()["state"] == "running"
        one = started.pop()
        assert one.words[1:4] == ("-P", "-m", "solon")
        monkeypatch.setattr(sys, "argv", ["solon", *one.words[4:]])
        with os.fdopen(begin_log(one.log), "w") as log, redirect_stdout(log), redirect_stderr(log):
            try:
                main()
            except SystemExit as left:
                one.code = int(left.code or 0)
        one.over.set()
        return ended(visitor)

    web.site.hub.children.begin = begin
    return carried_out


def summary(root: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((root / "runs/demo/summary.json").read_bytes())
    return data


def test_a_run_that_has_not_begun_says_so_and_has_no_results(web: Any, write_run: WriteRun) -> None:
    write_run()
    lead = web.visitor("adjudicator")
    facts = lead.get("/api/runs/demo").json()
    assert (facts["state"], facts["counts"]["done"], facts["has_report"]) == ("not begun", 0, False)
    for path in ("results", "rows/prompt-1", "report"):
        assert lead.get(f"/api/runs/demo/{path}").status_code == 404
    assert web.visitor("admin").post("/api/runs/demo/pause").status_code == 409


def test_annotators_see_of_a_run_only_its_state(web: Any, done: Done) -> None:
    done()
    person = web.visitor("annotator")
    assert person.get("/api/runs").json() == [
        {"name": "demo", "state": "done", "fault": "", "done": None, "prompts": None, "pairs": None}
    ]
    for path in ("", "/events", "/results", "/rows/prompt-1", "/report"):
        assert person.get(f"/api/runs/demo{path}").status_code == 403
    for path in ("start", "pause"):
        assert web.visitor("adjudicator").post(f"/api/runs/demo/{path}").status_code == 403
    (listed,) = web.visitor("adjudicator").get("/api/runs").json()
    assert (listed["done"], listed["prompts"], listed["pairs"]) == (6, 6, 6)
    assert web.visitor("annotator", "stranger", ["other"]).get("/api/runs").json() == []


def test_a_run_is_started_to_its_end_and_told_as_the_command_line_tells_it(
    web: Any, write_run: WriteRun, carry_out: CarryOut, tmp_path: Path
) -> None:
    write_run()
    admin = web.visitor("admin")
    assert admin.post("/api/runs/demo/start", json={}).json()["state"] == "running"
    assert admin.post("/api/runs/demo/start").json()["fact"] == "the run is starting already"
    facts, told = carry_out(admin), summary(tmp_path)
    assert (facts["state"], facts["fault"], facts["changed"]) == ("done", "", False)
    counts, spending = facts["counts"], facts["spending"]
    assert [counts[name] for name in ("done", "prompts", "pairs")] == [6, 6, told["pairs"]]
    assert counts["drops"] == told["drops"]
    assert spending["calls"] == told["calls_sent"]
    assert facts["log"][-1].startswith("everything is in ")
    assert admin.get("/api/runs/demo/report").text == (tmp_path / "runs/demo/report.md").read_text()
    with Journal.open(web.site.runs()["demo"].folder.journal, read_only=True) as journal:
        live = Counting().of(journal)
    assert (live.done, live.counted, live.pairs, dict(live.drops)) == (6, 6, told["pairs"], told["drops"])


def test_a_start_takes_nothing_from_a_request_but_whether_changes_are_accepted(
    web: Any, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run()
    admin = web.visitor("admin")
    for asked in (
        {"base_url": "http://elsewhere/v1"}, {"api_key": "k"}, {"config": "/tmp/other.toml"}, {"accept_changes": 1},
    ):  # fmt: skip
        assert admin.post("/api/runs/demo/start", json=asked).status_code == 422
    assert not (tmp_path / "runs").exists()


def test_a_config_s_fault_is_told_in_its_one_line(web: Any, write_run: WriteRun, carry_out: CarryOut) -> None:
    write_run({"prompts": {"files": ["nothing-*.jsonl"]}})
    admin = web.visitor("admin")
    admin.post("/api/runs/demo/start")
    facts = carry_out(admin)
    assert facts["state"] == "failed"
    assert "no prompt file matches 'nothing-*.jsonl'" in facts["fault"]
    assert "\n" not in facts["fault"]


def test_changes_of_the_config_are_seen_before_a_start_and_have_to_be_accepted(
    web: Any, write_run: WriteRun, done: Done, carry_out: CarryOut
) -> None:
    done()
    write_run({"policy": {"temperature": 0.5}})
    admin = web.visitor("admin")
    facts = admin.get("/api/runs/demo").json()
    assert (facts["state"], facts["changed"]) == ("done", True)
    admin.post("/api/runs/demo/start")
    facts = carry_out(admin)
    assert (facts["state"], facts["changed"]) == ("failed", True)
    assert "--accept-changes" in facts["fault"]
    admin.post("/api/runs/demo/start", json={"accept_changes": True})
    carry_out(admin)
    web.now += 10  # the folders are looked at anew
    facts = admin.get("/api/runs/demo").json()
    assert (facts["state"], facts["fault"], facts["changed"]) == ("done", "", False)


def test_a_paused_run_goes_on_and_pays_for_nothing_twice(
    web: Any, write_run: WriteRun, done: Done, tmp_path: Path
) -> None:
    write_run(SLOW, prompts=8)
    admin = web.visitor("admin")
    admin.post("/api/runs/demo/start")
    until(lambda: admin.get("/api/runs/demo").json()["counts"]["done"] > 0)
    assert admin.post("/api/runs/demo/start").status_code == 409
    paused = admin.post("/api/runs/demo/pause")
    assert paused.status_code == 200, paused.text
    facts = ended(admin)
    assert facts["state"] == "paused"
    assert 0 < facts["counts"]["done"] < facts["counts"]["prompts"] == 8
    first = summary(tmp_path)["calls_sent"]
    done({})
    whole = json.loads((done({}, name="whole") / "summary.json").read_bytes())
    assert first + summary(tmp_path)["calls_sent"] == whole["calls_sent"] == summary(tmp_path)["in_all"]["calls_sent"]


def test_a_run_of_the_command_line_shows_as_running_and_is_paused_once(
    web: Any, write_run: WriteRun, begin: Begin, tmp_path: Path
) -> None:
    process = begin("run", write_run({**SLOW, "policy": {"latency": 1.0}}))
    admin = web.visitor("admin")
    until(lambda: (tmp_path / "runs/demo/principles.toml").exists())
    time.sleep(0.2)
    facts = admin.get("/api/runs/demo").json()
    assert facts["state"] == "running"
    assert str(process.pid) in facts["holder"]
    assert admin.post("/api/runs/demo/start").status_code == 409
    paused = admin.post("/api/runs/demo/pause").json()
    assert (paused["state"], paused["pausing"]) == ("running", True)
    again = admin.post("/api/runs/demo/pause")
    assert (again.status_code, "already" in again.json()["fact"]) == (409, True)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert "calls_sent" in summary(tmp_path), "it was stopped where it stood"
    assert ended(admin)["state"] == "paused"


def test_a_killed_run_is_paused_and_its_traces_stop_nobody(
    web: Any, write_run: WriteRun, begin: Begin, carry_out: CarryOut, tmp_path: Path
) -> None:
    process = begin("run", write_run(SLOW, prompts=4))
    until(lambda: (tmp_path / "runs/demo/principles.toml").exists())
    process.kill()
    process.wait()
    admin = web.visitor("admin")
    assert (tmp_path / "runs/demo" / HOLDER).exists()
    assert admin.get("/api/runs/demo").json()["state"] == "paused"
    assert admin.post("/api/runs/demo/pause").status_code == 409
    write_run({})
    admin.post("/api/runs/demo/start")
    assert carry_out(admin)["state"] == "done"


@pytest.mark.parametrize("change", ["another process", "another machine"])
def test_only_the_holder_itself_is_asked_to_pause(web: Any, done: Done, change: str) -> None:
    folder = done(prompts=1)
    innocent = subprocess.Popen(["sleep", "60"])
    try:
        with hold(folder):
            told = json.loads((folder / HOLDER).read_bytes()) | {"command": "solon run run.toml", "pid": innocent.pid}
            told["host"] = socket.gethostname() if change == "another process" else "elsewhere"
            (folder / HOLDER).write_text(json.dumps(told))
            admin = web.visitor("admin")
            assert admin.get("/api/runs/demo").json()["state"] == "running"
            refused = admin.post("/api/runs/demo/pause")
            assert refused.status_code == 409
            assert ("its own machine" in refused.json()["remedy"]) == (change == "another machine")
            assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_another_verb_at_work_is_no_run_but_keeps_one_from_starting(web: Any, done: Done) -> None:
    folder = done(prompts=1)
    with hold(folder):
        told = json.loads((folder / HOLDER).read_bytes()) | {"command": "/bin/solon export runs/demo"}
        (folder / HOLDER).write_text(json.dumps(told))
        admin = web.visitor("admin")
        facts = admin.get("/api/runs/demo").json()
        assert (facts["state"], facts["busy"]) == ("done", "solon export")
        assert admin.post("/api/runs/demo/start").status_code == 409


def test_a_limit_and_failed_calls_are_states_of_their_own(web: Any, done: Done, tmp_path: Path) -> None:
    done({"budget": {"tokens": 8_000}}, prompts=12)
    facts = web.visitor("admin").get("/api/runs/demo").json()
    assert (facts["state"], facts["counts"]["prompts"]) == ("stopped by limit", 12)
    assert "tokens" in facts["limit"]
    path = tmp_path / "runs/demo/summary.json"
    data = summary(tmp_path) | {"limit": "", "finished": True, "rows": 5, "incomplete": 5}
    path.write_text(json.dumps(data))
    assert web.visitor("admin").get("/api/runs/demo").json()["state"] == "failed"


def test_a_broken_process_s_last_words_are_printable(web: Any, done: Done) -> None:
    said = done(prompts=1) / LOG
    folder = web.site.runs()["demo"].folder
    said.write_text("Traceback (most recent call last):\n  File x\nKeyError: '\x1b[2J'\n")
    found = standing(folder)
    assert found.state == "failed"
    assert found.fault == "a fault of Solon's: KeyError: '\\x1b[2J'"
    done(prompts=1)  # a session that was not started here
    assert standing(folder).state == "done"


def test_solon_run_goes_on_in_a_run_folder(done: Done, tmp_path: Path) -> None:
    folder = done(prompts=2)
    (tmp_path / "run.toml").unlink()
    assert actions.run(folder, None, accept_changes=False, no_budget=False).data["calls_sent"] == 0
    for place, out in ((folder, tmp_path / "elsewhere"), (tmp_path, None)):
        with pytest.raises(InputError):
            actions.run(place, out, accept_changes=False, no_budget=False)


def test_results_come_page_by_page_and_by_what_is_wanted(web: Any, done: Done) -> None:
    done({"judge": {"principles": "all"}}, prompts=7)
    lead = web.visitor("adjudicator")
    seen, after = [], ""
    while after is not None:
        page = lead.get("/api/runs/demo/results", params={"size": 3, "after": after}).json()
        seen += [pair["prompt_id"] for pair in page["pairs"]]
        after = page["after"]
    assert seen == [f"prompt-{n}" for n in range(7)]
    whole = lead.get("/api/runs/demo/results").json()
    assert (whole["principles"], whole["rows"], whole["after"]) == (["short", "direct", "plain"], 7, None)
    chosen = whole["pairs"][0]["chosen"]
    assert chosen["text"] != whole["pairs"][0]["rejected"]["text"]
    for wanted in ({"principle": "nothing"}, {"flagged": True}):
        assert lead.get("/api/runs/demo/results", params=wanted).json()["pairs"] == []
    decided = lead.get("/api/runs/demo/results", params={"principle": "short"}).json()["pairs"]
    assert decided == [pair for pair in whole["pairs"] if "short" in pair["decided_by"]]
    torn = lead.get("/api/runs/demo/results", params={"disagreement": True}).json()["pairs"]
    assert torn == [pair for pair in whole["pairs"] if pair["orders_agree"] is False]
    history = lead.get(f"/api/runs/demo/rows/{chosen['id'][:8]}").json()
    assert chosen["text"] in history["text"]
    assert history == lead.get("/api/runs/demo/rows/prompt-0").json()
    assert lead.get("/api/runs/demo/rows/zzzzzz").status_code == 400
    assert lead.get("/api/runs/demo/results", params={"size": 1000}).status_code == 422


def test_a_late_count_catches_up_and_begins_anew_when_rows_are_made_anew() -> None:
    class Rows:
        def __init__(self, names: dict[str, str]) -> None:
            self.names = names
            self.asked = 0

        def recipes(self) -> dict[str, str]:
            return dict(self.names)

        def bodies(self, prompts: list[str]) -> Iterator[bytes]:
            self.asked += len(prompts)
            yield from (EMPTY % prompt.encode() for prompt in prompts)

        def note(self, _: str) -> str:
            return "2000"

    rows: Any = Rows({f"p{n}": "a" for n in range(AT_ONCE + 5)})
    counting = Counting()
    assert (counting.of(rows).counted, counting.of(rows).counted) == (AT_ONCE, AT_ONCE + 5)
    counting.of(rows)
    assert rows.asked == AT_ONCE + 5
    rows.names = {"p1": "b"}
    assert (counting.of(rows).counted, counting.of(rows).done) == (1, 1)


EMPTY = (
    b'{"made":{"prompt":{"id":"%s","messages":[{"role":"user","content":"x"}],"tags":[],"source":""},"candidates":[],'
    b'"critiques":[],"drops":[]},"judgements":[],"labels":[],"pairs":[],"unpaired":[]}'
)


async def test_listeners_share_one_look_and_the_last_one_ends_it() -> None:
    looks = 0

    def look() -> int:
        nonlocal looks
        looks += 1
        return looks // 3

    feed = Feed(look, every=0.005)
    listeners = [feed.listen() for _ in range(5)]
    for wanted in (0, 1, 2):
        heard = [await anext(listener) for listener in listeners]
        assert all(one is not None and one >= wanted for one in heard)
    for listener in listeners:
        await listener.aclose()
    await asyncio.sleep(0.05)
    seen = looks
    await asyncio.sleep(0.05)
    assert looks == seen < 1000
    assert feed.listeners == 0


async def test_a_listener_who_hears_nothing_new_hears_a_heartbeat_and_a_new_one_hears_the_present() -> None:
    feed = Feed(lambda: "same", every=0.005)
    first = feed.listen(heartbeat=0.02)
    assert [await anext(first) for _ in range(3)] == ["same", None, None]
    second = feed.listen(heartbeat=60)
    assert await anext(second) == "same"
    await first.aclose()
    await second.aclose()


async def test_who_comes_just_after_the_last_one_left_hears_what_is_there() -> None:
    feed = Feed(lambda: "same", every=0.005)
    first = feed.listen(heartbeat=60)
    assert await anext(first) == "same"
    await first.aclose()
    second = feed.listen(heartbeat=0.02)  # before the loop has had a turn
    async with asyncio.timeout(30):
        assert [await anext(second) for _ in range(3)] == ["same", None, None]
    await second.aclose()


def test_a_feed_looks_at_the_run_as_it_is_configured_now(web: Any, write_run: WriteRun) -> None:
    write_run()
    served = web.site.runs()["demo"]
    found: dict[str, Served] = {"demo": served}
    feed = web.site.hub.feed("demo", found.get)
    assert feed.look().name == "demo"
    found["demo"] = replace(served, name="another")
    assert web.site.hub.feed("demo", found.get).look().name == "another"
    del found["demo"]
    with pytest.raises(SolonError, match="no run any more"):
        feed.look()


class Listening:
    """A listener to a run's events, by the server's own protocol: the client of the other tests waits for an end."""

    def __init__(self, web: Any, visitor: Any) -> None:
        self.gone, self.heard = asyncio.Event(), []  # type: tuple[asyncio.Event, list[Any]]
        self.asked = False
        cookie = f"solon_session={visitor.cookies['solon_session']}".encode()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/api/runs/demo/events", "raw_path": b"/api/runs/demo/events", "query_string": b"",
            "root_path": "", "headers": [(b"host", b"127.0.0.1:8642"), (b"cookie", cookie)],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8642), "state": {},
        }  # fmt: skip
        self.stream = asyncio.create_task(web.app(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.heard.append(message)

    async def until(self, states: list[str]) -> None:
        while self.states() != states:
            await asyncio.sleep(0.02)

    def states(self) -> list[str]:
        text = b"".join(message.get("body", b"") for message in self.heard).decode()
        return [json.loads(line[6:])["state"] for line in text.splitlines() if line.startswith("data: ")]


async def test_the_stream_tells_changes_and_ends_when_its_listener_or_their_session_does(
    web: Any, write_run: WriteRun, tmp_path: Path
) -> None:
    write_run()
    stays, leaves = web.visitor("adjudicator", "ada"), web.visitor("adjudicator", "ben")
    async with asyncio.timeout(60):
        one, other = Listening(web, stays), Listening(web, leaves)
        await one.until(["not begun"])
        await other.until(["not begun"])
        assert leaves.post("/api/logout").status_code < 300
        web.now += 60
        (tmp_path / "runs/demo").mkdir(parents=True)
        (tmp_path / "runs/demo" / LOG).write_text("error: run.toml: a fact: a remedy\n")
        await one.until(["not begun", "failed"])
        await other.stream
        assert other.states() == ["not begun"]
        one.gone.set()
        await one.stream
    assert dict(one.heard[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
    assert web.site.hub.feeds["demo"].listeners == 0


def test_slow_looks_leave_the_service_to_everybody_else(web: Any, done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    done(prompts=1)
    lead, go_on = web.visitor("adjudicator"), Event()

    def slow(*_: object) -> Any:
        go_on.wait(60)
        return ()

    for place in ("runs.results.principles_of", "runs.results.rows_named", "principles.routes.principle_text"):
        monkeypatch.setattr(f"solon.web.{place}", slow)
    paths = ("results", "rows/prompt", "principles", "principles/history", "principles/history/1")

    async def ask(path: str, **more: Any) -> int:
        """The reply's status; all in one event loop, as in the service."""
        client = httpx2.ASGITransport(web.app, raise_app_exceptions=False)
        headers = {**lead.headers, "cookie": f"solon_session={lead.cookies['solon_session']}"}
        async with httpx2.AsyncClient(transport=client, base_url=str(lead.base_url), headers=headers) as browser:
            return (await browser.request("POST" if more else "GET", f"/api/runs{path}", **more)).status_code

    async def all_at_once() -> None:
        busy = [asyncio.create_task(ask(f"/demo/{paths[n % len(paths)]}")) for n in range(45)]
        busy += [asyncio.create_task(ask("/demo/principles/check", json={"text": ""})) for _ in range(5)]
        try:
            await asyncio.sleep(0.1)
            async with asyncio.timeout(30):
                assert await ask("") == 200
                assert not any(task.done() for task in busy)
        finally:
            go_on.set()
            await asyncio.gather(*busy)

    asyncio.run(all_at_once())


ODD = ["", "[]", "{}", '{"finished": 1, "limit": null, "rows": "x", "incomplete": 0}', "[" * 100_000, '{"rows": 1e999}']


def test_an_odd_file_in_a_run_s_folder_is_no_fault_of_the_service(web: Any, done: Done) -> None:
    folder = done(prompts=1)
    lead = web.visitor("adjudicator")
    whole = json.loads((folder / "summary.json").read_text())
    for text in (*ODD, json.dumps(whole | {"in_all": None}), json.dumps(whole | {"drops": [1]})):
        (folder / "summary.json").write_text(text)
        facts = lead.get("/api/runs/demo").json()
        assert (facts["state"], facts["counts"]["pairs"]) == ("paused", 1), text
    with hold(folder):
        for text in (*ODD, '{"pid": "x", "host": "h", "user": "u", "command": "solon run x", "since": "now"}'):
            (folder / HOLDER).write_text(text)
            assert lead.get("/api/runs/demo").status_code == 200, text


def test_a_run_that_cannot_be_read_hides_no_other(web: Any, done: Done) -> None:
    class Broken(Hub):
        def facts(self, served: Served) -> RunFacts:
            if served.name == "demo":
                raise KeyError("an address that is nobody's business")
            return Hub.facts(self, served)

    done(prompts=1)
    done(prompts=1, name="other")
    web.site.hub = Broken()
    listed = web.visitor("adjudicator").get("/api/runs").json()
    assert [(run["name"], run["state"]) for run in listed] == [("demo", "failed"), ("other", "done")]
    assert "business" not in json.dumps(listed)


def test_a_history_is_looked_for_in_few_rows_and_no_further_than_it_is_shown(web: Any, done: Done) -> None:
    done(prompts=7)
    lead = web.visitor("adjudicator")
    found = lead.get("/api/runs/demo/rows/prompt-").json()
    assert len(found["rows"]) == 5
    assert found["text"].endswith("and more rows: give more of the id")
    assert lead.get("/api/runs/demo/rows/role").status_code == 400, "a word of every row, and the id of nothing"

    class Rows:
        read = 0

        def recipes(self) -> dict[str, str]:
            return {f"p{n:04}": "" for n in range(1000)}

        def bodies(self, prompts: list[str]) -> Iterator[bytes]:
            for prompt in prompts:
                if prompt not in self.recipes():
                    raise KeyError(prompt)
                self.read += 1
                yield EMPTY % prompt.encode()

    rows: Any = Rows()
    assert [row.made.prompt.id for row in rows_beginning(rows, "p000", most=3)] == ["p0000", "p0001", "p0002"]
    assert rows.read == 3
    assert [row.made.prompt.id for row in rows_named(rows, "p0900")] == ["p0900"]
    assert rows.read == 4


def test_a_look_at_the_lock_keeps_no_run_from_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / LOCK).touch()
    handle = os.open(tmp_path / LOCK, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    assert not is_locked(tmp_path / LOCK)
    monkeypatch.setattr("solon.run_lock.time.sleep", lambda _: fcntl.flock(handle, fcntl.LOCK_UN))
    with hold(tmp_path):
        assert is_locked(tmp_path / LOCK)
    os.close(handle)


def test_the_words_of_a_run_that_another_server_has_just_started_stay(tmp_path: Path) -> None:
    log = tmp_path / LOG
    log.write_text("of a session long ago\n")
    first = begin_log(log)
    os.write(first, b"first\n")
    second = begin_log(log)
    os.write(second, b"second\n")
    os.write(first, b"first again\n")
    assert log.read_text() == "first\nsecond\nfirst again\n"
    os.close(first)
    os.close(second)
    os.close(begin_log(log))
    assert log.read_text() == ""
