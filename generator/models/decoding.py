"""Many completions at once from a model in memory, each as if it were alone.

Every row of a batch is sampled by itself, from a random number generator of its own and from nothing but
the model's logits: no top-k, top-p or penalty stored with the model applies. So what shares the batch
decides nothing. What is left is floating point: the shape of a batch changes the last digits of the
logits, which can tip two tokens that are almost equally likely, in bfloat16 more often than in float32.
"""

import inspect
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.chat import (
    Message,
)
from generator.models.folders import Chat

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Wanted:
    """A completion to sample: at temperature 0 the likeliest token each time, above it the whole distribution."""

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0  # decides the sample, together with the distribution alone
    top: int = 0  # how many of the likeliest first tokens to tell
    allowed: tuple[int, ...] = ()  # the only first tokens; empty allows all


@dataclass(frozen=True, slots=True)
class Sampled:
    tokens: tuple[int, ...]  # the one that ended it not among them
    end: int | None  # the token that ended it; None where the limit did
    first: tuple[tuple[int, float], ...]  # first tokens and their natural log-probs, likeliest first

    @property
    def ended(self) -> bool:
        return self.end is not None


class Stopped(Exception):
    """Sampling was told to stop."""


def chat_text(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> str:
    """What the model reads, by its own chat template: its default system message, if any, included."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def encoded(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[int, ...]:
    """``text`` as tokens; a chat template has already written the special ones."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def decoded(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int], *, special: bool = False) -> str:
    text = tokenizer.decode(list(tokens), skip_special_tokens=not special, clean_up_tokenization_spaces=False)
    return str(text)


def stop_tokens(chat: Chat) -> frozenset[int]:
    """Every token that ends a turn: some models have more than the tokenizer's own."""
    own = getattr(chat.model.generation_config, "eos_token_id", None)
    stored = own if isinstance(own, list) else [own]
    return frozenset(token for token in (*stored, chat.tokenizer.eos_token_id) if token is not None)


def decode(
    model: Any, rows: Sequence[Wanted], stops: frozenset[int], stopped: Callable[[], bool] = lambda: False
) -> tuple[Sampled, ...]:
    """A completion for each of ``rows``, in their order. A row that is done makes room for the others.

    Raises:
        Stopped: ``stopped`` said so, between two tokens.
    """
    import torch

    chances = [random.Random(row.seed) for row in rows]
    said: list[list[int]] = [[] for _ in rows]
    going = list(range(len(rows)))  # the rows that the batch still holds, in its order

    def over(index: int) -> bool:
        return said[index][-1] in stops or len(said[index]) == rows[index].max_tokens

    with torch.inference_mode():
        ids, mask = left_padded([row.prompt for row in rows], model.device)
        logits, cache = forward(model, ids, mask, None)
        logits = allowed_only(logits[:, -1], rows)
        first = likeliest(logits, rows)
        while True:
            drawn = draw(logits, [rows[i].temperature for i in going], [chances[i] for i in going])
            for index, token in zip(going, drawn, strict=True):
                said[index].append(token)
            stay = [place for place, index in enumerate(going) if not over(index)]
            if not stay:
                break
            if stopped():
                raise Stopped("sampling was stopped")
            if len(stay) < len(going):
                kept = torch.tensor(stay, device=model.device)
                going, mask = [going[place] for place in stay], mask[kept]
                cache.reorder_cache(kept)
            ids = torch.tensor([[said[i][-1]] for i in going], device=model.device)
            mask = torch.cat([mask, mask.new_ones(len(going), 1)], dim=1)
            logits, cache = forward(model, ids, mask, cache)
            logits = logits[:, -1]
    return tuple(sampled(tokens, stops, told) for tokens, told in zip(said, first, strict=True))


def left_padded(prompts: Sequence[Sequence[int]], device: Any) -> "tuple[Tensor, Tensor]":
    """Tokens and attention mask, both (rows, longest prompt). Padding is never attended to, so any token will do."""
    import torch

    longest = max(map(len, prompts))
    ids = [[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def forward(model: Any, ids: "Tensor", mask: "Tensor", cache: Any, keep: int = 1) -> "tuple[Tensor, Any]":
    """The logits of the last ``keep`` places or more, as float32 (rows, places, vocabulary), and the cache."""
    places = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    takes = inspect.signature(model.forward).parameters  # not every architecture takes both
    extra = {"position_ids": places, "logits_to_keep": keep}
    output = model(
        input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True,
        **{name: value for name, value in extra.items() if name in takes},
    )  # fmt: skip
    return output.logits[:, -keep:].float(), output.past_key_values


def allowed_only(logits: "Tensor", rows: Sequence[Wanted]) -> "Tensor":
    """Minus infinity wherever a row's first token must not be."""
    import torch

    barred = torch.zeros_like(logits, dtype=torch.bool)
    for place, row in enumerate(rows):
        if row.allowed:
            barred[place] = True
            barred[place, list(row.allowed)] = False
    return logits.masked_fill(barred, -math.inf)


def likeliest(logits: "Tensor", rows: Sequence[Wanted]) -> list[tuple[tuple[int, float], ...]]:
    told: list[tuple[tuple[int, float], ...]] = []
    for place, row in enumerate(rows):
        values, tokens = logits[place].log_softmax(-1).topk(min(row.top, logits.shape[1]))
        pairs = zip(tokens.tolist(), values.tolist(), strict=True)
        told.append(tuple((token, value) for token, value in pairs if value > -math.inf))
    return told


def draw(logits: "Tensor", temperatures: Sequence[float], chances: Sequence[random.Random]) -> list[int]:
    """One token for each row of ``logits`` (rows, vocabulary): where the row's own random number falls."""
    import torch

    if not logits.amax(-1).isfinite().all():
        raise ArithmeticError("the model's logits are no numbers")
    greedy = logits.argmax(-1)
    if not any(temperatures):
        return [int(token) for token in greedy.tolist()]
    heat = logits.new_tensor(temperatures)[:, None]
    reach = (logits / heat.where(heat > 0, 1.0)).softmax(-1).cumsum(-1, dtype=torch.float64)
    numbers = reach.new_tensor([chance.random() for chance in chances])[:, None]
    tokens = torch.searchsorted(reach, numbers * reach[:, -1:], right=True)
    return [int(token) for token in tokens.squeeze(1).where(heat[:, 0] > 0, greedy).tolist()]


def sampled(tokens: list[int], stops: frozenset[int], first: tuple[tuple[int, float], ...]) -> Sampled:
    if tokens[-1] in stops:
        return Sampled(tuple(tokens[:-1]), tokens[-1], first)
    return Sampled(tuple(tokens), None, first)


def score(model: Any, prompt: tuple[int, ...], endings: Sequence[tuple[int, ...]]) -> list[float]:
    """The natural log-prob of each of ``endings`` after ``prompt``, in their order."""
    import torch

    longest = max(map(len, endings))
    with torch.inference_mode():
        ids, mask = left_padded([prompt + ending[:-1] for ending in endings], model.device)
        logits, _ = forward(model, ids, mask, None, keep=longest)
        logprobs = logits.log_softmax(-1)
        return [
            float(logprobs[row, -len(ending) :].gather(1, torch.tensor([ending], device=model.device).T).sum())
            for row, ending in enumerate(endings)
        ]
