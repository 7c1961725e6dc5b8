"""Columns of text as arrays: names, spelled choices, numbers. What is not understood is refused by its line.

Blanks around a cell mean nothing. Work is done once for each different text of a column, not for each row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from constitution.errors import InputError
from judge.audit.table import NONE, TIE, Bools, Floats, Ints
from solon.auditing.columns import Columns

EMPTY = -2  # a choice that was left blank
CHOICES = {"1": 1, "1.0": 1, "2": 2, "2.0": 2, "tie": TIE, "none": NONE, "": EMPTY}
ORDERS = {"1": 1, "1.0": 1, "2": 2, "2.0": 2}  # "1.0": what a whole number becomes beside gaps in many tools
LONGEST = 60  # characters of a wrong cell that a message shows


@dataclass(frozen=True, slots=True)
class Named:
    """A column of names: the different ones, sorted, and each row's index among them."""

    names: tuple[str, ...]
    index: Ints


def distinct(table: Columns, column: str) -> tuple[list[str], Ints]:
    """The different texts of a column, and each row's index among them."""
    encoded = table.texts[column].dictionary_encode().unify_dictionaries()
    index = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    return encoded.chunk(0).dictionary.to_pylist(), index.astype(np.int64)


def named(table: Columns, column: str, *, blank: bool = False) -> Named:
    """The column's names; a blank one is refused unless ``blank``."""
    texts, index = distinct(table, column)
    stripped = [text.strip() for text in texts]
    for code, name in enumerate(stripped):
        if not name and not blank:
            raise InputError(first_at(table, index == code), f"{column} is empty", "fill it in, or delete the row")
    names = sorted(set(stripped))
    place = {name: position for position, name in enumerate(names)}
    return Named(tuple(names), np.array([place[name] for name in stripped], dtype=np.int64)[index])


def spelled(table: Columns, column: str, meanings: Mapping[str, int], accepted: str) -> Ints:
    """The column's cells as the numbers that they stand for, in upper or lower case."""

    def meaning(text: str) -> int:
        return meanings[text.strip().lower()]

    return translated(table, column, meaning, accepted)


def counts(table: Columns, column: str) -> Ints:
    """The column's whole numbers from 0; -1 where a cell is blank or the column is not there."""

    def count(text: str) -> int:
        stripped = text.strip()
        number = float(stripped or -1)
        if stripped and (number < 0 or number != int(number)):
            raise ValueError
        return int(number)

    if column not in table.texts:
        return np.full(table.rows, -1, dtype=np.int64)
    return translated(table, column, count, "a number of characters")


def translated(table: Columns, column: str, meaning: Callable[[str], int], accepted: str) -> Ints:
    texts, index = distinct(table, column)
    numbers = np.empty(len(texts), dtype=np.int64)
    for code, text in enumerate(texts):
        try:
            numbers[code] = meaning(text)
        except (KeyError, ValueError, OverflowError):
            raise InputError(first_at(table, index == code), f"{column} is {shown(text)}", f"give {accepted}") from None
    result: Ints = numbers[index]
    return result


def chances(table: Columns, column: str) -> tuple[Floats, Bools]:
    """The column's numbers from 0 to 1, and where there is one; one half where a cell is blank."""
    import pyarrow as pa
    from pyarrow import compute

    if column not in table.texts:
        return np.full(table.rows, 0.5), np.zeros(table.rows, dtype=np.bool_)
    texts = compute.utf8_trim_whitespace(table.texts[column])
    given = compute.not_equal(texts, "").to_numpy()
    filled = compute.if_else(compute.equal(texts, ""), "0.5", texts)
    try:
        values = filled.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        values = np.array([number(text) for text in filled.to_pylist()])
    wrong = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if wrong.size:
        row = int(wrong[0])
        fact = f"{column} is {shown(table.texts[column][row].as_py())}"
        raise InputError(table.at(row), fact, "give a chance from 0 to 1, or leave it empty")
    return values, given


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def first_at(table: Columns, rows: Bools) -> str:
    return table.at(int(np.flatnonzero(rows)[0]))


def shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "…")
