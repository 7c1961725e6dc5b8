"""What every training through TRL has in common: arguments, adapters, steps told, the model written.

Works alone, and as one of the processes that ``accelerate launch`` started: then the first one writes.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from constitution.errors import InputError, ModelError
from trainer.ancestry import write_record
from trainer.models.policies import Policy, freed_when_full, save_policy
from trainer.quiet import quiet_training
from trainer.settings import Fitting
from trainer.steps import Job, OnStep, Step, Trained


@contextmanager
def workplace(job: Job) -> Iterator[str]:
    """A folder for what libraries write meanwhile, the same one for all processes; the libraries are kept quiet.

    Raises:
        StorageError: the disk is full.
    """
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    with freed_when_full(job.output), tempfile.TemporaryDirectory() as scratch, quiet_training():
        state = PartialState(cpu=not torch.cuda.is_available())  # else, without a GPU, it sees no other process
        shared = [scratch]
        broadcast_object_list(shared)
        yield shared[0]
        state.wait_for_everyone()


def trl_arguments(config_class: Any, settings: Fitting, scratch: str, seed: int, **own: Any) -> Any:
    """``config_class`` filled in. TRL would otherwise save checkpoints, report, print, and hide a loss of NaN.

    Args:
        own: what only this trainer takes, ``max_length`` among it, or takes otherwise than told here.

    Raises:
        InputError: several GPUs are visible to one process, for which TRL's trainers are not made.
    """
    import torch

    gpu = torch.cuda.is_available()
    common = {
        "output_dir": scratch,
        "learning_rate": settings.learning_rate,
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "seed": seed,
        "bf16": settings.bf16,
        "use_cpu": not gpu,
        "dataloader_pin_memory": gpu,
        "ddp_find_unused_parameters": False,  # there are none: what is not trained is frozen
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
    }
    arguments = config_class(**common | own)
    if arguments.n_gpu > 1:
        remedy = "start it with `accelerate launch -m solon train …`, or let it see one (CUDA_VISIBLE_DEVICES=0)"
        raise InputError("training", f"{arguments.n_gpu} GPUs are visible to one process", remedy)
    return arguments


def adapters(settings: Fitting, task: str = "CAUSAL_LM") -> Any:
    """The low-rank adapters that a TRL trainer takes as ``peft_config``; None where all weights are trained.

    They lie on every linear layer but the last, which a ``task`` of "SEQ_CLS" trains whole.

    Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685.
    """
    if not settings.lora_rank:
        return None
    from peft import LoraConfig

    rank, alpha = settings.lora_rank, settings.lora_alpha
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear", task_type=task)


def with_adapters(model: Any, settings: Fitting) -> Any:
    """``model`` with adapters on it where ``settings`` ask for them; for trainers that are not TRL's."""
    config = adapters(settings)
    if config is None:
        return model
    from peft import get_peft_model

    return get_peft_model(model, config)


def merged(model: Any) -> Any:
    """The plain model: adapters, where there are any, added into its weights."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def freeze_embeddings(model: Any, settings: Fitting) -> None:
    """Leaves the vocabulary's matrices as they are, unless ``settings`` say otherwise. Call it before any adapter.

    Raises:
        InputError: they are to be trained beside adapters, which leave all weights as they are.
    """
    if settings.lora_rank and settings.train_embeddings:
        raise InputError("training", "adapters leave the embeddings as they are", "drop train_embeddings or lora_rank")
    for matrix in (model.get_input_embeddings(), model.get_output_embeddings()):
        if matrix is not None:
            matrix.requires_grad_(settings.train_embeddings)


def steps_told_to(on_step: OnStep, names: Mapping[str, str]) -> Any:
    """A TRL callback that hands each optimizer step to ``on_step``, and stops at a loss that is no number.

    Args:
        names: TRL's name of a figure → ours. One that TRL does not log, or logs as None, is left out; "loss"
            always comes along.
    """
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            logs: dict[str, Any] = others["logs"]
            if "loss" not in logs:  # the summary after the last step
                return
            require_number(logs["loss"], state.global_step)
            figures = {ours: float(logs[theirs]) for theirs, ours in names.items() if logs.get(theirs) is not None}
            on_step(Step(state.global_step, state.max_steps, {"loss": float(logs["loss"]), **figures}))

    return Steps()


def require_number(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        remedy = "lower the learning rate, or train without bf16"
        raise ModelError(f"training: the loss became {loss} at step {step}: {remedy}")


def fit(trainer: Any, on_step: OnStep, names: Mapping[str, str]) -> tuple[Step, ...]:
    """Lets a TRL ``trainer`` train; its steps, each already told to ``on_step``."""
    from transformers import PrinterCallback

    steps: list[Step] = []

    def note(step: Step) -> None:
        steps.append(step)
        on_step(step)

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(steps_told_to(note, names))
    trainer.train()
    return tuple(steps)


def tokens_seen(trainer: Any) -> int:
    """How many tokens went through the model in training, over all processes, as TRL counted them."""
    return int(max((logs["num_tokens"] for logs in trainer.state.log_history if "num_tokens" in logs), default=0))


def require_finite(model: Any) -> None:
    """Raises a ``ModelError`` where a weight is no number: a loss is told before its own update, so the last one's
    harm shows in no loss."""
    broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    if broken:
        fact = f"{len(broken)} weights are no longer numbers ({broken[0]}, ...)"
        raise ModelError(f"training: {fact}: lower the learning rate, or train without bf16")


def mean_size(trainer: Any, sizes: Sequence[float]) -> float:
    """The mean of ``sizes``, those of this process's batches in one step, and of the other processes' batches."""
    import torch

    told = torch.tensor(sizes, device=trainer.accelerator.device, dtype=torch.float32)
    return float(trainer.accelerator.gather(told).mean())


def keep(trained: Trained, policy: Policy, settings: Fitting, job: Job, **more: Any) -> None:
    """Writes the model and, last, its record; of several processes the first does, and the others wait.

    Args:
        policy: the plain model as it is now, with the ``source`` that training started from.
        more: what only this method has to tell in the record.

    Raises:
        InputError: the folder already holds something.
        ModelError: a weight is no number; nothing was written.
        StorageError: the disk is full; nothing is left of the folder.
    """
    from accelerate import PartialState

    require_finite(policy.model)
    if PartialState().is_main_process:
        save_policy(policy, job.output)
        with freed_when_full(job.output):
            write_record(trained, settings, policy.source, job.rows / "lock.json", job.seed, **more)
    PartialState().wait_for_everyone()
