"""What people said of each item in a table of labels, with what only a review's table has: kinds of ties, strengths."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constitution.errors import InputError
from judge.review.cells import from_cell
from judge.review.merge import Merged, Voice, merge
from judge.review.records import CHOICES, STRENGTHS, Choice
from solon.auditing.columns import Columns, read_columns
from solon.auditing.material import ONE_ANNOTATOR, OURS
from solon.auditing.read import LABELS
from solon.review.labels import ADJUDICATION

WANTED = {*LABELS, "annotator", "said", "strength", OURS}
CHOSEN: Mapping[str, Choice] = {"1": "1", "1.0": "1", "2": "2", "2.0": "2", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class Voices:
    """By item, in a table that the audit has read without complaint."""

    merged: Mapping[str, Merged]
    people: Mapping[str, frozenset[str]]  # who looked


def voices(labels: Path) -> Voices:
    """
    Raises:
        InputError: a word or a strength is none.
    """
    table = read_columns(labels, WANTED, LABELS)
    said: dict[str, list[Voice]] = {}
    over: dict[str, Voice] = {}
    texts = {name: table.texts[name].to_pylist() for name in table.texts}
    ours = OURS in texts
    for row in range(table.rows):
        cell = {name: texts[name][row].strip() for name in texts}
        one = voice(cell, table, row)
        if one is None:
            continue
        if ours and cell[OURS] == "yes":
            over[cell["item"]] = Voice(one.annotator.removeprefix(ADJUDICATION), one.choice)
        else:
            said.setdefault(cell["item"], []).append(one)
    merged = {item: found for item in said.keys() | over.keys() if (found := merge(said.get(item, ()), over.get(item)))}
    people = {
        item: frozenset(one.annotator for one in (*said.get(item, ()), *([over[item]] if item in over else ())))
        for item in merged
    }
    return Voices(merged, people)


def voice(cell: Mapping[str, str], table: Columns, row: int) -> Voice | None:
    """None where the row holds no choice."""
    choice = CHOSEN.get(cell["choice"].lower())
    if choice is None:
        return None
    if OURS not in cell:
        return Voice(cell.get("annotator", ONE_ANNOTATOR), choice)
    return Voice(
        from_cell(cell["annotator"]), said(cell.get("said", ""), choice, table, row), strength(cell, table, row)
    )


def said(text: str, choice: Choice, table: Columns, row: int) -> Choice:
    """The choice in full: which kind of tie it is."""
    found = next((one for one in CHOICES if one == (text or choice)), None)
    if found is None or (found if found in ("1", "2") else "tie") != choice:
        raise InputError(table.at(row), f"said is {text[:40]!r} beside the choice {choice}", "correct one of the two")
    return found


def strength(cell: Mapping[str, str], table: Columns, row: int) -> int | None:
    text = cell.get("strength", "")
    if not text:
        return None
    if text not in map(str, STRENGTHS):
        raise InputError(table.at(row), f"strength is {text[:40]!r}", "give 1, 2, 3 or 4, or leave it empty")
    return int(text)
