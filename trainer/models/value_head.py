"""A policy that also tells how much reward it expects: one model, one pass, two things said of each place.

The value head is one vector on the policy's own last hidden states. It begins at zero, so that the first
advantages are the rewards themselves and the first value loss leaves the policy's own weights alone.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from generator.models.decoding import left_padded

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and a completion as tokens."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]  # the one that ended the completion among them
    ended: bool  # or it was cut off


@dataclass(frozen=True, slots=True)
class Padded:
    """Some turns as tensors. Prompts are padded on the left, completions on the right; ``places`` is the width
    of the completions' part."""

    ids: "Tensor"  # (rows, longest prompt + places - 1): the last place is spoken of, and not read
    mask: "Tensor"  # of the same shape: 1 where there is a token
    tokens: "Tensor"  # (rows, places)
    said: "Tensor"  # (rows, places): where there is a token


def padded(turns: Sequence[Turn], most: int, device: Any) -> Padded:
    """``turns`` with a place for each token and, below ``most`` places, for the state after the last one."""
    import torch

    places = min(max(len(turn.tokens) for turn in turns) + 1, most)
    prompts, read = left_padded([turn.prompt for turn in turns], device)
    tokens = torch.tensor([[*turn.tokens, *[0] * (places - len(turn.tokens))] for turn in turns], device=device)
    said = torch.tensor([[at < len(turn.tokens) for at in range(places)] for turn in turns], device=device)
    ids, mask = torch.cat([prompts, tokens[:, :-1]], 1), torch.cat([read, said[:, :-1].to(read)], 1)
    return Padded(ids, mask, tokens, said)


def with_value_head(model: Any, bf16: bool) -> Any:
    """``model`` as a module with a value head; ``bf16`` has its matrix products, and not the head's, in bfloat16.

    It takes the three tensors of a ``Padded`` and a temperature, and gives the natural log-probs of the tokens at
    that temperature and the values of the states that they are drawn from, both float32 (rows, places).
    """
    import torch

    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = inspect.signature(plain.forward).parameters  # not every architecture takes all of them
    width = plain.config.get_text_config().hidden_size

    class WithValues(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.policy = model
            self.head = torch.nn.Parameter(torch.zeros(width))

        def forward(self, ids: "Tensor", mask: "Tensor", tokens: "Tensor", temperature: float) -> Any:
            places = tokens.shape[1]
            extra = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0), "logits_to_keep": places, "use_cache": False}
            with torch.autocast(ids.device.type, torch.bfloat16, enabled=bf16):
                output = self.policy(
                    input_ids=ids, attention_mask=mask, output_hidden_states=True,
                    **{name: value for name, value in extra.items() if name in takes},
                )  # fmt: skip
            logits = output.logits[:, -places:].float() / temperature
            logprobs = logits.gather(-1, tokens[:, :, None]).squeeze(-1) - logits.logsumexp(-1)
            return logprobs, (output.hidden_states[-1][:, -places:].float() * self.head).sum(-1)

    return WithValues()
