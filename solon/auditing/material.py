"""Two tables, of verdicts and of human labels, as the ``Material`` of one audit.

The order of rows and columns in a file changes nothing, and nothing that contradicts itself is settled in silence.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from constitution.errors import InputError
from judge.audit.table import NONE, Bools, Floats, Ints, Labels, Material
from judge.review.cells import from_cell
from solon.auditing.cells import CHOICES, EMPTY, Named, chances, counts, distinct, first_at, named, shown, spelled
from solon.auditing.columns import Columns
from solon.auditing.verdicts import read_verdicts

LENGTHS = ("text_1_chars", "text_2_chars")
ONE_ANNOTATOR = "human"
OURS = "decided"  # a column that only a review's labels have
ONE_STRATUM = "all"
NO_STRATUM = "(none)"  # of an item whose rows leave the column empty


def material(said: Columns, human: Columns, column: str | None) -> Material:
    """
    Args:
        column: the column that divides the items, of either table or of both; None where they are not divided.

    Raises:
        InputError: a cell is not understood, rows contradict each other, or no judged item was labelled.
    """
    judged, labelled = named(said, "item"), named(human, "item")
    require_common(said, judged, human, labelled)
    items = tuple(sorted({*judged.names, *labelled.names}))
    place = {name: position for position, name in enumerate(items)}
    spots = [np.array([place[name] for name in side.names])[side.index] for side in (judged, labelled)]
    strata, stratum = divided([said, human], spots, column, len(items))
    return Material(
        items=items,
        verdicts=read_verdicts(said, spots[0]),
        labels=read_people(human, spots[1], len(items)),
        strata=strata,
        stratum=stratum,
        lengths=read_lengths(said, spots[0], len(items)),
    )


def require_common(said: Columns, judged: Named, human: Columns, labelled: Named) -> None:
    if not set(judged.names) & set(labelled.names):
        if OURS in human.texts:
            fact, remedy = "are of no couple that the run holds now", "draw some that it holds: solon review draw"
            raise InputError(f"people's labels in {human.path}", fact, remedy)
        fact = f"no item of it is in {said.path}: it has {labelled.names[0]!r}, that one has {judged.names[0]!r}"
        raise InputError(str(human.path), fact, "call an item the same in both files")


def read_people(table: Columns, item: Ints, items: int) -> Labels:
    """All that the table of labels says: who chose what, what was decided over them, and how items were drawn."""
    choice = spelled(table, "choice", CHOICES, "1, 2, tie or none")
    over = equal(table, OURS, "yes")
    decided = np.full(items, NONE, dtype=np.int64)
    rows = np.flatnonzero(over & (choice >= 0))
    twice = rows[np.setdiff1d(np.arange(rows.size), np.unique(item[rows], return_index=True)[1])]
    if twice.size:
        raise InputError(table.at(int(twice[0])), "decides an item that a row above decides", "keep one of the two")
    decided[item[rows]] = choice[rows]
    even = np.zeros(items, dtype=np.bool_)
    even[item[equal(table, "kind", "audit")]] = True
    return replace(
        read_labels(table, item, choice, over),
        probability=read_probability(table, item, items),
        decided=decided if rows.size else None,
        even=even if OURS in table.texts else None,
    )


def equal(table: Columns, column: str, value: str) -> Bools:
    """(rows,) where the column holds ``value``; nowhere where it is not there."""
    if column not in table.texts:
        return np.zeros(table.rows, dtype=np.bool_)
    texts, index = distinct(table, column)
    found: Bools = np.array([text.strip() == value for text in texts])[index]
    return found


def read_labels(table: Columns, item: Ints, choice: Ints, over: Bools) -> Labels:
    """The labels by item and annotator; a person's two labels of one item are refused.

    A row without choice and annotator is no label: it is there for its item's chance to be drawn. Nor is a row of
    the mask ``over``, (rows,), which decides over labels.
    """
    who, unasked = annotators(table, choice == EMPTY)
    choice = np.where(choice == EMPTY, NONE, choice)
    rows = np.lexsort((who.index, item))
    rows = rows[~(unasked | over)[rows]]
    again = np.flatnonzero((np.diff(item[rows]) == 0) & (np.diff(who.index[rows]) == 0))
    if again.size:
        # Of the rows that repeat an earlier one, the first of the file.
        row = int(rows[again + 1].min())
        fact = f"labels an item that annotator {who.names[who.index[row]]!r} has labelled above"
        remedy = "keep one of the two" if "annotator" in table.texts else "say who in a column 'annotator', or keep one"
        raise InputError(table.at(row), fact, remedy)
    used, index = np.unique(who.index[rows], return_inverse=True)
    names = tuple(who.names[one] for one in used.tolist())
    if OURS in table.texts:
        names = tuple(map(from_cell, names))
    return Labels(names, item[rows], index.astype(np.int64), choice[rows])


def annotators(table: Columns, blank: Bools) -> tuple[Named, Bools]:
    """Who labelled each row, and the rows that nobody did: ``blank`` ones that name no annotator."""
    if "annotator" not in table.texts:
        return Named((ONE_ANNOTATOR,), np.zeros(table.rows, dtype=np.int64)), blank
    who = named(table, "annotator", blank=True)
    if who.names[0]:
        return who, np.zeros(table.rows, dtype=np.bool_)
    nobody = who.index == 0  # the empty name sorts first
    if (nobody & ~blank).any():
        raise InputError(first_at(table, nobody & ~blank), "annotator is empty", "fill it in, or delete the row")
    return Named(who.names[1:], np.where(nobody, 0, who.index - 1)), nobody


def read_probability(table: Columns, item: Ints, items: int) -> Floats | None:
    """(items,) the chance that each item had to be labelled, 0 where no row says; None where none does."""
    if "probability" not in table.texts:
        return None
    values, given = chances(table, "probability")
    wrong = np.flatnonzero(~given | (values == 0))
    if wrong.size:
        raise InputError(table.at(int(wrong[0])), "probability is empty or 0", "give the chance that the item had")
    settled = np.zeros(items)
    settled[item] = values
    other = np.flatnonzero(settled[item] != values)
    if other.size:
        raise InputError(table.at(int(other[0])), "gives its item another probability than a later row", "give one")
    return settled


def divided(
    tables: Sequence[Columns], spots: Sequence[Ints], column: str | None, items: int
) -> tuple[tuple[str, ...], Ints]:
    """The names of the strata, sorted, and each item's index among them. An empty cell says nothing of its item."""
    whole = (ONE_STRATUM,), np.zeros(items, dtype=np.int64)
    if column is None:
        return whole
    having = [(table, spot) for table, spot in zip(tables, spots, strict=True) if column in table.texts]
    if not having:
        there = "; ".join(f"{table.path} has {', '.join(map(repr, table.names))}" for table in tables)
        raise InputError("--stratum", f"there is no column {column!r} ({there})", "name one of these")
    cells = [named(table, column, blank=True) for table, _ in having]
    names = sorted({name for cell in cells for name in cell.names} - {""})
    if not names:
        return whole
    place = {name: code for code, name in enumerate(names)} | {"": -1}
    codes = [np.array([place[name] for name in cell.names])[cell.index] for cell in cells]
    settled = np.full(items, -1, dtype=np.int64)
    for (table, spot), code in zip(having, codes, strict=True):
        settle(settled, spot, code, (table, column))
    used, index = np.unique(np.array([*names, NO_STRATUM])[settled], return_inverse=True)  # -1 is the last one
    return tuple(used.tolist()), index.astype(np.int64)


