"""Cells of a table that a spreadsheet may open: no text in them may be taken for a formula."""

import re

MARK = "'"
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")  # the wide ones too: some spreadsheets read them alike
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def to_cell(text: str) -> str:
    """``text``, with a mark in front where it could be a formula, or begins with one; plain numbers stay."""
    if text.startswith(MARK) or (FORMULA.match(text) and not NUMBER.fullmatch(text)):
        return MARK + text
    return text


def from_cell(cell: str) -> str:
    """What ``to_cell`` was given."""
    return cell.removeprefix(MARK)
