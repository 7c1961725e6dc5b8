"""Completions sampled from a policy in memory, many at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from generator.chat import Message
from trainer.policies import Policy

if TYPE_CHECKING:
    from torch import Tensor


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
        seed: the same seed, prompts and batch size give the same completions on the same machine.
        on_batch: told after each batch how many prompts are done, and of how many.

    Prompts of like length go together, so that little is computed for padding. float32 throughout.
    """
    import torch

    texts = [chat_text(policy, prompt) for prompt in prompts]
    order = sorted(range(len(texts)), key=lambda index: (len(texts[index]), texts[index]))
    settings = generation_settings(policy, max_tokens, temperature)
    done: dict[int, Sampled] = {}
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            completions = complete(policy, [texts[index] for index in batch], settings)
            done.update(zip(batch, completions, strict=True))
            if on_batch is not None:
                on_batch(len(done), len(texts))
    return tuple(done[index] for index in range(len(texts)))


def chat_text(policy: Policy, prompt: tuple[Message, ...]) -> str:
    """What the policy reads, by its own chat template: its default system message, if any, included."""
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    return str(policy.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def generation_settings(policy: Policy, max_tokens: int, temperature: float) -> Any:
    """Complete in itself, so that no default stored with a model changes how it is sampled."""
    import transformers

    library: Any = transformers
    sampled = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    return library.GenerationConfig(
        max_new_tokens=max_tokens,
        eos_token_id=sorted(stop_tokens(policy)),
        pad_token_id=policy.tokenizer.pad_token_id,
        **(sampled if temperature > 0 else {"do_sample": False}),
    )


def stop_tokens(policy: Policy) -> frozenset[int]:
    """Every token that ends a turn: some models have more than the tokenizer's own."""
    own = getattr(policy.model.generation_config, "eos_token_id", None)
    stored = own if isinstance(own, list) else [own]
    return frozenset(token for token in (*stored, policy.tokenizer.eos_token_id) if token is not None)


def complete(policy: Policy, texts: list[str], settings: Any) -> list[Sampled]:
    # The template has already written the special tokens; padding goes left, where nothing is generated.
    batch = policy.tokenizer(
        texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
    ).to(policy.model.device)
    model: Any = policy.model
    output = model.generate(**batch, generation_config=settings)
    stops = stop_tokens(policy)
    return [read(policy, row[batch["input_ids"].shape[1] :], stops) for row in output]


def read(policy: Policy, tokens: "Tensor", stops: frozenset[int]) -> Sampled:
    """The completion up to the first token that ends the turn."""
    ids = tokens.tolist()
    end = next((place for place, token in enumerate(ids) if token in stops), None)
    text = str(policy.tokenizer.decode(ids[:end], skip_special_tokens=True))
    return Sampled(text.strip(), "length" if end is None else "stop")
