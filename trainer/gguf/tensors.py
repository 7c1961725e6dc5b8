"""A model folder's tensors as llama.cpp calls and lays them out."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from constitution.errors import InputError
from generator.models.folders import unloadable

WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
IN_BLOCK = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
BLOCK = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")
HALF_BY_HALF = ("qwen2",)  # rotates as transformers does; of the others, llama.cpp wants the rows side by side


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a safetensors file."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Any]  # its values as a float32 array


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a GGUF file; ``name`` and layout are llama.cpp's."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Any]  # its values as a float32 array


def opened_weights(folder: Path, stack: ExitStack) -> dict[str, Stored]:
    """Every tensor in the folder by its name, none of them read; the files stay open as long as ``stack``.

    Raises:
        InputError: there are no safetensors files, or one is broken.
    """
    from safetensors import SafetensorError, safe_open

    found: dict[str, Stored] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            opened = stack.enter_context(safe_open(file, framework="pt"))
        except (OSError, SafetensorError) as error:
            raise unloadable(file, error) from error
        for name in opened.offset_keys():
            shape = tuple(opened.get_slice(name).get_shape())
            found[name] = Stored(name, shape, partial(float_array, opened, name))
    if not found:
        raise InputError(str(folder), "holds no safetensors weights", "name the folder of a trained policy")
    return found


def float_array(opened: Any, name: str) -> Any:
    return opened.get_tensor(name).float().numpy()


def tensors_of(weights: Mapping[str, Stored], config: Any, folder: Path) -> Iterator[Tensor]:
    """What the GGUF file holds for ``weights``.

    Raises:
        InputError: a tensor that a model of Llama's shape does not have.
    """
    for stored in weights.values():
        if stored.name == "lm_head.weight" and config.tie_word_embeddings:
            continue  # llama.cpp takes the embeddings where there is none
        name = name_of(stored.name)
        if name is None:
            fact = f"holds a tensor {stored.name!r}, which a model of Llama's shape has not"
            raise InputError(str(folder), fact, "convert it with llama.cpp's own tool")
        heads = 0 if config.model_type in HALF_BY_HALF else rotated_heads(name, config)
        yield Tensor(name, stored.shape, partial(side_by_side, stored, heads) if heads else stored.read)


def name_of(source: str) -> str | None:
    stem, _, ending = source.rpartition(".")
    if stem in WHOLE and ending == "weight":
        return f"{WHOLE[stem]}.weight"
    block = BLOCK.fullmatch(source)
    return f"blk.{block[1]}.{IN_BLOCK[block[2]]}.{block[3]}" if block and block[2] in IN_BLOCK else None


def rotated_heads(name: str, config: Any) -> int:
    """How many heads the tensor's rows are divided into, where positions rotate them; else 0."""
    kind = name.split(".")[-2]
    return int({"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(kind, 0))


def side_by_side(stored: Stored, heads: int) -> Any:
    """Rows that rotate together brought next to each other: i and i + n/2 of a head's n become 2i and 2i + 1."""
    values = stored.read()
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def rotary_factors(config: Any) -> Iterator[Tensor]:
    """By what llama.cpp divides each frequency of the positions, where the model scales them as Llama 3.1 does."""
    if config.rope_parameters["rope_type"] != "llama3":
        return
    import torch
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    places = torch.arange(len(scaled), dtype=torch.float64) / len(scaled)
    factors = (float(config.rope_parameters["rope_theta"]) ** -places / scaled).float().numpy()
    yield Tensor("rope_freqs.weight", factors.shape, lambda: factors)
