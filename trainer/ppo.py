"""Proximal policy optimisation: a policy samples completions, a reward judges them, and the policy moves towards
those that were better than it expected, a little at a time and not far from where it began.

The formulas are in ``surrogate``, the sampling is in ``rollouts``. A value head on the policy's own last hidden
states tells what it expects, so there is no second model for it. The learning rate falls linearly to 0.

Sources: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv:1707.06347, and as ``surrogate``
names them. TRL had a PPO until version 1.12: ``make test-ppo-reference`` holds this one against it.
"""

import shutil
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from constitution.errors import ModelError
from constitution.identity import file_hash, full_hash, unit_interval
from trainer.ancestry import weights_hash
from trainer.fitting import freeze_embeddings, keep, merged, require_finite, require_number, with_adapters, workplace
from trainer.models.policies import Policy, require_empty
from trainer.models.value_head import Turn, padded, with_value_head
from trainer.online.asking import with_room
from trainer.online.checkpoints import Mark, Progress, load_checkpoint, require_same, save_checkpoint
from trainer.online.pretraining import imitated
from trainer.online.rollouts import Episode, Players, roll_out
from trainer.online.surrogate import Batch, adapted, policy_losses, value_losses, weighed
from trainer.rewards import Rollouts
from trainer.settings import PpoSettings
from trainer.steps import Job, Step, Trained

if TYPE_CHECKING:
    from torch import Tensor

UPDATED = ("policy_loss", "value_loss", "clip_fraction", "imitation_loss")


@dataclass(frozen=True, slots=True)
class Learner:
    """What learns. ``net`` is the policy with its value head, wrapped where several processes train it."""

    net: Any
    optimizer: Any
    settings: PpoSettings
    imitated: Sequence[Turn] = ()  # to be kept in mind: none where ``pretraining_coef`` is 0
    process: int = 0
    processes: int = 1


def train_ppo(policy: Policy, settings: PpoSettings, job: Job, online: Rollouts) -> Trained:
    """Trains ``policy`` by ``online.reward`` and writes it, and ``training.json``, into ``job.output``.

    ``policy`` is used up. A training that was stopped goes on where its last checkpoint, in ``<output>.work``,
    left it; on a CPU it comes to the very same weights. The rows of ``job.rows`` are read for PPO-ptx alone.

    Raises:
        InputError: no prompt leaves room for a completion, nothing to imitate where that is asked for,
            ``job.output`` already holds something, or the checkpoint is of another training.
        ModelError: the loss or a weight is no longer a number, or no completion of a step has a reward;
            ``job.output`` was not written.
        StorageError: the disk is full.
    """
    require_empty(job.output)
    usable = replace(online, prompts=with_room(policy, online.prompts, settings))
    work = job.output.with_name(f"{job.output.name}.work")
    with workplace(job) as scratch:
        mark = mark_of(policy, settings, job, online)
        require_same(work, mark)
        rows: Sequence[Turn] = ()
        if settings.pretraining_coef:
            rows = imitated(policy, job.rows, settings.max_length, scratch, take=settings.take)
        players, learner = prepared(policy, settings, rows, job.seed)
        progress = load_checkpoint(work, players.net, learner.optimizer) or Progress(settings.kl_coef)
        while len(progress.steps) < settings.steps:
            progress = advanced(players, learner, usable, progress, job.seed)
            job.on_step(progress.steps[-1])
            if len(progress.steps) % settings.save_every == 0:
                require_finite(players.net)
                if learner.process == 0:
                    save_checkpoint(work, players.net, learner.optimizer, progress, mark)
        trained = told(progress, settings, job, (len(usable.prompts), len(online.prompts)))
        keep(trained, replace(policy, model=merged(players.net.policy)), settings, job)
    if learner.process == 0:
        shutil.rmtree(work, ignore_errors=True)
    return trained


