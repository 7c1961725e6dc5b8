"""What trainers that sample their own completions have in common."""

from collections.abc import Sequence
from typing import Any

from constitution.errors import InputError
from generator.prompts import Prompt
from trainer.models.chat import prompt_tokens
from trainer.models.policies import Policy
from trainer.rewards import Reward
from trainer.settings import Online


def with_room(policy: Policy, prompts: Sequence[Prompt], settings: Online) -> tuple[Prompt, ...]:
    """Those prompts that leave ``max_tokens`` of the context for a completion, in their order."""
    context = getattr(policy.model.config, "max_position_embeddings", None) or settings.max_length
    most = min(settings.max_length, context) - settings.max_tokens
    kept = tuple(p for p in prompts if len(prompt_tokens(policy.tokenizer, p.messages)) <= most)
    if not kept:
        fact = f"no prompt leaves max_tokens = {settings.max_tokens} of {most + settings.max_tokens} tokens"
        raise InputError("training", fact if prompts else "there is no prompt", "lower max_tokens, or add prompts")
    return kept


def asked_once(reward: Reward, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
    """Of several processes, the first asks for all: what it is told may be paid for and written down."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list, gather_object

    everybody = gather_object(list(zip(prompts, completions, strict=True)))
    counts = gather_object([len(completions)])
    told: list[Any] = [None]
    if PartialState().is_main_process:
        told = [reward([prompt for prompt, _ in everybody], [text for _, text in everybody])]
    broadcast_object_list(told)
    first = sum(counts[: PartialState().process_index])
    rewards: list[float | None] = told[0][first : first + len(completions)]
    return rewards
