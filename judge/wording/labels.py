"""A verdict that is a label and no more."""

import re

from judge.wording.comparing import Says
from judge.wording.naming import LETTER_MARK, NAMED_BY_ORDER, NOUNS, NUMBER_WORDS, ORDINAL_MARK, OTHER, TOKEN

INSIDE = frozenset("()[]\"'*_#")
AROUND = " \t\n\"'*_`()[]{}.:,#"
TIES = frozenset(("tie", "a tie", "draw", "a draw", "tied", "equal", "equally good", "no preference", "both equal"))
BAD = frozenset(
    ("both bad", "bothbad", "both are bad", "tie (bothbad", "tie (both bad", "equally bad", "neither is good")
)
SIGNED = re.compile(r"(\S[^<>=]*)(<+|>+|=+)(.+)")


def label_of(text: str) -> Says | None:
    """The verdict of a text that is nothing but a label: "A", "**Output (b)**", "the second one", "tie", "1 > 2"."""
    bare = text.strip(AROUND)
    if not is_short(bare):
        return None
    low = bare.lower()
    if low in TIES and bare[:2] != "A ":  # which may be a name
        return "tie"
    if low in BAD:
        return "both bad"
    if low in ("both", "neither"):
        return "both named"
    if mark := name_of(bare):
        return "first" if OTHER[mark] > mark else "second"
    return ranked(bare)


def is_short(bare: str) -> bool:
    """Whether a text may be a label by its length, in which "second" counts as much as "first"."""
    return len(bare) <= 60 or (len(bare) < 80 and len(bare) - bare.lower().count("second") <= 60)


def name_of(bare: str) -> str | None:
    """The mark of a text that is one name of a completion."""
    words = [word for word in TOKEN.findall(bare) if word not in INSIDE]
    low = [word.lower() for word in words]
    if low[:1] == ["the"]:
        del words[0], low[0]
    if len(words) > 1 and low[0] in NOUNS:
        return LETTER_MARK.get(words[-1]) if low[1:-1] in ([], ["-"], ["number"]) else None
    if not words or len(words) > 2 or (len(words) == 2 and low[1] not in NAMED_BY_ORDER):
        return None
    plain = len(words) == 1 and low[0] not in NUMBER_WORDS
    return ORDINAL_MARK.get(low[0]) or (LETTER_MARK.get(words[0]) if plain else None)


def ranked(bare: str) -> Says | None:
    """ "A > B", "B >> A", "1 = 2"."""
    match = SIGNED.fullmatch(bare)
    if not match:
        return None
    before, behind = name_of(match[1].strip(AROUND)), name_of(match[3].strip(AROUND))
    if not before or behind != OTHER[before]:
        return None
    if match[2][0] == "=":
        return "tie"
    better = before if match[2][0] == ">" else behind
    return "first" if OTHER[better] > better else "second"
