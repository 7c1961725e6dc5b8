"""What a completion is worth to a trainer that samples its own: by a reward model, or by a constitution.

A constitution's reward lies in [0, 1]. Whatever has no verdict has no reward: None, never a 0, because a
0 is a punishment for what nobody judged.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from constitution.identity import short_id
from constitution.principle import Constitution, Principle
from generator.prompts import Prompt
from trainer.models.reward_model import RewardModel, score


class Reward(Protocol):
    """Rewards completions; what gives other rewards has another ``name``, which a training's record calls it by."""

    @property
    def name(self) -> str: ...

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        """The reward of each completion of the prompt at its place, in their order; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Rollouts:
    """What a policy samples completions to, and what they are worth."""

    prompts: tuple[Prompt, ...]
    reward: Reward


@dataclass(frozen=True, slots=True)
class ModelReward:
    """What a reward model says: 0 and 1 are the mean and the deviation of what it was trained on."""

    model: RewardModel
    batch_size: int = 16

    @property
    def name(self) -> str:
        return f"reward model {self.model.source.name} ({self.model.weights[:8]})"

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        conversations = [prompt.messages for prompt in prompts]
        return [*score(self.model, conversations, completions, self.batch_size)]


@dataclass(frozen=True, slots=True)
class CheckReward:
    """A constitution's checks. Code says nothing of a principle without one, so no prompt that such a
    principle applies to has a reward."""

    constitution: Constitution

    @property
    def name(self) -> str:
        return f"checks of {name_of(self.constitution)}"

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        return [
            combined(self.constitution.applying_to(prompt.tags), checked(self.constitution, prompt, completion))
            for prompt, completion in zip(prompts, completions, strict=True)
        ]


def name_of(constitution: Constitution) -> str:
    """Its name, with a mark that changes with anything in it."""
    return f"{constitution.name} ({short_id(asdict(constitution))[:8]})"


def checked(constitution: Constitution, prompt: Prompt, completion: str) -> dict[str, float]:
    """By the id of each principle with a check that applies: 1 where it is kept, 0 where it is broken."""
    applying = constitution.applying_to(prompt.tags)
    return {p.id: float(p.check.kept(prompt.text, completion)) for p in applying if p.check}


def combined(principles: Sequence[Principle], values: Mapping[str, float | None]) -> float | None:
    """One reward out of a value in [0, 1] for each principle.

    The mean by weight, and never above the value of any ``hard`` principle, so that nothing makes up for
    breaking one. ``priority`` is not heard: it settles ties between two completions, and here is only one.
    None where a principle has no value, and where there is no principle at all.
    """
    heard = [(principle, values.get(principle.id)) for principle in principles]
    known = [(principle, value) for principle, value in heard if value is not None]
    if len(known) < len(heard) or not known:
        return None
    mean = math.fsum(p.weight * value for p, value in known) / math.fsum(p.weight for p, _ in known)
    return min([mean, *(value for principle, value in known if principle.hard)])
