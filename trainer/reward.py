"""A reward model trained on an export's pairs and rankings, by TRL.

Source: Ouyang et al. 2022, "Training language models to follow instructions with human feedback",
arXiv:2203.02155, section 3.5, equation 1: all pairs of a prompt are one batch element, every completion of it
is scored once, and the prompt's loss is the mean over its pairs.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError, ModelError
from generator.chat import Message
from trainer.fitting import (
    adapters,
    fit,
    freeze_embeddings,
    keep,
    mean_size,
    merged,
    tokens_seen,
    trl_arguments,
    workplace,
)
from trainer.models.chat import whole_tokens
from trainer.models.policies import Policy, require_empty
from trainer.models.reward_model import RewardModel, made_from, pad_of, padded, raw_rewards, scaled
from trainer.pairs.exports import load_rows, require_rows
from trainer.pairs.held_out import held_out_figures
from trainer.pairs.rankings import Ranking, Rankings, rankings_of
from trainer.settings import RewardSettings
from trainer.steps import Job, Trained

if TYPE_CHECKING:
    from torch import Tensor

FIGURES = {"accuracy": "accuracy", "margin": "margin"}  # of pairs; the margin in units of the untold reward
LEAST_DEVIATION = 1e-6  # of rewards: what rounding alone comes to
COLUMNS = ["texts", "chosen", "rejected", "target", "margin"]


def train_reward(policy: Policy, settings: RewardSettings, job: Job) -> Trained:
    """Trains on ``job.rows/train.parquet``, and writes the reward model and ``training.json`` into ``job.output``.

    The record's ``reward_scale`` holds the mean and the deviation of the rewards of all chosen and rejected
    completions that were trained on. What the model is worth on ``test.parquet`` is among the figures.
    ``policy`` is used up: its trunk becomes the reward model's.

    Raises:
        InputError: no usable rows, an architecture that cannot become a reward model, or ``job.output`` already
            holds something.
        ModelError: the loss is no longer a number, or every completion gets the same reward; nothing was written.
    """
    require_empty(job.output)
    require_rows(job.rows / "train.parquet")
    started = time.monotonic()
    with workplace(job) as scratch:
        rankings = read_rankings(job.rows / "train.parquet", policy, settings, scratch)
        require_some(rankings, settings)
        model = made_from(policy, job.seed)
        trainer = make_trainer(model, rankings, settings, scratch, job.seed)
        steps = fit(trainer, job.on_step, FIGURES)
        model = replace(model, model=merged(trainer.model), bf16=settings.bf16)
        model = measured(model, rankings.found, settings)
        figures = tested(model, job.rows / "test.parquet", policy, settings, scratch)
    trained = Trained(
        "reward", job.output, rankings.rows, rankings.dropped, round(time.monotonic() - started, 1),
        tokens_seen(trainer), steps, figures,
    )  # fmt: skip
    scale = {"mean": model.mean, "deviation": model.deviation}
    keep(trained, Policy(model.model, policy.tokenizer, policy.source), settings, job, reward_scale=scale)
    return trained


def read_rankings(file: Path, policy: Policy, settings: RewardSettings, scratch: str) -> Rankings:
    def tokens(prompt: Sequence[Message], completion: str) -> tuple[int, ...]:
        return whole_tokens(policy.tokenizer, prompt, completion)

    return rankings_of(load_rows(file, scratch), settings, tokens)


def require_some(rankings: Rankings, settings: RewardSettings) -> None:
    if not rankings.found:
        reasons = " and ".join(f"{count} {reason}" for reason, count in rankings.dropped.items() if count)
        remedy = f"raise max_length, which is {settings.max_length}, or export other pairs"
        raise InputError("training", f"no pair is left to train on ({reasons})", remedy)


def make_trainer(model: RewardModel, rankings: Rankings, settings: RewardSettings, scratch: str, seed: int) -> Any:
    import trl
    from datasets import Dataset

    library: Any = trl
    arguments = trl_arguments(library.RewardConfig, settings, scratch, seed, max_length=None)
    freeze_embeddings(model.model, settings)
    return ranking_trainer(settings.center)(
        model=model.model,
        args=arguments,
        train_dataset=Dataset.from_list([element(ranking) for ranking in rankings.found]),
        processing_class=model.tokenizer,
        data_collator=lambda batch: collated(batch, pad_of(model.tokenizer)),
        peft_config=adapters(settings, "SEQ_CLS"),
    )


def element(ranking: Ranking) -> dict[str, list[Any]]:
    """One row of the table that batches are drawn from; its columns are ``COLUMNS``."""
    pairs = ranking.comparisons
    return {
        "texts": [list(text) for text in ranking.texts],
        "chosen": [pair.chosen for pair in pairs],
        "rejected": [pair.rejected for pair in pairs],
        "target": [pair.target for pair in pairs],
        "margin": [pair.margin for pair in pairs],
    }


def collated(batch: Sequence[Mapping[str, Any]], pad: int) -> dict[str, "Tensor"]:
    """All texts of a batch, (texts, longest), and all its pairs, (pairs,), as places in these texts.

    ``weight`` adds up to the number of prompts: each counts alike, and within it every pair.
    """
    import torch

    columns: dict[str, list[Any]] = {"chosen": [], "rejected": [], "target": [], "margin": [], "weight": []}
    texts: list[list[int]] = []
    for prompt in batch:
        for name in ("chosen", "rejected"):
            columns[name] += [len(texts) + place for place in prompt[name]]
        for name in ("target", "margin"):
            columns[name] += prompt[name]
        pairs = len(prompt["chosen"])
        columns["weight"] += [1 / pairs] * pairs
        texts += prompt["texts"]
    return padded(texts, pad) | {name: torch.tensor(values) for name, values in columns.items()}


def ranking_loss(rewards: "Tensor", pairs: Mapping[str, "Tensor"], center: float) -> "Tensor":
    """The loss of a batch, from the rewards of its texts, (texts,), and its pairs as ``collated`` gives them.

    It is the mean over the prompts, and within a prompt over its pairs. Each pair's is the cross-entropy of its target
    and σ(chosen - rejected - margin), after equation 1 of Ouyang et al. 2022; the margin is that of Touvron et al.
    2023, "Llama 2", arXiv:2307.09288, equation 2. To it comes ``center`` times the square of the sum of both rewards,
    which keeps them around 0: Eisenstein et al. 2023, "Helping or Herding?", arXiv:2312.09244, equation 2.
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    chosen, rejected = rewards[pairs["chosen"]], rewards[pairs["rejected"]]
    leads = chosen - rejected - pairs["margin"]
    loss = binary_cross_entropy_with_logits(leads, pairs["target"], reduction="none")
    return (pairs["weight"] * (loss + center * (chosen + rejected) ** 2)).sum() / pairs["weight"].sum()


