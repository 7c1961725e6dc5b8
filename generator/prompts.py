"""Prompts in: the record, and the lines of a JSONL file turned into it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from constitution.errors import InputError
from constitution.identity import short_id
from constitution.tables import explain
from generator.chat import Message


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a policy is asked: one or more messages, the last of them the user's."""

    id: str
    messages: tuple[Message, ...]
    tags: tuple[str, ...] = ()
    source: str = ""

    @property
    def text(self) -> str:
        """The user's last words."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class PromptLine:
    """A line of a prompt file, as people write it: ``prompt`` or ``messages``, not both."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, Field(min_length=1)] | None = None
    messages: Annotated[tuple[Message, ...], Field(min_length=1)] | None = None
    id: Annotated[str, Field(min_length=1)] | None = None
    tags: tuple[str, ...] = ()
    source: str = ""


LINE = TypeAdapter(PromptLine)


def parse_prompts(lines: Iterable[str], place: str) -> Iterator[tuple[str, Prompt]]:
    """The prompts of a JSONL file, in order, each with its ``place:number``; blank lines are passed over.

    A prompt without an id is named by the hash of its messages.

    Raises:
        InputError: a line is not what it should be; the message names it as ``place:number``.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{place}:{number}"
            yield where, parse_prompt(line, where)


def parse_prompt(line: str, place: str) -> Prompt:
    try:
        row = LINE.validate_json(json.dumps(json.loads(line)))
    except ValidationError as error:
        raise InputError(place, *explain(error, LINE)) from None
    except (ValueError, RecursionError) as error:
        raise InputError(place, f"not JSON ({error})", "write one JSON object on each line") from None
    if (row.prompt is None) == (row.messages is None):
        raise InputError(place, "needs 'prompt' or 'messages'", "give one of the two")
    messages = row.messages or (Message("user", row.prompt or ""),)
    if messages[-1].role != "user" or not messages[-1].content.strip():
        raise InputError(place, "the last message is not the user's, or is empty", "end with what the user says")
    return Prompt(row.id or short_id("prompt", [[m.role, m.content] for m in messages]), messages, row.tags, row.source)
