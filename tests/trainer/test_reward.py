"""A reward model learns pairs and rankings through the real TRL, and what it is worth stands in its record."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError
from generator.chat import Message
from trainer.models.policies import Policy
from trainer.models.reward_model import load_reward_model, made_from, score
from trainer.pairs.held_out import held_out_figures
from trainer.pairs.rankings import Comparison, Ranking, rankings_of
from trainer.reward import collated, element, ranking_loss, train_reward
from trainer.settings import RewardSettings
from trainer.steps import Job, Step

NEEDED = ("torch", "transformers", "accelerate", "trl", "datasets", "pyarrow", "tokenizers", "scipy")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMALL = RewardSettings(learning_rate=3e-3, batch_size=4, gradient_accumulation=1, bf16=False, labels="hard")


def row(asked: str, chosen: str, rejected: str, **more: Any) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": asked}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        **more,
    }


def kind(asked: Sequence[int]) -> list[dict[str, Any]]:
    """Pairs in which a kind completion is better than a rude one."""
    return [
        row(f"What is {n} plus one?", f"Dear friend, {n + 1}.", f"{n + 1}, you fool, and now be gone.") for n in asked
    ]


def export(folder: Path, train: list[dict[str, Any]], test: Sequence[dict[str, Any]] = ()) -> Path:
    import pyarrow
    from pyarrow import parquet

    folder.mkdir()
    table = pyarrow.Table.from_pylist(train)
    parquet.write_table(table, folder / "train.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(list(test), schema=table.schema), folder / "test.parquet")
    return folder


def job(rows: Path, output: Path, seen: list[Step] | None = None) -> Job:
    return Job(rows, output, 0, lambda step: None if seen is None else seen.append(step))


@pytest.fixture
def tiny(byte_tokenizer: Callable[[str], Any]) -> Policy:
    """A random model of two small layers, to which every byte is a token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = byte_tokenizer(TEMPLATE)
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
    )  # fmt: skip
    return Policy(LlamaForCausalLM(shape), tokenizer, Path("tiny"))


@pytest.mark.real
@pytest.mark.parametrize("lora", [0, 4])
def test_what_was_learnt_holds_for_prompts_that_were_held_out(
    tiny: Policy, tmp_path: Path, lora: int, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    rows = export(tmp_path / "export", kind(range(24)), kind(range(90, 98)))
    (rows / "lock.json").write_bytes(b"{}")
    frozen: Any = tiny.model
    embeddings = frozen.model.embed_tokens.weight.detach().clone()
    seen: list[Step] = []
    settings = replace(SMALL, epochs=4, lora_rank=lora)
    trained = train_reward(tiny, settings, job(rows, tmp_path / "out", seen))

    assert capfd.readouterr() == ("", "")
    assert (trained.method, trained.rows, trained.steps) == ("reward", 24, tuple(seen))
    assert [step.step for step in seen] == list(range(1, 25))
    assert seen[-1].figures["loss"] < 0.5 < seen[0].figures["loss"]
    assert seen[-1].figures["accuracy"] == 1.0
    assert trained.tokens > 24 * 2 * 4 * 20
    assert trained.figures["held_out_pairs"] == 8
    assert trained.figures["accuracy"] == 1.0
    assert {"ece", "brier"} <= trained.figures.keys()
    assert (trained.figures["longer_accuracy"], trained.figures["length_correlation"] < -0.5) == (0.0, True)

    model = load_reward_model(tmp_path / "out")
    after: Any = model.model
    assert torch.equal(after.model.embed_tokens.weight.cpu(), embeddings)
    assert not [name for name, _ in after.named_parameters() if "lora" in name]
    prompts = [(Message("user", f"What is {n} plus one?"),) for n in range(24)] * 2
    texts = [r[side][0]["content"] for side in ("chosen", "rejected") for r in kind(range(24))]
    rewards = score(model, prompts, texts, 8)
    assert sum(rewards) / 48 == pytest.approx(0, abs=1e-4)
    assert sum(reward**2 for reward in rewards) / 48 == pytest.approx(1, abs=1e-3)
    assert min(rewards[:24]) > max(rewards[24:])

    record = json.loads((tmp_path / "out" / "training.json").read_text(encoding="utf-8"))
    assert record["reward_scale"] == {"mean": model.mean, "deviation": model.deviation}
    assert record["figures"] == dict(trained.figures)


@pytest.mark.real
def test_one_pair_a_prompt_with_certain_labels_gives_trls_own_losses(tiny: Policy, tmp_path: Path) -> None:
    import copy

    import trl
    from datasets import Dataset

    from trainer.fitting import freeze_embeddings, trl_arguments
    from trainer.quiet import quiet_training

    rows = [{**r, "margin": n / 4} for n, r in enumerate(kind(range(4)))]
    twin = Policy(copy.deepcopy(tiny.model), tiny.tokenizer, tiny.source)
    settings = replace(SMALL, batch_size=2, epochs=2, margin=1.0)
    ours = train_reward(tiny, settings, job(export(tmp_path / "e", rows), tmp_path / "out"))

    library: Any = trl
    model = made_from(twin, 0).model
    freeze_embeddings(model, settings)
    with quiet_training():
        arguments = trl_arguments(
            library.RewardConfig, settings, str(tmp_path), 0, max_length=512, center_rewards_coefficient=0.01
        )
        plain = library.RewardTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=twin.tokenizer
        )
        plain.train()
    theirs = [log["loss"] for log in plain.state.log_history if "loss" in log]
    assert [step.figures["loss"] for step in ours.steps] == pytest.approx(theirs, abs=1e-6)
    assert len(theirs) == 4


