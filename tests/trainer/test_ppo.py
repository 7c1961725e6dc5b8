"""PPO moves a policy towards what is rewarded, and comes to the same weights whether it is stopped or not."""

import errno
import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError, StorageError
from generator.chat import Message
from generator.models.decoding import Wanted, decode
from generator.prompts import Prompt
from trainer.ancestry import read_record
from trainer.models.policies import Policy, load_policy
from trainer.models.sampling import sample
from trainer.online.rollouts import drawn, spoken
from trainer.ppo import train_ppo
from trainer.rewards import Rollouts
from trainer.settings import PpoSettings
from trainer.steps import Job, OnStep, Step, Trained

NEEDED = ("torch", "transformers", "accelerate", "datasets", "peft")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PROMPTS = tuple(
    Prompt(f"p{i}", (Message("user", f"tell a {word}"),)) for i, word in enumerate("cat dog sea sun".split())
)
QUICK = PpoSettings(
    learning_rate=1e-2, batch_size=16, prompts=4, completions=8, max_tokens=8, max_length=64, steps=4, save_every=2,
    bf16=False, train_embeddings=True, missing_eos_penalty=0.0,
)  # fmt: skip
Make = Callable[..., Policy]
Value = Callable[[int, Prompt, str], float | None]
FIGURES = [
    "loss", "reward", "kl", "entropy", "length", "cut_off", "value_loss", "clip_fraction", "kl_coef",
    "tokens_per_second",
]  # fmt: skip


class Told:
    """A reward by place in the step, prompt and completion, which keeps what it was asked."""

    name = "told"

    def __init__(self, value: Value) -> None:
        self.value = value
        self.asked: list[list[tuple[Prompt, str]]] = []

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        both = list(zip(prompts, completions, strict=True))
        self.asked.append(both)
        return [self.value(place, prompt, text) for place, (prompt, text) in enumerate(both)]


def bananas(place: int, prompt: Prompt, text: str) -> float | None:
    return text.split().count("banana") / 8


def nobody(step: Step) -> None:
    pass


def trained(
    policy: Policy, folder: Path, settings: PpoSettings = QUICK, value: Value = bananas, on_step: OnStep = nobody
) -> Trained:
    return train_ppo(policy, settings, Job(folder, folder / "out", 3, on_step), Rollouts(PROMPTS, Told(value)))


def weights(folder: Path) -> bytes:
    return (folder / "out" / "model.safetensors").read_bytes()


