"""Completions that were worth imitating, to be kept in mind while a policy learns from rewards (PPO-ptx)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from constitution.errors import InputError
from generator.models.decoding import stop_tokens
from generator.models.folders import Chat
from trainer.models.chat import messages, prompt_tokens, whole_tokens
from trainer.models.policies import Policy
from trainer.models.value_head import Turn
from trainer.pairs.exports import load_rows, require_rows, said
from trainer.settings import Take
from trainer.sft import to_learn


def imitated(policy: Policy, folder: Path, max_length: int, scratch: str, *, take: Take) -> tuple[Turn, ...]:
    """What is worth imitating in the export in ``folder``, in the order of its rows.

    A turn longer than ``max_length`` tokens is left out.

    Raises:
        InputError: nothing is left.
    """
    require_rows(folder / "train.parquet")
    rows = to_learn(load_rows(folder / "train.parquet", scratch), take, "ppo")
    turns = tuple(turn for turn in (spelled(policy, row) for row in rows) if fits(turn, max_length))
    if not turns:
        fact = f"no completion for pretraining_coef fits into max_length = {max_length}"
        raise InputError("training", fact, "raise max_length, or set pretraining_coef = 0")
    return turns


def spelled(policy: Policy, row: Mapping[str, Any]) -> Turn:
    """A row as tokens; of what the chat template writes after the end of the completion, nothing."""
    asked = messages(row["prompt"])
    prompt = prompt_tokens(policy.tokenizer, asked)
    completion = whole_tokens(policy.tokenizer, asked, said(row["completion"]))[len(prompt) :]
    stops = stop_tokens(Chat(policy.model, policy.tokenizer))
    end = next((at for at, token in enumerate(completion) if token in stops), len(completion) - 1)
    return Turn(prompt, completion[: end + 1], ended=True)


def fits(turn: Turn, max_length: int) -> bool:
    return len(turn.prompt) + len(turn.tokens) <= max_length