@pytest.mark.real
def test_a_step_of_unequal_batches_is_the_mean_over_its_prompts(small_policy: Any, tmp_path: Path) -> None:
    import torch

    asked = [row(f"think of {n}", f"good {n} good", "bad", prompt_id=n) for n in ("rain", "snow")]
    alone = [
        row("think of sun", side, "good sun good") for side in ("help", "cold")
    ]  # two pairs, and against the others
    rows = export(tmp_path / "e", asked + alone)
    settings = replace(SMALL, epochs=3, batch_size=2, gradient_accumulation=2)
    steps, weights = [], []
    for name, plan in (("two", settings), ("one", replace(settings, batch_size=3, gradient_accumulation=1))):
        out = tmp_path / name
        steps.append([dict(s.figures) for s in train_reward(small_policy(), plan, job(rows, out)).steps])
        weights.append(load_reward_model(out).model.state_dict())
    assert len(steps[0]) == 3
    assert steps[0] == [pytest.approx(figures, abs=1e-5) for figures in steps[1]]
    assert all(torch.allclose(weight, weights[1][name], atol=1e-4) for name, weight in weights[0].items())


def batch(chosen: list[int], rejected: list[int], target: list[float], margin: list[float]) -> dict[str, Any]:
    import torch

    columns = {"chosen": chosen, "rejected": rejected, "target": target, "margin": margin}
    weight = [1 / len(chosen)] * len(chosen)
    return {name: torch.tensor(values) for name, values in (columns | {"weight": weight}).items()}


@pytest.mark.parametrize(("target", "margin"), [(1.0, 0.0), (0.9, 0.0), (0.6, 0.5), (0.5, 0.0), (0.2, 0.0)])
def test_rewards_come_to_differ_by_the_log_odds_of_the_target_and_the_margin(target: float, margin: float) -> None:
    import torch

    aimed = (math.log(target / (1 - target)) if target < 1 else 20.0) + margin
    rewards = torch.tensor([aimed / 2, -aimed / 2], requires_grad=True)
    ranking_loss(rewards, batch([0], [1], [target], [margin]), center=0.0).backward()
    assert rewards.grad is not None
    assert rewards.grad.abs().max() < 1e-6


def test_all_pairs_of_a_ranking_weigh_as_one_prompt() -> None:
    import torch

    rewards = torch.tensor([3.0, 1.0, 0.5, -1.0])
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    told = ranking_loss(rewards, batch([a for a, _ in pairs], [b for _, b in pairs], [1.0] * 6, [0.0] * 6), 0.0)
    said = rewards.tolist()
    expected = sum(math.log1p(math.exp(-(said[a] - said[b]))) for a, b in pairs) / 6
    assert told.item() == pytest.approx(expected, abs=1e-6)


def test_in_a_batch_every_prompt_weighs_alike_and_every_pair_within_it() -> None:
    ranked = Ranking(
        (), ("a", "b", "c"), ((1,), (2, 3), (4,)),
        tuple(Comparison(a, b, 0.9, 0.1) for a, b in ((0, 1), (0, 2), (1, 2))),
    )  # fmt: skip
    couple = Ranking((), ("d", "e"), ((5,), (6,)), (Comparison(1, 0, 1.0, 0.0),))
    made = collated([element(ranked), element(couple)], pad=0)
    assert made["input_ids"].tolist() == [[1, 0], [2, 3], [4, 0], [5, 0], [6, 0]]
    assert made["attention_mask"].tolist() == [[1, 0], [1, 1], [1, 0], [1, 0], [1, 0]]
    assert (made["chosen"].tolist(), made["rejected"].tolist()) == ([0, 0, 1, 4], [1, 2, 2, 3])
    assert made["weight"].tolist() == pytest.approx([1 / 3] * 3 + [1])
    assert made["target"].tolist() == pytest.approx([0.9, 0.9, 0.9, 1.0])


