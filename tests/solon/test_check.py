import json
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from generator.chat import Message
from generator.prompts import Prompt
from solon.config_file import load_config
from solon.database import Database
from solon.estimate import estimate, most_usd
from solon.journal import Journal
from solon.pilot import Interval, pilot_prompts, scaled
from solon.prices import Price

WriteRun: TypeAlias = Callable[..., Path]
Cli: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
BATCHED = {"backend": "openai", "base_url": "http://127.0.0.1:1/v1", "batch": True}
JUDGED = [{"id": "direct", "rule": "It answers."}, {"id": "plain", "rule": "It uses everyday words."}]


def most_calls(checked: Mapping[str, Any]) -> int:
    """How many calls a run can send, by what ``check`` said."""
    return sum(checked[role]["calls"] for role in ("policy", "critic", "judge"))


@pytest.mark.parametrize("judge", [{"share": 0.4}, {"principles": "all"}])
@pytest.mark.parametrize("policy", ["all", "revision-vs-draft"])
def test_a_run_in_which_every_draft_is_revised_sends_just_what_check_says_at_most(
    cli: Cli, write_run: WriteRun, judge: dict[str, Any], policy: str
) -> None:
    changes = {"judge": judge, "pairs": {"policy": policy}, "candidates": {"completions": 2, "rounds": 2}}
    config = write_run(changes, principles=JUDGED, prompts=20)
    most = json.loads(cli("check", config, "--json").stdout)
    sent = json.loads(cli("run", config, "--json").stdout)
    called = sent["calls_sent"] + sent["calls_reused"]
    twins = sent["drops"].get("identical completions", 0)  # which a judge is not asked about
    assert called <= most_calls(most)
    if not twins:
        assert called == most_calls(most)


