"""TRL 1.12's PPO run on a small model, with everything that it came to on the way written down.

TRL hands out only means. What lies between is taken where it passes: the functions that TRL's module calls are
wrapped, and do what they did. One is replaced: the order of the minibatches is ours, so that both learn in the
same one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # it warns of itself

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast
from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

WORDS = 24  # of which <end> is one: completions of all lengths come to be
PAD = WORDS  # no token of the model, so that none is sampled
END = 1
PROMPTS = ((3, 4, 5), (6, 7, 8, 9, 10, 11), (12, 3), (13, 14, 15, 16, 17))


@dataclass
class Update:
    """One of TRL's updates; tensors are (rows, places), rows as sampled."""

    ids: torch.Tensor  # padded prompts and completions as they were sampled, whatever comes after the end with them
    context: int  # how wide the prompts are
    rewards: torch.Tensor  # (rows), of the reward model
    advantages: torch.Tensor  # whitened
    logs: dict[str, float] = field(default_factory=dict)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)  # when the update was done


@dataclass(frozen=True)
class Models:
    policy: Any
    value: Any  # on the policy's own trunk
    reward: Any

    def weights(self) -> dict[str, torch.Tensor]:
        told = {name: weight.detach().clone() for name, weight in self.policy.state_dict().items()}
        return told | {"head": self.value.score.weight.detach().clone()[0]}


def models_made(seed: int) -> Models:
    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=WORDS, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=0, eos_token_id=END, pad_token_id=None, initializer_range=0.2,
        num_labels=1, max_position_embeddings=64,
    )  # fmt: skip
    policy, value = LlamaForCausalLM(shape), LlamaForSequenceClassification(deepcopy(shape))
    value.model = policy.model
    return Models(policy, value, LlamaForSequenceClassification(deepcopy(shape)))


def tokenizer() -> Any:
    names = ["<begin>", "<end>", *(f"w{place}" for place in range(2, WORDS)), "<pad>"]
    words = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="w2"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="w2", eos_token="<end>", pad_token="<pad>", padding_side="left"
    )


def updates_by_trl(
    made: Models, arguments: dict[str, Any], order: Callable[[int, int, int], list[int]]
) -> list[Update]:
    """What TRL does to ``made``. ``order(rows, step, epoch)`` is the order of the rows in an epoch."""
    config = PPOConfig(
        use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", save_strategy="no",
        num_sample_generations=0, disable_tqdm=True, stop_token="eos", **arguments,
    )  # fmt: skip
    count = config.total_episodes
    rows = Dataset.from_dict({"input_ids": [list(PROMPTS[row % len(PROMPTS)]) for row in range(count)]})
    seen: list[Update] = []

    class Told(PPOTrainer):
        def log(self, logs: dict[str, float], *others: Any) -> None:
            seen[-1].logs = dict(logs)
            seen[-1].weights = made.weights()

    trainer = Told(
        args=config, processing_class=tokenizer(), model=made.policy, ref_model=deepcopy(made.policy),
        reward_model=made.reward, value_model=made.value, train_dataset=rows, eval_dataset=rows,
    )  # fmt: skip
    with overheard(made, seen, lambda count, draws: order(count, len(seen), draws)):
        trainer.train()
    return seen


@contextmanager
def overheard(made: Models, seen: list[Update], order: Callable[[int, int], list[int]]) -> Iterator[None]:
    generate, reward, whiten = ppo_trainer.batch_generation, ppo_trainer.get_reward, ppo_trainer.masked_whiten
    draws = [0]

    def generated(model: Any, queries: Any, *others: Any) -> Any:
        ids, logits = generate(model, queries, *others)
        seen.append(Update(ids, queries.shape[1], torch.empty(0), torch.empty(0)))
        draws[0] = 0
        return ids, logits

    def rewarded(model: Any, *others: Any) -> Any:
        told = reward(model, *others)
        if model is made.reward:
            seen[-1].rewards = told[1].clone()
        return told

    def whitened(values: Any, mask: Any, shift_mean: bool = True) -> Any:
        told = whiten(values, mask, shift_mean)
        if shift_mean:  # the advantages; the rewards keep their mean
            seen[-1].advantages = told * mask
        return told

    def permuted(count: int) -> Any:
        rows = order(count, draws[0])
        draws[0] += 1
        return ppo_trainer.np.array(rows)

    with (
        patch.object(ppo_trainer, "batch_generation", generated),
        patch.object(ppo_trainer, "get_reward", rewarded),
        patch.object(ppo_trainer, "masked_whiten", whitened),
        patch.object(ppo_trainer.np.random, "permutation", permuted),
    ):
        yield
