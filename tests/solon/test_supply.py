"""A run's models: what they share, what stops them, what is told of them, and that no key gets out."""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.chat import ChatReply, ChatRequest, Message
from generator.models.calling import Persistent
from generator.models.openai import OpenAIBackend
from generator.models.rambler import SCRIPTS
from generator.models.scripted import ScriptedModel
from solon.config_file import load_config
from solon.database import Database
from solon.folder import RunFolder
from solon.journal import Journal
from solon.models import Gate, JournaledModel, Meter
from solon.supply import Supply

Cli = Callable[..., subprocess.CompletedProcess[str]]
Begin = Callable[..., subprocess.Popen[str]]
WriteRun = Callable[..., Path]
Serve = Callable[..., Any]
Said = tuple[int, dict[str, str], dict[str, Any]]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(Database.file(tmp_path / "journal.db")) as opened:
        yield opened


def supply_of(config: Path, journal: Journal) -> Supply:
    return Supply(RunFolder(config.parent / "out", load_config(config), config.parent), journal, Gate(), Meter())


def persistent(model: JournaledModel) -> Persistent:
    assert isinstance(model.backend, Persistent)
    return model.backend


HERE, THERE = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"


async def test_models_at_one_address_share_a_door_and_the_gate_closes_every_door(
    write_run: WriteRun, journal: Journal
) -> None:
    changes = {
        "policy": {"backend": "openai", "model": "one", "base_url": HERE},
        "critic": {"model": "two"},
        "judge": {"backend": "openai", "model": "one", "base_url": THERE},
        "limits": {"in_flight": 7, "deadline": 11.0, "idle": 3.0},
    }
    async with supply_of(write_run(changes), journal) as supply:
        config = supply.folder.config
        policy, critic, judge = (
            persistent(supply.model(s)) for s in (config.policy, config.critic_model, config.judge)
        )
        assert policy.door is critic.door is not judge.door
        assert [d.most for d in (policy.door, judge.door)] == [7, 7]
        assert isinstance(policy.backend, OpenAIBackend)
        assert (policy.patience.deadline, policy.backend.wire.timeout.sock_read) == (11.0, 3.0)
        supply.gate.shut_down()
        assert policy.door.closed.is_set()
        assert judge.door.closed.is_set()


async def test_sections_that_name_one_model_get_one_and_other_settings_of_a_call_make_no_other(
    write_run: WriteRun, journal: Journal
) -> None:
    async with supply_of(write_run({"critic": {"temperature": 0.1, "max_tokens": 5}}), journal) as supply:
        config = supply.folder.config
        models = [supply.model(section) for section in (config.policy, config.critic_model, config.judge)]
        assert models[0] is models[1] is models[2]
        assert len(supply.backends) == 1


class Closing(ScriptedModel):
    """A backend that says when it is closed, and may fail at it."""

    closed: list[str]
    failing = False

    async def close(self) -> None:
        self.closed.append(self.identity)
        if self.failing:
            raise OSError("could not be closed")


