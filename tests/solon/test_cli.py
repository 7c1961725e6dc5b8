import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from solon.cli import actions

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("constitution", "generator", "judge", "trainer", "solon")
HEAVY = ("torch", "transformers", "trl", "datasets", "pyarrow", "sqlalchemy", "openai", "anthropic", "xllamacpp")

Cli = Callable[..., subprocess.CompletedProcess[str]]
Begin = Callable[..., subprocess.Popen[str]]
WriteRun = Callable[..., Path]

REFUSED_KEY = """
from generator.chat import CallFailure
from generator.models.rambler import SCRIPTS
SCRIPTS["refused"] = lambda request: CallFailure("", "auth", "wrong key")
"""


def most_calls(checked: Mapping[str, Any]) -> int:
    """How many calls a run can send, by what ``check`` said."""
    return sum(checked[role]["calls"] for role in ("policy", "critic", "judge"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_help_lists_the_verbs_in_the_order_of_the_data(cli: Cli) -> None:
    said = cli("--help")
    assert said.returncode == 0
    verbs = re.findall(r"^  ([a-z-]+)  ", said.stdout.partition("Commands:")[2], re.MULTILINE)
    expected = "init check run show review audit export train evaluate iterate convert serve serve-reward fake-provider"
    assert verbs == expected.split()
    assert "dpo" in cli("train", "--help").stdout


def test_the_command_line_starts_without_any_heavy_package_and_from_this_checkout() -> None:
    report = (
        "import importlib, json, sys; import solon.cli.verbs; "
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]; "
        f"places = [importlib.import_module(name).__file__ for name in {PACKAGES!r}]; "
        "print(json.dumps([heavy, places]))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True, env=env, cwd="/")
    heavy, places = json.loads(said.stdout)
    assert heavy == []
    assert places == [str(ROOT / name / "__init__.py") for name in PACKAGES]


def test_the_starter_goes_from_init_to_show(cli: Cli, tmp_path: Path) -> None:
    assert cli("init", "starter").returncode == 0
    config = "starter/run.toml"

    checked = json.loads(cli("check", config, "--json").stdout)
    assert (checked["prompts"], checked["principles"], checked["checked"]) == (8, 3, 1)
    assert checked["cost_usd"] == 0
    assert not (tmp_path / "runs").exists()

    ran = cli("run", config)
    assert ran.returncode == 0
    assert "8 preference pairs" in ran.stdout
    assert "8/8" in ran.stderr
    assert "8/8" not in ran.stdout

    again = cli("run", config, "--json")
    summary = json.loads(again.stdout)
    assert summary["calls_sent"] == 0
    assert summary["rows"] == summary["pairs"] == 8

    exported = json.loads(cli("export", "runs/starter", "--json").stdout)
    assert exported["train"] + exported["test"] == 8
    assert (tmp_path / "runs/starter/report.md").read_text().startswith("# starter")
    assert cli("export", config, "--out", "elsewhere").returncode == 0
    assert contents(tmp_path / "elsewhere") == contents(tmp_path / "runs/starter/export")


def test_a_run_prints_one_json_object_with_what_it_came_to(cli: Cli, write_run: WriteRun) -> None:
    said = cli("run", write_run(), "--json")
    summary = json.loads(said.stdout)
    promised = "rows pairs drops no_verdicts calls_sent calls_reused tokens cost_usd seconds run".split()
    assert set(promised) <= summary.keys()
    assert summary["rows"] == 6
    assert summary["calls_sent"] > 6 * 2
    assert summary["tokens"]["prompt"] > summary["tokens"]["completion"] > 0
    assert summary["run"] == "runs/demo"
    assert summary["finished"] is True
    assert "6/6" in said.stderr


def test_what_check_says_can_be_sent_is_never_exceeded(write_run: WriteRun, tmp_path: Path) -> None:
    for changes in ({}, {"judge": {"principles": "all"}}, {"pairs": {"policy": "revision-vs-draft"}}):
        config = write_run({**changes, "candidates": {"rounds": 2}})
        most = actions.check(config, pilot=0, no_budget=False).data
        sent = actions.run(config, tmp_path / f"out-{len(str(changes))}", accept_changes=False, no_budget=False).data[
            "calls_sent"
        ]
        assert 0 < sent <= most_calls(most)


def test_show_finds_a_prompt_a_candidate_a_pair_and_a_call_by_id_and_by_its_beginning(
    cli: Cli, write_run: WriteRun, tmp_path: Path
) -> None:
    out = tmp_path / "runs/demo"
    actions.run(write_run(), out, accept_changes=False, no_budget=False)
    row = json.loads(cli("show", "prompt-3", "--json").stdout)["rows"][0]
    revision = next(c for c in row["made"]["candidates"] if c["revises"])
    pair = row["pairs"][0]["id"]
    for name in ("prompt-3", revision["id"], revision["id"][:8], pair, pair[:8]):
        said = actions.show(name, out).text
        assert "PROMPT prompt-3" in said
        revised = revision["revises"]
        for word in (
            "DRAFT",
            f"REVISION {revision['id']} of {revised}",
            "CRITIQUE under",
            "JUDGED",
            "LABEL",
            f"PAIR {pair}",
        ):
            assert word in said
        assert revision["text"] in said
    for name in (revision["call"], revision["call"][:10]):
        said = actions.show(name, out).text
        assert said.startswith(f"CALL {revision['call']}\nmodel: scripted:rambler\n")
        assert revision["text"] in said


def test_a_prompt_is_shown_by_any_id_that_its_author_gave_it(write_run: WriteRun, tmp_path: Path) -> None:
    ids = ["7", "größe-1", 'say "hi"']
    config = write_run(prompts=[{"prompt": f"Why is {n} here?", "id": name} for n, name in enumerate(ids)])
    actions.run(config, tmp_path / "out", accept_changes=False, no_budget=False)
    for name in ids:
        assert f"PROMPT {name}\n" in actions.show(name, tmp_path / "out").text
    for name in ("ab", "8", "größe-2", 'say "ho"'):
        with pytest.raises(InputError, match=r"is too short for an id|is the id of nothing"):
            actions.show(name, tmp_path / "out")


def test_init_refuses_a_folder_that_holds_something(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    (tmp_path / "file").write_text("x")
    before = contents(tmp_path)
    for name in ("full", "file"):
        said = cli("init", name)
        assert said.returncode == 2
        assert "already holds something" in said.stderr
    assert contents(tmp_path) == before
    (tmp_path / "empty").mkdir()
    assert cli("init", "empty").returncode == 0


GOOD_PROMPTS = [{"prompt": "Why is the sky blue?", "id": "sky"}]
BAD_INPUT: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"changes": {"policy": {"modle": "x"}}}, r"run\.toml:\d+: unknown key 'policy\.modle': did you"),
    "missing key": ({"changes": {"judge": {"model": None}}}, r"run\.toml:\d+: missing key 'judge\.model'"),
    "principle id twice": (
        {"principles": [{"id": "a", "rule": "One."}, {"id": "a", "rule": "Two."}]},
        r"principles\.toml:\d+: principle id 'a' is used twice",
    ),
    "unreadable check": (
        {"principles": [{"id": "a", "rule": "One.", "check": {"name": "max_wrods", "words": 3}}]},
        r"principles\.toml:\d+: .*check",
    ),
    "no principle": ({"principles": []}, "has no principle"),
    "no constitution": ({"changes": {"constitution": "absent.toml"}}, r"absent\.toml: no such principle file"),
    "no prompts": ({"prompts": []}, "names no prompts"),
    "nothing matches": ({"changes": {"prompts": {"files": ["*.absent"]}}}, r"no prompt file matches '\*\.absent'"),
    "prompt id twice": ({"prompts": GOOD_PROMPTS * 2}, r"jsonl:2: prompt id 'sky' is also at .*jsonl:1: delete"),
    "unknown prompt key": ({"prompts": [*GOOD_PROMPTS, {"promt": "x"}]}, r"prompts\.jsonl:2: unknown key 'promt'"),
    "no such weights": (
        {"changes": {"policy": {"backend": "llamacpp", "model": "absent.gguf"}}},
        r"absent\.gguf: no such model",
    ),
    "a weight without end": ({"changes": {"judge": {"weight": float("inf")}}}, "'judge.weight' cannot be read"),
    "a margin out of reach": (
        {
            "changes": {"judge": {"reason_first": True}, "pairs": {"min_margin": 0.3}},
            "principles": [{"id": "kind", "rule": "Be kind."}],
        },
        "after reasoning judge.clamp leaves no margin above 0.2",
    ),
    "no such script": ({"changes": {"judge": {"model": "ramblr"}}}, "model 'ramblr': no such script: use rambler"),
    "key not set": (
        {"changes": {"critic": {"backend": "openai", "model": "m", "api_key_env": "SOLON_TEST_NO_KEY"}}},
        "api_key_env: the variable that it names is not set: export it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_ends_with_2_and_one_line_and_creates_nothing(
    cli: Cli, write_run: WriteRun, tmp_path: Path, case: str
) -> None:
    files, message = BAD_INPUT[case]
    config = write_run(**files)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=message):
        actions.check(config, pilot=0, no_budget=False)
    said = cli("run", config)
    assert said.returncode == 2, said.stderr
    assert re.fullmatch(rf"error: .*{message}.*\n", said.stderr), said.stderr
    assert said.stdout == ""
    assert contents(tmp_path) == before
    assert not (tmp_path / "runs").exists()