def ranking_trainer(center: float) -> Any:
    """TRL's ``RewardTrainer``, as a class whose batch elements are whole prompts.

    The last batch of an epoch may be a small one. Every batch counts as its number of prompts, so that a step's
    loss is the mean over its prompts, of all processes; the figures of a step count their pairs like the loss.
    """
    import torch
    import trl

    library: Any = trl
    plain: Any = library.RewardTrainer

    class RankingTrainer(plain):  # type: ignore[misc]  # TRL has no types
        def _prepare_dataset(self, dataset: Any, *others: Any) -> Any:
            return dataset  # it holds tokens already

        def _set_signature_columns_if_needed(self) -> None:
            self._signature_columns = COLUMNS

        def get_batch_samples(self, *given: Any) -> tuple[list[Mapping[str, Any]], float | None]:
            """The batches of one optimizer step, and the mean number of prompts in them."""
            batches, _ = super().get_batch_samples(*given)
            return batches, mean_size(self, [float(batch["weight"].sum()) for batch in batches])

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: float | None = None
        ) -> Any:
            texts = {name: inputs[name] for name in ("input_ids", "attention_mask")}
            outputs = model(**texts, use_cache=False)
            rewards = outputs.logits.squeeze(-1).float()
            prompts = inputs["weight"].sum()
            share = prompts / (num_items_in_batch or prompts)  # of what a batch counts for on average
            self.note(rewards.detach(), inputs, share)
            loss = ranking_loss(rewards, inputs, center) * share
            return (loss, outputs) if return_outputs else loss

        def note(self, rewards: "Tensor", inputs: Any, share: "Tensor") -> None:
            """Keeps the batch's figures for the log; of several processes, their mean and their tokens together."""
            leads = rewards[inputs["chosen"]] - rewards[inputs["rejected"]]
            weight = inputs["weight"] / inputs["weight"].sum() * share
            told = torch.stack([(weight * (leads > 0)).sum(), (weight * leads).sum()])
            accuracy, margin = self.accelerator.reduce(told, "mean").tolist()
            tokens = self.accelerator.reduce(inputs["attention_mask"].sum(), "sum")
            self._total_train_tokens += int(tokens)
            metrics = self._metrics["train"]
            metrics["accuracy"].append(accuracy)
            metrics["margin"].append(margin)
            metrics["num_tokens"] = [self._total_train_tokens]

    return RankingTrainer


def rewards_by_ranking(model: RewardModel, rankings: Sequence[Ranking], batch_size: int) -> list[list[float]]:
    """What the model says of each ranking's completions, as they stand in it."""
    told = iter(raw_rewards(model, [text for ranking in rankings for text in ranking.texts], batch_size))
    return [[next(told) for _ in ranking.texts] for ranking in rankings]


def measured(model: RewardModel, rankings: Sequence[Ranking], settings: RewardSettings) -> RewardModel:
    """``model`` with the scale of what it was trained on, where every pair counts with both of its completions."""
    said = rewards_by_ranking(model, rankings, settings.batch_size)
    rewards = [
        rewards[place]
        for ranking, rewards in zip(rankings, said, strict=True)
        for pair in ranking.comparisons
        for place in (pair.chosen, pair.rejected)
    ]
    found = scaled(model, rewards)
    if not found.deviation > LEAST_DEVIATION:  # also where it is no number
        raise ModelError("training: every completion gets the same reward: lower the learning rate")
    return found


def tested(model: RewardModel, file: Path, policy: Policy, settings: RewardSettings, scratch: str) -> dict[str, float]:
    """The figures of the held-out rows in ``file``, where there are any."""
    from pyarrow import parquet

    if not file.is_file() or not parquet.read_metadata(file).num_rows:
        return held_out_figures((), ())
    rankings = read_rankings(file, policy, settings, scratch).found
    return held_out_figures(rankings, rewards_by_ranking(model, rankings, settings.batch_size))
