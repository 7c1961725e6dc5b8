"""Model folders: which of their files decide what a model says, and the identity that follows from them."""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from constitution.errors import InputError
from constitution.identity import file_hash, full_hash

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
# Notes of a training (its arguments, its state, a README) may lie in the folder too; they decide nothing.
SETTINGS = (
    "*.index.json", "config.json", "generation_config.json", "adapter_config.json", "quantize_config.json",
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*", "vocab.*", "merges.txt",
    "*.tiktoken", "tekken.json", "sentencepiece*.model", "spiece.model",
)  # fmt: skip


def folder_identity(path: Path) -> str:
    """The name of the model in the folder ``path``: the hash of its weights, configuration and tokenizer.

    Where the folder lies and what else is in it make no difference. Every byte is read, a second for a
    gigabyte or two, since weights that were trained on may differ from the old ones in one place alone.

    Raises:
        InputError: there are no weights.
    """
    if not any(found(path, WEIGHTS)):
        raise InputError(str(path), "holds no weights", "name a model folder with safetensors weights")
    marked = ((file, file.stat()) for file in found(path, WEIGHTS + SETTINGS))
    return f"folder:{hash_of(tuple((file, stat.st_size, stat.st_mtime_ns) for file, stat in marked))}"


@lru_cache  # a run asks several times
def hash_of(marked: tuple[tuple[Path, int, int], ...]) -> str:
    """One hash of the files' names and contents; size and time only say whether a file is still the same."""
    files = [file for file, _, _ in marked]
    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter's lock
        return full_hash(dict(zip((file.name for file in files), pool.map(file_hash, files), strict=True)))


def found(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
