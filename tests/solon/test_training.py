"""`solon train`: a model under its method's name, trained once, replaced only when a new one is whole."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tomlkit

import solon
from constitution.errors import InputError, ModelError, StorageError
from solon.cli import actions
from solon.folder import RunFolder, open_folder
from solon.run_lock import hold
from solon.training.carrying import Asked, require_room, settle, train_as_asked, wanted_of
from solon.training.command import train
from solon.training.places import base_weights, trained_models, trained_policies
from trainer.ancestry import read_record, weights_hash
from trainer.models.policies import Policy, load_policy, save_policy

NEEDED = ("torch", "transformers", "accelerate", "trl", "datasets", "pyarrow")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
ONLINE = {"reward": "constitution", "prompts": 2, "completions": 2, "max_tokens": 4, "bf16": False}
RUN: dict[str, Any] = {
    "name": "demo",
    "constitution": "principles.toml",
    "prompts": {"files": ["prompts.jsonl"]},
    "policy": {"backend": "scripted", "model": "rambler", "max_tokens": 40},
    "judge": {"backend": "scripted", "model": "rambler", "allow_same_family": True},
    "pairs": {"policy": "all", "min_margin": 0.0},
    "export": {"test_share": 0.3},
    "train": {"base": "small"},
    "sft": {"take": "chosen", "learning_rate": 1e-3, "batch_size": 1, "bf16": False},
    "reward": {"learning_rate": 1e-3, "batch_size": 1, "gradient_accumulation": 1, "bf16": False},
    "dpo": {"learning_rate": 1e-3, "bf16": False},
    "ppo": {**ONLINE, "steps": 3, "save_every": 1, "batch_size": 2},
    "grpo": {**ONLINE, "steps": 1, "batch_size": 4, "gradient_accumulation": 1},
}
RULE = {"id": "short", "rule": "At most 20 words.", "check": {"name": "max_words", "words": 20}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that is done and exported, of which tests make copies."""
    beside = tmp_path_factory.mktemp("run")
    (beside / "run.toml").write_text(tomlkit.dumps(RUN), encoding="utf-8")
    principles = {"constitution": {"title": "Test"}, "principle": [RULE]}
    (beside / "principles.toml").write_text(tomlkit.dumps(principles), encoding="utf-8")
    prompts = [json.dumps({"prompt": f"Why is the word number {number} so long?"}) for number in range(8)]
    (beside / "prompts.jsonl").write_text("\n".join(prompts), encoding="utf-8")
    actions.run(beside / "run.toml", beside / "demo", False, False)
    actions.export(beside / "demo", "trl", None, None)
    return beside


@pytest.fixture
def folder(place: Path, tmp_path: Path, small_policy: Callable[..., Policy]) -> RunFolder:
    """The run, with a policy ``small`` that training starts from."""
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    small_policy(folder=tmp_path / "small")
    return replace(open_folder(tmp_path / "demo"), beside=tmp_path)


def changed(folder: RunFolder, **sections: dict[str, Any]) -> RunFolder:
    """The same run, with other settings."""
    new = {name: replace(getattr(folder.config, name), **keys) for name, keys in sections.items()}
    return replace(folder, config=replace(folder.config, **new))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def nothing_else_in(folder: Path) -> bool:
    return not [path for path in folder.iterdir() if path.suffix in (".new", ".old", ".work")]


# ---- one training ----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_a_model_goes_under_its_method_and_is_not_trained_again(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.path / "origin").write_text(str(folder.beside), encoding="utf-8")
    told = train("dpo", folder.path)
    model = folder.path / "models" / "dpo"
    assert told.text.startswith(f"trained: dpo, {told.data['rows']} rows, ")
    assert told.text.endswith(f"the model is in {model}")
    assert told.data["model"] == str(model)
    assert told.data["base_sha256"] == weights_hash(folder.beside / "small")
    assert told.data["export_lock"] == json.loads((folder.export / "lock.json").read_text(encoding="utf-8"))
    assert capsys.readouterr().err.startswith("dpo: 3/3, loss ")
    assert load_policy(model).model.num_parameters() > 0
    before = contents(model)

    again = train("dpo", folder.path)
    assert again.text.startswith("already trained on just this: dpo")
    assert again.data == told.data
    assert contents(model) == before
    assert nothing_else_in(model.parent)
    assert "## Training" in folder.report.read_text(encoding="utf-8")


