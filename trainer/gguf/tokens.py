"""A byte-level BPE tokenizer as GGUF has it: tokens, merges, special tokens, chat template."""

import json
from pathlib import Path
from typing import Any

from constitution.errors import InputError

# How text is cut before merges apply, by the name that llama.cpp has it under.
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CUTS = {
    ("ByteLevel",): "gpt-2",
    ("Digits", "ByteLevel"): "smollm",
    (CONTRACTIONS + r"\p{N}{1,3}" + REST, "ByteLevel"): "llama-bpe",
    (CONTRACTIONS + r"\p{N}" + REST, "ByteLevel"): "qwen2",
}
BYTE_LEVEL = "take a model with a byte-level BPE tokenizer, or convert it with llama.cpp's own tool"


def write_tokenizer(writer: Any, folder: Path, tokenizer: Any, size: int) -> None:
    """The tokenizer of the model folder. ``size`` is how many rows the embeddings have, which may be more.

    Raises:
        InputError: it is of another kind.
    """
    described = read_tokenizer(folder)
    tokens, types = vocabulary(described, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut_of(described, folder))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges(described)])
    for name in ("bos", "eos", "unk", "pad"):
        if (token := getattr(tokenizer, f"{name}_token_id")) is not None:
            getattr(writer, f"add_{name}_token_id")(token)
    writer.add_add_bos_token(
        tokenizer.bos_token_id is not None and tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    )
    writer.add_add_space_prefix(False)
    writer.add_chat_template(tokenizer.chat_template)


def read_tokenizer(folder: Path) -> Any:
    file = folder / "tokenizer.json"
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        model = described["model"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(str(file), f"cannot be read ({error})", "save the tokenizer with transformers again") from None
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise InputError(str(file), "is no byte-level BPE tokenizer", BYTE_LEVEL)
    return described


def merges(described: Any) -> list[Any]:
    found: list[Any] = described["model"]["merges"]
    return found


def cut_of(described: Any, folder: Path) -> str:
    """llama.cpp's name for how the tokenizer cuts text before it merges."""
    outer = described["pre_tokenizer"] or {}
    steps = outer["pretokenizers"] if outer.get("type") == "Sequence" else [outer]
    found = tuple(step["pattern"]["Regex"] if step["type"] == "Split" else step["type"] for step in steps)
    if found not in CUTS:
        raise InputError(
            str(folder / "tokenizer.json"),
            f"cuts text in a way that is not known here ({' + '.join(found)})",
            BYTE_LEVEL,
        )
    return CUTS[found]


def vocabulary(described: Any, size: int) -> tuple[list[str], list[int]]:
    """Every token in the order of its number, and of what type it is; numbers that no token has are filled up."""
    from gguf import TokenType

    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [TokenType.UNUSED] * size
    for text, number in described["model"]["vocab"].items():
        tokens[number], types[number] = text, TokenType.NORMAL
    for added in described["added_tokens"]:
        number = added["id"]
        tokens[number] = added["content"]
        types[number] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    return tokens, [int(kind) for kind in types]
