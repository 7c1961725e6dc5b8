"""Where texts lie in a policy's own space, to see whether they say the same thing in other words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from generator.models import decoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.models.policies import Policy


def embed_samples(policy: "Policy", samples: Sequence[Sequence[str]]) -> "NDArray[np.float32]":
    """(prompts, samples, width), each of unit length; as many samples of every prompt."""
    import numpy as np

    return np.stack([embed(policy, texts) for texts in samples])


def embed(policy: "Policy", texts: Sequence[str]) -> "NDArray[np.float32]":
    """One vector a text, (texts, width), of unit length.

    The mean of the last hidden states, without the first: a decoder's first token carries no meaning and a
    state of its own. A text of no words is put in the place of the token that ends a turn. Give the same policy,
    the base, for both sides: two policies' spaces cannot be compared.
    """
    import numpy as np

    return np.stack([embedding(policy, text) for text in texts])


def embedding(policy: "Policy", text: str) -> "NDArray[np.float32]":
    import numpy as np
    import torch

    end = policy.tokenizer.eos_token_id
    tokens = [end, *(decoding.encoded(policy.tokenizer, text) or [end])]
    with torch.inference_mode():
        read = policy.model(
            input_ids=torch.tensor([tokens], device=policy.model.device), output_hidden_states=True, logits_to_keep=1
        )
        vector = torch.nn.functional.normalize(read.hidden_states[-1][0, 1:].double().mean(dim=0), dim=0)
    return np.asarray(vector.cpu().numpy(), dtype=np.float32)
