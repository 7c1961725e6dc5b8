"""English as the word rules read it, and how their patterns are put together."""

import re

SPACES = re.compile(r"\s+")
APOSTROPHES = str.maketrans("’‘", "''")
WHOLE = (  # contractions, in this order
    (re.compile(r"\b(?:can't|can not)\b"), "cannot"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"\b(i|we|you)'d\b"), r"\1 would"),
    (re.compile(r"\b(it|that|there|this|here|what)'s\b"), r"\1 is"),
)


def plain(text: str) -> str:
    """``text`` in small letters, with contractions written out and single spaces: what every pattern is written for."""
    said = SPACES.sub(" ", text.lower().translate(APOSTROPHES)).strip()
    for short, long in WHOLE:
        said = short.sub(long, said)
    return said


def any_of(choices: str) -> str:
    """A pattern for each of ``choices``, which are patterns themselves and set apart by slashes."""
    return f"(?:{'|'.join(choice.strip() for choice in choices.split('/'))})"


def compiled(*patterns: str) -> re.Pattern[str]:
    """What finds any of ``patterns``."""
    return re.compile("|".join(patterns), re.DOTALL)
