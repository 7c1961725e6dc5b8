"""A verdict in a form that a judge was told to use: JSON, ``[[A]]``, "Verdict: A"."""

import json
import re
from collections.abc import Sequence

from judge.wording.claims import claims_in, decided
from judge.wording.comparing import MARKS, Says
from judge.wording.labels import label_of
from judge.wording.naming import BOTH, NEITHER, marked

KEYS = (
    r"verdict|winner|preferred|preference|choice|decision|judge?ment|better|best|answer|selection|result|conclusion|"
    r"chosen|label|pick|final_(?:verdict|answer|choice|decision)|"
    r"(?:better|best|preferred|chosen|winning)_(?:response|output|completion|answer|option|assistant|model)"
)
KEY = re.compile(KEYS)
KEYED = re.compile(
    rf"^[ \t\"'*_#\->{{(]*(?:(?:my|the|final|overall|so|therefore|thus) ?,? ?){{0,3}}(?:{KEYS})"
    rf"(?: (?:response|output|completion|answer|option|assistant|model|verdict|choice))?[ \t\"'*_]*"
    rf"(?:[:=][ \t]*+(?:\n[ \t\n]*)?|\n\s*)(\S[^\n]*)$",
    re.I | re.M,
)
TAGGED = re.compile(rf"<({KEYS})>|</(?:{KEYS})>|\\boxed(?=\{{)", re.I)
DOUBLE = re.compile(r"\[\[([^\[\]\n]{1,99})\]\]")
REASON_AFTER = re.compile(r"\s*(?:[,;(]|[-–—] |\bbecause\b|\bsince\b)")
DECODER = json.JSONDecoder()


def in_json(text: str) -> Says | None:
    """What an object says that is the whole reply, begins it or ends it, under a key such as "winner"."""
    if '"' not in text:
        text = text.replace("'", '"')  # as Python prints it
    starts = [match.start() for match in re.finditer(r"^[ \t]*\{", text, re.M)] if "{" in text else []
    for start in dict.fromkeys([*starts[-3:][::-1], text.rfind("{"), *starts[:1]]):
        try:
            found, end = DECODER.raw_decode(text, text.index("{", start))
        except (ValueError, RecursionError):
            continue
        begins = not text[:start].strip(" \t\n`").removeprefix("json")
        if isinstance(found, dict) and (begins or not text[end:].strip(" \t\n`~")):
            said = {value_of(value) for key, value in found.items() if KEY.fullmatch(key.lower().replace(" ", "_"))}
            if said := said - {None}:
                return said.pop() if len(said) == 1 else "both named"
    return None


def value_of(value: object) -> Says | None:
    return valued(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None


def in_brackets(text: str) -> Says | None:
    """``[[A]]``, ``[[B>>A]]``, and ``[[C]]`` for a tie."""
    found = list(DOUBLE.finditer(text)) if "[[" in text else []
    read = [(says, match.span()) for match in found if (says := "tie" if match[1] == "C" else label_of(match[1]))]
    return last_of(read, text)


def after_key(text: str) -> Says | None:
    """ "Verdict: A", "**Winner:** Output (b)", "<answer>1</answer>"; also with the label on the next line."""
    if "<" in text or "\\" in text:
        text = TAGGED.sub(lambda match: "\n" if match[0].startswith("</") else "\nverdict: ", text)
    return last_of([(says, match.span()) for match in KEYED.finditer(text) if (says := valued(match[1]))], text)


def last_of(read: Sequence[tuple[Says, tuple[int, int]]], text: str) -> Says | None:
    """What all say, or what the last one says where it stands on a line of its own at the end."""
    if not read or len({says for says, _ in read}) == 1:
        return read[0][0] if read else None
    (_, before), (says, (start, end)) = read[-2:]
    return says if "\n" in text[before[1] : start + 1] and not re.search(r"\w", text[end:]) else "both named"


def valued(value: str) -> Says | None:
    """A verdict after its key: a label, alone or with a reason behind it, or a sentence that claims one."""
    if says := label_of(value):
        return says
    head, *rest = REASON_AFTER.split(value, maxsplit=1)
    if rest and (says := label_of(head)):
        return says if label_of(rest[0]) in (None, says) else "both named"
    if [word for word in marked(value) if word.isalnum() or word in MARKS] in ([BOTH], [NEITHER]):
        return "both named"
    return decided(claims_in(value), cut=False)
