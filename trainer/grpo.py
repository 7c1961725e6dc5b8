"""GRPO and RLOO, by TRL: a policy samples several completions of a prompt and learns which of them were better.

Neither needs a value model. GRPO holds a completion's reward against the mean and the deviation of its group,
RLOO against the mean of the others. A completion that has no reward takes part in neither, and moves nothing.

Sources: Shao et al. 2024, "DeepSeekMath", arXiv:2402.03300, with the token-level loss of Yu et al. 2025, "DAPO",
arXiv:2503.14476; Ahmadian et al. 2024, "Back to Basics", arXiv:2402.14740.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from constitution.errors import InputError, ModelError
from generator.prompts import Prompt
from trainer.fitting import adapters, fit, freeze_embeddings, keep, merged, trl_arguments, workplace
from trainer.models.policies import Policy, require_empty
from trainer.online.asking import asked_once, with_room
from trainer.rewards import Reward, Rollouts
from trainer.settings import GroupSettings
from trainer.steps import Job, OnStep, Step, Trained

if TYPE_CHECKING:
    from datasets import Dataset

GroupMethod = Literal["grpo", "rloo"]

# TRL's names of what it measures, and ours.
FIGURES = {
    "reward": "reward",
    "kl": "kl",  # of TRL a mean over tokens; told in nats per completion
    "entropy": "entropy",  # nats per token
    "clip_ratio/region_mean": "clip_fraction",
    "completions/mean_length": "length",  # tokens
    "completions/clipped_ratio": "cut_off",  # share of completions that reached max_tokens
    "frac_reward_zero_std": "alike",  # share of prompts whose completions are all worth the same, and teach nothing
    "num_tokens": "tokens",  # read and sampled since the beginning
}


def train_group(policy: Policy, settings: GroupSettings, job: Job, online: Rollouts, method: GroupMethod) -> Trained:
    """Trains ``policy`` on its own completions and writes it, and ``training.json``, into ``job.output``.

    ``policy`` is used up. Of ``job.rows`` only the lock is read, for the record.

    Raises:
        InputError: no prompt leaves room for a completion, the settings' sizes do not go together, or
            ``job.output`` already holds something.
        ModelError: the loss or what the policy samples from is no longer a number, or none of the first step's
            completions had a reward; nothing was written.
    """
    require_empty(job.output)
    prompts = with_room(policy, online.prompts, settings)
    started = time.monotonic()
    asked = Asked(prompts, online.reward)
    telling = Telling(updates_of(settings), asked, job.on_step)
    with workplace(job) as scratch, quiet_about_no_reward(), divergence_told():
        trainer = make_trainer(policy, settings, asked, method, scratch, job.seed)
        fit(trainer, telling, FIGURES)
    trained = Trained(
        method, job.output, len(prompts), {"too long": len(online.prompts) - len(prompts)},
        round(time.monotonic() - started, 1), settings.epochs * int(trainer.state.num_input_tokens_seen),
        tuple(telling.steps), {"unrewarded": asked.unrewarded},
    )  # fmt: skip
    keep(trained, Policy(merged(trainer.model), policy.tokenizer, policy.source), settings, job)
    return trained


def updates_of(settings: GroupSettings) -> int:
    """How many updates of the weights one step's completions make.

    Raises:
        InputError: it is no whole number.
    """
    rollouts, update = settings.prompts * settings.completions, settings.batch_size * settings.gradient_accumulation
    if rollouts % update:
        fact = f"a step's prompts · completions = {rollouts} are no multiple of batch_size · gradient_accumulation"
        raise InputError("training", f"{fact} = {update}", "change one of the four")
    return rollouts // update * settings.epochs


class Asked:
    """The reward in the form in which TRL asks for it."""

    __name__ = "reward"  # TRL reads it

    def __init__(self, prompts: Sequence[Prompt], reward: Reward) -> None:
        self.prompts = prompts
        self.reward = reward
        self.last: list[float | None] = []
        self.unrewarded = 0  # completions without a reward, so far, over all processes

    def __call__(self, completions: Sequence[Any], place: Sequence[int], **others: Any) -> list[float | None]:
        from accelerate.utils import gather_object

        texts = [messages[-1]["content"].strip() for messages in completions]
        self.last = asked_once(self.reward, [self.prompts[at] for at in place], texts)
        self.unrewarded += sum(gather_object([self.last.count(None)]))
        return self.last


class Telling:
    """Tells TRL's updates as steps, each of which samples once; and stops where the first has no reward at all."""

    def __init__(self, updates: int, asked: Asked, on_step: OnStep) -> None:
        self.updates = updates
        self.asked = asked
        self.on_step = on_step
        self.steps: list[Step] = []
        self.began = time.monotonic()
        self.tokens = 0.0

    def __call__(self, update: Step) -> None:
        figures = dict(update.figures)
        if not self.steps and "reward" not in figures:
            raise ModelError(f"training: {self.asked.reward.name} rewarded no completion of the first step")
        if "kl" in figures:
            figures["kl"] *= figures["length"]
        tokens, now = figures.pop("tokens"), time.monotonic()
        figures["tokens_per_second"] = (tokens - self.tokens) / (now - self.began)
        self.tokens, self.began = tokens, now
        step = Step(update.step // self.updates, update.steps // self.updates, figures)
        self.steps.append(step)
        self.on_step(step)


def make_trainer(
    policy: Policy, settings: GroupSettings, asked: Asked, method: GroupMethod, scratch: str, seed: int
) -> Any:
    import trl

    library: Any = trl
    grpo = method == "grpo"
    arguments = group_arguments(library.GRPOConfig if grpo else library.RLOOConfig, settings, scratch, seed)
    require_full_step(len(asked.prompts), settings, arguments.world_size)
    freeze_embeddings(policy.model, settings)
    kind = leaving_out(library.GRPOTrainer, asked) if grpo else library.RLOOTrainer
    with reference_in(policy, settings, Path(scratch) / "reference"):
        return kind(
            model=policy.model, args=arguments, reward_funcs=asked, train_dataset=as_dataset(asked.prompts),
            processing_class=policy.tokenizer, peft_config=adapters(settings),
        )  # fmt: skip


def group_arguments(config_class: Any, settings: GroupSettings, scratch: str, seed: int) -> Any:
    updates = updates_of(settings)
    return trl_arguments(
        config_class, settings, scratch, seed,
        num_train_epochs=1, max_steps=settings.steps * updates, logging_steps=updates,
        num_iterations=settings.epochs, num_generations=settings.completions,
        steps_per_generation=settings.prompts * settings.completions // settings.batch_size,
        max_completion_length=settings.max_tokens, temperature=settings.temperature, beta=settings.beta,
        disable_dropout=True,
    )  # fmt: skip


def require_full_step(prompts: int, settings: GroupSettings, processes: int) -> None:
    """TRL would never begin: it leaves out what does not fill a step."""
    if prompts < settings.prompts * processes:
        fact = f"a step takes {settings.prompts * processes} prompts, and there are {prompts}"
        raise InputError("training", fact, "lower 'prompts' of the method's section, or add prompts")


def as_dataset(prompts: Sequence[Prompt]) -> "Dataset":
    from datasets import Dataset

    messages = [[{"role": m.role, "content": m.content} for m in prompt.messages] for prompt in prompts]
    return Dataset.from_dict({"prompt": messages, "place": list(range(len(prompts)))})


@contextmanager
def reference_in(policy: Policy, settings: GroupSettings, folder: Path) -> Iterator[None]:
    """While it lasts, TRL finds the policy as it came in in ``folder``: it loads its reference model from disk.

    With adapters it needs none, since the policy without them is the reference.
    """
    from accelerate import PartialState

    config: Any = policy.model.config
    before = config._name_or_path
    if settings.beta and not settings.lora_rank:
        if PartialState().is_main_process:
            policy.model.save_pretrained(folder)
        PartialState().wait_for_everyone()
        config._name_or_path = str(folder)
    try:
        yield
    finally:
        config._name_or_path = before


def leaving_out(kind: Any, asked: Asked) -> Any:
    """GRPO's trainer, in which a completion without a reward is no part of the loss.

    TRL gives it no advantage, but would still draw it nearer to the reference model.
    """
    import torch

    class Leaving(kind):  # type: ignore[misc]
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            made = super()._generate_and_score_completions(inputs)
            mask = made["completion_mask"]
            rewarded = torch.tensor([reward is not None for reward in asked.last], device=mask.device)
            made["completion_mask"] = mask * rewarded[:, None]
            made["num_items_in_batch"] = self.accelerator.gather(made["completion_mask"].sum()).sum()
            return made

    return Leaving


@contextmanager
def quiet_about_no_reward() -> Iterator[None]:
    """TRL writes a completion that has no reward, whole, to standard error; here it is counted."""
    loggers = [logging.getLogger(f"trl.trainer.{method}_trainer") for method in ("grpo", "rloo")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def divergence_told() -> Iterator[None]:
    """Weights that an update made useless show when the next completions are drawn, by an error of torch's own."""
    try:
        yield
    except RuntimeError as error:
        if "probability tensor" not in str(error):
            raise
        remedy = "lower the learning rate, or train without bf16"
        raise ModelError(f"training: the policy's probabilities are no numbers any more: {remedy}") from error