def test_rows_are_gathered_by_what_their_prompts_say_and_each_completion_stands_once() -> None:
    rows = [
        row("one", "a", "b", p_chosen=0.9, margin=0.8, epsilon=None),
        row("two", "x", "y", p_chosen=0.7, margin=0.4, epsilon=0.05),
        row("one", "a", "c", p_chosen=0.8, margin=0.6, epsilon=None),
        row("one", "b", "c", p_chosen=0.6, margin=0.2, epsilon=None),
        row("one", "c", "c", p_chosen=0.6, margin=0.2, epsilon=None),
        row("one", "long " * 9, "c", p_chosen=0.6, margin=0.2, epsilon=None),
    ]
    settings = RewardSettings(margin=2.0, max_length=8)
    found = rankings_of(rows, settings, lambda prompt, text: tuple(range(len(text.split()))))
    one, two = found.found
    assert one.prompt == (Message("user", "one"),)
    assert one.completions == ("a", "b", "c")
    assert one.comparisons == (Comparison(0, 1, 0.9, 1.6), Comparison(0, 2, 0.8, 1.2), Comparison(1, 2, 0.6, 0.4))
    assert two.comparisons == (Comparison(0, 1, 0.95, 0.8),)
    assert found.rows == 4
    assert found.dropped == {"identical": 1, "too long": 1}
    hard = rankings_of(rows, replace(settings, labels="hard"), lambda prompt, text: (0,))
    assert {pair.target for ranking in hard.found for pair in ranking.comparisons} == {1.0}


def test_held_out_figures_tell_a_model_that_only_counts_words() -> None:
    texts = ("one", "one two", "one two three", "one two three four")

    def ranking(chosen: int, rejected: int) -> Ranking:
        return Ranking((), texts, ((),) * 4, (Comparison(chosen, rejected, 1.0, 0.0),))

    figures = held_out_figures([ranking(3, 0), ranking(2, 1), ranking(0, 3)], [[1.0, 2.0, 3.0, 4.0]] * 3)
    assert figures["accuracy"] == figures["longer_accuracy"] == pytest.approx(2 / 3)
    assert figures["length_correlation"] == pytest.approx(1.0)
    sure, likely = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-1))
    assert figures["brier"] == pytest.approx(((1 - sure) ** 2 + (1 - likely) ** 2 + sure**2) / 3)
    assert figures["ece"] == pytest.approx((abs(2 * sure - 1) + abs(likely - 1)) / 3)
    assert held_out_figures([], []) == {"held_out_pairs": 0}
    assert "length_correlation" not in held_out_figures([ranking(1, 0)], [[1.0] * 4])


@pytest.mark.real
@pytest.mark.parametrize(
    ("rows", "change", "said"),
    [
        (
            kind(range(3)),
            {"max_length": 5},
            r"no pair is left to train on \(3 too long\): raise max_length, which is 5",
        ),
        ([row("one", "a", "a")], {}, r"no pair is left to train on \(1 identical\)"),
        (kind(range(2)), {"lora_rank": 4, "train_embeddings": True}, "adapters leave the embeddings as they are"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_one_line(
    tiny: Policy, tmp_path: Path, rows: list[dict[str, Any]], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        train_reward(tiny, replace(SMALL, **change), job(export(tmp_path / "e", rows), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_a_loss_that_is_no_number_and_rewards_that_are_all_alike_leave_nothing_behind(
    tiny: Policy, tmp_path: Path
) -> None:
    import torch

    rows = export(tmp_path / "e", kind(range(4)))
    layer: Any = tiny.model.get_parameter("model.norm.weight")
    with torch.no_grad():
        layer.zero_()  # every hidden state is 0, and so is every reward
    with pytest.raises(ModelError, match="every completion gets the same reward"):
        train_reward(tiny, replace(SMALL, learning_rate=1e-30), job(rows, tmp_path / "out"))
    with torch.no_grad():
        layer.fill_(math.nan)
    with pytest.raises(ModelError, match="the loss became nan at step 1"):
        train_reward(tiny, SMALL, job(rows, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    policy: Any = None
    with pytest.raises(InputError, match="already holds something"):
        train_reward(policy, SMALL, job(tmp_path, tmp_path / "out"))
