"""Word diff of two completions: which words stand on one side only. A side's segments, joined, are its text."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

# A sign stands alone and ends a word, but for an apostrophe inside one. What is written without spaces (Chinese,
# Japanese) goes sign by sign.
_SIGNS = r"!-/:-@\[-^`{-~\u00a1-\u00bf\u2000-\u206f\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_IDEOGRAPHS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = rf"[^\s{_SIGNS}{_IDEOGRAPHS}]+"
_WORDS = re.compile(rf"\s+|{_WORD}(?:['\u2019]{_WORD})*|.", re.DOTALL)
_SENTENCES = re.compile(r"\s+|(?:[^\s.!?\u3002]|\b[.!?]\b|[^\S\n])+[.!?\u3002]*|.", re.DOTALL)
_LINES = re.compile(r"\n+|[^\n]+")
_CELLS = 40_000_000  # of the table, a bit each: 5 MB, and some 50 ms; about 35,000 characters of English on both sides
_CHANCE_RUN = 3  # units: matches no longer than this between larger changes are chance ("of the"), and are not shown

_ALIKE = 0.3  # share of neighbours; half of LLMBar's couples have less than 0.08, and nine tenths less than 0.4


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a side's text; ``own`` where the other side has not got it."""

    text: str
    own: bool


@dataclass(frozen=True, slots=True)
class WordDiff:
    """Both sides from start to end. What is not ``own`` is, but for its spaces, the same on both."""

    left: tuple[Segment, ...]
    right: tuple[Segment, ...]


def word_diff(left: str, right: str) -> WordDiff:
    """The longest common sequence of words and signs, by sentences or lines where the texts are too long for that.

    White space takes part in no comparison: it belongs to a stretch of own words only between two of them.
    """
    pieces = _WORDS.findall(left), _WORDS.findall(right)
    for units in (_SENTENCES, _LINES):
        if len(pieces[0]) * len(pieces[1]) <= 4 * _CELLS:  # about half of the pieces are spaces
            break
        pieces = units.findall(left), units.findall(right)
    words = _solid(pieces[0]), _solid(pieces[1])
    kept = _without_chance(words, _common(*words))
    return WordDiff(_segments(pieces[0], {i for i, _ in kept}), _segments(pieces[1], {j for _, j in kept}))


def alike(one: str, other: str) -> bool:
    """Whether one text reads as a version of the other, by the neighbours that words have in both."""
    pairs = _neighbours(one), _neighbours(other)
    return 2 * (pairs[0] & pairs[1]).total() >= _ALIKE * (pairs[0].total() + pairs[1].total())


def _neighbours(text: str) -> Counter[tuple[str, str]]:
    return Counter(pairwise(["", *_solid(_WORDS.findall(text)), ""]))


def _solid(pieces: Iterable[str]) -> list[str]:
    return [piece for piece in pieces if not piece.isspace()]


def _common(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Places (left, right) of a longest common subsequence, rising in both; only its ends where it is too long."""
    short = min(len(left), len(right))
    start = next((i for i in range(short) if left[i] != right[i]), short)
    end = next((i for i in range(short - start) if left[-1 - i] != right[-1 - i]), short - start)
    middle = _middle(left[start : len(left) - end], right[start : len(right) - end])
    return [
        *((i, i) for i in range(start)),
        *((start + i, start + j) for i, j in middle),
        *((len(left) - i, len(right) - i) for i in range(end, 0, -1)),
    ]


def _middle(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """A longest common subsequence by rows of bits, one row for each word on the right.

    Source: Hyyro 2004, "Bit-parallel LCS-length computation revisited": a zero at bit i of row j says that word i of
    the left makes the longest common subsequence with the first j words of the right one longer.
    """
    if not left or not right or len(left) * len(right) > _CELLS:
        return []
    places: dict[str, int] = {}
    for i, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << i
    every = (1 << len(left)) - 1
    rows = [every]
    for word in right:
        row, hits = rows[-1], rows[-1] & places.get(word, 0)
        rows.append(((row + hits) | (row - hits)) & every)
    return _traced(rows, len(left))


def _traced(rows: Sequence[int], width: int) -> list[tuple[int, int]]:
    found = []
    i, j = width, len(rows) - 1
    while i and j:
        bit = 1 << (i - 1)
        if rows[j] & bit:
            i -= 1
        elif not rows[j - 1] & bit:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found.append((i, j))
    return found[::-1]


def _without_chance(words: tuple[list[str], list[str]], kept: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The matches but for short ones between larger changes: a rewritten sentence reads as one change."""
    runs = _runs(kept)
    ends = [(-1, -1), *(run[-1] for run in runs)]
    starts = [*(run[0] for run in runs), (len(words[0]), len(words[1]))]
    gaps = [_size(words, end, start) for end, start in zip(ends, starts, strict=True)]
    stays = []
    for run, before, after in zip(runs, gaps, gaps[1:], strict=False):
        length = sum(len(words[0][i]) for i, _ in run)
        if len(run) > _CHANCE_RUN or length >= min(before, after):
            stays.extend(run)
    return stays


def _runs(kept: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    runs: list[list[tuple[int, int]]] = []
    for i, j in kept:
        if runs and runs[-1][-1] == (i - 1, j - 1):
            runs[-1].append((i, j))
        else:
            runs.append([(i, j)])
    return runs


def _size(words: tuple[list[str], list[str]], end: tuple[int, int], start: tuple[int, int]) -> int:
    """Characters between two matches, on the side that has more of them."""
    return max(sum(map(len, side[e + 1 : s])) for side, e, s in zip(words, end, start, strict=True))


def _segments(pieces: Sequence[str], kept: set[int]) -> tuple[Segment, ...]:
    marked = groupby(_marked(pieces, kept), key=lambda piece: piece[1])
    return tuple(Segment("".join(text for text, _ in group), own) for own, group in marked)


def _marked(pieces: Sequence[str], kept: set[int]) -> Iterator[tuple[str, bool]]:
    words = len(_solid(pieces))
    place = 0
    own = False  # the last word was
    for piece in pieces:
        if piece.isspace():
            yield piece, own and place < words and place not in kept and "\n" not in piece
        else:
            own = place not in kept
            yield piece, own
            place += 1
