"""Chat models in local Hugging Face folders: loaded, or refused with the reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GET_TRANSFORMERS = "pip install 'solon[train]'"
SAFE = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat model in memory."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"


def load_folder(folder: Path, precision: str = "float32") -> Chat:
    """The chat model in a Hugging Face folder, on the CPU. Pickled weights and code beside them are refused.

    Raises:
        InputError: no folder, no package to load it with, nothing that can be loaded, weights that are not
            all there, or no chat template.
    """
    if not folder.is_dir():
        raise InputError(str(folder), "no such folder", "name a Hugging Face model folder")
    transformers, torch = libraries()
    from safetensors import SafetensorError

    try:
        with quiet(transformers.utils.logging):
            model, notes = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(torch, precision), use_safetensors=True, output_loading_info=True, **SAFE
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **SAFE)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        raise unloadable(folder, error) from error
    if missing := sorted(notes["missing_keys"]):  # the library would make them up
        fact = f"{len(missing)} weights are missing ({missing[0]}, ...)"
        raise InputError(str(folder), fact, "save or download the whole model again")
    require_template(tokenizer, folder)
    return Chat(model.eval(), tokenizer)


def libraries() -> tuple[Any, Any]:
    """transformers and torch; the annotations of the first are partial."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise InputError("backend 'transformers'", f"{error.name} is not installed", GET_TRANSFORMERS) from None
    return transformers, torch


@contextmanager
def quiet(logging: Any) -> Iterator[None]:
    """No progress bar and nothing below an error on standard error while it lasts."""
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def unloadable(place: Path, error: Exception) -> InputError:
    fact = f"not a model that can be loaded ({' '.join(str(error).split())[:200]})"
    return InputError(str(place), fact, "name a GGUF file or a folder with safetensors weights")


def require_template(tokenizer: "PreTrainedTokenizerBase", place: Path) -> None:
    if not tokenizer.chat_template:
        raise InputError(str(place), "has no chat template", "take the instruct or chat version of the model")
