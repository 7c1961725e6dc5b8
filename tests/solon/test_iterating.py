"""`solon iterate` on a tiny model, end to end: rounds that follow from one another, stop, and go on."""

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, NotFinished
from judge.review.records import HumanLabel
from solon.cli import actions
from solon.config import BudgetCap, RunConfig
from solon.evaluating import command as evaluating
from solon.evaluating.page import page as evaluation_page
from solon.folder import RunFolder, new_folder, open_folder, save_config
from solon.iterating import command, stages
from solon.iterating.command import iterate
from solon.iterating.page import page
from solon.iterating.rounds import drawn_prompts, open_round, round_config
from solon.iterating.rows import rows_of_all
from solon.iterating.spending import budget_left
from solon.review.opened import open_review
from trainer.ancestry import lineage, read_record

NEEDED = ("torch", "transformers", "trl", "datasets", "scipy", "pyarrow")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
UNWANTED = "banana bird boat book cat cold dog fish food fox grass hat honey ice lake leaf milk moon".split()
RULE = {"id": "calm", "rule": "It avoids these words.", "check": {"name": "avoids_phrases", "phrases": UNWANTED}}
QUICK = {"learning_rate": 0.01, "bf16": False, "train_embeddings": True, "batch_size": 8, "gradient_accumulation": 1}
ONLINE = QUICK | {
    "reward": "constitution",
    "prompts": 8,
    "completions": 8,
    "batch_size": 64,
    "max_tokens": 8,
    "steps": 8,
}
OFF = {"rule_fall": 1.0, "kl": 1e9, "shrunk": 0.0, "grown": 1e9, "distinct": 0.0, "self_bleu": 1.0, "spread": 0.0,
       "word": 1.0}  # fmt: skip
WriteRun = Callable[..., Path]