def test_a_prompt_line_that_is_no_json_is_named_by_its_number(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    config = write_run()
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why?"}\n\n{"prompt": oops}\n')
    said = cli("run", config)
    assert said.returncode == 2
    assert re.fullmatch(r"error: .*prompts\.jsonl:3: not JSON .*\n", said.stderr)
    assert not (tmp_path / "runs").exists()


def test_bad_input_loses_nothing_of_a_run_that_was_made_before(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    assert cli("run", write_run()).returncode == 0
    before = {name: body for name, body in contents(tmp_path / "runs").items() if "journal" not in name}
    faults: list[dict[str, Any]] = [
        {"changes": {"seed": "x"}},
        {"prompts": []},
        {"changes": {"policy": {"model": "no"}}},
    ]
    for files in faults:
        said = cli("run", write_run(**files))
        assert said.returncode == 2
        assert said.stderr.count("\n") == 1
    after = {name: body for name, body in contents(tmp_path / "runs").items() if "journal" not in name}
    assert after == before
    said = cli("run", write_run({}, prompts=6), "--json")
    assert json.loads(said.stdout)["calls_sent"] == 0


def test_a_folder_that_is_no_run_or_another_run_is_refused_and_left_alone(
    cli: Cli, write_run: WriteRun, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    assert cli("run", write_run(), "--out", "one").returncode == 0
    before = {name: body for name, body in contents(tmp_path / "one").items() if "journal" not in name}
    other = write_run({"name": "other"}, file="other.toml")
    for config, folder, message in (
        (other, "one", "holds the run 'demo'"),
        (other, "photos", "holds something that is no run"),
        (other, "run.toml", "holds something that is no run"),
    ):
        said = cli("run", config, "--out", folder)
        assert said.returncode == 2
        assert re.fullmatch(rf"error: .*{message}.*\n", said.stderr)
    assert contents(tmp_path / "photos") == {"cat.jpg": b"meow"}
    assert {name: body for name, body in contents(tmp_path / "one").items() if "journal" not in name} == before
    for verb in ("export", "train dpo", "evaluate"):
        said = cli(*verb.split(), "photos")
        assert said.returncode == 2
        assert "is not a run folder" in said.stderr


def test_a_config_that_means_something_else_is_refused_until_accepted(cli: Cli, write_run: WriteRun) -> None:
    first = json.loads(cli("run", write_run(), "--json").stdout)
    assert json.loads(cli("run", write_run({"limits": {"in_flight": 3}}), "--json").stdout)["calls_sent"] == 0

    changed = write_run({"pairs": {"min_margin": 0.9}, "policy": {"max_tokens": 99}})
    refused = cli("run", changed)
    assert refused.returncode == 2
    assert "pairs.min_margin was 0.1, is 0.9" in refused.stderr
    assert "policy.max_tokens was 160, is 99" in refused.stderr
    assert "critic.max_tokens was 160, is 99" in refused.stderr
    assert "--accept-changes" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert json.loads(cli("run", write_run({}), "--json").stdout)["calls_sent"] == 0

    margin = write_run({"pairs": {"min_margin": 1.0}})
    accepted = cli("run", margin, "--accept-changes", "--json")
    assert accepted.returncode == 0
    summary = json.loads(accepted.stdout)
    assert (summary["calls_sent"], summary["calls_reused"]) == (0, first["calls_sent"])
    assert summary["pairs"] < first["pairs"]
    assert cli("run", margin).returncode == 0  # once accepted it is the run's meaning


def test_a_first_attempt_that_paid_for_nothing_binds_nobody_to_its_config(cli: Cli, write_run: WriteRun) -> None:
    refused = cli("run", write_run({"policy": {"model": "refused"}}), script=REFUSED_KEY)
    assert refused.returncode == 1
    assert cli("run", write_run({})).returncode == 0


def test_what_an_endpoint_says_of_an_error_stays_one_plain_line(cli: Cli, write_run: WriteRun) -> None:
    script = REFUSED_KEY.replace("wrong key", r"\x1b[31mred\n\nTraceback")
    said = cli("run", write_run({"policy": {"model": "refused"}}), script=script)
    assert said.returncode == 1
    assert said.stderr == (
        "error: scripted:refused: auth: \\x1b[31mred  Traceback: correct the key or its rights, then run again\n"
    )


def test_show_asks_for_the_run_where_there_are_several(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    assert "there is no run under runs/" in cli("show", "prompt-1").stderr
    for name in ("one", "two"):
        actions.run(write_run({"name": name}), tmp_path / "runs" / name, accept_changes=False, no_budget=False)
    said = cli("show", "prompt-1")
    assert said.returncode == 2
    assert "there are 2 runs" in said.stderr
    assert cli("show", "prompt-1", "--run", "runs/two").returncode == 0


def test_a_refused_key_ends_the_run_with_1_after_one_request(cli: Cli, write_run: WriteRun) -> None:
    config = write_run({"policy": {"model": "refused"}, "limits": {"in_flight": 1}}, prompts=10)
    script = REFUSED_KEY.replace("lambda request:", "lambda request: print('asked') or")
    said = cli("run", config, script=script)
    assert said.returncode == 1
    assert re.fullmatch(r"error: scripted:refused: auth: wrong key: correct the key or its rights.*\n", said.stderr)
    assert said.stdout == "asked\n"


def test_a_second_run_of_one_folder_is_refused_at_once_and_told_who_holds_it(
    cli: Cli, begin: Begin, write_run: WriteRun, tmp_path: Path
) -> None:
    config = write_run({"policy": {"latency": 60.0}})
    first = begin("run", config)
    holder = tmp_path / "runs/demo/run.lock.json"
    while not (holder.exists() and holder.read_text().endswith("}")):
        assert first.poll() is None
        time.sleep(0.01)
    second = cli("run", config)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert f"process {first.pid} " in second.stderr
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert cli("run", write_run({})).returncode == 0


def test_what_a_hostile_model_says_cannot_move_the_terminals_cursor(cli: Cli, write_run: WriteRun) -> None:
    script = """
from generator.models.rambler import SCRIPTS, ramble
SCRIPTS["hostile"] = lambda request: f"\\x1b[2J\\x07 \\ud800 \\u202e reply {request.sample}"
"""
    config = write_run({"policy": {"model": "hostile"}})
    ran = cli("run", config, script=script)
    assert ran.returncode == 0, ran.stderr
    said = cli("show", "prompt-1")
    assert said.returncode == 0
    assert r"\x1b[2J\x07 \ud800 \u202e reply" in said.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(said.stdout + said.stderr + ran.stdout + ran.stderr)