def test_what_is_checked_is_not_begun(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    assert cli("check", write_run()).returncode == 0
    assert not (tmp_path / "runs").exists()


def known(folder: Path) -> set[str]:
    with Journal.open(Database.file(folder / "journal.db"), read_only=True) as journal:
        return {call.key for call in journal.call("", limit=100_000)}


def rows(folder: Path) -> set[str]:
    with Journal.open(Database.file(folder / "journal.db"), read_only=True) as journal:
        return set(journal.recipes())


def exported(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_pilot_sends_the_drawn_prompts_calls_alone_and_the_run_reuses_every_one_of_them(
    cli: Cli, write_run: WriteRun, tmp_path: Path
) -> None:
    (tmp_path / "prices.toml").write_text("as_of = 2026-01-01\n[model.rambler]\ninput = 3\noutput = 9\n")
    config, out = write_run(prompts=12), tmp_path / "runs/demo"
    assert cli("run", config, "--out", "whole").returncode == 0
    tried = json.loads(cli("check", config, "--pilot", 3, "--json").stdout)["pilot"]
    drawn, sent = rows(out), known(out)
    assert (tried["prompts"], len(drawn)) == (3, 3)
    assert tried["spent_usd"] > 0
    with Journal.open(Database.file(out / "journal.db"), read_only=True) as journal:
        asked = {json.loads(call.request)["messages"][0]["content"] for call in journal.call("", limit=1000)}
    numbers = {name.removeprefix("prompt-") for name in drawn}
    assert all(any(f"number {number} matter" in text for number in numbers) for text in asked)

    again = json.loads(cli("check", config, "--pilot", 3, "--json").stdout)["pilot"]
    assert (rows(out), known(out), again) == (drawn, sent, tried)

    more = json.loads(cli("check", config, "--pilot", 5, "--json").stdout)["pilot"]
    assert rows(out) > drawn
    assert (more["prompts"], len(rows(out))) == (5, 5)
    sent = known(out)

    summary = json.loads(cli("run", config, "--json").stdout)
    assert summary["rows"] == 12
    assert summary["calls_sent"] == len(known(out)) - len(sent) > 0
    assert known(out) == known(tmp_path / "whole") > sent
    for name in ("whole", "runs/demo"):
        assert cli("export", name).returncode == 0
    assert exported(out / "export") == exported(tmp_path / "whole/export")


def test_a_pilot_of_all_prompts_tells_what_they_took_to_the_call(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("as_of = 2026-01-01\n[model.rambler]\ninput = 3\noutput = 9\n")
    config = write_run(prompts=6)
    tried = json.loads(cli("check", config, "--pilot", 99, "--json").stdout)["pilot"]
    summary = json.loads(cli("run", config, "--json").stdout)
    in_all = summary["in_all"]
    assert summary["calls_sent"] == 0
    assert tried["prompts"] == 6
    for measure, took in (
        ("calls", in_all["calls_sent"]),
        ("tokens", in_all["prompt_tokens"] + in_all["completion_tokens"]),
        ("usd", in_all["cost_usd"]),
    ):
        interval = tried[measure]
        assert interval["low"] == pytest.approx(interval["high"]) == pytest.approx(interval["about"])
        assert interval["about"] == pytest.approx(took)


def test_a_pilot_of_one_prompt_tells_no_upper_end_and_prints_plain_json(cli: Cli, write_run: WriteRun) -> None:
    said = cli("check", write_run(), "--pilot", 1, "--json")

    def no_such(name: str) -> float:
        raise ValueError(name)

    tried = json.loads(said.stdout, parse_constant=no_such)["pilot"]
    assert tried["calls"]["high"] is None
    assert " to ?)" in cli("check", write_run(), "--pilot", 1).stdout


def test_a_pilot_that_meets_the_budget_ends_with_3_and_keeps_what_it_paid_for(
    cli: Cli, write_run: WriteRun, tmp_path: Path
) -> None:
    said = cli("check", write_run({"budget": {"tokens": 4000}}), "--pilot", 4, "--json")
    assert (said.returncode, said.stdout) == (3, "")
    assert said.stderr.splitlines()[-1].startswith("error: the budget of 4,000 tokens is reached")
    kept = len(known(tmp_path / "runs/demo"))
    assert kept > 0
    summary = json.loads(cli("run", write_run({}), "--json").stdout)
    assert len(known(tmp_path / "runs/demo")) == kept + summary["calls_sent"]


def test_a_pilot_that_is_interrupted_tells_no_figures_and_ends_with_130(
    begin: Callable[..., subprocess.Popen[str]], cli: Cli, write_run: WriteRun, tmp_path: Path
) -> None:
    process = begin("check", write_run({"policy": {"latency": 1.0}}), "--pilot", 4)
    until = time.monotonic() + 30
    while not (tmp_path / "runs/demo/origin").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert "Traceback" not in stderr
    assert cli("run", write_run({})).returncode == 0


def test_a_pilot_draws_by_the_seed_whatever_the_order_and_a_larger_one_holds_a_smaller() -> None:
    prompts = [Prompt(f"p{n}", (Message("user", str(n)),)) for n in range(200)]
    some = pilot_prompts(prompts, 20, seed=1)
    assert len(some) == 20
    assert some == pilot_prompts(prompts[::-1], 20, seed=1) < pilot_prompts(prompts, 50, seed=1)
    assert some != pilot_prompts(prompts, 20, seed=2)
    assert pilot_prompts(prompts, 1000, seed=1) == {prompt.id for prompt in prompts}


@pytest.mark.parametrize("size", [5, 20])
@pytest.mark.parametrize("spread", [0.5, 1.0], ids="spread {}".format)
def test_the_interval_covers_the_true_sum_of_skewed_costs(size: int, spread: float) -> None:
    chance = random.Random(size)
    covered = []
    for _ in range(1500):
        costs = [chance.lognormvariate(0, spread) for _ in range(400)]
        interval = scaled(chance.sample(costs, size), len(costs))
        assert interval.high is not None
        covered.append(interval.low <= sum(costs) <= interval.high)
    assert statistics.fmean(covered) >= (0.85 if size >= 20 else 0.8)


def test_an_interval_holds_no_less_than_what_was_spent_and_is_exact_where_all_is_known() -> None:
    assert scaled([5.0, 1.0, 3.0], 3) == Interval(9.0, 9.0, 9.0)
    assert scaled([100.0, 0.0], 1000).low == 100.0
    assert scaled([], 10) == Interval(0.0, 0.0, 0.0)
    assert scaled([2.0], 1) == Interval(2.0, 2.0, 2.0)
    assert scaled([2.0], 4) == Interval(8.0, 2.0, None)


@pytest.mark.parametrize(("count", "t"), [(2, 12.706), (3, 4.303), (4, 3.182), (6, 2.571), (21, 2.086), (121, 1.980)])
def test_the_interval_is_as_wide_as_students_t_says(count: int, t: float) -> None:
    values = [1.0] * (count - 1) + [2.0]
    total = 10**9  # so that the part left out is nearly all
    interval = scaled(values, total)
    assert interval.high is not None
    error = statistics.stdev(values) / count**0.5 * total
    assert (interval.high - interval.about) / error == pytest.approx(t, rel=0.01)


def test_a_judge_that_may_give_no_log_probs_is_reckoned_with_at_its_words(write_run: WriteRun) -> None:
    from constitution.files import load
    from solon.inputs import read_prompts

    config = write_run(
        {"judge": {"backend": "anthropic", "api_key_env": "K", "verdict_tokens": 500}}, principles=JUDGED
    )
    constitution = load(config.parent / "principles.toml")
    prompts = read_prompts(("prompts.jsonl",), config.parent, "here")
    in_words = estimate(load_config(config), constitution, prompts)
    by_logprobs = estimate(load_config(write_run({})), constitution, prompts)
    verdicts = by_logprobs.loads["judge"].calls
    assert in_words.loads["judge"].calls == 2 * verdicts > 0  # the label alone is asked for first
    assert in_words.loads["judge"].completion_tokens == (500 + 2) * verdicts
    assert by_logprobs.loads["judge"].completion_tokens == 2 * verdicts


def test_the_most_that_a_run_costs_adds_up_the_roles_at_their_prices(write_run: WriteRun) -> None:
    from constitution.files import load
    from solon.inputs import read_prompts

    config = load_config(file := write_run({"critic": {"model": "other"}, "judge": BATCHED}))
    constitution = load(file.parent / "principles.toml")
    most = estimate(config, constitution, read_prompts(("prompts.jsonl",), file.parent, "here"))
    rambler, other = Price(2.0, 8.0, batch=0.5), Price(1.0, 4.0)
    by_hand = (
        (2 * most.loads["policy"].prompt_tokens + 8 * most.loads["policy"].completion_tokens)
        + (most.loads["critic"].prompt_tokens + 4 * most.loads["critic"].completion_tokens)
        + (2 * most.loads["judge"].prompt_tokens + 8 * most.loads["judge"].completion_tokens) / 2
    )
    assert most_usd(config, most, {"rambler": rambler, "other": other}) == pytest.approx(by_hand / 1e6)
    assert most_usd(config, most, {}) == 0
