"""From what is wanted to the trainer that does it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from generator.prompts import Prompt
from solon.folder import RunFolder
from solon.training.launched import is_main, said_by_main
from solon.training.wanted import Wanted
from trainer.models.policies import Policy
from trainer.rewards import Reward, Rollouts
from trainer.settings import DpoSettings, GroupSettings, Online, PpoSettings, RewardSettings, SftSettings
from trainer.steps import Job, Trained


def carry_out(folder: RunFolder, wanted: Wanted, policy: Policy, job: Job) -> Trained:
    """Trains ``policy`` by the method that ``wanted`` names; imports no trainer but this one."""
    settings = wanted.settings
    if isinstance(settings, SftSettings):
        from trainer.sft import train_sft

        return train_sft(policy, settings, job)
    if isinstance(settings, RewardSettings):
        from trainer.reward import train_reward

        return train_reward(policy, settings, job)
    if isinstance(settings, DpoSettings):
        from trainer.dpo import train_dpo

        return train_dpo(policy, settings, job)
    return carry_out_online(folder, wanted, policy, job)


def carry_out_online(folder: RunFolder, wanted: Wanted, policy: Policy, job: Job) -> Trained:
    """The same for methods that sample their own completions."""
    settings = wanted.settings
    assert isinstance(settings, Online)
    with reward_for(folder, settings.reward) as reward:
        online = Rollouts(wanted.prompts, reward)
        if isinstance(settings, PpoSettings):
            from trainer.ppo import train_ppo

            return train_ppo(policy, settings, job, online)
        from trainer.grpo import train_group

        assert isinstance(settings, GroupSettings)
        assert wanted.method in ("grpo", "rloo")
        return train_group(policy, settings, job, online, wanted.method)


@contextmanager
def reward_for(folder: RunFolder, name: str) -> Iterator[Reward]:
    """The reward, opened by the main process alone, which is the only one that asks it."""
    from solon.rewarding import open_reward

    if not is_main():
        yield Unasked(said_by_main())
        return
    with open_reward(folder, name) as reward:
        said_by_main(reward.name)
        yield reward


@dataclass(frozen=True, slots=True)
class Unasked:
    """What the other processes have in the place of the reward: its name."""

    name: str

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        raise RuntimeError("only the main process asks the reward")