@pytest.mark.real
def test_a_new_model_takes_the_place_of_one_that_was_trained_otherwise(folder: RunFolder) -> None:
    first = train_as_asked(folder, Asked("dpo"))
    second = train_as_asked(changed(folder, dpo={"beta": 0.5}), Asked("dpo"))
    assert (first.known, second.known) == (False, False)
    assert first.output == second.output
    assert second.record["settings"]["beta"] == 0.5
    assert nothing_else_in(folder.models)


@pytest.mark.real
def test_a_kill_while_one_model_takes_the_place_of_another_leaves_the_new_one_to_be_found(folder: RunFolder) -> None:
    model = folder.model("dpo")
    made = train_as_asked(folder, Asked("dpo"))
    model.rename(folder.models / "dpo.new")
    note(folder.models / "dpo.old", "dpo")
    assert trained_models(folder) == {}
    again = train_as_asked(folder, Asked("dpo"))
    assert (again.known, again.record) == (True, made.record)
    assert nothing_else_in(folder.models)


def test_a_kill_leaves_the_old_model_to_be_found_where_there_is_no_new_one(tmp_path: Path) -> None:
    note(tmp_path / "dpo.old", "dpo")
    (tmp_path / "dpo.new").mkdir()
    settle(tmp_path / "dpo")
    assert (tmp_path / "dpo" / "training.json").is_file()
    note(tmp_path / "dpo.old", "sft")  # the new model was in its place already
    settle(tmp_path / "dpo")
    assert not (tmp_path / "dpo.old").exists()
    assert "dpo" in (tmp_path / "dpo" / "training.json").read_text(encoding="utf-8")


@pytest.mark.real
def test_a_training_that_breaks_down_leaves_the_old_model_as_it_was(folder: RunFolder) -> None:
    import torch

    train_as_asked(folder, Asked("dpo"))
    before = contents(folder.model("dpo"))
    broken = load_policy(folder.beside / "small")
    with torch.no_grad():
        broken.model.get_submodule("model.norm").get_parameter("weight").fill_(float("nan"))
    save_policy(broken, folder.beside / "broken")
    (folder.models / "dpo.new").mkdir()  # of a training that was killed
    with pytest.raises(ModelError, match="the loss became nan at step 1"):
        train_as_asked(folder, Asked("dpo", base=folder.beside / "broken"))
    assert contents(folder.model("dpo")) == before
    assert nothing_else_in(folder.models)


@pytest.mark.real
@pytest.mark.parametrize("method", ["ppo", "grpo"])
def test_a_policy_trained_by_the_constitution_tells_of_its_reward_and_hangs_on_no_export(
    folder: RunFolder, method: Any
) -> None:
    made = train_as_asked(folder, Asked(method))
    assert made.record["reward"]["name"] == "constitution"
    assert made.record["reward"]["judge"] is None  # there is a check for everything
    lock = json.loads((folder.export / "lock.json").read_text(encoding="utf-8"))
    assert (made.record["export_lock"], made.record["trained_on_export"]) == (lock, False)
    assert (made.record["reward"]["constitution"], made.record["reward"]["principles"]) == ("principles", ["short"])
    assert made.record["rows"] == len(wanted_of(folder, Asked(method)).prompts) < 8
    shutil.rmtree(folder.export)
    assert train_as_asked(folder, Asked(method)).known
    rule = folder.principles_file.read_text(encoding="utf-8").replace("words = 20", "words = 3")
    folder.principles_file.write_text(rule, encoding="utf-8")
    assert not train_as_asked(folder, Asked(method)).known


@pytest.mark.real
def test_a_ppo_training_that_is_killed_goes_on_and_comes_to_the_same(
    folder: RunFolder, begin: Callable[..., subprocess.Popen[str]]
) -> None:
    whole = train_as_asked(folder, Asked("ppo", out=folder.beside / "whole"))
    killed = """
import os, signal
import solon.training.carrying as carrying
def show(step, reporter):
    if step.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
carrying.show = show
"""
    (folder.path / "origin").write_text(str(folder.beside), encoding="utf-8")
    process = begin("train", "ppo", "demo", script=killed, OMP_NUM_THREADS="1")
    process.communicate(timeout=120)
    assert process.returncode == -9
    assert (folder.models / "ppo.new.work").is_dir()
    assert not folder.model("ppo").exists()
    seen: list[int] = []
    made = train_as_asked(folder, Asked("ppo"))
    seen = [step["step"] for step in made.record["steps"]]
    assert seen == [1, 2, 3]
    assert made.record["weights_sha256"] == whole.record["weights_sha256"]
    assert nothing_else_in(folder.models)


