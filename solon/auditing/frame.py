"""What every page of figures is set in: a head that lets nothing be fetched and no script run, and its pictures."""

from collections.abc import Callable
from html import escape

from solon.auditing.markup import Pictures, text
from solon.auditing.style import STYLE
from solon.auditing.text import Record

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def framed(title: str, body: str, style: str = "") -> str:
    """A whole page: ``body`` and ``style`` are trusted, ``title`` is not."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def drawn(draw: Callable[[Record], Pictures], record: Record, verb: str) -> tuple[Pictures, str]:
    """The pictures as trusted SVG; where they cannot be drawn, none, and a paragraph that says what ``verb`` needs."""
    try:
        return draw(record), ""
    except ImportError:
        said = f"The plots are left out, since Altair is not installed: pip install 'solon[audit]', and {verb} again."
        return {}, text(said, "soft")
