"""A reward model takes over a policy's trunk, says one number for each completion, and says it again from disk."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.chat import Message
from generator.prompts import Prompt
from trainer.ancestry import weights_hash
from trainer.models.policies import Policy, save_policy
from trainer.models.reward_model import RewardModel, load_reward_model, made_from, raw_rewards, score
from trainer.rewards import ModelReward

NEEDED = ("torch", "transformers", "accelerate", "tokenizers")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.real,
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROMPTS = [(Message("user", "Hi"),), (Message("system", "Be brief."), Message("user", "How do bees fly?"))] * 2
COMPLETIONS = [
    "Hello.",
    "By beating their wings two hundred times a second.",
    "Go away, and do not come back.",
    "Fast.",
]


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


def saved(model: RewardModel, folder: Path, **record: Any) -> Path:
    save_policy(Policy(model.model, model.tokenizer, model.source), folder)
    if record:
        (folder / "training.json").write_text(json.dumps({"method": "reward", **record}), encoding="utf-8")
    return folder


def test_the_trunk_is_the_policys_own_and_the_seed_draws_the_rest(tiny: Policy) -> None:
    import torch

    model: Any = made_from(tiny, 5).model
    assert model.model is tiny.model.base_model
    assert not any(weight.is_meta for weight in (*model.parameters(), *model.buffers()))
    again: Any = made_from(tiny, 5).model
    other: Any = made_from(tiny, 6).model
    assert torch.equal(model.score.weight, again.score.weight)
    assert not torch.equal(model.score.weight, other.score.weight)
    assert tiny.model.config.num_labels == 2  # as it was


def test_what_a_completion_is_worth_hangs_neither_on_its_neighbours_nor_on_their_order(tiny: Policy) -> None:
    model = made_from(tiny, 0)
    together = score(model, PROMPTS, COMPLETIONS, 4)
    assert len(set(together)) == 4
    alone = [score(model, [p], [c], 1)[0] for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert score(model, PROMPTS[::-1], COMPLETIONS[::-1], 3) == pytest.approx(together[::-1], abs=1e-5)


def test_rewards_are_told_on_the_scale_of_the_record_and_any_library_reads_the_folder(
    tiny: Policy, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = made_from(tiny, 0)
    plain = score(model, PROMPTS, COMPLETIONS, 2)
    folder = saved(model, tmp_path / "m", reward_scale={"mean": 0.5, "deviation": 2.0}, settings={"bf16": False})
    loaded = load_reward_model(folder)
    assert (loaded.mean, loaded.deviation, loaded.bf16) == (0.5, 2.0, False)
    assert loaded.weights == weights_hash(folder)
    assert ModelReward(loaded).name == f"reward model m ({loaded.weights[:8]})"
    asked = [Prompt("p", prompt) for prompt in PROMPTS]
    assert ModelReward(loaded, 3)(asked, COMPLETIONS) == pytest.approx(score(loaded, PROMPTS, COMPLETIONS, 4), abs=1e-6)
    assert score(loaded, PROMPTS, COMPLETIONS, 2) == pytest.approx([(raw - 0.5) / 2 for raw in plain], abs=1e-6)

    theirs = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    text = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}], return_tensors="pt"
    )
    assert theirs(**text).logits.item() == pytest.approx(plain[0], abs=1e-5)


def test_a_reward_model_without_a_record_tells_its_numbers_as_they_are(tiny: Policy, tmp_path: Path) -> None:
    model = made_from(tiny, 0)
    loaded = load_reward_model(saved(model, tmp_path / "m"))
    assert score(loaded, PROMPTS, COMPLETIONS, 4) == pytest.approx(score(model, PROMPTS, COMPLETIONS, 4), abs=1e-6)


def test_bfloat16_costs_no_steps_between_rewards(tiny: Policy) -> None:
    import torch

    model = replace(made_from(tiny, 0), bf16=True)
    rewards = raw_rewards(model, [[1, 5, 9], [1, 7]], 2)
    assert all(torch.tensor(reward).bfloat16().item() != reward for reward in rewards)
    assert rewards == pytest.approx(raw_rewards(replace(model, bf16=False), [[1, 5, 9], [1, 7]], 2), abs=0.05)


def test_a_text_longer_than_the_context_loses_its_beginning(tiny: Policy) -> None:
    tiny.model.config.max_position_embeddings = 32
    model = made_from(tiny, 0)
    asked = ["word " * 40 + "end", "many " * 40 + "word " * 40 + "end"]
    one, other = score(model, [PROMPTS[0]] * 2, asked, 2)
    assert one == pytest.approx(other, abs=1e-5)
    assert math.isfinite(one)


def test_what_is_no_reward_model_is_refused_in_one_line(tiny: Policy, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder: train one: solon train reward RUN"):
        load_reward_model(tmp_path / "none")
    save_policy(tiny, tmp_path / "policy")
    with pytest.raises(InputError, match="is not a reward model"):
        load_reward_model(tmp_path / "policy")
    (tmp_path / "policy" / "training.json").write_text('{"method": "dpo"}', encoding="utf-8")
    with pytest.raises(InputError, match="is a policy trained by dpo, not a reward model"):
        load_reward_model(tmp_path / "policy")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not a model that can be loaded"):
        load_reward_model(tmp_path / "empty")
