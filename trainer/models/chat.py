"""Conversations as tokens, by the tokenizer's own chat template: no token is added before or after what it writes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from generator.chat import Message
from generator.models.decoding import chat_text, encoded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def prompt_tokens(tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Message]) -> tuple[int, ...]:
    """``prompt`` up to where its completion begins: the template's default system message, if any, included."""
    return encoded(tokenizer, chat_text(tokenizer, prompt))


def whole_tokens(tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Message], completion: str) -> tuple[int, ...]:
    """Prompt and completion as one conversation, to its very end: what is written after the last turn is in it."""
    turns = [{"role": message.role, "content": message.content} for message in prompt]
    turns.append({"role": "assistant", "content": completion})
    return encoded(tokenizer, str(tokenizer.apply_chat_template(turns, tokenize=False)))


def messages(turns: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """A conversation as a table holds it, read."""
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)