@pytest.mark.parametrize("failing", [False, True])
async def test_everything_that_was_opened_is_closed_also_where_one_fails_at_it(
    write_run: WriteRun, journal: Journal, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    closed: list[str] = []

    def opening(endpoint: Any, *_: object) -> Closing:
        if endpoint.model == "absent":
            raise InputError("there", "is no such model", "name another")
        model = Closing({}, endpoint.model)
        model.closed, model.failing = closed, failing and endpoint.model == "b"
        return model

    monkeypatch.setattr("solon.supply.open_backend", opening)
    changes = {"policy": {"model": "a"}, "critic": {"model": "b"}, "judge": {"model": "absent"}}

    async def session() -> None:
        async with supply_of(write_run({**changes, "budget": {"tokens": 10}}), journal) as supply:
            config = supply.folder.config
            for section in (config.policy, config.critic_model, config.judge):
                supply.model(section)

    with pytest.raises(OSError if failing else InputError):
        await session()
    assert sorted(closed) == ["a", "b"]


async def test_a_call_is_tried_again_at_an_endpoint_and_a_script_is_asked_once(
    write_run: WriteRun, journal: Journal
) -> None:
    changes = {"judge": {"backend": "openai", "model": "m", "base_url": HERE}}
    async with supply_of(write_run(changes), journal) as supply:
        config = supply.folder.config
        assert persistent(supply.model(config.policy)).patience.attempts == 1
        assert persistent(supply.model(config.judge)).patience.attempts > 1


async def test_the_price_and_the_cap_reach_the_model(write_run: WriteRun, journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("as_of = 2026-01-01\n[model.rambler]\ninput = 10\noutput = 100\n")
    async with supply_of(write_run({"budget": {"usd": 1.0}}), journal) as supply:
        model = supply.model(supply.folder.config.policy)
        reply = await model.reply(ChatRequest((Message("user", "What is rain?"),), 1.0, 50))
        assert isinstance(reply, ChatReply)
        spent = reply.usage.prompt * 10_000 + reply.usage.completion * 100_000
        assert supply.budget is not None
        assert supply.meter.nanodollars == supply.budget.spent.nanodollars == spent > 0
        assert supply.budget.at_risk.nanodollars == 0
    async with supply_of(write_run(), journal) as again:
        assert again.budget is not None
        assert again.budget.spent.nanodollars == spent


# At the command line: what an endpoint says decides how a run ends.

REFUSALS: dict[str, tuple[int, str, int, str]] = {
    "quota": (429, "insufficient_quota", 3, "stopped: m: quota: .*: pay or wait, then run again"),
    "no credit": (402, "", 3, "stopped: m: quota: "),
    "auth": (401, "invalid_api_key", 1, "error: m: auth: .*: correct the key or its rights, then run again"),
    "unknown model": (404, "model_not_found", 2, r"error: m: no such model \(.*\): correct its name or base_url"),
}


def remote(service: Any, **changes: Any) -> dict[str, Any]:
    section = {"backend": "openai", "model": "m", "base_url": service.url, **changes}
    return {"policy": section, "judge": section, "limits": {"in_flight": 64}}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_that_a_person_must_mend_ends_the_run_after_one_request(
    cli: Cli, serve: Serve, write_run: WriteRun, tmp_path: Path, case: str
) -> None:
    status, code, exit_code, message = REFUSALS[case]
    service = serve(lambda headers, body: (status, {}, {"error": {"message": "No.", "code": code}}))
    said = cli("run", write_run(remote(service), prompts=40))
    assert said.returncode == exit_code, said.stderr
    assert len(service.asked) == 1
    assert re.search(f"^{message}", said.stdout + said.stderr, re.MULTILINE), said
    assert "Traceback" not in said.stderr
    if exit_code == 3:
        summary = json.loads((tmp_path / "runs/demo/summary.json").read_text())
        assert "quota" in summary["limit"]
        assert (summary["finished"], summary["rows"], summary["calls_sent"]) == (False, 0, 0)
        assert (tmp_path / "runs/demo/report.md").exists()


def test_an_endpoint_that_nobody_answers_at_ends_the_run_with_2_and_one_line(cli: Cli, write_run: WriteRun) -> None:
    section = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    said = cli("run", write_run({"policy": section, "judge": section}, prompts=40))
    assert (said.returncode, said.stdout) == (2, "")
    assert re.fullmatch(r"error: m: nobody answers .*: start the endpoint, or correct base_url\n", said.stderr)


def completion(text: str, model: str = "m-2026") -> dict[str, Any]:
    choice = {"message": {"content": text}, "finish_reason": "stop"}
    return {"model": model, "choices": [choice], "usage": {"prompt_tokens": 30, "completion_tokens": 4}}


def chatting(headers: Mapping[str, str], body: dict[str, Any] | None) -> Said:
    """A model that says something else to each prompt, and a judge without log-probs."""
    if body is None:
        return 200, {}, {"object": "list", "data": [{"id": "m", "object": "model"}]}
    said = body["messages"][-1]["content"]
    text = label(said) or f"Well, {body['seed']} it is."
    model = "m-2026" if body["seed"] % 2 else "m-2025"
    return 200, {}, completion(text, model)


def test_who_really_answered_is_in_the_summary(cli: Cli, serve: Serve, write_run: WriteRun, tmp_path: Path) -> None:
    service = serve(chatting)
    said = cli("run", write_run(remote(service), prompts=5))
    assert said.returncode == 0, said.stderr
    answered = json.loads((tmp_path / "runs/demo/summary.json").read_text())["answered_by"]
    asked = Counter("m-2026" if body["seed"] % 2 else "m-2025" for body in service.asked)
    assert answered == {"m": dict(asked)}
    assert len(asked) == 2
    assert re.search(r"^m was answered by m-202\d \(\d+\), m-202\d \(\d+\)$", said.stdout, re.MULTILINE)


def test_the_tokens_of_a_killed_session_are_in_all(
    cli: Cli, begin: Begin, serve: Serve, write_run: WriteRun, tmp_path: Path
) -> None:
    def slowly(headers: Mapping[str, str], body: dict[str, Any] | None) -> Said:
        time.sleep(0.01)
        return chatting(headers, body)

    service = serve(slowly)
    config = write_run({**remote(service), "limits": {"in_flight": 4}}, prompts=12)
    process = begin("run", config)
    until = time.monotonic() + 30
    while len(service.asked) < 25:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    with Journal.open(Database.file(tmp_path / "runs/demo/journal.db"), read_only=True) as journal:
        kept = len(journal.call("", limit=10_000))
    assert kept > 0
    summary = json.loads(cli("run", config, "--json").stdout)
    with Journal.open(Database.file(tmp_path / "runs/demo/journal.db"), read_only=True) as journal:
        calls = len(journal.call("", limit=10_000))
    assert summary["calls_sent"] == calls - kept
    in_all = summary["in_all"]
    assert (in_all["calls_sent"], in_all["prompt_tokens"], in_all["completion_tokens"]) == (
        calls,
        30 * calls,
        4 * calls,
    )


def test_an_interrupt_in_a_pause_between_two_tries_ends_the_run_at_once(
    begin: Begin, serve: Serve, write_run: WriteRun, tmp_path: Path
) -> None:
    service = serve(lambda headers, body: (429, {"retry-after": "50"}, {"error": {"message": "Slower."}}))
    process = begin("run", write_run(remote(service), prompts=20))
    until = time.monotonic() + 30
    while not service.asked:
        assert time.monotonic() < until
        time.sleep(0.005)
    time.sleep(0.3)  # by now it pauses, for 50 seconds
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert json.loads((tmp_path / "runs/demo/summary.json").read_text())["finished"] is False


def test_what_a_model_does_not_take_is_told(cli: Cli, serve: Serve, write_run: WriteRun) -> None:
    def picky(headers: Mapping[str, str], body: dict[str, Any] | None) -> Said:
        if body and "temperature" in body:
            return 400, {}, {"error": {"message": "Unsupported.", "param": "temperature"}}
        return chatting(headers, body)

    said = cli("run", write_run(remote(serve(picky)), prompts=3))
    assert said.returncode == 0, said.stderr
    assert "\nm does not take temperature: its calls went out without\n" in said.stdout


# Secrets.

CANARY = "sk-canary-6f1d8e2b9a7c4053"


def echoing(headers: Mapping[str, str], body: dict[str, Any] | None) -> Said:
    """Says the key wherever it can: in lists, errors, texts, its own name and headers."""
    key = headers["Authorization"]
    if body is None:
        return 200, {"x-key": key}, {"object": "list", "data": [{"id": f"model of {key}", "object": "model"}]}
    if body["seed"] % 7 == 0:
        return 400, {"x-key": key}, {"error": {"message": f"You sent {key}.", "code": key, "param": key}}
    if body["seed"] % 19 == 1:
        return 200, {}, {"model": key, "choices": key}
    text = label(body["messages"][-1]["content"]) or f"Your key is {key} ({body['seed']})."
    return 200, {"x-key": key}, completion(text, key)


def label(asked: str) -> str:
    """A judge's word for the completion that comes first in the alphabet; empty where it is not asked to judge."""
    shown = re.search(r" completion 1\n(.*?)\n=== \w+ completion 2\n(.*?)\n=== ", asked, re.DOTALL)
    return "" if shown is None else "1" if shown[1] < shown[2] else "2"


def holding(folder: Path) -> list[str]:
    """The files that hold the canary, whatever they are."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


def test_no_key_gets_into_a_file_or_onto_the_terminal_even_if_the_endpoint_says_it(
    cli: Cli, serve: Serve, write_run: WriteRun, tmp_path: Path
) -> None:
    service = serve(echoing)
    # Unreadable replies are asked for again; a short deadline ends that.
    changes = {**remote(service, api_key_env="MY_KEY"), "limits": {"in_flight": 8, "deadline": 0.5}}
    config = write_run(changes, prompts=8)
    said = [cli(*args, MY_KEY=CANARY) for args in (("check", config), ("run", config))]
    said.append(cli("export", "runs/demo"))
    said.append(cli("show", "prompt-1"))
    assert [one.returncode for one in said] == [0, 1, 0, 0]  # the run has failed calls in every row
    for one in said:
        assert CANARY not in one.stdout + one.stderr
    assert (tmp_path / "runs/demo/export/train.parquet").exists()
    assert "[API key]" in said[0].stdout
    assert "[API key]" in said[3].stdout  # so the endpoint did say it
    assert holding(tmp_path) == []
    assert any(body["seed"] % 7 == 0 for body in service.asked)


@pytest.mark.parametrize("reply", [(401, "invalid_api_key"), (402, "")], ids=str)
def test_no_key_is_told_where_the_endpoint_refuses_it_and_repeats_it(
    cli: Cli, serve: Serve, write_run: WriteRun, tmp_path: Path, reply: tuple[int, str]
) -> None:
    status, code = reply
    service = serve(lambda h, b: (status, {}, {"error": {"message": f"Bad: {h['Authorization']}", "code": code}}))
    config = write_run(remote(service, api_key_env="MY_KEY"))
    for verb in ("check", "run"):
        said = cli(verb, config, MY_KEY=CANARY)
        assert CANARY not in said.stdout + said.stderr
        assert "Traceback" not in said.stderr
    assert holding(tmp_path) == []


@pytest.mark.parametrize("key", [CANARY, CANARY.replace("-", "_")], ids=["no name of a variable", "a possible name"])
@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_a_key_in_the_place_of_a_variables_name_is_neither_told_nor_written(
    cli: Cli, write_run: WriteRun, tmp_path: Path, key: str, backend: str
) -> None:
    assert key not in os.environ
    config = write_run({"judge": {"backend": backend, "model": "m", "api_key_env": key}})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for verb in ("check", "run"):
        said = cli(verb, config, "--no-budget")
        assert said.returncode == 2
        assert said.stderr.count("\n") == 1
        assert "api_key_env" in said.stderr
        assert key not in said.stdout + said.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{CANARY}@127.0.0.1:1/v1",
        f"http://{CANARY}@127.0.0.1:1/v1",
        f"http://:{CANARY}@127.0.0.1:1/v1",
        f"http://127.0.0.1:1/v1?key={CANARY}",
        f"http://127.0.0.1:1/v1#{CANARY}",
        f"http://127.0.0.1:{CANARY}/v1",
        f"http://[{CANARY}/v1",
        f"{CANARY}",
    ],
)
@pytest.mark.parametrize("role", ["policy", "critic", "judge"])
def test_a_key_in_an_address_is_refused_in_one_line_that_does_not_show_it(
    write_run: WriteRun, role: str, url: str
) -> None:
    config = write_run({role: {"backend": "openai", "model": "m", "base_url": url}})
    line = next(n for n, text in enumerate(config.read_text().splitlines(), 1) if text.startswith("base_url"))
    with pytest.raises(InputError, match=rf"run\.toml:{line}: '{role}\.base_url' must be http://HOST/PATH") as refusal:
        load_config(config)
    assert CANARY not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_key_in_an_address_is_not_told_by_the_command_line_either(cli: Cli, write_run: WriteRun) -> None:
    config = write_run({"judge": {"backend": "openai", "model": "m", "base_url": f"https://me:{CANARY}@host/v1"}})
    for verb in ("check", "run"):
        said = cli(verb, config)
        assert (said.returncode, said.stdout) == (2, "")
        assert re.fullmatch(r"error: .*run\.toml:\d+: 'judge\.base_url' must be .*api_key_env names\n", said.stderr)
        assert CANARY not in said.stderr


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1", "https://host/a/b@c/v1/", "http://[::1]:8000", "https://h"]
)
def test_a_plain_address_is_taken(write_run: WriteRun, url: str) -> None:
    config = load_config(write_run({"judge": {"backend": "openai", "model": "m", "base_url": url}}))
    assert config.judge.base_url == url


def test_no_script_of_a_test_is_left_behind() -> None:
    assert set(SCRIPTS) == {"rambler", "second-rambler"}
