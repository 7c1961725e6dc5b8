"""What a proof prints: a table in Markdown, each bar beside its figure, and whether the figure reaches it."""

from collections.abc import Sequence
from dataclasses import dataclass

MET, MISSED, NO_BAR = "met", "MISSED", ""


@dataclass(frozen=True, slots=True)
class Row:
    cells: tuple[str, ...]
    bar: str = ""
    met: str = NO_BAR


@dataclass(frozen=True, slots=True)
class Proof:
    title: str
    said: str  # what was measured, and how; may be empty
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def missed(self) -> int:
        return sum(row.met == MISSED for row in self.rows)

    def markdown(self) -> str:
        """The table, with columns for the bars where there is one."""
        barred = any(row.bar for row in self.rows)
        extra = ("bar", "") if barred else ()
        lines = [line((*self.columns, *extra)), line(["---"] * len((*self.columns, *extra)))]
        lines += [line((*row.cells, *((row.bar, row.met) if barred else ()))) for row in self.rows]
        return "\n".join([f"### {self.title}", "", *([self.said, ""] if self.said else []), *lines, ""])


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def judged(holds: bool) -> str:
    return MET if holds else MISSED


def share(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
