"""The arithmetic of proximal policy optimisation: from rewards to advantages, and from these to losses.

Tensors are (rows, places): a row is a completion, place t its token t or the state that token is drawn from.
``said`` marks the places of tokens. ``states`` marks one more, the state after the end, where there is room.
What is outside is 0.

Sources: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv:1707.06347; Ziegler et al. 2019,
"Fine-Tuning Language Models from Human Preferences", arXiv:1909.08593; Ouyang et al. 2022, "Training language
models to follow instructions with human feedback", arXiv:2203.02155; Huang et al. 2024, "The N+ Implementation
Details of RLHF with PPO", arXiv:2403.17031. TRL had the same until version 1.12: ``make test-ppo-reference``
holds this one against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.models.value_head import Turn
from trainer.online.rollouts import Episode
from trainer.settings import PpoSettings

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """The episodes of one step as they are learnt from; tensors are (rows, max_tokens)."""

    turns: Sequence[Turn]
    said: "Tensor"
    states: "Tensor"
    logprobs: "Tensor"  # when they were sampled
    values: "Tensor"
    advantages: "Tensor"
    returns: "Tensor"
    kl: "Tensor"  # from the reference model


def weighed(episodes: Sequence[Episode], settings: PpoSettings, kl_coef: float, device: Any) -> Batch:
    """What each token of ``episodes``, which all have a reward, did for it."""
    import torch

    def tensor(rows: Sequence[Sequence[float]]) -> "Tensor":
        width = settings.max_tokens
        return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows], device=device)

    said = tensor([[1.0] * len(e.logprobs) for e in episodes]).bool()
    states = tensor([[1.0] * len(e.values) for e in episodes]).bool()
    logprobs, values = tensor([e.logprobs for e in episodes]), tensor([e.values for e in episodes])
    # The plain estimate of KL: its mean is the KL, while that of a row may be below 0.
    kl = logprobs - tensor([e.reference for e in episodes])
    # Huang et al. 2024, "EOS trick": what does not end is worth less, so that completions come to end.
    lost = [0.0 if e.turn.ended else settings.missing_eos_penalty for e in episodes]
    given = torch.tensor([(e.reward or 0.0) - less for e, less in zip(episodes, lost, strict=True)], device=device)
    rewards = token_rewards(given, kl, said, kl_coef)
    if settings.whiten_rewards:
        rewards = whitened(rewards, states, centred=False)
    advantages = generalised_advantages(rewards, values, settings.gamma, settings.lam)
    returns = (advantages + values) * states
    return Batch([e.turn for e in episodes], said, states, logprobs, values, whitened(advantages, said), returns, kl)


def token_rewards(given: "Tensor", kl: "Tensor", said: "Tensor", kl_coef: float) -> "Tensor":
    """The penalty for leaving the reference model at each token, and what was ``given`` (rows) when all is said:
    in the state after the end, or with the last token where no state is left.

    Source: Ziegler et al. 2019, equation 2, token by token.
    """
    rewards = -kl_coef * kl
    over = said.sum(1, keepdim=True).clamp(max=said.shape[1] - 1)
    return rewards.scatter_add(1, over, given[:, None])


def generalised_advantages(rewards: "Tensor", values: "Tensor", gamma: float, lam: float) -> "Tensor":
    """How much better than the value of a state what came after it was.

    Source: Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation",
    arXiv:1506.02438, equation 16.
    """
    import torch

    advantages, later = torch.zeros_like(rewards), torch.zeros_like(rewards[:, 0])
    following = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    surprises = rewards + gamma * following - values
    for place in reversed(range(rewards.shape[1])):
        later = surprises[:, place] + gamma * lam * later
        advantages[:, place] = later
    return advantages


def whitened(values: "Tensor", mask: "Tensor", *, centred: bool = True) -> "Tensor":
    """``values`` with a variance of 1 over ``mask``, and a mean of 0 where they are ``centred``.

    Source: Huang et al. 2024, on whitening rewards and advantages.
    """
    count = mask.sum()
    mean = (values * mask).sum() / count
    variance = ((values - mean).square() * mask).sum() / (count - 1).clamp(min=1)
    return ((values - mean) * (variance + 1e-8).rsqrt() + (0.0 if centred else mean)) * mask


def policy_losses(now: "Tensor", before: "Tensor", advantages: "Tensor", clip: float) -> "tuple[Tensor, Tensor]":
    """The clipped surrogate of each token, as a loss, and whether clipping decided it.

    Source: Schulman et al. 2017, equation 7.
    """
    import torch

    ratio = (now - before).exp()
    free, held = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    return torch.max(free, held), held > free


def value_losses(now: "Tensor", before: "Tensor", returns: "Tensor", clip: float) -> "Tensor":
    """Half the squared error of each value, which gains nothing by moving further than ``clip`` in one step.

    Source: Huang et al. 2024, on clipping the value loss.
    """
    import torch

    held = now.clamp(before - clip, before + clip)
    return torch.max((now - returns).square(), (held - returns).square()) / 2


def adapted(kl_coef: float, kl: float, completions: int, settings: PpoSettings) -> float:
    """The KL coefficient of the next step, raised where the KL of this one was above its target.

    Source: Ziegler et al. 2019, section 2.2; they clip the error to a fifth, too.
    """
    if not settings.kl_target:
        return kl_coef
    error = min(max(kl / settings.kl_target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * completions / settings.kl_horizon)
