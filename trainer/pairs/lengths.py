"""Completions measured by the tokenizer of the model to train: what it could not see whole is left out.

A trainer cuts off what is beyond its length in silence, and a pair that differs only there teaches nothing.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from constitution.identity import full_hash
from generator.chat import Message
from generator.models.folders import GET_TRANSFORMERS, SAFE, quiet, require_template, unloadable
from trainer.models.chat import whole_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EMPTY = "empty"
TOO_LONG = "too long"
IDENTICAL = "identical after truncation"
NO_TEMPLATE = "refused by the chat template"


@dataclass(frozen=True, slots=True)
class Measured:
    """A conversation as the model would see it."""

    tokens: int  # of all of it
    seen: int  # stands for those that training sees: equal ones have the same number
    empty: bool  # whether the completion adds none


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets through the completions of a prompt that training would see whole, and apart from each other."""

    tokenizer: "PreTrainedTokenizerBase"
    name: str  # of the tokenizer's file or folder
    max_length: int  # tokens of prompt and completion, the marks of the chat template among them
    known: dict[tuple[tuple[Message, ...], str], Measured | None] = field(default_factory=dict, repr=False)

    def fault(self, prompt: tuple[Message, ...], completions: Sequence[str]) -> str:
        """Why they cannot be used; empty where they can.

        Those of a pair that are the same as far as training sees are ``IDENTICAL``, whatever their length.
        """
        found = [self.measured(prompt, completion) for completion in completions]
        measured = [one for one in found if one]
        if len(measured) < len(found):
            return NO_TEMPLATE
        if any(one.empty for one in measured):
            return EMPTY
        if len({one.seen for one in measured}) < len(measured):
            return IDENTICAL
        return TOO_LONG if any(one.tokens > self.max_length for one in measured) else ""

    def measured(self, prompt: tuple[Message, ...], completion: str) -> Measured | None:
        """None where the chat template refuses such a conversation. One that comes again is not measured again."""
        key = prompt, completion
        if key not in self.known:
            self.known[key] = self.measure(prompt, completion)
        return self.known[key]

    def measure(self, prompt: tuple[Message, ...], completion: str) -> Measured | None:
        from jinja2.exceptions import TemplateError

        try:
            tokens = whole_tokens(self.tokenizer, prompt, completion)
        except TemplateError:
            return None
        without = self.measured(prompt, "") if completion else None
        return Measured(len(tokens), hash(tokens[: self.max_length]), not without or len(tokens) <= without.tokens)

    @property
    def sha256(self) -> str:
        """Of what decides the tokens: the tokenizer and the chat template."""
        backend: Any = getattr(self.tokenizer, "backend_tokenizer", None)
        said = backend.to_str() if backend else sorted(self.tokenizer.get_vocab().items())
        return full_hash([said, self.tokenizer.chat_template])


def open_gate(place: Path, max_length: int) -> Gate:
    """The gate of the tokenizer in a Hugging Face folder or GGUF file.

    Raises:
        InputError: there is none, it cannot be loaded, it has no chat template, or transformers is not installed.
    """
    if not place.exists():
        raise InputError(str(place), "no such file or folder", "name a GGUF file or a Hugging Face model folder")
    try:
        import transformers
    except ImportError:
        raise InputError(str(place), "transformers is not installed to read it", GET_TRANSFORMERS) from None
    folder = {"pretrained_model_name_or_path": place} if place.is_dir() else packed(place)
    try:
        with quiet(transformers.utils.logging):
            tokenizer = transformers.AutoTokenizer.from_pretrained(**folder, **SAFE)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, ImportError, struct.error) as error:
        raise unloadable(place, error) from error
    require_template(tokenizer, place)
    return Gate(tokenizer, place.name, max_length)


def packed(file: Path) -> dict[str, Any]:
    return {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