def mark_of(policy: Policy, settings: PpoSettings, job: Job, online: Rollouts) -> Mark:
    from accelerate import PartialState

    lock = job.rows / "lock.json"
    reads = settings.pretraining_coef and lock.is_file()
    prompts = [[prompt.id, *([m.role, m.content] for m in prompt.messages)] for prompt in online.prompts]
    return {
        "settings": asdict(settings),
        "seed": job.seed,
        "base": weights_hash(policy.source),
        "export": file_hash(lock) if reads else None,
        "prompts": full_hash(prompts),
        "reward": online.reward.name,
        "processes": PartialState().num_processes,  # each samples its share of a step, and a step is as many of these
    }


def told(progress: Progress, settings: PpoSettings, job: Job, prompts: tuple[int, int]) -> Trained:
    """``prompts``: those that were usable, and all."""
    usable, all_ = prompts
    return Trained(
        "ppo", job.output, usable, {"too long": all_ - usable}, round(progress.seconds, 1),
        settings.epochs * progress.tokens, progress.steps, {"unrewarded": progress.unrewarded},
    )  # fmt: skip


def prepared(policy: Policy, settings: PpoSettings, rows: Sequence[Turn], seed: int) -> tuple[Players, Learner]:
    """Everything in memory that training needs, before the first step."""
    import torch
    from accelerate import PartialState

    state = PartialState()
    torch.manual_seed(seed)  # adapters begin at random
    freeze_embeddings(policy.model, settings)
    net = with_value_head(with_adapters(policy.model, settings), settings.bf16).to(state.device)
    reference = None if settings.lora_rank else deepcopy(net).requires_grad_(False).eval()
    if settings.gradient_checkpointing:
        net.policy.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = adam(net, settings)
    wrapped = torch.nn.parallel.DistributedDataParallel(net) if state.num_processes > 1 else net
    learner = Learner(wrapped, optimizer, settings, rows, state.process_index, state.num_processes)
    return Players(policy, net, reference), learner


def adam(net: Any, settings: PpoSettings) -> Any:
    import torch

    weights = [weight for weight in net.parameters() if weight.requires_grad]
    return torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0, fused=True)


def advanced(players: Players, learner: Learner, online: Rollouts, progress: Progress, seed: int) -> Progress:
    """One step more: completions sampled, rewarded and learnt from."""
    settings, step, started = learner.settings, len(progress.steps) + 1, time.monotonic()
    players.net.eval()
    episodes = roll_out(players, online, settings, seed, step)
    kept = [episode for episode in episodes if episode.reward is not None]
    if not kept:
        raise ModelError(f"training: {online.reward.name} rewarded no completion of step {step}")
    batch = weighed(kept, settings, progress.kl_coef, players.device)
    # Checkpointing wants training mode. Dropout stays off otherwise: it would be noise in the ratios.
    players.net.train(settings.gradient_checkpointing)
    for group in learner.optimizer.param_groups:
        group["lr"] = settings.learning_rate * (1 - (step - 1) / settings.steps)
    updated = dict(zip(UPDATED, learn(learner, batch, (seed, step)), strict=True))
    loss = updated["policy_loss"] + settings.value_coef * updated["value_loss"]
    loss += settings.pretraining_coef * updated["imitation_loss"]
    require_number(loss, step)
    seconds, tokens = time.monotonic() - started, sum(len(e.turn.prompt) + len(e.turn.tokens) for e in episodes)
    figures = {
        "loss": loss, **measured(kept, batch), "value_loss": updated["value_loss"],
        "clip_fraction": updated["clip_fraction"], "kl_coef": progress.kl_coef, "tokens_per_second": tokens / seconds,
    }  # fmt: skip
    return Progress(
        adapted(progress.kl_coef, figures["kl"], len(kept), settings), progress.seconds + seconds,
        progress.tokens + tokens, progress.unrewarded + len(episodes) - len(kept),
        (*progress.steps, Step(step, settings.steps, figures)),
    )  # fmt: skip


def measured(episodes: Sequence[Episode], batch: Batch) -> dict[str, float]:
    """Of one step's completions: mean reward as it was given, KL from the reference model (nats per completion),
    entropy (nats per token, as the mean surprise of what was sampled), length (tokens), share that was cut off."""
    count = len(episodes)
    return {
        "reward": sum(e.reward or 0.0 for e in episodes) / count,
        "kl": float(batch.kl.sum()) / count,
        "entropy": -float(batch.logprobs.sum() / batch.said.sum()),
        "length": sum(len(e.turn.tokens) for e in episodes) / count,
        "cut_off": sum(not e.turn.ended for e in episodes) / count,
    }