@pytest.mark.real
def test_two_processes_train_one_model_and_only_the_main_one_speaks(folder: RunFolder) -> None:
    (folder.path / "origin").write_text(str(folder.beside), encoding="utf-8")
    launch = "accelerate.commands.accelerate_cli launch --multi_gpu --num_processes=2 --num_machines=1"
    more = "--mixed_precision=no --dynamo_backend=no --main_process_port=0 -m solon train dpo demo --json"
    done = subprocess.run(
        [sys.executable, "-m", *launch.split(), *more.split()], cwd=folder.beside, capture_output=True, text=True,
        timeout=240, env={**os.environ, "PYTHONPATH": str(Path(solon.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["model"] == "demo/models/dpo"
    alone = train_as_asked(folder, Asked("dpo", out=folder.beside / "alone"))
    assert len(told["steps"]) < len(alone.record["steps"])  # a step sees the rows of both
    assert done.stderr.count("dpo: 2/2, ") == 1
    assert not (folder.path / "run.lock.json").exists()


TOGETHER = """
import os, sys
from pathlib import Path
from dataclasses import replace
import solon.rewarding
from solon.folder import open_folder
from solon.training.carrying import Asked, train_as_asked
from solon.training.launched import leave, main_first
from trainer.online.asking import asked_once

rank = int(os.environ["RANK"])
with main_first():
    pass
said = [f"{rank}.{n}" for n in range(rank + 2)]
assert asked_once(lambda prompts, texts: [float(text) for text in texts], said, said) == [float(text) for text in said]
if rank:  # its reward model would only take up memory
    solon.rewarding.load_reward_model = None
folder = replace(open_folder(Path("demo")), beside=Path())
folder = replace(folder, config=replace(folder.config, grpo=replace(folder.config.grpo, reward="model")))
for method in ("sft", "reward", "grpo"):
    made = train_as_asked(folder, Asked(method))
    assert bool(made.record) == (not rank)
leave()
"""


@pytest.mark.real
def test_every_other_method_too_trains_one_model_in_two_processes(
    folder: RunFolder, begin: Callable[..., subprocess.Popen[str]]
) -> None:
    (folder.path / "origin").write_text(str(folder.beside), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    children = [begin(script=TOGETHER + "sys.exit(0)\n", RANK=rank, LOCAL_RANK=rank, **place) for rank in "01"]
    doubled = changed(folder, sft={"batch_size": 2}, reward={"batch_size": 2})
    alone = [train_as_asked(doubled, Asked(name, out=folder.beside / name)) for name in ("sft", "reward")]
    told = [child.communicate(timeout=240) for child in children]
    assert [child.returncode for child in children] == [0, 0], told
    for made in alone:
        record = read_record(folder.model(made.record["method"]))
        assert record
        one, two = ([step["figures"]["loss"] for step in told["steps"]] for told in (made.record, record))
        assert len(one) == 3
        assert one == pytest.approx(two, rel=1e-4)  # each step sees the rows of both
    assert load_policy(folder.model("grpo")).model.num_parameters() > 0
    assert nothing_else_in(folder.models)


# ---- what makes two trainings the same -------------------------------------------------------------------------------


def test_only_what_decides_a_model_makes_it_another_one(folder: RunFolder, small_policy: Callable[..., Policy]) -> None:
    small_policy(seed=1, folder=folder.beside / "other")
    marks = wanted_of(folder, Asked("dpo")).marks
    same = changed(folder, sft={"epochs": 3}, ppo={"steps": 9}, evaluate={"max_tokens": 9})
    assert wanted_of(same, Asked("dpo", out=Path("elsewhere"))).marks == marks
    assert wanted_of(folder, Asked("dpo", base=folder.beside / "small")).marks == marks
    others = [
        wanted_of(changed(folder, dpo={"epochs": 3}), Asked("dpo")).marks,
        wanted_of(replace(folder, config=replace(folder.config, seed=7)), Asked("dpo")).marks,
        wanted_of(folder, Asked("dpo", base=folder.beside / "other")).marks,
        {**wanted_of(folder, Asked("sft")).marks, "settings": marks["settings"]},
    ]
    (folder.export / "lock.json").write_text("{}", encoding="utf-8")
    others.append(wanted_of(folder, Asked("dpo")).marks)
    assert [other != marks for other in others] == [True] * 5


def test_prompts_that_the_export_holds_out_are_never_sampled_to(folder: RunFolder) -> None:
    from pyarrow import parquet

    trained_on = {prompt.id for prompt in wanted_of(folder, Asked("ppo")).prompts}
    held_out = set(parquet.read_table(folder.export / "test.parquet")["prompt_id"].to_pylist())
    assert trained_on
    assert held_out
    assert not trained_on & held_out
    with pytest.raises(InputError, match=r"all its prompts are held out: lower export\.test_share"):
        wanted_of(changed(folder, export={"test_share": 1.0}), Asked("ppo"))


# ---- what cannot be done ---------------------------------------------------------------------------------------------


def refused(folder: RunFolder, asked: Asked, fact: str) -> None:
    with pytest.raises(InputError, match=fact):
        train_as_asked(folder, asked)


def note(folder: Path, method: str) -> None:
    """The folder as one that Solon trained a model into."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training.json").write_text(json.dumps({"method": method}), encoding="utf-8")


def test_what_is_not_there_is_told_before_anything_is_loaded(folder: RunFolder) -> None:
    refused(folder, Asked("dpo", base=Path("no/where")), "no such file or folder: name a GGUF file or")
    refused(folder, Asked("dpo", base=Path("nowhere")), "no such model: name a GGUF file, or 'smollm2")
    refused(
        changed(folder, train={"base": None}), Asked("dpo"), "weights are not here: name a model folder with --base"
    )
    refused(changed(folder, ppo={"reward": "model"}), Asked("ppo"), "holds no reward model: make one with `solon train")
    (folder.export / "lock.json").unlink()
    for method in ("sft", "reward", "dpo"):
        refused(folder, Asked(method), "holds no export: write one with `solon export")
    refused(changed(folder, ppo={"pretraining_coef": 1.0}), Asked("ppo"), "holds no export")
    assert not folder.models.exists()


def test_nothing_is_put_in_the_place_of_what_solon_did_not_train(folder: RunFolder) -> None:
    (folder.beside / "mine").mkdir()
    (folder.beside / "mine" / "thesis.txt").write_text("all of it", encoding="utf-8")
    refused(folder, Asked("dpo", out=folder.beside / "mine"), "already holds something: name a new folder")
    refused(folder, Asked("dpo", out=folder.beside / "run.toml"), "already holds something")
    (folder.beside / "mine.old").mkdir()
    (folder.beside / "mine.old" / "draft.txt").write_text("half of it", encoding="utf-8")
    refused(folder, Asked("dpo", out=folder.beside / "mine"), r"mine\.old: already holds something")
    assert contents(folder.beside / "mine.old") == {"draft.txt": b"half of it"}
    shutil.rmtree(folder.beside / "mine.old")
    note(folder.beside / "small", "sft")
    same = folder.beside / "demo" / ".." / "small"
    refused(folder, Asked("dpo", out=same), "is what the training starts from: name another folder with --out")
    assert contents(folder.beside / "mine") == {"thesis.txt": b"all of it"}


def test_a_record_that_cannot_be_read_is_told_and_left(folder: RunFolder) -> None:
    note(folder.model("dpo"), "dpo")
    for text in ("", "[]", "{}"):
        (folder.model("dpo") / "training.json").write_text(text, encoding="utf-8")
        refused(folder, Asked("dpo"), "is no record that can be read")
        refused(folder, Asked("sft", base=folder.model("dpo")), "is no record that can be read")
    assert contents(folder.model("dpo")) == {"training.json": b"{}"}


def test_a_reward_model_is_no_policy_to_start_from(folder: RunFolder) -> None:
    note(folder.model("reward"), "reward")
    refused(folder, Asked("dpo", base=folder.model("reward")), "is a reward model, which cannot answer")
    note(folder.model("sft"), "sft")
    assert list(trained_models(folder)) == ["reward", "sft"]
    assert list(trained_policies(folder)) == ["sft"]


def test_a_run_that_somebody_holds_is_left_alone(folder: RunFolder) -> None:
    with hold(folder.path), pytest.raises(InputError, match="in use by process"):
        train("dpo", folder.path)


def test_weights_that_do_not_fit_on_the_disk_are_refused_before_the_training(tmp_path: Path) -> None:
    vast = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(numel=lambda: 10**18, element_size=lambda: 4)]))
    with pytest.raises(StorageError, match=r"MiB of weights do not fit into .* MiB: make room"):
        require_room(Policy(vast, None, tmp_path), tmp_path / "model")  # type: ignore[arg-type]


def test_the_base_is_the_one_asked_for_then_the_one_configured_then_the_policy_itself(folder: RunFolder) -> None:
    assert base_weights(folder, folder.beside / "demo") == folder.beside / "demo"
    assert base_weights(folder) == folder.beside / "small"
    own = changed(folder, train={"base": None}, policy={"backend": "transformers", "model": "small"})
    assert base_weights(own) == folder.beside / "small"
    with pytest.raises(InputError, match="weights are not here"):
        base_weights(changed(own, policy={"base_url": "http://127.0.0.1:1/v1"}))
