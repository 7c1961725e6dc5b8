"""A trained model's folder tells what it was made of, back to weights that Solon did not train."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from solon.training.ancestry import show_model
from trainer.ancestry import read_record, weights_hash, write_record
from trainer.settings import DpoSettings, PpoSettings, RewardSettings, SftSettings
from trainer.steps import Step, Trained

LOCK = {
    "run": "demo", "constitution": "harmless", "models": {"policy": "small", "judge": "big"}, "labels_sha256": "c" * 64,
    "rows": {"test": 1, "train": 9}, "files_sha256": {"principles.toml": "a" * 64},
}  # fmt: skip
SETTINGS = {
    "sft": SftSettings(epochs=2), "reward": RewardSettings(), "dpo": DpoSettings(beta=0.3), "ppo": PpoSettings(steps=4),
}  # fmt: skip


def record(folder: Path, method: Any, base: Path, lock: Path = Path("none"), **more: Any) -> Path:
    """A model folder as a training leaves it, with few weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(method.encode())
    steps = (Step(1, 1, {"loss": 0.5}),)
    trained = Trained(method, folder, 9, {"too long": 2, "empty": 0}, 3.2, 12345, steps, {"accuracy": 0.875})
    write_record(trained, SETTINGS[method], base, lock, 4, **more)
    return folder


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A policy made by PPO, from one that DPO made of one that was fine-tuned; rewarded by a reward model."""
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    (tmp_path / "lock.json").write_text(json.dumps(LOCK), encoding="utf-8")
    sft = record(tmp_path / "sft", "sft", tmp_path / "base.gguf", tmp_path / "lock.json")
    dpo = record(tmp_path / "dpo", "dpo", sft, tmp_path / "lock.json")
    reward = record(tmp_path / "reward", "reward", sft, tmp_path / "lock.json")
    made = {"name": "model", "sha256": weights_hash(reward), "record": read_record(reward)}
    return record(tmp_path / "ppo", "ppo", dpo, prompts_sha256="b" * 64, reward=made)


def test_a_model_tells_its_whole_ancestry_the_youngest_first_wherever_it_is_carried(
    chain: Path, tmp_path: Path
) -> None:
    carried = tmp_path / "elsewhere" / "policy"
    shutil.copytree(chain, carried)
    for name in ("sft", "dpo", "reward"):
        shutil.rmtree(tmp_path / name)
    told = show_model(carried)
    lines = told.text.splitlines()
    heads = [line for line in lines if " from " in line]
    assert [head.split()[:3] for head in heads] == [
        ["ppo", "from", "dpo:"], ["reward", "from", "sft:"], ["sft", "from", "base.gguf:"], ["dpo", "from", "sft:"],
        ["sft", "from", "base.gguf:"],
    ]  # fmt: skip
    assert heads[0] == "ppo from dpo: 9 prompts (without 2 too long), 12,345 tokens, 3 s"
    assert lines[-1].startswith("base.gguf: not trained by Solon, sha256 ")
    assert "  settings: beta 0.3; seed 4" in lines
    assert "      settings: the defaults; seed 4" in lines  # the reward model's
    assert sum("data: run demo, 9 to train on, 1 to test on; export lock" in line for line in lines) == 3
    assert any("principles: harmless, sha256 aaaaaaaaaaaa" in line for line in lines)
    assert any("models: judge big, policy small" in line for line in lines)
    assert any("people's labels: sha256 cccccccccccc" in line for line in lines)
    assert any("measured: accuracy 0.875" in line for line in lines)
    assert [one["method"] for one in told.data["ancestry"]] == ["ppo", "dpo", "sft"]
    assert told.data["weights_changed"] is False


def test_a_model_of_several_rounds_says_so(tmp_path: Path) -> None:
    together = {**LOCK, "files_sha256": {}, "rounds": [LOCK, LOCK]}
    (tmp_path / "lock.json").write_text(json.dumps(together), encoding="utf-8")
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    told = show_model(record(tmp_path / "dpo", "dpo", tmp_path / "base.gguf", tmp_path / "lock.json")).text
    assert "data: run demo, 2 rounds together, 9 to train on, 1 to test on; export lock " in told
    assert "principles: harmless, sha256 aaaaaaaaaaaa" in told


def test_a_policy_that_the_constitution_rewarded_tells_its_principles_and_the_runs_data_apart(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text(json.dumps(LOCK), encoding="utf-8")
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    rewarded = {
        "name": "constitution", "constitution": "harmless", "principles": ["kind", "brief"], "judge": "big",
        "sha256": "d" * 64, "record": None,
    }  # fmt: skip
    more = {"reward": rewarded, "prompts_sha256": "b" * 64, "trained_on_export": False}
    told = show_model(record(tmp_path / "ppo", "ppo", tmp_path / "base.gguf", tmp_path / "lock.json", **more)).text
    lines = told.splitlines()
    assert "  principles that rewarded: harmless: kind, brief" in lines
    at = lines.index("  the run's data at that time, on which it was not trained:")
    assert lines[at + 1].startswith("  data: run demo, 9 to train on, 1 to test on; export lock ")


def test_weights_that_another_training_left_are_told_apart(chain: Path) -> None:
    (chain / "model.safetensors").write_bytes(b"others")
    told = show_model(chain)
    assert told.data["weights_changed"] is True
    assert told.text.splitlines()[1] == "its weights are not those that this training wrote"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"method": "dpo", "base_record": 3}'])
def test_a_record_that_is_broken_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "training.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"is no record that can be read .*: train the model again, or"):
        show_model(tmp_path)