def learn(learner: Learner, batch: Batch, draw: tuple[int, int]) -> list[float]:
    """Makes all updates that a step's episodes are worth, in an order that ``draw`` (seed, step) decides.

    Returns:
        The means over the updates of what ``UPDATED`` names.
    """
    import torch
    from accelerate.utils import reduce

    settings = learner.settings
    size = settings.batch_size * settings.gradient_accumulation * learner.processes
    figures = [
        update(learner, batch, order[start : start + size], (*draw, epoch))
        for epoch in range(settings.epochs)
        for order in [shuffled(len(batch.turns), (*draw, epoch))]
        for start in range(0, len(order), size)
    ]
    means: Any = reduce(torch.stack(figures).sum(0), "sum") / len(figures)
    return [float(mean) for mean in means]


def shuffled(rows: int, draw: tuple[int, ...]) -> list[int]:
    return sorted(range(rows), key=lambda row: unit_interval("rows", *draw, row))


def update(learner: Learner, batch: Batch, rows: Sequence[int], draw: tuple[int, ...]) -> "Tensor":
    """One optimizer step on the mean over all tokens of ``rows``; of several processes, each takes its share.

    Returns:
        This process's share of what ``UPDATED`` names.
    """
    settings, total = learner.settings, batch.values.new_zeros(len(UPDATED))
    mine = rows[learner.process :: learner.processes]
    for start in range(0, -(-len(rows) // learner.processes), settings.batch_size):
        share = mine[start : start + settings.batch_size]
        # A process that has none left goes along with a row that counts for nothing, since all must.
        losses = surrogate_losses(learner, batch, share or rows[:1], rows) * bool(share)
        loss: Any = losses[0] + settings.value_coef * losses[1]
        (loss * learner.processes).backward()  # gradients are averaged over the processes
        total[:3] += losses.detach()
        if learner.imitated:
            loss = imitation_loss(learner, share or rows[:1], draw) * (len(share) / len(rows))
            (settings.pretraining_coef * loss * learner.processes).backward()
            total[3] += loss.detach()
    learner.optimizer.step()
    learner.optimizer.zero_grad()
    return total


def surrogate_losses(learner: Learner, batch: Batch, share: Sequence[int], rows: Sequence[int]) -> "Tensor":
    """Policy loss, value loss and clip fraction of ``share``, as its part of the means over ``rows``."""
    import torch

    settings = learner.settings
    part = padded([batch.turns[row] for row in share], settings.max_tokens, batch.said.device)

    def of(tensor: "Tensor") -> "Tensor":
        return tensor[list(share), : part.tokens.shape[1]]

    logprobs, values = learner.net(part.ids, part.mask, part.tokens, settings.temperature)
    losses, clipped = policy_losses(logprobs, of(batch.logprobs), of(batch.advantages), settings.clip)
    errors = value_losses(values, of(batch.values), of(batch.returns), settings.clip_value)
    tokens, states = batch.said[list(rows)].sum(), batch.states[list(rows)].sum()
    sums = (losses * part.said).sum() / tokens, (errors * of(batch.states)).sum() / states
    return torch.stack([*sums, (clipped & part.said).sum() / tokens])


def imitation_loss(learner: Learner, share: Sequence[int], draw: tuple[int, ...]) -> "Tensor":
    """The mean loss on the tokens of as many completions worth imitating as ``share`` has.

    Source: Ouyang et al. 2022, equation 2, with demonstrations in the place of the pretraining data.
    """
    count = len(learner.imitated)
    turns = [learner.imitated[int(unit_interval("imitated", *draw, row) * count)] for row in share]
    part = padded(turns, max(len(turn.tokens) for turn in turns), next(learner.net.parameters()).device)
    logprobs, values = learner.net(part.ids, part.mask, part.tokens, 1.0)
    # The values count for nothing: they are there because every weight must have a gradient, on every process.
    loss: Tensor = 0.0 * values.sum() - (logprobs * part.said).sum() / part.said.sum()
    return loss
