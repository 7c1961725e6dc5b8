"""Solon's PPO does what TRL 1.12's did: on the same rollouts the same advantages, losses, KL and weights.

Run by ``make test-ppo-reference`` in an environment of its own, since later versions of TRL have no PPO.
"""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import trl_ppo
from trl_ppo import END, Models, Update

from trainer.models.policies import Policy
from trainer.models.value_head import Turn, with_value_head
from trainer.online.rollouts import Episode, Players, looked_at
from trainer.online.surrogate import Batch, weighed
from trainer.ppo import Learner, adam, learn, shuffled
from trainer.settings import PpoSettings

pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's own, of four minor versions ago
SEED, STEPS, NEAR = 7, 4, 1e-4
SETTINGS = PpoSettings(
    learning_rate=3e-3, batch_size=8, epochs=2, prompts=4, completions=4, max_tokens=10, temperature=0.8, steps=STEPS,
    kl_coef=0.2, lam=0.9, gamma=0.98, value_coef=0.3, clip=0.1, clip_value=0.1, whiten_rewards=True,
    missing_eos_penalty=0.7, bf16=False,
)  # fmt: skip
CLIPPED = ("policy/clipfrac_avg", "val/clipfrac_avg")
VARIANTS = {
    "everything on": SETTINGS,
    "rewards not whitened": replace(SETTINGS, whiten_rewards=False),
    "no penalty for what does not end": replace(SETTINGS, missing_eos_penalty=0.0),
    "one update a step": replace(SETTINGS, epochs=1, batch_size=16),
    "two small batches an update": replace(SETTINGS, batch_size=4, gradient_accumulation=2),
}


def by_trl(made: Models, settings: PpoSettings, folder: Path) -> list[Update]:
    rollouts = settings.prompts * settings.completions
    arguments = {
        "output_dir": str(folder),
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": rollouts,
        "gradient_accumulation_steps": 1,
        "num_mini_batches": rollouts // (settings.batch_size * settings.gradient_accumulation),
        "num_ppo_epochs": settings.epochs,
        "total_episodes": rollouts * settings.steps,
        "response_length": settings.max_tokens,
        "temperature": settings.temperature,
        "missing_eos_penalty": settings.missing_eos_penalty or None,
        "whiten_rewards": settings.whiten_rewards,
        "kl_coef": settings.kl_coef,
        "cliprange": settings.clip,
        "cliprange_value": settings.clip_value,
        "vf_coef": settings.value_coef,
        "gamma": settings.gamma,
        "lam": settings.lam,
        "seed": SEED,
    }
    return trl_ppo.updates_by_trl(made, arguments, lambda rows, step, epoch: shuffled(rows, (SEED, step, epoch)))


def ours(made: Models, settings: PpoSettings) -> tuple[Players, Learner]:
    net = with_value_head(made.policy, bf16=False)
    with torch.no_grad():
        net.head.copy_(made.value.score.weight[0])
    players = Players(Policy(made.policy, trl_ppo.tokenizer(), Path("none")), net, deepcopy(net).requires_grad_(False))
    return players, Learner(net, adam(net, settings), settings)


def turns(update: Update) -> list[Turn]:
    found = []
    for row in update.ids.tolist():
        prompt, said = row[: update.context], row[update.context :]
        end = said.index(END) + 1 if END in said else len(said)
        found.append(Turn(tuple(t for t in prompt if t != trl_ppo.PAD), tuple(said[:end]), END in said))
    return found


def redone(players: Players, learner: Learner, update: Update, step: int) -> tuple[Batch, list[float]]:
    settings, rows = learner.settings, turns(update)
    looks = looked_at(players, rows, settings)
    episodes = [
        Episode(place, turn, float(reward), *look)
        for place, (turn, reward, look) in enumerate(zip(rows, update.rewards, looks, strict=True))
    ]
    batch = weighed(episodes, settings, settings.kl_coef, torch.device("cpu"))
    for group in learner.optimizer.param_groups:
        group["lr"] = settings.learning_rate * (1 - (step - 1) / settings.steps)
    return batch, learn(learner, batch, (SEED, step))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_rollouts_come_to_the_same(variant: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = VARIANTS[variant]
    made = trl_ppo.models_made(seed=3)
    twin = deepcopy(made)
    seen = by_trl(made, settings, tmp_path)
    players, learner = ours(twin, settings)
    assert len(seen) == STEPS
    assert {turn.ended for update in seen for turn in turns(update)} == {True, False}
    if settings.epochs > 1:  # the first update of a step clips nothing
        assert all(max(update.logs[name] for update in seen) > 0.05 for name in CLIPPED)
    assert farthest_apart(twin.weights()["head"], seen[-1].weights["head"]) > 10 * NEAR
    farthest: dict[str, float] = {}
    for step, update in enumerate(seen, start=1):
        batch, (policy_loss, value_loss, clipped, _) = redone(players, learner, update, step)
        found = weights_of(players.net)
        differences = {
            "advantages": farthest_apart(batch.advantages, update.advantages),
            "KL": abs(float(batch.kl.sum(1).mean()) - update.logs["objective/kl"]),
            "surprise": abs(-float(batch.logprobs.sum(1).mean()) - update.logs["objective/entropy"]),
            "policy loss": abs(policy_loss - update.logs["loss/policy_avg"]),
            "value loss": abs(value_loss - update.logs["loss/value_avg"]),
            "clip fraction": abs(clipped - update.logs["policy/clipfrac_avg"]),
            "weights": max(farthest_apart(found[name], weight) for name, weight in update.weights.items()),
        }
        farthest = {name: max(apart, farthest.get(name, 0.0)) for name, apart in differences.items()}
    with capfd.disabled():
        print(f"\n{variant}: at most", ", ".join(f"{name} {apart:.1e}" for name, apart in farthest.items()), "apart")
    assert all(apart < NEAR for apart in farthest.values()), farthest


def weights_of(net: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in net.policy.state_dict().items()} | {"head": net.head.detach()}


def farthest_apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())
