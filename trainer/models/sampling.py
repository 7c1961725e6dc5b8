"""Completions sampled from a policy in memory, many at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from constitution.identity import full_hash
from generator.chat import Message, sampling_seed
from generator.models import decoding
from generator.models.folders import Chat
from trainer.models.chat import prompt_tokens
from trainer.models.policies import Policy


@dataclass(frozen=True, slots=True)
class Sampled:
    """One completion; ``length`` says that it was cut off at the token limit."""

    text: str
    finish: Literal["stop", "length"]


def sample(
    policy: Policy,
    prompts: Sequence[tuple[Message, ...]],
    *,
    max_tokens: int,
    batch_size: int,
    temperature: float = 0.0,
    seed: int = 0,
    on_batch: Callable[[int, int], None] | None = None,
) -> tuple[Sampled, ...]:
    """One completion for each prompt, in the order of ``prompts``.

    Args:
        temperature: 0 takes the likeliest token each time; above it the whole distribution is sampled,
            neither top-k nor top-p.
        seed: with a prompt's place it decides the prompt's completion, whatever else is in its batch.
        on_batch: told after each batch how many prompts are done, and of how many.

    Prompts of like length go together, so that little is computed for padding.
    """
    chat = Chat(policy.model, policy.tokenizer)
    stops = decoding.stop_tokens(chat)
    rows = [
        decoding.Wanted(
            prompt_tokens(policy.tokenizer, prompt), max_tokens, temperature,
            sampling_seed(full_hash([seed, place])),
        )
        for place, prompt in enumerate(prompts)
    ]  # fmt: skip
    order = sorted(range(len(rows)), key=lambda place: len(rows[place].prompt))
    done: dict[int, Sampled] = {}
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        completions = decoding.decode(policy.model, [rows[place] for place in batch], stops)
        done |= {place: read(policy, said) for place, said in zip(batch, completions, strict=True)}
        if on_batch is not None:
            on_batch(len(done), len(rows))
    return tuple(done[place] for place in range(len(rows)))


def read(policy: Policy, said: decoding.Sampled) -> Sampled:
    return Sampled(decoding.decoded(policy.tokenizer, said.tokens).strip(), "stop" if said.ended else "length")
