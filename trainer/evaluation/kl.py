"""How far a trained policy went from its base: the divergence of what it says."""

from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from generator.models import decoding
from generator.prompts import Prompt

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.models.policies import Policy


def kl_per_prompt(
    policy: "Policy", reference: "Policy", prompts: Sequence[Prompt], samples: Sequence[Sequence[str]]
) -> list[float]:
    """The KL divergence of ``policy`` from ``reference`` on each prompt: nats per completion, never below 0.

    Args:
        samples: completions that ``policy`` itself sampled at temperature 1, (prompts, samples); only of such is
            the mean an unbiased estimate. A prompt's figure is the mean over its samples.

    At each place the divergence of the two whole distributions is taken, and summed over the completion's tokens
    and the one that follows the last: less noise than the log-probs of the sampled tokens alone would have. Both
    policies must have one vocabulary; a completion is read by the tokens that its text gives.

    Raises:
        ValueError: the two vocabularies differ in size.
    """
    if not same_vocabulary(policy, reference):
        raise ValueError("the two policies have different vocabularies")
    return [
        mean(divergence(policy, reference, prompt, text) for text in texts)
        for prompt, texts in zip(prompts, samples, strict=True)
    ]


def same_vocabulary(policy: "Policy", reference: "Policy") -> bool:
    """Whether one's distributions can be held against the other's: by their size, which is all that is looked at."""
    return bool(policy.model.config.vocab_size == reference.model.config.vocab_size)


def divergence(policy: "Policy", reference: "Policy", prompt: Prompt, completion: str) -> float:
    import torch

    asked = decoding.encoded(policy.tokenizer, decoding.chat_text(policy.tokenizer, prompt.messages))
    said = decoding.encoded(policy.tokenizer, completion)
    with torch.inference_mode():
        ours, theirs = (log_probs(side.model, asked, said) for side in (policy, reference))
        total = (ours.exp() * (ours - theirs.to(ours.device))).sum(dtype=torch.float64)
    return max(0.0, float(total))


def log_probs(model: Any, asked: Sequence[int], said: Sequence[int]) -> "Tensor":
    """Of every token of the vocabulary, at each token of ``said`` and at the one after: (tokens + 1, vocabulary)."""
    import torch

    tokens = torch.tensor([[*asked, *said]], device=model.device)
    logits = model(input_ids=tokens, logits_to_keep=len(said) + 1).logits[0]
    found: Tensor = logits.float().log_softmax(dim=-1)
    return found
