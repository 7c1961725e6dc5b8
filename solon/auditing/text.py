"""How an audit's figures and names are written, and which judge stands where.

Every text that came from a file is made printable here, and is never read as markup or as a pattern.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any, TypeAlias

Record: TypeAlias = Mapping[str, Any]
WANTED = 0.05  # half the width of the interval that is aimed at
FINE = 0.01  # half the width of an interval that deserves another digit
NAMED = 3  # judges in a sentence
LONGEST = 60  # characters of a name


def best(audit: Record) -> Record | None:
    judge: Record | None = audit["by_judge"].get(audit["best_judge"])
    return judge


def by_accuracy(audit: Record) -> list[tuple[str, Record]]:
    """The judges from best to worst, those that nothing is known of last."""

    def place(pair: tuple[str, Record]) -> tuple[float, str]:
        accuracy = pair[1]["accuracy"]
        return (1.0 if accuracy is None else -accuracy, pair[0])

    return sorted(audit["by_judge"].items(), key=place)


def ceiling(people: Record) -> str | None:
    """The name of the figure of people among themselves that a judge's accuracy stands beside."""
    return next((name for name in ("left_out", "pairwise") if people[name] is not None), None)


def half_width(record: Record, name: str) -> float | None:
    low, high = record.get(f"{name}_interval") or (None, None)
    return None if low is None or high is None else float(high - low) / 2


def points(off: float) -> str:
    return f"{100 * off:.{int(off < 0.02)}f}"


def wanted_labels(accuracy: float) -> int:
    """Labels for an interval of ±WANTED about a share like this one, in tens; of an extreme one not too few."""
    share = min(max(accuracy, 0.1), 0.9)
    return 10 * ceil((1.96 / WANTED) ** 2 * share * (1 - share) / 10)


def figure(record: Record, name: str, *, share: bool = True, bare: bool = False) -> str:
    """A figure with its 95 % interval in brackets, with as many digits as the interval deserves.

    Args:
        share: whether it is told in per cent.
        bare: without the interval, which is told elsewhere.
    """
    value, off = record.get(name), half_width(record, name)
    if value is None:
        return "–"
    fine = off is not None and 0 < off < FINE
    digits = int(fine) if share else 2 + fine

    def told(number: float) -> str:
        return f"{(100 if share else 1) * number:z.{digits}f}"

    unit = " %" if share else ""
    if off is None or bare:
        return f"{told(value)}{unit}"
    low, high = record[f"{name}_interval"]
    return f"{told(value)}{unit} [{told(low)}, {told(high)}]"


def ece(calibration: Record | None, when: str, *, bare: bool = False) -> str:
    return figure(calibration[when], "ece", share=False, bare=bare) if calibration else "–"


def named(having: Mapping[str, str]) -> str:
    """Names with a figure each, the first few of them."""
    some = [f"{shown(name)} ({what})" for name, what in list(having.items())[:NAMED]]
    more = len(having) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "")


def reasons(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    some = [f"{shown(reason)} ({count:,})" for reason, count in ordered[: 2 * NAMED]]
    return ", ".join(some) + (f" and {len(ordered) - len(some)} more" if len(ordered) > len(some) else "")


def shown(text: str, most: int = LONGEST) -> str:
    """Text from a file on one line, in which nothing moves a cursor or turns the direction of writing."""
    half = most // 2
    cut = text if len(text) <= most else f"{text[:half]}…{text[1 - half :]}"  # long names often differ at the end
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def counted(n: int, what: str, several: str = "") -> str:
    return f"{n:,} {what if n == 1 else several or what + 's'}"
