"""A table of recorded verdicts as ``Verdicts``: what each row chose, and the chance it gave.

A raw reply, where a row has one, says what the judge chose; else the row's choice does; else its chance.
"""

from collections import Counter

import numpy as np

from constitution.errors import InputError
from judge.audit.table import NONE, TIE, Bools, Floats, Ints, Verdicts, choices
from judge.parsing import Said, parse_verdict
from solon.auditing.cells import CHOICES, EMPTY, ORDERS, Named, chances, named, spelled
from solon.auditing.columns import Columns

WITHOUT_REASON = "none"
OWN = "the chance of the item's completion 1, since as the shown one's it contradicts the choices"
SLOTS = {"first": 1, "second": 2, "tie": TIE, "both bad": TIE}  # what a parsed reply prefers, as shown
CERTAIN = np.array([0.5, 1.0, 0.0, 0.5])  # the chance of completion 1 by TIE, 1, 2 and, as the last one, NONE


def read_verdicts(table: Columns, item: Ints) -> Verdicts:
    """The table's rows in canonical order.

    Args:
        item: (rows,) each row's item.

    Raises:
        InputError: a cell is not understood, or the chances speak against the choices.
    """
    judge = named(table, "judge")
    order = spelled(table, "order", ORDERS, "1 or 2: the completion that was shown first")
    choice, reasons = decided(table, order)
    p_first, given = chances(table, "p_first")
    shown_first = np.where(order == 1, p_first, 1 - p_first)
    own = means_own(choice, order, np.where(given, shown_first, 0.5), judge)
    p_one = np.where(own[judge.index], p_first, shown_first)
    choice = np.where((choice == EMPTY) & given, choices(p_one, given), choice)
    choice[choice == EMPTY] = NONE
    graded = given & (choice != NONE)
    p_one = np.where(graded, p_one, CERTAIN[choice])
    rows = np.lexsort((graded, p_one, choice, order, judge.index, item))
    return Verdicts(
        judges=judge.names,
        item=item[rows],
        judge=judge.index[rows],
        order=order[rows],
        choice=choice[rows],
        p_one=p_one[rows],
        graded=graded[rows],
        no_verdicts=counted(table, choice == NONE, reasons),
        notes=(f"p_first of {', '.join(np.array(judge.names)[own])} is read as {OWN}",) if own.any() else (),
    )


def decided(table: Columns, order: Ints) -> tuple[Ints, dict[int, str]]:
    """Each row's choice by its raw reply, else by its choice cell, else EMPTY; and the reason of each failed reply."""
    names = {"choice", "p_first", "raw"}
    if not names & set(table.texts):
        there = ", ".join(map(repr, table.names))
        raise InputError(str(table.path), f"has no column 'choice' (only {there})", "add it: 1, 2, tie or none")
    choice = np.full(table.rows, EMPTY, dtype=np.int64)
    if "choice" in table.texts:
        choice = spelled(table, "choice", CHOICES, "1, 2, tie or none")
    if "raw" not in table.texts:
        return choice, {}
    slot, reasons = replies(table)
    turned = np.where((order == 2) & (slot > 0), 3 - slot, slot)
    return np.where(slot == EMPTY, choice, turned), reasons


def replies(table: Columns) -> tuple[Ints, dict[int, str]]:
    """What each raw reply prefers: slot 1 or 2, TIE, NONE with a reason by row, or EMPTY where there is no reply.

    Chunk by chunk, and each different reply of a chunk once, since replies are long or much alike.
    """
    slots, reasons, start = [], {}, 0
    for chunk in table.texts["raw"].chunks:
        encoded = chunk.dictionary_encode()
        read = [reading(text) for text in encoded.dictionary.to_pylist()]
        index = encoded.indices.to_numpy()
        slots.append(np.array([slot for slot, _ in read], dtype=np.int64)[index])
        failed = np.array([reason is not None for _, reason in read], dtype=np.bool_)[index]
        reasons.update({start + int(row): read[index[row]][1] or "" for row in np.flatnonzero(failed)})
        start += len(chunk)
    return np.concatenate(slots), reasons


def reading(text: str) -> tuple[int, str | None]:
    if not text.strip():
        return EMPTY, None
    heard = parse_verdict(text)
    return (SLOTS[heard.outcome], None) if isinstance(heard, Said) else (NONE, heard.reason)


def means_own(choice: Ints, order: Ints, p_one: Floats, judge: Named) -> Bools:
    """(judges,) whether a judge's chances are of completion 1 in either order, not of the completion shown first.

    Only rows in order 2 tell the two apart. A chance may be sampled against, so single rows say nothing;
    most of a judge's do.

    Args:
        p_one: (rows,) the chance of completion 1 if the column means the completion shown first.
    """
    telling = (order == 2) & (choice > 0) & (p_one != 0.5)
    against = telling & ((p_one > 0.5) != (choice == 1))
    counted_against, counted_telling = (
        np.bincount(judge.index[rows], minlength=len(judge.names)) for rows in (against, telling)
    )
    return np.asarray(2 * counted_against > counted_telling)


def counted(table: Columns, failed: Bools, reasons: dict[int, str]) -> dict[str, int]:
    """How many rows gave no verdict, by reason: the failed reply's, else the reason cell, else WITHOUT_REASON."""
    rows = np.flatnonzero(failed)
    if "reason" not in table.texts:
        told = Counter(reasons.get(int(row), WITHOUT_REASON) for row in rows)
    else:
        written = named(table, "reason", blank=True)
        told = Counter(reasons.get(int(row)) or written.names[written.index[row]] or WITHOUT_REASON for row in rows)
    return dict(sorted(told.items()))
