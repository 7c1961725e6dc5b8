"""Comparisons that people decided, read from a JSONL file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from constitution.checks import STRICT
from constitution.errors import InputError
from constitution.identity import short_id
from constitution.tables import explain
from generator.chat import Message
from generator.prompts import Prompt
from judge.cascade import Trial


@dataclass(frozen=True, slots=True, config=STRICT)
class TrialLine:
    """A line as people write it."""

    prompt: Annotated[str, Field(min_length=1)]
    completion_1: Annotated[str, Field(min_length=1)]
    completion_2: Annotated[str, Field(min_length=1)]
    choice: Literal[1, 2, "tie"]
    tags: tuple[str, ...] = ()


LINE = TypeAdapter(TrialLine)


def read_trials(path: Path) -> tuple[Trial, ...]:
    """The trials in the order of the file; an empty line is none.

    Raises:
        InputError: the file cannot be read, or a line is no trial; with file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "correct 'labelled' in [cascade]") from None
    found = tuple(trial(line, f"{path}:{n}") for n, line in enumerate(lines, start=1) if line.strip())
    if not found:
        raise InputError(str(path), "holds no comparison", "write some, or remove 'labelled' from [cascade]")
    return found


def trial(line: str, place: str) -> Trial:
    try:
        written = LINE.validate_json(line)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise InputError(place, "is not JSON", "write one JSON object a line") from None
        raise InputError(place, *explain(error, LINE)) from None
    name = short_id("trial", written.prompt)
    prompt = Prompt(name, (Message("user", written.prompt),), written.tags)
    return Trial(prompt, (written.completion_1, written.completion_2), written.choice)
