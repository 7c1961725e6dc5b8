"""Direct preference optimisation: a policy trained on an export's pairs, by TRL.

The reference model is the policy as it comes in: its log-probabilities are computed once, before the
first step, so that no second copy of the weights is kept.

Source: Rafailov et al. 2023, "Direct Preference Optimization", arXiv:2305.18290.
"""

import time
from typing import TYPE_CHECKING, Any

from trainer.fitting import adapters, fit, freeze_embeddings, keep, merged, tokens_seen, trl_arguments, workplace
from trainer.models.policies import Policy, require_empty
from trainer.pairs.exports import differing, load_rows, require_rows, seen_whole
from trainer.pairs.groups import SMOOTHING, pair_trainer
from trainer.pairs.noise import Noise, noise_of, plan
from trainer.settings import DpoSettings
from trainer.steps import Job, Trained

if TYPE_CHECKING:
    from datasets import Dataset

# ``margin`` is chosen minus rejected reward, in nats times beta; ``accuracy`` the share of pairs in which the
# chosen completion has the higher reward.
FIGURES = {"rewards/margins": "margin", "rewards/accuracies": "accuracy"}


def train_dpo(policy: Policy, settings: DpoSettings, job: Job) -> Trained:
    """Trains on the pairs in ``job.rows`` and writes the trained policy and its record.

    ``policy`` is used up: its own weights are trained, and its model stays wrapped as TRL left it. Load
    the trained one from ``job.output``, and the one from before from where it was. Where prompts have several
    pairs, batches hold whole prompts, and a step may see fewer pairs than ``settings`` say.

    Raises:
        InputError: no usable rows, a loss that cannot take their noise, or ``job.output`` holds something.
        ModelError: the loss or a weight is no longer a number; nothing was written.
        StorageError: the disk is full; nothing is left of what was written.
    """
    file = job.rows / "train.parquet"
    require_empty(job.output)
    require_rows(file)
    started = time.monotonic()
    with workplace(job) as scratch:
        rows = load_rows(file, scratch)
        differ = differing(rows, file)
        whole = seen_whole(policy, differ, settings.max_length)
        noise = plan([noise_of(row, settings) for row in whole], settings)
        pairs = with_noise(whole.select(noise.places), noise)
        trainer = make_trainer(policy, pairs, settings, dpo_arguments(settings, noise, scratch, job.seed))
        kept = len(trainer.train_dataset)
        steps = fit(trainer, job.on_step, FIGURES)
        merged(trainer.accelerator.unwrap_model(trainer.model))
    trained = Trained(
        method="dpo",
        output=job.output,
        rows=kept,
        dropped={
            "the same or empty": len(rows) - len(differ),
            "too long": len(differ) - len(whole) + len(pairs) - kept,
            "too noisy": len(whole) - len(pairs),
        },
        seconds=round(time.monotonic() - started, 1),
        tokens=tokens_seen(trainer),
        steps=steps,
    )
    keep(trained, policy, settings, job, noise=dict(noise.told))
    return trained


def with_noise(rows: "Dataset", noise: Noise) -> "Dataset":
    """``rows`` with what TRL's ``label_smoothing`` is for each; as they are where it is one for all."""
    return rows if noise.by_pair is None else rows.add_column(SMOOTHING, list(noise.by_pair))


def dpo_arguments(settings: DpoSettings, noise: Noise, scratch: str, seed: int) -> Any:
    import trl

    library: Any = trl
    return trl_arguments(
        library.DPOConfig,
        settings,
        scratch,
        seed,
        beta=settings.beta,
        max_length=settings.max_length,
        loss_type=list(noise.losses),
        loss_weights=None if noise.weights is None else list(noise.weights),
        label_smoothing=noise.smoothing,
        precompute_ref_log_probs=True,
        remove_unused_columns=False,  # the collator takes what it needs, a pair's noise included
    )


def make_trainer(policy: Policy, rows: "Dataset", settings: DpoSettings, arguments: Any) -> Any:
    freeze_embeddings(policy.model, settings)
    return pair_trainer()(
        model=policy.model,
        args=arguments,
        train_dataset=rows,
        processing_class=policy.tokenizer,
        peft_config=adapters(settings),
    )
