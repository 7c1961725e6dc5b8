"""Policies: a chat model's weights and tokenizer, loaded to be trained and saved to be used.

Weights are float32 in memory and safetensors on disk. Pickled weights and code that comes with a model
are refused.
"""

import io
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from trainer.quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Policy:
    """A chat model that can be trained and asked; ``source`` is where it was loaded from."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    source: Path


def load_policy(source: Path) -> Policy:
    """The policy in a GGUF file or in a Hugging Face folder, as trainable float32 weights.

    A GGUF file's weights are what is left after its quantisation: training starts from those.

    Raises:
        InputError: nothing there can be loaded, or it has no chat template.
    """
    if not source.exists():
        raise InputError(str(source), "no such file or folder", "name a GGUF file or a Hugging Face model folder")
    try:
        with quiet():
            policy = load_folder(source) if source.is_dir() else load_gguf(source)
    except (OSError, ValueError, KeyError) as error:
        fact = f"not a model that can be loaded ({' '.join(str(error).split())[:200]})"
        raise InputError(str(source), fact, "name a GGUF file or a folder with safetensors weights") from error
    tokenizer = policy.tokenizer
    if not tokenizer.chat_template:
        raise InputError(str(source), "has no chat template", "take the instruct or chat version of the model")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return policy


def load_folder(folder: Path) -> Policy:
    import torch
    import transformers

    library: Any = transformers  # its own annotations are partial
    safe = {"local_files_only": True, "trust_remote_code": False}
    model = library.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, **safe)
    tokenizer = library.AutoTokenizer.from_pretrained(folder, **safe)
    return Policy(model.eval(), tokenizer, folder)


def load_gguf(file: Path) -> Policy:
    """Loaded twice over: what transformers makes of a GGUF file remembers that it was quantised and
    refuses to be saved, so its weights are copied into a model made from nothing but the shape."""
    import torch
    import transformers

    library: Any = transformers
    place = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name, "local_files_only": True}
    unpack = library.GgufConfig(dequantize=True)
    with redirect_stderr(io.StringIO()):  # the one progress bar that no switch turns off
        packed = library.AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32, quantization_config=unpack)
    shape = {k: v for k, v in packed.config.to_dict().items() if k != "quantization_config"}
    model = library.AutoModelForCausalLM.from_config(library.AutoConfig.for_model(**shape), dtype=torch.float32)
    model.load_state_dict(packed.state_dict())
    model.generation_config = packed.generation_config
    return Policy(model.eval(), library.AutoTokenizer.from_pretrained(**place), file)


def save_policy(policy: Policy, folder: Path) -> None:
    """Writes weights (safetensors), configuration, tokenizer and chat template into ``folder``.

    Raises:
        InputError: ``folder`` already holds something.
    """
    require_empty(folder)
    with quiet():
        policy.model.save_pretrained(folder)
        policy.tokenizer.save_pretrained(folder)


def require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(str(folder), "already holds something", "name a new folder; nothing is overwritten")
