"""A verdict in a form that a judge was told to use: JSON, ``[[A]]``, "Verdict: A"."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from judge.wording.claims import claims_in, decided
from judge.wording.comparing import MARKS, Says
from judge.wording.labels import label_of
from judge.wording.naming import BOTH, NEITHER, marked
from judge.wording.reporting import FORM, Standing, standing

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
TAGGED = re.compile(rf"<({KEYS})>\s*+([^<\n]*+)(?:\s*+</(?:{KEYS})>)?|\\boxed\{{([^{{}}\n]*+)\}}", re.I)
DOUBLE = re.compile(r"\[\[([^\[\]\n]{1,99})\]\]")
PAIR = re.compile(rf"[\"']((?:{KEYS}))[\"'][ \t]*+:\s*+(?:\"([^\"\n]*+)\"|'([^'\n]*+)'|(\d++))", re.I)
REASON_AFTER = re.compile(r"\s*(?:[,;(]|[-–—] |\bbecause\b|\bsince\b)")
DECODER = json.JSONDecoder()
ENCLOSING = " \t\n`~>"
TAKEN = "\x06"  # in the place of a form that counts


@dataclass(frozen=True, slots=True)
class Form:
    says: Says
    start: int
    end: int
    standing: Standing = "own"


def in_json(text: str) -> Form | None:
    """An object that is the whole reply, begins it or ends it, with a verdict under a key such as "winner"."""
    if '"' not in text:
        text = text.replace("'", '"')  # as Python prints it
    starts = [match.start() for match in re.finditer(r"^[ \t]*\{", text, re.M)] if "{" in text else []
    for start in dict.fromkeys([*starts[-3:][::-1], text.rfind("{"), *starts[:1]]):
        try:
            found, end = DECODER.raw_decode(text, text.index("{", start))
        except (ValueError, RecursionError):
            continue
        begins = not text[:start].strip(" \t\n")
        ends = not text[end:].strip(ENCLOSING)
        if isinstance(found, dict) and (begins or ends):
            said = {value_of(value) for key, value in found.items() if KEY.fullmatch(key.lower().replace(" ", "_"))}
            if said := said - {None}:
                says = said.pop() if len(said) == 1 else "both named"
                return judged(text, [(says, (start, len(text) if ends else end))])[0]
    return None


def value_of(value: object) -> Says | None:
    return valued(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None


def keyed(text: str) -> list[Form]:
    """ "Verdict: A", "**Winner:** Output (b)"; also with the label on the next line."""
    return judged(text, [(valued(match[1]), match.span()) for match in KEYED.finditer(text)])


def tagged(text: str) -> list[Form]:
    """``<answer>1</answer>``, ``\\boxed{A}``, ``[[A]]``, ``[[B>>A]]``, and ``[[C]]`` for a tie."""
    read: list[tuple[Says | None, tuple[int, int]]] = []
    if "[[" in text:
        read += [("tie" if match[1] == "C" else label_of(match[1]), match.span()) for match in DOUBLE.finditer(text)]
    if "<" in text or "\\" in text:
        read += [(valued(match[2] or match[3] or ""), match.span()) for match in TAGGED.finditer(text)]
    return judged(text, read)


def labelled(text: str) -> list[Form]:
    """A last line, of several, that is only a label."""
    text = text.rstrip()
    start = text.rfind("\n") + 1
    return judged(text, [(label_of(text[start:]), (start, len(text)))]) if text[:start].strip() else []


def pairs(text: str) -> list[Form]:
    """A key and its verdict as JSON writes them, wherever they stand. Never enough for a verdict, but against one."""
    found = []
    for match in PAIR.finditer(text):
        opened = text.rfind("{", max(match.start() - 200, 0), match.start())
        start = match.start() if opened < 0 or "}" in text[opened : match.start()] else opened
        found.append((valued(match[2] or match[3] or match[4] or ""), (start, match.end())))
    return [replace(form, standing="doubtful") if form.standing == "own" else form for form in judged(text, found)]


def judged(text: str, read: Iterable[tuple[Says | None, tuple[int, int]]]) -> list[Form]:
    """The forms at some spans that say anything, each with how it stands there; none within another."""
    forms: list[Form] = []
    for start, end, says in sorted((start, end, says) for says, (start, end) in read if says):
        if not forms or start >= forms[-1].end:
            forms.append(Form(says, start, end))
    if not forms:
        return []
    words = marked(without(text, forms, FORM))
    places = [at for at, word in enumerate(words) if word == FORM]
    return [replace(form, standing=standing(words, at, form.says)) for form, at in zip(forms, places, strict=True)]


def without(text: str, forms: Iterable[Form], word: str = "") -> str:
    """The text with a word in the place of each form; they are in order."""
    parts, at = [], 0
    for form in forms:
        parts += [text[at : form.start], f" {word or ('quoted.' if form.standing == 'reported' else TAKEN)} "]
        at = form.end
    return "".join([*parts, text[at:]])


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