@pytest.fixture
def run(write_run: WriteRun, small_policy: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a run whose policy is a tiny model on the spot, judged by a check alone; ``changes`` go over it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluating, "page", lambda record: evaluation_page(record, lambda _: {}))
    monkeypatch.setattr(command, "page", lambda record: page(record, lambda _: {}))  # pictures take long to draw
    small_policy(folder=tmp_path / "small")
    held_out = [{"prompt": f"tell the {word}"} for word in "sun star ship south".split()]
    (tmp_path / "held-out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in held_out))
    words = "river road room sail sea sing sky snow song stand stone talk tea tree walk warm".split()

    def write(changes: Mapping[str, Any] | None = None) -> Path:
        settings = {
            "policy": {"backend": "transformers", "model": "small", "max_tokens": 8},
            "candidates": {"completions": 4, "rounds": 0},
            "evaluate": {"files": ["held-out.jsonl"], "max_tokens": 8, "sampled": 4, "probes": False},
            "dpo": QUICK,
            "reward": QUICK,
            "guards": OFF,
        }
        prompts = [{"prompt": f"tell a {word}", "id": word} for word in words]
        return write_run(settings | dict(changes or {}), prompts=prompts, principles=[RULE])

    return write


def record(told: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(told.data["file"]).read_text(encoding="utf-8"))
    return found


def weights(round: int, method: str = "dpo") -> bytes:
    return (Path("runs/demo/rounds") / str(round) / "models" / method / "model.safetensors").read_bytes()


@pytest.mark.real
def test_two_rounds_follow_from_one_another_and_are_not_made_twice(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = iterate(run(), 2)
    assert told.exit_code == 0, told.text
    first, second = record(told)["rounds"]
    assert first["pairs"] > 5
    assert second["pairs"] > 5

    rounds = Path("runs/demo/rounds")
    one, two = (read_record(rounds / name / "models" / "dpo") for name in ("1", "2"))
    assert one is not None
    assert two is not None
    assert two["base_sha256"] == one["weights_sha256"] != one["base_sha256"]
    assert [made["method"] for made in lineage(rounds / "2" / "models" / "dpo")] == ["dpo", "dpo"]
    assert open_folder(rounds / "2").config.policy.model == "runs/demo/rounds/1/models/dpo"

    refit = read_record(rounds / "2" / "models" / "reward")
    assert refit is not None
    assert [lock["run"] for lock in refit["export_lock"]["rounds"]] == ["demo-round-1", "demo-round-2"]
    assert refit["base_sha256"] == one["base_sha256"]

    measured = {measure["name"]: measure for measure in second["measures"]}
    assert measured["KL from base"]["trained"] > 0
    assert second["previous"]["name"].endswith("1/models/dpo")
    assert page(record(told)).count("<svg") == 2
    assert 'href="rounds/2/evaluations/dpo.html"' in Path(told.data["page"]).read_text(encoding="utf-8")

    kept = [weights(1), weights(2)]
    capsys.readouterr()
    again = iterate(run(), 2)
    assert capsys.readouterr().err.count("is there already") == 4
    assert record(again) == record(told)
    assert [weights(1), weights(2)] == kept


@pytest.mark.real
def test_a_guard_that_trips_ends_the_rounds_until_it_is_loosened(run: Any) -> None:
    """And the policy is trained by the check itself, without any reward model."""
    asked = {"iterate": {"reward": False, "method": "grpo"}, "grpo": ONLINE}
    told = iterate(run(asked | {"guards": OFF | {"kl": 1e-6}}), 2)
    assert told.exit_code == 1
    assert "stopped in round 1, at evaluate: guard 'kl' (at most 1e-06): KL from base is" in told.text
    assert [one["round"] for one in record(told)["rounds"]] == [1]
    assert not Path("runs/demo/rounds/2").exists()
    before = weights(1, "grpo")

    told = iterate(run(asked), 2)
    assert told.exit_code == 0, told.text
    assert weights(1, "grpo") == before
    first, second = record(told)["rounds"]
    assert not (Path("runs/demo") / first["folder"] / "models" / "reward").exists()
    calm = {measure["name"]: measure for measure in second["measures"]}["calm"]
    assert calm["trained"] > calm["base"]


@pytest.mark.real
def test_a_round_that_was_killed_goes_on_where_it_was(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it evaluated, so after all that takes long."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stages, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            iterate(run({"iterate": {"reward": False}}), 1)
    before, made = weights(1), Path("runs/demo/rounds/1/models/dpo").stat().st_mtime_ns
    told = iterate(run({"iterate": {"reward": False}}), 1)
    assert told.exit_code == 0, told.text
    assert weights(1) == before
    assert Path("runs/demo/rounds/1/models/dpo").stat().st_mtime_ns == made
    assert told.data["rounds"][0]["tripped"] == []


def label(item: str) -> HumanLabel:
    return HumanLabel(item, "ada", "1", None, "", 1, 4.0, 1.7e9, 1, "worth", source="another tool")


@pytest.mark.real
def test_rounds_wait_for_people_where_they_are_asked(run: Any) -> None:
    asked = {"iterate": {"reward": False, "review": 2}}
    told = iterate(run(asked), 1)
    assert told.exit_code == 3
    assert "stopped in round 1, at review: 0 of 2 labels are there: let people label with `solon serve" in told.text
    assert not Path("runs/demo/rounds/1/export").exists()
    assert iterate(run(asked), 1).exit_code == 3

    folder = open_folder(Path("runs/demo/rounds/1"))
    with open_review(folder) as store:
        assert store.take_in([label(task.task.item) for task in store.tasks()], "another tool").new == 2
    told = iterate(run(asked), 1)
    assert told.exit_code == 0, told.text
    made = read_record(Path("runs/demo/rounds/1/models/dpo"))
    assert made is not None
    assert made["export_lock"]["labels_sha256"]


def test_a_round_asks_the_policy_before_it_and_keeps_a_critic_of_its_own(write_run: WriteRun, tmp_path: Path) -> None:
    critic = {"backend": "openai", "model": "other", "base_url": "http://127.0.0.1:1/v1", "temperature": 0.5}
    policy = {"backend": "openai", "model": "first", "base_url": "http://127.0.0.1:2/v1", "api_key_env": "KEY"}
    whole = new_folder(write_run({"policy": policy, "critic": critic}), tmp_path / "run")
    assert round_config(whole, 1, None).policy == whole.config.policy
    second = round_config(whole, 2, tmp_path / "run" / "rounds" / "1" / "models" / "dpo")
    assert (second.policy.backend, second.policy.model) == ("transformers", "run/rounds/1/models/dpo")
    assert (second.policy.base_url, second.policy.api_key_env) == (None, None)
    assert second.train.base == "run/rounds/1/models/dpo"
    assert second.critic_model == whole.config.critic_model
    assert second.policy.max_tokens == whole.config.policy.max_tokens

    whole = new_folder(write_run({"policy": policy, "critic": {"temperature": 0.5}}), tmp_path / "run")
    second = round_config(whole, 2, tmp_path / "models" / "dpo")
    assert (second.critic_model.model, second.critic_model.temperature) == ("models/dpo", 0.5)
    assert second.critic_model.backend == "transformers"


def test_a_later_rounds_policy_is_of_the_family_of_what_it_was_trained_from(
    write_run: WriteRun, tmp_path: Path
) -> None:
    def second(policy: str, judge: str, allow: bool, base: str | None = None) -> RunConfig:
        settings = {
            "policy": {"backend": "openai", "model": policy, "base_url": "http://127.0.0.1:1/v1"},
            "judge": {"backend": "openai", "model": judge, "base_url": "http://127.0.0.1:2/v1"}
            | {"allow_same_family": allow},
            "train": {"base": base} if base else {},
        }
        whole = new_folder(write_run(settings), tmp_path / "gpt-4-or-claude")  # a path is nobody's family
        trained = whole.path / "rounds" / "1" / "models" / "dpo"
        folder = RunFolder(tmp_path / "second", round_config(whole, 2, trained), whole.beside)
        folder.path.mkdir(exist_ok=True)
        save_config(folder)
        third = round_config(open_folder(folder.path), 3, trained)
        assert third.kin == folder.config.kin
        return open_folder(folder.path).config

    assert second("Qwen/Qwen2.5-7B-Instruct", "qwen-max", allow=True).kin == {"judge": "Qwen"}
    assert second("mine", "qwen-max", allow=True, base="weights/Qwen2.5-0.5B").kin == {"judge": "Qwen"}
    stranger = second("Qwen/Qwen2.5-7B-Instruct", "gpt-4o", allow=False)
    assert stranger.kin == {}
    assert not stranger.judge.allow_same_family  # what the run refuses, its rounds refuse


@pytest.mark.real
def test_a_model_without_a_price_is_refused_unless_no_budget_is_wanted(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    judge = {"backend": "anthropic", "model": "claude-of-tomorrow", "api_key_env": "A_KEY"}  # the check needs no call
    file = run({"judge": judge, "iterate": {"reward": False, "review": 2}})
    with pytest.raises(InputError, match=r"has no price for 'claude-of-tomorrow'.*--no-budget"):
        iterate(file, 1)
    assert iterate(file, 1, no_budget=True).data["stopped"]["stage"] == "review"


def test_each_round_draws_its_share_of_the_prompts_anew(write_run: WriteRun) -> None:
    whole = new_folder(write_run({"iterate": {"prompts": 0.5}}, prompts=100), None)
    drawn = [{prompt.id for prompt in drawn_prompts(whole, number)} for number in (1, 2)]
    assert all(35 <= len(ids) <= 65 for ids in drawn)
    assert drawn[0] != drawn[1]
    assert drawn[0] == {prompt.id for prompt in drawn_prompts(whole, 1)}
    none = new_folder(write_run({"iterate": {"prompts": 0.0}}), None)
    with pytest.raises(InputError, match=r"'iterate.prompts' = 0.0 draws none of 100 prompts for round 1"):
        drawn_prompts(none, 1)


def test_pairs_of_all_rounds_are_there_once(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    def export(name: str, pairs: list[str], seen: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for table in ("train", "test"):
            rows = pa.table({"pair_id": [f"{table}-{pair}" for pair in pairs], "seen": [seen] * len(pairs)})
            parquet.write_table(rows, folder / f"{table}.parquet")
        (folder / "lock.json").write_text(json.dumps({"run": name, "seed": 0}), encoding="utf-8")
        return folder

    first, second = export("one", ["a", "b"], "first"), export("two", ["b", "c"], "second")
    assert rows_of_all([first], tmp_path / "all") == first
    out = rows_of_all([first, second], tmp_path / "all")
    rows = parquet.read_table(out / "train.parquet").to_pylist()
    found = {row["pair_id"]: row["seen"] for row in rows}
    assert found == {"train-a": "first", "train-b": "second", "train-c": "second"}
    assert len(rows) == 3
    lock = (out / "lock.json").read_bytes()
    assert json.loads(lock)["rows"] == {"train": 3, "test": 3}
    assert [told["run"] for told in json.loads(lock)["rounds"]] == ["one", "two"]
    assert (rows_of_all([first, second], out) / "lock.json").read_bytes() == lock


def test_the_budget_is_one_for_all_rounds(write_run: WriteRun, tmp_path: Path) -> None:
    told = actions.run(
        write_run({"budget": {"tokens": 1_000_000}}, prompts=2), tmp_path / "run", accept_changes=False, no_budget=True
    )
    folder = open_folder(Path(told.data["run"]))
    spent = sum(told.data["tokens"][name] for name in ("prompt", "completion"))
    assert spent > 0
    assert budget_left(BudgetCap(tokens=spent + 5), [folder]) == BudgetCap(tokens=5)
    with pytest.raises(NotFinished, match="the rounds before reached the budget"):
        budget_left(BudgetCap(tokens=spent), [folder])
    assert budget_left(BudgetCap(), [folder]) == BudgetCap()


@pytest.mark.real
def test_what_a_later_stage_would_lack_is_refused_before_anything_is_paid_for(run: Any) -> None:
    def refuse(changes: dict[str, Any], fact: str) -> None:
        with pytest.raises(InputError, match=fact):
            iterate(run(changes), 1)
        assert not Path("runs/demo/rounds/1/journal.db").exists()

    refuse({"iterate": {"reward": False, "method": "ppo"}}, "is rewarded by the model that it would fit")
    grpo = {"reward": False, "method": "grpo"}
    refuse({"iterate": grpo, "grpo": ONLINE | {"batch_size": 48}}, "are no multiple of batch_size")
    refuse({"iterate": grpo, "grpo": ONLINE | {"prompts": 16}}, "a step takes 16 prompts, and there are 1")
    refuse({"evaluate": {"files": []}}, "names no prompts")
    refuse({"train": {"base": "no/such/folder"}}, "no such file or folder")
    refuse({"policy": {"backend": "scripted", "model": "rambler"}}, "the policy's weights are not here")
    refuse({"evaluate": {"files": ["held-out.jsonl"], "constitution": "principles.toml"}}, "made the labels")


def test_what_the_run_has_paid_for_is_the_first_rounds_too(write_run: WriteRun, tmp_path: Path) -> None:
    file = write_run(prompts=3)
    made = actions.run(file, tmp_path / "run", accept_changes=False, no_budget=True)
    assert made.data["calls_sent"] > 0
    whole = new_folder(file, tmp_path / "run")
    first = open_round(whole, 1, tmp_path / "base", None)
    again = actions.run(first.folder.path, None, accept_changes=False, no_budget=True)
    assert (again.data["calls_sent"], again.data["rows"]) == (0, 3)
    assert (again.data["pairs"], again.data["in_all"]) == (made.data["pairs"], made.data["in_all"])
