"""GRPO and RLOO through the real TRL move a policy towards what is rewarded, and nothing else moves it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError
from generator.chat import Message
from generator.prompts import Prompt
from trainer.ancestry import read_record
from trainer.grpo import GroupMethod, leaving_out, train_group
from trainer.models.policies import Policy, load_policy
from trainer.models.sampling import sample
from trainer.rewards import Rollouts
from trainer.settings import GroupSettings
from trainer.steps import Job, Step

NEEDED = ("torch", "transformers", "accelerate", "trl", "datasets", "peft")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PROMPTS = tuple(
    Prompt(f"p{i}", (Message("user", f"tell a {word}"),)) for i, word in enumerate("cat dog sea sun".split())
)
QUICK = GroupSettings(
    learning_rate=1e-2, batch_size=32, gradient_accumulation=1, prompts=4, completions=8, max_tokens=8, max_length=64,
    steps=2, beta=0.01, bf16=False, train_embeddings=True,
)  # fmt: skip
Make = Callable[..., Policy]
Value = Callable[[int, Prompt, str], float | None]


class Told:
    """A reward by place in the batch, prompt and completion, which keeps what it was asked."""

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


def trained(
    policy: Policy, folder: Path, reward: Told, settings: GroupSettings = QUICK, method: GroupMethod = "grpo"
) -> list[Step]:
    seen: list[Step] = []
    result = train_group(
        policy, settings, Job(folder, folder / "out", 3, seen.append), Rollouts(PROMPTS, reward), method
    )
    assert tuple(seen) == result.steps
    return seen


@pytest.mark.real
@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_the_policy_learns_what_is_rewarded_and_leaves_a_record(
    small_policy: Make, tmp_path: Path, method: GroupMethod, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lock.json").write_text("{}", encoding="utf-8")
    policy, reward = small_policy(), Told(bananas)
    steps = trained(
        policy, tmp_path, reward, replace(QUICK, learning_rate=3e-2, batch_size=64, completions=16, steps=10), method
    )
    assert capfd.readouterr() == ("", "")

    assert [(step.step, step.steps) for step in steps] == [(n + 1, 10) for n in range(10)]
    assert steps[0].figures["reward"] < 0.05
    assert steps[-1].figures["reward"] > 0.7
    assert steps[0].figures["kl"] == pytest.approx(0, abs=1e-3)
    assert steps[-1].figures["kl"] > 5
    assert steps[-1].figures["entropy"] < steps[0].figures["entropy"] - 0.5
    asked = ["reward", "kl", "entropy", "clip_fraction", "length", "cut_off", "alike", "tokens_per_second", "loss"]
    assert sorted(steps[0].figures) == sorted(asked)

    said = sample(load_policy(tmp_path / "out"), [PROMPTS[0].messages] * 8, max_tokens=8, batch_size=8, temperature=1.0)
    assert sum("banana" in one.text for one in said) > 5
    record = read_record(tmp_path / "out")
    assert record is not None
    assert (record["method"], record["rows"], record["dropped"]) == (method, 4, {"too long": 0})
    assert record["export_lock"] == {}
    lengths = sum(step.figures["length"] for step in steps) * 64
    assert record["tokens"] == pytest.approx(lengths + 10 * 64 * 6, abs=10)


@pytest.mark.real
def test_a_reward_is_asked_about_whole_groups_of_the_prompts_own_completions(
    small_policy: Make, tmp_path: Path
) -> None:
    reward = Told(bananas)
    trained(small_policy(), tmp_path, reward)
    assert len(reward.asked) == 2
    for asked in reward.asked:
        prompts = [prompt for prompt, _ in asked]
        assert prompts == [prompts[8 * group] for group in range(4) for _ in range(8)]
        assert set(prompts) == set(PROMPTS)
        assert len({text for _, text in asked}) > 24


@pytest.mark.real
@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_a_completion_that_alone_of_its_group_has_a_reward_moves_nothing(
    small_policy: Make, tmp_path: Path, method: GroupMethod
) -> None:
    """Were the others taken for 0, it would be the best of them."""
    policy = small_policy()
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    trained(
        policy, tmp_path, Told(lambda place, prompt, text: None if place % 8 else 1.0), replace(QUICK, beta=0), method
    )
    after = load_policy(tmp_path / "out").model.state_dict()
    assert all(weight.equal(after[name]) for name, weight in before.items())
    record = read_record(tmp_path / "out")
    assert record is not None
    assert record["figures"] == {"unrewarded": 2 * 28}


def test_what_has_no_reward_is_no_part_of_the_loss() -> None:
    import torch

    class Trainer:
        accelerator: Any = type("One", (), {"gather": staticmethod(lambda count: count)})

        def _generate_and_score_completions(self, inputs: object) -> dict[str, torch.Tensor]:
            mask = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0]])
            return {"completion_mask": mask, "num_items_in_batch": mask.sum()}

    asked: Any = type("Asked", (), {"last": [0.0, None, 0.5]})
    made = leaving_out(Trainer, asked)()._generate_and_score_completions(None)
    assert made["completion_mask"].tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert made["num_items_in_batch"] == 3


@pytest.mark.real
def test_a_step_may_make_several_updates_and_is_told_once(small_policy: Make, tmp_path: Path) -> None:
    settings = replace(QUICK, batch_size=8, epochs=2, steps=3)
    steps = trained(small_policy(), tmp_path, reward := Told(lambda place, prompt, text: float(len(text))), settings)
    assert [(step.step, step.steps) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert len(reward.asked) == 3
    assert steps[0].figures["kl"] > 0  # the updates after the first


@pytest.mark.real
def test_the_seed_decides_everything(small_policy: Make, tmp_path: Path) -> None:
    weights = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        trained(small_policy(), tmp_path / name, Told(bananas))
        weights.append((tmp_path / name / "out" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


@pytest.mark.real
def test_adapters_are_merged_into_plain_weights(small_policy: Make, tmp_path: Path) -> None:
    policy = small_policy()
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    settings = replace(QUICK, lora_rank=4, train_embeddings=False, beta=0.1)
    steps = trained(policy, tmp_path, Told(lambda place, prompt, text: float(len(text))), settings)
    after = load_policy(tmp_path / "out").model.state_dict()
    assert after.keys() == before.keys()
    moved = {name for name, weight in before.items() if not weight.equal(after[name])}
    assert "model.layers.0.self_attn.q_proj.weight" in moved
    assert not moved & {"model.embed_tokens.weight", "lm_head.weight"}
    assert steps[-1].figures["kl"] > 0  # from the policy without the adapters


@pytest.mark.real
def test_prompts_that_leave_no_room_are_left_out_and_counted(small_policy: Make, tmp_path: Path) -> None:
    long = Prompt("long", (Message("user", "tell " * 60),))
    job = Job(tmp_path, tmp_path / "out", 3, lambda step: None)
    result = train_group(small_policy(), QUICK, job, Rollouts((long, *PROMPTS), Told(bananas)), "grpo")
    assert (result.rows, result.dropped) == (4, {"too long": 1})


@pytest.mark.real
def test_a_reward_that_tells_nothing_or_a_policy_without_numbers_stops_training_and_writes_nothing(
    small_policy: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    with pytest.raises(ModelError, match="told rewarded no completion of the first step"):
        trained(small_policy(), tmp_path, Told(lambda place, prompt, text: None))
    policy = small_policy()
    with torch.no_grad():
        policy.model.get_submodule("model.norm").get_parameter("weight").fill_(float("nan"))
    with pytest.raises(ModelError, match="the policy's probabilities are no numbers any more: lower the learning rate"):
        trained(policy, tmp_path, Told(bananas))
    assert not (tmp_path / "out").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.real
def test_what_cannot_be_trained_is_refused(small_policy: Make, tmp_path: Path) -> None:
    def refuse(fact: str, settings: GroupSettings = QUICK, prompts: tuple[Prompt, ...] = PROMPTS) -> None:
        job = Job(tmp_path, tmp_path / "out", 3, lambda step: None)
        with pytest.raises(InputError, match=fact):
            train_group(policy, settings, job, Rollouts(prompts, Told(bananas)), "grpo")

    policy = small_policy()
    refuse("there is no prompt", prompts=())
    refuse("no prompt leaves max_tokens = 60 of 64 tokens", replace(QUICK, max_tokens=60))
    refuse("prompts · completions = 24 are no multiple of batch_size", replace(QUICK, prompts=3))
    refuse("a step takes 4 prompts, and there are 3", prompts=PROMPTS[:3])
    refuse("adapters leave the embeddings as they are", replace(QUICK, lora_rank=4))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note.txt").write_text(json.dumps("mine"), encoding="utf-8")
    refuse("already holds something")
