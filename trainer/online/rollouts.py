"""Rollouts: completions sampled from a policy, with what it, its reference and a reward say of them.

All draws hang on the seed, the step and the place in the step, so that a training which goes on after a stop
samples what it would have sampled.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from constitution.errors import ModelError
from constitution.identity import full_hash, unit_interval
from generator.chat import sampling_seed
from generator.models.decoding import Wanted, decode, decoded, stop_tokens
from generator.models.folders import Chat
from generator.prompts import Prompt
from trainer.models.chat import prompt_tokens
from trainer.models.policies import Policy
from trainer.models.value_head import Turn, padded
from trainer.online.asking import asked_once
from trainer.rewards import Rollouts
from trainer.settings import PpoSettings

Some = TypeVar("Some")
SAMPLED_AT_ONCE = 4  # times batch_size: sampling keeps no gradients


@dataclass(frozen=True, slots=True)
class Episode:
    """A completion with what was known of it before the step's first update.

    The natural log-probs, one for each of its tokens, are at the temperature that it was sampled at. There is
    a value for the state before each token, and for the one after the end if ``max_tokens`` left room for it.
    """

    place: int  # in its step
    turn: Turn
    reward: float | None
    logprobs: tuple[float, ...]
    reference: tuple[float, ...]  # the reference model's log-probs
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Players:
    """``net`` is the policy with its value head, ``reference`` the same before any update.

    A reference of None is ``net`` with its adapters off.
    """

    policy: Policy
    net: Any
    reference: Any

    @property
    def device(self) -> Any:
        return self.net.head.device


def roll_out(players: Players, online: Rollouts, settings: PpoSettings, seed: int, step: int) -> list[Episode]:
    """The episodes of a step, in the order of their places; of several processes, each samples its share.

    Raises:
        ModelError: the policy's logits, or a reward, are no numbers.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object

    process, processes = PartialState().process_index, PartialState().num_processes
    prompts = drawn(online.prompts, settings.prompts * processes, seed, step)
    places = range(process, len(prompts) * settings.completions, processes)
    asked = [prompts[place // settings.completions] for place in places]
    turns = sampled(players, asked, settings, [sampling_seed(full_hash([seed, step, place])) for place in places])
    rewards = rewarded(players.policy, online, asked, turns)
    looks = looked_at(players, turns, settings)
    mine = [
        Episode(place, turn, reward, *look)
        for place, turn, reward, look in zip(places, turns, rewards, looks, strict=True)
    ]
    return sorted(gather_object(mine), key=lambda episode: episode.place)


def drawn(prompts: Sequence[Prompt], count: int, seed: int, step: int) -> list[Prompt]:
    """The ``count`` prompts of a step, which counts from 1. All come once, in a new order each time, before any
    comes again."""

    def shuffled(turn: int) -> list[Prompt]:
        return sorted(prompts, key=lambda prompt: unit_interval("prompts", seed, turn, prompt.id))

    places = range((step - 1) * count, step * count)
    turns = {turn: shuffled(turn) for turn in {place // len(prompts) for place in places}}
    return [turns[place // len(prompts)][place % len(prompts)] for place in places]


def sampled(players: Players, prompts: Sequence[Prompt], settings: PpoSettings, seeds: Sequence[int]) -> list[Turn]:
    """A completion for each of ``prompts``, in their order."""
    import torch

    policy, turns = players.policy, list[Turn]()
    stops = stop_tokens(Chat(policy.model, policy.tokenizer))
    texts = {prompt: prompt_tokens(policy.tokenizer, prompt.messages) for prompt in prompts}
    rows = [
        Wanted(texts[prompt], settings.max_tokens, settings.temperature, seed)
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    with torch.autocast(players.device.type, torch.bfloat16, enabled=settings.bf16):
        for batch in batches(rows, SAMPLED_AT_ONCE * settings.batch_size):
            turns += spoken(policy.model, batch, stops)
    return turns


def spoken(model: Any, rows: Sequence[Wanted], stops: frozenset[int]) -> Iterator[Turn]:
    """The completions of ``rows``, each with the token that ended it."""
    try:
        said = decode(model, rows, stops)
    except ArithmeticError as error:
        raise ModelError(f"training: {error}: lower the learning rate, or train without bf16") from error
    for row, one in zip(rows, said, strict=True):
        yield Turn(row.prompt, one.tokens if one.end is None else (*one.tokens, one.end), one.ended)


def rewarded(policy: Policy, online: Rollouts, prompts: Sequence[Prompt], turns: Sequence[Turn]) -> list[float | None]:
    """What the completions are worth as texts, without the token that ends them."""
    tokens = [turn.tokens[:-1] if turn.ended else turn.tokens for turn in turns]
    rewards = asked_once(online.reward, prompts, [decoded(policy.tokenizer, said).strip() for said in tokens])
    for reward in rewards:
        if reward is not None and not math.isfinite(reward):
            raise ModelError(f"training: {online.reward.name} gave a reward of {reward}: mend it, or take another")
    return rewards


Look = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]


def looked_at(players: Players, turns: Sequence[Turn], settings: PpoSettings) -> Iterator[Look]:
    """Of each turn the log-probs, the reference model's, and the values."""
    import torch

    for batch in batches(turns, settings.batch_size):
        rows = padded(batch, settings.max_tokens, players.device)
        tensors = (rows.ids, rows.mask, rows.tokens, settings.temperature)
        with torch.no_grad():
            logprobs, values = players.net(*tensors)
            with without_adapters(players):
                reference, _ = (players.reference or players.net)(*tensors)
        for row, turn in enumerate(batch):
            said, states = len(turn.tokens), min(len(turn.tokens) + 1, settings.max_tokens)
            parts = (logprobs[row, :said], reference[row, :said], values[row, :states])
            first, second, third = (tuple(part.tolist()) for part in parts)
            yield first, second, third


def without_adapters(players: Players) -> AbstractContextManager[Any]:
    off: AbstractContextManager[Any] = nullcontext() if players.reference else players.net.policy.disable_adapter()
    return off


def batches(rows: Sequence[Some], size: int) -> Iterator[Sequence[Some]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
