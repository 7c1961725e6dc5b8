"""How each trainer trains: one record a method, which is also that method's section of ``run.toml``.

Defaults suit a model of about a hundred million parameters on a CPU or one GPU.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from constitution.checks import STRICT

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Take = Literal["revisions", "chosen"]  # the revisions among what was chosen; or all that was chosen
Method = Literal["sft", "reward", "dpo", "ppo", "grpo", "rloo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """What every trainer takes. One step sees ``batch_size`` · ``gradient_accumulation`` rows on each device."""

    __pydantic_config__ = STRICT
    learning_rate: Rate = 1e-5  # falls linearly to 0 over the training
    epochs: Positive = 1
    batch_size: Positive = 4  # rows at once
    gradient_accumulation: Positive = 2
    max_length: Positive = 1024  # tokens of prompt and completion
    bf16: bool = True  # matrix products in bfloat16; weights and optimizer stay float32
    train_embeddings: bool = False  # the vocabulary's matrices too: a fifth of a small model, and of the time
    lora_rank: Count = 0  # of low-rank adapters, merged into the weights in the end; 0 trains all weights
    lora_alpha: Positive = 32  # adapters are scaled by lora_alpha / lora_rank
    gradient_checkpointing: bool = False  # less memory, more time


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSettings(Fitting):
    """Supervised fine-tuning on what the judge preferred."""

    take: Take = "revisions"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardSettings(Fitting):
    """A scalar reward model. One batch element is a prompt with all its pairs."""

    labels: Literal["soft", "hard"] = "soft"  # the chance that the label is right as the target, or 1
    margin: Weight = 0.0  # what a row's margin, in [0, 1], is multiplied by before the rewards must differ so much
    center: Weight = 0.01  # weight of the squared mean of a pair's rewards, which keeps them around 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoSettings(Fitting):
    """Direct preference optimisation, and TRL's other losses on pairs."""

    beta: Rate = 0.1  # the KL coefficient: higher keeps nearer to the reference model
    loss: Literal[
        "sigmoid", "robust", "ipo", "hinge", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
        "apo_zero", "apo_down", "discopop", "sigmoid_norm",
    ] = "sigmoid"  # fmt: skip
    noise: Literal["people", "judge", "none"] = "people"  # whose word on a row's chance of a wrong label is taken
    epsilon: Annotated[float, Field(ge=0, lt=0.5)] = 0.0  # that chance, for rows of which nobody tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Online(Fitting):
    """What trainers that sample their own completions have in common."""

    reward: str = "model"  # the run's own reward model, the path of another, or "constitution": its checks and judge
    prompts: Positive = 8  # a step
    max_tokens: Positive = 96  # of a completion
    temperature: Rate = 1.0
    steps: Positive = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoSettings(Online):
    """Proximal policy optimisation. ``epochs`` and ``batch_size`` are those over one step's rollouts."""

    epochs: Positive = 2
    batch_size: Positive = 8
    gradient_accumulation: Positive = 1
    completions: Positive = 4  # of a prompt, each step
    kl_coef: Weight = 0.02  # of the per-token penalty for leaving the reference model
    kl_target: Weight = 0.0  # nats per completion that kl_coef adapts to; 0 keeps it fixed
    kl_horizon: Positive = 320  # completions over which it adapts: 32 of them move it by at most a fiftieth
    clip: Rate = 0.2
    clip_value: Rate = 0.2
    value_coef: Weight = 0.1
    gamma: Share = 1.0
    lam: Share = 1.0  # below 1 a token far from the end learns from the values instead, which are new and know little
    whiten_rewards: bool = False  # to a variance of 1 over all tokens: for rewards of unknown scale
    missing_eos_penalty: Weight = 1.0  # taken from the reward of a completion that does not end
    pretraining_coef: Weight = 0.0  # of the loss on completions of the export that are worth imitating (PPO-ptx)
    take: Take = "revisions"  # which those are
    save_every: Positive = 4  # steps between two checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings(Online):
    """GRPO and RLOO: a completion is held against the others of its prompt."""

    batch_size: Positive = 16
    gradient_accumulation: Positive = 2
    completions: Annotated[int, Field(ge=2)] = 4  # of a prompt, each step
    beta: Weight = 0.04  # the KL coefficient
