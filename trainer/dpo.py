"""Direct preference optimisation: a policy trained on an export's pairs, by TRL.

The reference model is the policy as it comes in: its log-probabilities are computed once, before the
first step, so that no second copy of the weights is kept.

Source: Rafailov et al. 2023, "Direct Preference Optimization", arXiv:2305.18290.
"""

import json
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError, ModelError
from constitution.identity import file_hash
from generator.chat import Message
from trainer.exports import load_rows, require_rows
from trainer.groups import grouped_trainer, has_groups
from trainer.policies import Policy, require_empty, save_policy
from trainer.quiet import quiet_training
from trainer.sampling import chat_text

if TYPE_CHECKING:
    from datasets import Dataset


RECORD = "training.json"  # written last: a folder that has it holds a whole policy


@dataclass(frozen=True, slots=True)
class DpoSettings:
    """How to train. One step sees ``batch_size`` · ``gradient_accumulation`` pairs.

    Where prompts have several pairs, batches hold whole prompts, and a step may see fewer.
    """

    beta: float = 0.1  # the KL coefficient: higher keeps nearer to the reference model
    learning_rate: float = 1e-5  # falls linearly to 0 over the run
    epochs: int = 1
    batch_size: int = 4
    gradient_accumulation: int = 2
    max_length: int = 1024  # tokens of prompt and completion; what is beyond is cut off
    seed: int = 0  # decides the order of the pairs
    bf16: bool = True  # matrix products in bfloat16; weights and optimizer stay float32
    train_embeddings: bool = False  # the vocabulary's matrices too: a fifth of a small model, and of the time

    def steps(self, rows: int) -> int:
        """How many optimizer steps ``rows`` pairs make; where prompts have several pairs, the least it can be."""
        batches = math.ceil(rows / self.batch_size)
        return self.epochs * math.ceil(batches / self.gradient_accumulation)


@dataclass(frozen=True, slots=True)
class DpoStep:
    """One optimizer step, ``step`` counting from 1; the figures are means over its pairs, before it.

    ``margin`` is chosen minus rejected reward, in nats times beta; ``accuracy`` the share of pairs in
    which the chosen completion has the higher reward.
    """

    step: int
    steps: int
    loss: float
    margin: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class DpoResult:
    output: Path
    rows: int  # trained on
    rows_too_long: int  # left out, because the prompt alone fills ``max_length``
    seconds: float
    steps: tuple[DpoStep, ...]


def train_dpo(
    policy: Policy,
    rows_folder: Path,
    settings: DpoSettings,
    output: Path,
    on_step: Callable[[DpoStep], None],
) -> DpoResult:
    """Trains on ``rows_folder/train.parquet`` and writes the trained policy and ``training.json``.

    ``policy`` is used up: its own weights are trained, and its model stays wrapped as TRL left it. Load
    the trained one from ``output``, and the one from before from where it was.

    Raises:
        InputError: no usable rows, or ``output`` already holds something.
        ModelError: the loss is no longer a number; nothing was written.
    """
    require_empty(output)
    require_rows(rows_folder / "train.parquet")
    started = time.monotonic()
    steps: list[DpoStep] = []

    def note(step: DpoStep) -> None:
        steps.append(step)
        on_step(step)

    with tempfile.TemporaryDirectory() as scratch, quiet_training():
        rows = load_rows(rows_folder / "train.parquet", scratch)
        require_room(policy, rows, settings.max_length)
        trainer = make_trainer(policy, rows, settings, scratch, note)
        kept = len(trainer.train_dataset)
        trainer.train()
    result = DpoResult(output, kept, len(rows) - kept, round(time.monotonic() - started, 1), tuple(steps))
    save_policy(policy, output)
    write_record(result, settings, policy.source, rows_folder / "lock.json")
    return result


def require_room(policy: Policy, rows: "Dataset", max_length: int) -> None:
    """TRL leaves out a row whose prompt fills ``max_length``, and crashes where that leaves nothing."""
    for row in rows:
        text = chat_text(policy, tuple(Message(**message) for message in row["prompt"]))
        if len(policy.tokenizer(text, add_special_tokens=False)["input_ids"]) < max_length:
            return
    raise InputError("training", f"every prompt alone fills max_length = {max_length}", "raise max_length")


def make_trainer(
    policy: Policy, rows: "Dataset", settings: DpoSettings, scratch: str, note: Callable[[DpoStep], None]
) -> Any:
    import trl
    from transformers import PrinterCallback

    library: Any = trl
    arguments = trl_arguments(settings, scratch)
    model: Any = policy.model
    for matrix in (model.get_input_embeddings(), model.get_output_embeddings()):
        matrix.requires_grad_(settings.train_embeddings)
    kind = grouped_trainer() if has_groups(rows) else library.DPOTrainer
    trainer = kind(model=model, args=arguments, train_dataset=rows, processing_class=policy.tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(steps_told_to(note))
    return trainer


def trl_arguments(settings: DpoSettings, scratch: str) -> Any:
    """What TRL would otherwise do: save checkpoints, report, print, hide a loss that is no number."""
    import torch
    import trl

    library: Any = trl
    return library.DPOConfig(
        output_dir=scratch,
        beta=settings.beta,
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        max_length=settings.max_length,
        seed=settings.seed,
        bf16=settings.bf16,
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=False,
        precompute_ref_log_probs=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )


def steps_told_to(note: Callable[[DpoStep], None]) -> Any:
    """A callback that hands each optimizer step to ``note``, and stops at a loss that is no number."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            logs: dict[str, float] = others["logs"]
            if "loss" not in logs:  # the summary after the last step
                return
            if not math.isfinite(logs["loss"]):
                raise ModelError(
                    f"training: the loss became {logs['loss']} at step {state.global_step}: "
                    "lower the learning rate, or train without bf16"
                )
            margin, accuracy = logs["rewards/margins"], logs["rewards/accuracies"]
            note(DpoStep(state.global_step, state.max_steps, logs["loss"], margin, accuracy))

    return Steps()


def write_record(result: DpoResult, settings: DpoSettings, source: Path, lock: Path) -> None:
    """``training.json``: what was trained on what, so that the policy can be traced to its pairs."""
    record = {
        "method": "dpo",
        "base": source.name,
        "settings": asdict(settings),
        "rows": result.rows,
        "rows_too_long": result.rows_too_long,
        "seconds": result.seconds,
        "steps": [asdict(step) for step in result.steps],
        "export_lock_sha256": file_hash(lock) if lock.is_file() else None,
    }
    text = json.dumps(record, indent=2, sort_keys=True) + "\n"
    (result.output / RECORD).write_text(text, encoding="utf-8")
