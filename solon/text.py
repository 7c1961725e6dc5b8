"""Text that came from elsewhere, on its way to a terminal or a page."""


def printable(text: str) -> str:
    """``text`` without what would move a terminal's cursor or fail to encode: model text may be in it."""
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)
