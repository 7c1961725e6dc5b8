"""The Markdown of a report: tables, and other people's text in which nothing is markup."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others figures."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def one_line(text: str, most: int = 600) -> str:
    """Model text as one paragraph in which nothing is markup and nothing moves a cursor."""
    flat = " ".join(text.split())
    cut = flat if len(flat) <= most else flat[:most] + " …"
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|!~&" else c for c in plain)
