"""What is different between two versions of a principle file: for a reader line by line, for a run by principles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

from judge.review.words import Segment, word_diff

AROUND = 3  # lines that are shown around a change
MOST_COMPARED = 25_000_000  # pairs of lines; beyond, all that lies between the equal ends counts as rewritten


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a difference; a "gap" stands for equal lines that are left out."""

    kind: Literal["same", "old", "new", "gap"]
    old: int | None  # its number before, from 1
    new: int | None  # its number after
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Principles by their ids. What reaches no call (reasons, comments, order) is no change of a principle."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    reworded: tuple[str, ...]
    told: str


def changes(was: Mapping[str, str] | None, now: Mapping[str, str], labels: int = 0) -> Changes:
    """What a run that has worked with the wordings ``was`` would find changed; None: it has not begun.

    Args:
        labels: that people have given the run's couples.
    """
    if was is None:
        return Changes((), (), (), "The run has not begun: it starts with the principles as they are saved.")
    added = tuple(name for name in now if name not in was)
    removed = tuple(name for name in was if name not in now)
    reworded = tuple(name for name in now if name in was and now[name] != was[name])
    return Changes(added, removed, reworded, told(len(added), len(removed), len(reworded), labels))


def told(added: int, removed: int, reworded: int, labels: int = 0) -> str:
    counted = [(added, "added"), (removed, "removed"), (reworded, "reworded")]
    parts = [f"{count} {what}" for count, what in counted if count]
    if not parts:
        return "Nothing that reaches a call differs from the last run: solon run sends none for it."
    first = "principle" if parts[0].startswith("1 ") else "principles"
    number, _, what = parts[0].partition(" ")
    words = ", ".join([f"{number} {first} {what}", *parts[1:]])
    carry = "it" if added + removed + reworded == 1 else "them"
    return f"{words}: solon run sends only calls that carry {carry}, and uses every other reply again.{aside(labels)}"


def aside(labels: int) -> str:
    if not labels:
        return ""
    if labels == 1:
        return " 1 label is there; it is put aside if its couple's completions change."
    return f" {labels} labels are there; those of couples whose completions change are put aside."


def line_diff(before: str, after: str) -> tuple[Line, ...]:
    """The changed lines with some equal ones around them; in a rewritten line, the words that are its own."""
    old, new = before.split("\n"), after.split("\n")
    return tuple(without_far(list(all_lines(old, new))))


def all_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    for kind, i, i2, j, j2 in opcodes(old, new):
        if kind == "equal":
            yield from (Line("same", i + n + 1, j + n + 1, plain(old[i + n])) for n in range(i2 - i))
        else:
            yield from rewritten(old[i:i2], new[j:j2], i, j)


def opcodes(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """As difflib gives them. The equal ends are found first: mostly there is one change in a long text."""
    short = min(len(old), len(new))
    start = next((n for n in range(short) if old[n] != new[n]), short)
    end = next((n for n in range(short - start) if old[-1 - n] != new[-1 - n]), short - start)
    middle = old[start : len(old) - end], new[start : len(new) - end]
    if len(middle[0]) * len(middle[1]) > MOST_COMPARED:
        found: list[tuple[str, int, int, int, int]] = [("replace", 0, len(middle[0]), 0, len(middle[1]))]
    else:
        found = [*SequenceMatcher(None, *middle).get_opcodes()]
    inner = [(kind, i + start, i2 + start, j + start, j2 + start) for kind, i, i2, j, j2 in found]
    return [
        ("equal", 0, start, 0, start),
        *inner,
        ("equal", len(old) - end, len(old), len(new) - end, len(new)),
    ]


def rewritten(old: Sequence[str], new: Sequence[str], before_old: int, before_new: int) -> Iterator[Line]:
    if old and new:
        words = word_diff("\n".join(old), "\n".join(new))
        was, now = by_line(words.left), by_line(words.right)
    else:
        was, now = [own(line) for line in old], [own(line) for line in new]
    yield from (Line("old", before_old + n, None, segments) for n, segments in enumerate(was, 1))
    yield from (Line("new", None, before_new + n, segments) for n, segments in enumerate(now, 1))


def by_line(segments: Sequence[Segment]) -> list[tuple[Segment, ...]]:
    lines: list[list[Segment]] = [[]]
    for segment in segments:
        first, *others = segment.text.split("\n")
        lines[-1] += [Segment(first, segment.own)] if first else []
        lines += [[Segment(text, segment.own)] if text else [] for text in others]
    return [tuple(line) for line in lines]


def plain(line: str) -> tuple[Segment, ...]:
    return (Segment(line, False),) if line else ()


def own(line: str) -> tuple[Segment, ...]:
    return (Segment(line, True),) if line else ()


def without_far(lines: Sequence[Line]) -> Iterator[Line]:
    """A gap in place of equal lines that no change is near to."""
    near = [False] * len(lines)
    for place, line in enumerate(lines):
        if line.kind != "same":
            around = range(max(0, place - AROUND), min(len(lines), place + AROUND + 1))
            near[around.start : around.stop] = [True] * len(around)
    for shown, group in groupby(zip(near, lines, strict=True), key=lambda entry: entry[0]):
        some = [line for _, line in group]
        if shown or not any(near):
            yield from some if shown else ()
        else:
            yield Line("gap", some[0].old, some[0].new, (Segment(f"{len(some)} lines alike", False),))
