"""What a text quotes, from a completion or elsewhere, taken out of it."""

import re

from judge.wording.labels import AROUND, is_short, name_of

FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[^\n]*$|\Z)", re.S | re.M)
BLOCK_QUOTE = re.compile(r"^[ \t]*>.*$", re.M)
QUOTED = (
    (re.compile(r'"([^"\n]*)"'), '"'),
    (re.compile(r"`([^`\n]*)`"), "`"),
    (re.compile(r"(?<!\w)'((?:[^'\n]|(?<=\w)'(?=\w))*+)'(?!\w)"), "'"),
)


def without_blocks(text: str) -> str:
    """The text without its code fences and block quotes."""
    if "```" in text or "~~~" in text:
        text = FENCED.sub("\nquoted.\n", text)
    return BLOCK_QUOTE.sub("quoted.", text) if ">" in text else text


def unquoted(text: str) -> str:
    """The text without what stands in quotation marks, code or block quotes; a name in them stays, without them."""
    text = without_blocks(text)
    for pattern, sign in QUOTED:
        if sign in text:
            text = pattern.sub(only_a_name, text)
    return text.strip()


def only_a_name(quoted: re.Match[str]) -> str:
    bare = quoted[1].strip(AROUND)
    kept = is_short(bare) and "[[" not in quoted[1] and name_of(bare)
    return f" {quoted[1]} " if kept else " quoted "
