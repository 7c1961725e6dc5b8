"""The two files that an audit is made of, read and checked against each other."""

from pathlib import Path

from judge.audit.table import Material
from solon.auditing.cells import named
from solon.auditing.columns import read_columns
from solon.auditing.material import LENGTHS, material

STRATUM = "stratum"
VERDICTS = {
    "item": "add it: what was judged, called the same in both files",
    "judge": "add it: the judge's name, the same everywhere where there is one judge",
    "order": "add it: the completion that was shown first, 1 everywhere where only one order was asked",
}
LABELS = {
    "item": "add it: what was labelled, called the same in both files",
    "choice": "add it: 1, 2, tie or none",
}

PEOPLES = {*LABELS, "annotator", "probability", "kind", "decided"}  # columns that are looked at of people's labels


def read_material(verdicts: Path, labels: Path, stratum: str | None) -> Material:
    """Everything that an audit looks at, the same whatever the order of the files' rows and columns.

    Args:
        verdicts: rows of item, judge, order and at least one of choice, p_first and raw; optionally the
            completions' lengths in characters, a stratum, and the reason of a missing verdict.
        labels: rows of item, choice and, optionally, annotator.
        stratum: the column, of either file, that divides the items; None for the verdicts' "stratum" where
            there is one.

    Raises:
        InputError: a file cannot be used; the message names the line.
    """
    divider = STRATUM if stratum is None else stratum
    said = read_columns(verdicts, {*VERDICTS, *LENGTHS, "choice", "p_first", "raw", "reason", divider}, VERDICTS)
    human = read_columns(labels, {*PEOPLES, divider}, LABELS)
    return material(said, human, divider if stratum is not None or STRATUM in said.texts else None)


def judged_items(verdicts: Path) -> tuple[str, ...]:
    """What was judged, sorted by name."""
    return named(read_columns(verdicts, {*VERDICTS}, VERDICTS), "item").names
