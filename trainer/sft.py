"""Supervised fine-tuning on the revisions that the judge accepted: the first half of constitutional AI.

The loss is that of the completion's tokens alone, the one that ends it included, so that the policy learns
to stop. Where the completion begins is found by comparing it with the prompt, so the chat template needs no
marks for it.

Source: Bai et al. 2022, "Constitutional AI", arXiv:2212.08073, section 3.
"""

import time
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from generator.models import decoding
from generator.models.folders import Chat
from trainer.fitting import adapters, fit, freeze_embeddings, keep, merged, tokens_seen, trl_arguments, workplace
from trainer.models.chat import messages, prompt_tokens, whole_tokens
from trainer.models.policies import Policy, require_empty
from trainer.pairs.exports import REMEDY, load_rows, require_rows, said, seen_whole
from trainer.pairs.rows import worth_imitating
from trainer.settings import SftSettings, Take
from trainer.steps import Job, Trained

if TYPE_CHECKING:
    from datasets import Dataset

# ``entropy`` in nats a token; ``token_accuracy`` the share of tokens that were the likeliest.
FIGURES = {"mean_token_accuracy": "token_accuracy", "entropy": "entropy"}


def train_sft(policy: Policy, settings: SftSettings, job: Job) -> Trained:
    """Trains on chosen completions in ``job.rows`` and writes the trained policy and its record.

    ``policy`` is used up, as by ``train_dpo``.

    Raises:
        InputError: nothing to train on, a chat template that ends no completion, or ``job.output`` holds something.
        ModelError: the loss or a weight is no longer a number; nothing was written.
        StorageError: the disk is full; nothing is left of what was written.
    """
    file = job.rows / "train.parquet"
    require_empty(job.output)
    require_rows(file)
    started = time.monotonic()
    with workplace(job) as scratch:
        learnable = to_learn(load_rows(file, scratch), settings.take, "sft")
        rows = seen_whole(policy, learnable, settings.max_length)
        require_end(policy, rows[0])
        trainer = make_trainer(policy, rows, settings, sft_arguments(settings, scratch, job.seed))
        kept = len(trainer.train_dataset)
        steps = fit(trainer, job.on_step, FIGURES)
        merged(trainer.accelerator.unwrap_model(trainer.model))
    trained = Trained(
        method="sft",
        output=job.output,
        rows=kept,
        dropped={"too long": len(learnable) - kept},
        seconds=round(time.monotonic() - started, 1),
        tokens=tokens_seen(trainer),
        steps=steps,
    )
    keep(trained, policy, settings, job)
    return trained


def to_learn(rows: "Dataset", take: Take, section: str) -> "Dataset":
    """What is worth imitating, in the order of ``rows``, in columns ``prompt`` and ``completion``.

    Raises:
        InputError: nothing is; ``section`` of the configuration is where ``take`` stands.
    """
    if take == "revisions" and "revised" not in rows.column_names:
        raise InputError("training", "the rows do not say which completions are revisions", REMEDY)
    chosen = ((messages(row["prompt"]), said(row["chosen"]), row.get("revised", False)) for row in rows)
    taken = list(worth_imitating(chosen, take))
    if not taken:
        fact = "no chosen completion is a revision" if take == "revisions" else "every completion is empty"
        raise InputError("training", fact, f'write take = "chosen" under [{section}], or run with more critique rounds')
    return rows.select(taken).select_columns(["prompt", "chosen"]).rename_column("chosen", "completion")


def require_end(policy: Policy, row: dict[str, Any]) -> None:
    """Raises an ``InputError`` where the chat template ends a completion with no token that ends a turn."""
    prompt = messages(row["prompt"])
    whole = whole_tokens(policy.tokenizer, prompt, said(row["completion"]))
    completion = whole[len(prompt_tokens(policy.tokenizer, prompt)) :]
    if not decoding.stop_tokens(Chat(policy.model, policy.tokenizer)) & set(completion):
        fact = "its chat template ends a completion with no token that the model stops at"
        raise InputError(str(policy.source), fact, "it would never learn to stop: take another instruct model")


def sft_arguments(settings: SftSettings, scratch: str, seed: int) -> Any:
    import trl

    library: Any = trl
    own = {"max_length": settings.max_length, "completion_only_loss": True}
    return trl_arguments(library.SFTConfig, settings, scratch, seed, **own)


def make_trainer(policy: Policy, rows: "Dataset", settings: SftSettings, arguments: Any) -> Any:
    import trl

    library: Any = trl
    freeze_embeddings(policy.model, settings)
    return library.SFTTrainer(
        model=policy.model,
        args=arguments,
        train_dataset=rows,
        processing_class=policy.tokenizer,
        peft_config=adapters(settings),
    )
