"""A trained policy's folder written as GGUF, the one file that llama.cpp takes.

For models of Llama's shape with a byte-level BPE tokenizer: Llama, SmolLM2, Mistral, Qwen2. Tensors are read
and written one after the other, so that a large model is never in memory as a whole.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from constitution.errors import InputError
from generator.models.folders import SAFE, libraries, quiet, require_template, unloadable
from trainer.gguf.tensors import Tensor, opened_weights, rotary_factors, tensors_of
from trainer.gguf.tokens import write_tokenizer

Kind = Literal["f32", "f16", "q8_0"]
FILE_TYPES: dict[Kind, int] = {"f32": 0, "f16": 1, "q8_0": 7}  # llama.cpp's numbers for them
OTHERWISE = "convert it with llama.cpp's own tool"

# What transformers calls an architecture, and llama.cpp.
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}


def convert_to_gguf(folder: Path, file: Path, kind: Kind = "f16") -> None:
    """Writes the model in ``folder`` as the GGUF ``file``, its matrices as ``kind`` and all else as float32.

    Raises:
        InputError: ``folder`` holds no model that can be converted; nothing was written.
    """
    import gguf

    config, tokenizer = described(folder)
    with ExitStack() as stack:
        weights = opened_weights(folder, stack)
        tensors = [*rotary_factors(config), *tensors_of(weights, config, folder)]
        writer = gguf.GGUFWriter(None, ARCHITECTURES[config.model_type])
        write_shape(writer, config, kind)
        write_tokenizer(writer, folder, tokenizer, config.vocab_size)
        write_tensors(writer, file, tensors, kind)


def described(folder: Path) -> tuple[Any, Any]:
    """The configuration and the tokenizer of a model that can be converted."""
    transformers, _ = libraries()
    try:
        with quiet(transformers.utils.logging):
            config = transformers.AutoConfig.from_pretrained(folder, **SAFE)
            require_known(config, folder)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **SAFE)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise unloadable(folder, error) from error
    require_template(tokenizer, folder)
    return config, tokenizer


def require_known(config: Any, folder: Path) -> None:
    """Raises an ``InputError`` at what llama.cpp would compute otherwise than transformers does, or not at all."""
    if config.model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(str(folder), f"is a model of type {config.model_type!r}, not one of {known}", OTHERWISE)
    for key, wanted in (("hidden_act", "silu"), ("mlp_bias", False), ("attention_bias", False)):
        if (found := getattr(config, key, wanted)) != wanted:
            raise InputError(str(folder), f"is not quite of Llama's shape: {key} is {found!r}", OTHERWISE)
    if (scaled := config.rope_parameters["rope_type"]) not in ("default", "llama3"):
        raise InputError(str(folder), f"scales its positions by {scaled!r}", OTHERWISE)


def write_shape(writer: Any, config: Any, kind: Kind) -> None:
    import gguf

    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(context_of(config))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def context_of(config: Any) -> int:
    """In tokens. llama.cpp attends to all of them, so no more than a sliding window, where the model has one."""
    slides = config.model_type == "mistral" or getattr(config, "use_sliding_window", False)
    window = getattr(config, "sliding_window", None) if slides else None
    longest: int = config.max_position_embeddings
    return min(longest, window or longest)


def write_tensors(writer: Any, file: Path, tensors: Sequence[Tensor], kind: Kind) -> None:
    """The file itself: what lies where first, then the tensors in that order."""
    import numpy

    kinds = [stored_as(tensor, kind) for tensor in tensors]
    for tensor, stored in zip(tensors, kinds, strict=True):
        size = nbytes(tensor, stored)
        writer.add_tensor_info(tensor.name, tensor.shape, numpy.dtype(numpy.float32), size, raw_dtype=stored)
    writer.write_header_to_file(file)
    try:
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor, stored in zip(tensors, kinds, strict=True):
            writer.write_tensor_data(quantised(tensor.read(), stored))
    finally:
        writer.close()


def stored_as(tensor: Tensor, kind: Kind) -> Any:
    """Vectors stay float32, as llama.cpp has them; blocks of q8_0 are 32 numbers of one row."""
    from gguf import GGMLQuantizationType as Types

    if len(tensor.shape) < 2 or kind == "f32":
        return Types.F32
    return Types.Q8_0 if kind == "q8_0" and tensor.shape[-1] % 32 == 0 else Types.F16


def nbytes(tensor: Tensor, stored: Any) -> int:
    import gguf

    numbers, size = gguf.GGML_QUANT_SIZES[stored]
    return math.prod(tensor.shape) // numbers * size


def quantised(values: Any, stored: Any) -> Any:
    from gguf import quants

    return quants.quantize(values, stored)
