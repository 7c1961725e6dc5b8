"""HTML for the page of an audit: its texts are escaped, and only its pictures are put in as they are."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TypeAlias

Pictures: TypeAlias = Mapping[str, str]
WORDS, WORDY = ("fault", "calibrated by"), ' class="words"'  # columns of words, not figures


def text(words: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is a class of the page's own."""
    styled = f' class="{kind}"' if kind else ""
    return f"<p{styled}>{said(words)}</p>"


def said(words: str) -> str:
    """Escaped, with a figure and its sign kept together."""
    return escape(words).replace(" %", "&nbsp;%")


def section(title: str, *blocks: str) -> str:
    """Nothing where there is nothing under the heading."""
    there = [block for block in blocks if block]
    return "\n".join([f"<h2>{escape(title)}</h2>", *there]) if there else ""


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without the columns that have no figure in any row; nothing without a row."""
    cells = list(rows)
    wordy = {at for at, name in enumerate(names) if name in WORDS}
    kept = [at for at in range(len(names)) if at == 0 or any(row[at] not in ("", "–") for row in cells)]
    if not cells or len(kept) < 2:
        return ""
    lines = [
        "<tr>" + "".join(f"<{tag}{WORDY if at in wordy else ''}>{escape(row[at])}</{tag}>" for at in kept) + "</tr>"
        for tag, row in [("th", names), *(("td", row) for row in cells)]
    ]
    return "\n".join(['<div class="wide"><table>', *lines, "</table></div>"])


def picture(pictures: Pictures, name: str, caption: str) -> str:
    if name not in pictures:
        return ""
    return f"<figure>{pictures[name]}<figcaption>{said(caption)}</figcaption></figure>"