def read_lengths(table: Columns, item: Ints, items: int) -> Ints | None:
    """(items, 2) characters of each item's completions, -1 where no row gives them; None where none does at all."""
    settled = np.full((items, 2), -1, dtype=np.int64)
    for side, column in enumerate(LENGTHS):
        given = counts(table, column)
        settle(settled[:, side], item, given, (table, column))
    return settled if (settled >= 0).any() else None


def settle(settled: Ints, item: Ints, given: Ints, source: tuple[Columns, str]) -> None:
    """Enters each item's value into ``settled``, where it is still negative; a row that says otherwise is refused.

    Args:
        settled: (items,) changed in place.
        given: (rows,) each row's value for its item; negative where it gives none.
        source: the table and column that the values are of.
    """
    rows = np.flatnonzero(given >= 0)
    rows = rows[settled[item[rows]] < 0]
    which, first = np.unique(item[rows], return_index=True)
    settled[which] = given[rows[first]]
    other = np.flatnonzero((given >= 0) & (given != settled[item]))
    if other.size:
        (table, column), row = source, int(other[0])
        name, value = (table.texts[of][row].as_py() for of in ("item", column))
        fact = f"{column} is {shown(value)}, and an earlier row of item {shown(name)} gives another"
        raise InputError(table.at(row), fact, f"{column} belongs to the item: give the same in each of its rows")