@pytest.mark.real
@pytest.mark.parametrize("bf16", [False, True])
def test_the_policy_learns_what_is_rewarded_and_leaves_a_record(
    small_policy: Make, tmp_path: Path, bf16: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lock.json").write_text("{}", encoding="utf-8")
    seen: list[Step] = []
    settings = replace(QUICK, learning_rate=2e-2, steps=12, kl_coef=0.01, bf16=bf16)
    result = trained(small_policy(), tmp_path, settings, on_step=seen.append)
    assert capfd.readouterr() == ("", "")

    assert tuple(seen) == result.steps
    assert [(step.step, step.steps) for step in seen] == [(n + 1, 12) for n in range(12)]
    first, last = seen[0].figures, seen[-1].figures
    assert sorted(first) == sorted(FIGURES)
    assert first["reward"] < 0.05
    assert last["reward"] > 0.3
    assert first["kl"] == 0
    assert last["kl"] > 5
    assert last["entropy"] < first["entropy"] - 0.5

    said = sample(load_policy(tmp_path / "out"), [PROMPTS[0].messages] * 8, max_tokens=8, batch_size=8, temperature=1.0)
    assert sum("banana" in one.text for one in said) > 5
    record = read_record(tmp_path / "out")
    assert record is not None
    assert (record["method"], record["rows"], record["dropped"]) == ("ppo", 4, {"too long": 0})
    assert (record["export_lock"], record["figures"]) == ({}, {"unrewarded": 0})
    read = sum(step.figures["length"] + 6 for step in seen) * 32
    assert record["tokens"] == pytest.approx(2 * read)
    assert not (tmp_path / "out.work").exists()


@pytest.mark.real
@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_training_that_is_stopped_goes_on_and_comes_to_the_very_same_weights(
    small_policy: Make, tmp_path: Path, lora_rank: int
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    settings = replace(QUICK, lora_rank=lora_rank, train_embeddings=False, kl_target=1.0, steps=5)
    at_once = trained(small_policy(folder=whole / "base"), whole, settings)

    def stop(step: Step) -> None:
        if step.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(small_policy(folder=stopped / "base"), stopped, settings, on_step=stop)
    assert not (stopped / "out").exists()
    assert [place.name for place in (stopped / "out.work").iterdir()] == ["2"]
    (stopped / "out.work" / "9.new").mkdir()  # of a checkpoint that was not written to its end

    told: list[int] = []
    in_two = trained(load_policy(stopped / "base"), stopped, settings, on_step=lambda step: told.append(step.step))
    assert told == [3, 4, 5]
    assert weights(stopped) == weights(whole)
    assert timeless(in_two) == timeless(at_once)
    assert (in_two.tokens, in_two.figures) == (at_once.tokens, at_once.figures)
    assert not (stopped / "out.work").exists()


def timeless(result: Trained) -> list[dict[str, float]]:
    return [{name: one for name, one in step.figures.items() if "second" not in name} for step in result.steps]


@pytest.mark.real
def test_the_checkpoint_of_another_training_is_refused_and_left_as_it_is(small_policy: Make, tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(small_policy(folder=tmp_path / "base"), tmp_path, on_step=stop)
    before = (tmp_path / "out.work" / "2" / "state.json").read_bytes()

    def refuse(what: str, policy: Policy, settings: PpoSettings = QUICK) -> None:
        with pytest.raises(InputError, match=rf"holds the checkpoint of another training \(not the same: {what}\)"):
            trained(policy, tmp_path, settings)
        assert (tmp_path / "out.work" / "2" / "state.json").read_bytes() == before

    base = load_policy(tmp_path / "base")
    refuse("settings", base, replace(QUICK, clip=0.1))
    refuse("base", small_policy(seed=1, folder=tmp_path / "other"))
    (tmp_path / "lock.json").write_text("{}", encoding="utf-8")
    refuse("export, settings", base, replace(QUICK, lam=0.5, pretraining_coef=0.1))
    assert json.loads(before)["mark"]["processes"] == 1


@pytest.mark.real
def test_a_disk_that_is_full_stops_training_and_leaves_the_checkpoint_before(
    small_policy: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(step: Step) -> None:
        if step.step == 4:
            monkeypatch.setattr("safetensors.torch.save_file", no_room)

    def no_room(tensors: object, file: Path) -> None:
        file.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="the disk is full: make room and train again"):
        trained(small_policy(), tmp_path, replace(QUICK, steps=6), on_step=full)
    assert [place.name for place in (tmp_path / "out.work").iterdir()] == ["2"]
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_every_step_samples_anew(small_policy: Make, tmp_path: Path) -> None:
    reward = Told(bananas)
    still = replace(QUICK, learning_rate=1e-30, steps=2)
    train_ppo(small_policy(), still, Job(tmp_path, tmp_path / "out", 3, nobody), Rollouts(PROMPTS, reward))
    first, second = ([text for _, text in asked] for asked in reward.asked)
    assert len({*first, *second}) > 56


@pytest.mark.real
def test_a_completion_without_a_reward_moves_nothing_and_is_counted(small_policy: Make, tmp_path: Path) -> None:
    import torch

    policy, learnt = small_policy(), list[str]()

    def see(model: object, inputs: object, named: dict[str, Any]) -> None:
        if torch.is_grad_enabled():
            rows = zip(named["input_ids"].tolist(), named["attention_mask"].tolist(), strict=True)
            learnt.extend(policy.tokenizer.decode([t for t, m in zip(*row, strict=True) if m]) for row in rows)

    def value(place: int, prompt: Prompt, text: str) -> float | None:
        return None if place % 3 else 1.0

    policy.model.register_forward_pre_hook(see, with_kwargs=True)
    reward = Told(value)
    settings = replace(QUICK, steps=1, epochs=1)
    result = train_ppo(policy, settings, Job(tmp_path, tmp_path / "out", 3, nobody), Rollouts(PROMPTS, reward))
    wanted = [f"{prompt.text} <end> <assistant> {text}" for prompt, text in reward.asked[0][::3]]
    assert sorted(text.removeprefix("<user> ")[:30] for text in learnt) == sorted(text[:30] for text in wanted)
    assert result.figures == {"unrewarded": 21}
    assert result.steps[0].figures["reward"] == 1


@pytest.mark.real
def test_a_reward_that_tells_nothing_or_no_number_stops_training_and_writes_nothing(
    small_policy: Make, tmp_path: Path
) -> None:
    import torch

    with pytest.raises(ModelError, match="told rewarded no completion of step 1"):
        trained(small_policy(), tmp_path, value=lambda place, prompt, text: None)
    with pytest.raises(ModelError, match="told gave a reward of nan"):
        trained(small_policy(), tmp_path, value=lambda place, prompt, text: math.nan)
    broken = small_policy()
    with torch.no_grad():
        broken.model.get_submodule("model.norm").get_parameter("weight").fill_(math.nan)
    with pytest.raises(ModelError, match="the model's logits are no numbers: lower the learning rate"):
        trained(broken, tmp_path)
    with pytest.raises(ModelError, match=r"the loss became (nan|inf) at step 1"):
        trained(small_policy(), tmp_path, value=lambda place, prompt, text: 1e30 * (place % 2))
    assert not list(tmp_path.iterdir())


@pytest.mark.real
@pytest.mark.parametrize(("steps", "saved"), [(2, []), (3, ["2"])])
def test_weights_that_an_update_made_useless_are_not_saved(
    small_policy: Make, tmp_path: Path, steps: int, saved: list[str]
) -> None:
    policy, updates = small_policy(), list[int]()

    def spoil(gradient: Any) -> Any:
        updates.append(1)
        return gradient * (math.nan if len(updates) == steps else 1.0)

    policy.model.get_submodule("model.norm").get_parameter("weight").register_hook(spoil)
    with pytest.raises(ModelError):
        trained(policy, tmp_path, replace(QUICK, batch_size=32, epochs=1, steps=steps))
    assert sum(updates) == steps
    assert [place.name for place in tmp_path.glob("out.work/*")] == saved
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_what_does_not_end_is_worth_less_so_that_completions_come_to_end(small_policy: Make, tmp_path: Path) -> None:
    settings = replace(QUICK, missing_eos_penalty=1.0, learning_rate=2e-2, kl_coef=0.0, steps=10)
    steps = trained(small_policy(), tmp_path, settings, lambda place, prompt, text: 0.0).steps
    assert steps[0].figures["cut_off"] > 0.8
    assert steps[-1].figures["cut_off"] < 0.2
    assert steps[-1].figures["length"] < steps[0].figures["length"] - 2


@pytest.mark.real
def test_the_kl_coefficient_keeps_the_policy_near_the_reference_and_adapts(small_policy: Make, tmp_path: Path) -> None:
    def last(name: str, **changed: float) -> dict[str, float]:
        (tmp_path / name).mkdir()
        settings = replace(QUICK, steps=6, **changed)  # type: ignore[arg-type]
        return dict(trained(small_policy(), tmp_path / name, settings).steps[-1].figures)

    free, held = last("free", kl_coef=0.0), last("held", kl_coef=0.5)
    assert held["kl"] < 0.7 * free["kl"]
    assert free["kl_coef"] == 0
    adapting = last("adapting", kl_coef=0.05, kl_target=0.01, kl_horizon=100)
    assert adapting["kl_coef"] > 0.05


@pytest.mark.real
def test_adapters_are_merged_and_the_policy_without_them_is_the_reference(small_policy: Make, tmp_path: Path) -> None:
    policy = small_policy()
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    settings = replace(QUICK, lora_rank=4, train_embeddings=False, gradient_checkpointing=True)
    steps = trained(policy, tmp_path, settings).steps
    after = load_policy(tmp_path / "out").model.state_dict()
    assert after.keys() == before.keys()
    moved = {name for name, weight in before.items() if not weight.equal(after[name])}
    assert "model.layers.0.self_attn.q_proj.weight" in moved
    assert not moved & {"model.embed_tokens.weight", "lm_head.weight"}
    assert steps[0].figures["kl"] == 0
    assert steps[-1].figures["kl"] != 0


@pytest.mark.real
def test_what_was_worth_imitating_is_kept_in_mind(small_policy: Make, tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    said = "go home go home go home go"
    table = {
        "prompt": [[{"role": "user", "content": "tell a fish"}], [{"role": "user", "content": "say " * 70}]],
        "chosen": [[{"role": "assistant", "content": said}], [{"role": "assistant", "content": "no"}]],
        "rejected": [[{"role": "assistant", "content": "sea"}]] * 2,
        "revised": [False, False],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "train.parquet")
    settings = replace(QUICK, pretraining_coef=1.0, take="chosen", learning_rate=2e-2, steps=5)
    trained(small_policy(), tmp_path, settings, lambda place, prompt, text: 0.0)
    one = sample(load_policy(tmp_path / "out"), [(Message("user", "tell a fish"),)], max_tokens=8, batch_size=1)[0]
    assert (one.text, one.finish) == (said, "stop")
    job = Job(tmp_path, tmp_path / "other", 3, nobody)
    with pytest.raises(InputError, match=r"no chosen completion is a revision: write take = .chosen. under \[ppo\]"):
        train_ppo(small_policy(), replace(settings, take="revisions"), job, Rollouts(PROMPTS, Told(bananas)))
    with pytest.raises(InputError, match="no completion for pretraining_coef fits into max_length = 13"):
        train_ppo(small_policy(), replace(settings, max_length=13, max_tokens=4), job, Rollouts(PROMPTS, Told(bananas)))


@pytest.mark.real
def test_where_several_tokens_end_a_turn_the_one_that_did_is_learnt(small_policy: Make) -> None:
    policy = small_policy()
    words = [policy.tokenizer.convert_tokens_to_ids(word) for word in ("banana", "fish")]
    with_ends = [1, *words]
    policy.model.generation_config.eos_token_id = with_ends  # type: ignore[union-attr]
    asked = [Wanted((3, 40, 50), 30, 1.0, seed) for seed in range(40)]
    turns = list(spoken(policy.model, asked, frozenset(with_ends)))
    alone = decode(policy.model, asked, frozenset())
    for turn, free in zip(turns, alone, strict=True):
        assert turn.tokens == free.tokens[: len(turn.tokens)]
        assert (turn.tokens[-1] in with_ends) == turn.ended
    ends = {turn.tokens[-1] for turn in turns if turn.ended}
    assert len(ends) > 1


def test_every_prompt_comes_once_before_any_comes_again_and_in_a_new_order() -> None:
    prompts = [prompt for step in range(1, 9) for prompt in drawn(PROMPTS, 3, 5, step)]
    passes = [tuple(prompt.id for prompt in prompts[start : start + 4]) for start in range(0, 24, 4)]
    assert all(len(set(one)) == 4 for one in passes)
    assert len(set(passes)) > 1


@pytest.mark.real
def test_prompts_that_leave_no_room_are_left_out_and_counted(small_policy: Make, tmp_path: Path) -> None:
    long = Prompt("long", (Message("user", "tell " * 60),))
    job = Job(tmp_path, tmp_path / "out", 3, nobody)
    result = train_ppo(small_policy(), replace(QUICK, steps=1), job, Rollouts((long, *PROMPTS), Told(bananas)))
    assert (result.rows, result.dropped) == (4, {"too long": 1})
    with pytest.raises(InputError, match="already holds something"):
        trained(small_policy(), tmp_path)


TWO = """
import importlib.util, sys
from pathlib import Path
from accelerate import PartialState
from trainer.ppo import mark_of
PartialState(cpu=True)
spec = importlib.util.spec_from_file_location("here", sys.argv[1])
here = importlib.util.module_from_spec(spec)
spec.loader.exec_module(here)
policy = here.load_policy(Path(sys.argv[2]) / "base")
place = Path(sys.argv[2])
job = here.Job(place, place / "out", 3, here.nobody)
mark = mark_of(policy, here.SPREAD, job, here.Rollouts(here.PROMPTS, here.Told(here.bananas)))
assert mark["processes"] == 2
here.trained(policy, place, here.SPREAD)
"""
SPREAD = replace(QUICK, prompts=2, completions=7, batch_size=5, steps=2)  # 28 rollouts in batches of 10: 5, 5; 4, 4


@pytest.mark.real
def test_two_processes_come_to_what_one_does(small_policy: Make, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    policy = small_policy(folder=tmp_path / "base")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TWO, __file__, str(tmp_path)]
    children = [
        subprocess.Popen(command, env=os.environ | place | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE)
        for rank in "01"
    ]
    (tmp_path / "alone").mkdir()
    trained(policy, tmp_path / "alone", replace(SPREAD, prompts=4, batch_size=10))
    told = [child.communicate(timeout=600)[1].decode() for child in children]
    assert [child.returncode for child in children] == [0, 0], told
    alone, both = (load_file(folder / "out" / "model.safetensors") for folder in (tmp_path / "alone", tmp_path))
    assert all(torch.allclose(weight, both[name], atol=1e-4) for name, weight in alone.items())
