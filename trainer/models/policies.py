"""Policies: a chat model's weights and tokenizer, loaded to be trained and saved to be used.

Weights are float32 in memory and safetensors on disk. Pickled weights and code that comes with a model
are refused.
"""

import errno
import io
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError, StorageError
from generator.models.folders import load_folder, require_template, unloadable
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
        InputError: nothing there can be loaded, it is not all there, or it has no chat template.
    """
    if not source.exists():
        raise InputError(str(source), "no such file or folder", "name a GGUF file or a Hugging Face model folder")
    if source.is_dir():
        chat = load_folder(source)
        policy = Policy(chat.model, chat.tokenizer, source)
    else:
        policy = load_gguf(source)
    require_pad_token(policy)
    return policy


def require_pad_token(policy: Policy) -> None:
    """Pads with the end-of-sequence token where there is no token for it.

    That token can still be learnt: what is padding stands in the attention mask, and no trainer of a policy goes by
    the id. A reward model does: it takes the last token with another id for a text's last, which then is the one
    before the end, in training as in scoring.
    """
    tokenizer = policy.tokenizer
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            fact = "its tokenizer has neither a pad token nor an end-of-sequence token"
            raise InputError(str(policy.source), fact, "name one of them in its tokenizer_config.json")
        tokenizer.pad_token = tokenizer.eos_token


def load_gguf(file: Path) -> Policy:
    try:
        with quiet():
            policy = unpacked(file)
    except (OSError, ValueError, KeyError, struct.error) as error:  # the last: of a file that was cut off
        raise unloadable(file, error) from error
    require_template(policy.tokenizer, file)
    return policy


def unpacked(file: Path) -> Policy:
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
        StorageError: the disk is full; nothing is left of ``folder``.
    """
    require_empty(folder)
    with quiet(), freed_when_full(folder):
        policy.model.save_pretrained(folder)
        policy.tokenizer.save_pretrained(folder)


@contextmanager
def freed_when_full(folder: Path) -> Iterator[None]:
    """A full disk ends in a ``StorageError``, and what there is of ``folder`` is removed first."""
    try:
        yield
    except Exception as error:
        if not disk_full(error):
            raise
        shutil.rmtree(folder, ignore_errors=True)
        raise StorageError(f"{folder}: the disk is full: make room and train again; nothing is left of it") from error


def disk_full(error: BaseException | None) -> bool:
    """Whether that is what ``error`` comes from; the writer of safetensors says it in words only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if type(error).__name__ == "SafetensorError" and "os error 28" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(str(folder), "already holds something", "name a new folder; nothing is overwritten")
