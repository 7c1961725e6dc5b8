"""Tables with named columns, which become Parquet or JSON lines."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from generator.chat import Message
from trainer.pairs.rows import TrainingRow

Record = Mapping[str, object]

# Of a row where it comes from, as far as every row has a value: where a column is null for long, readers that
# guess its type from the first rows stop at the first value.
ORIGIN = ("pair_id", "prompt_id", "chosen_id", "rejected_id", "p_chosen", "margin", "label_source", "revised")


@dataclass(frozen=True, slots=True)
class Table:
    """``records`` in the order they are written in; each has just the ``columns``, also where there is no record."""

    columns: tuple[str, ...]
    records: tuple[Record, ...]


Files = Mapping[str, Table | str]  # by name; a text is written as it is


def table(columns: tuple[str, ...], records: Iterable[Record]) -> Table:
    return Table(columns, tuple(records))


def origin(row: TrainingRow) -> Record:
    return {name: getattr(row, name) for name in ORIGIN}


def turns(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def said(text: str) -> list[dict[str, str]]:
    """A completion as the one message that it is."""
    return turns([Message("assistant", text)])


def alternates(prompt: Iterable[Message]) -> bool:
    """Whether, a first system message aside, the user and the assistant take turns, beginning with the user."""
    messages = list(prompt)
    first = int(bool(messages) and messages[0].role == "system")
    roles = [message.role for message in messages[first:]]
    return roles == ["user" if place % 2 == 0 else "assistant" for place in range(len(roles))] and len(roles) % 2 == 1
