"""A judge's free text read as a verdict. What is not plainly one is none, with its reason.

Three layers, of which the first that says anything decides: a text that is only a label, a verdict in a
form (JSON, ``[[A]]``, "Verdict: A"), and what the sentences claim. Reasoning before ``</think>`` and
whatever is quoted, from a completion or elsewhere, is not read.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from generator.chat import Finish
from judge.wording.claims import claims_in, decided
from judge.wording.comparing import Says
from judge.wording.forms import after_key, in_brackets, in_json
from judge.wording.labels import AROUND, is_short, label_of, name_of

Preference: TypeAlias = Literal["first", "second", "tie", "both bad"]
Missing: TypeAlias = Literal["refusal", "unreadable", "both named", "truncated"]


@dataclass(frozen=True, slots=True)
class Said:
    outcome: Preference


@dataclass(frozen=True, slots=True)
class Unsaid:
    reason: Missing
    detail: str  # how the reply begins


# As open models end their reasoning; some have its beginning in the prompt.
REASONING = re.compile(r"\A.*?</think(?:ing)?>", re.S)
OPEN_REASONING = re.compile(r"</?think")
SIGNS = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0xAB: '"', 0xBB: '"'}
SIGNS |= dict.fromkeys((*range(9), *range(0xB, 0x20), 0x7F), "")  # no text may hold the marks of ``naming``
FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[^\n]*$|\Z)", re.S | re.M)
BLOCK_QUOTE = re.compile(r"^[ \t]*>.*$", re.M)
QUOTED = (
    (re.compile(r'"([^"\n]*)"'), '"'),
    (re.compile(r"`([^`\n]*)`"), "`"),
    (re.compile(r"(?<!\w)'((?:[^'\n]|(?<=\w)'(?=\w))*+)'(?!\w)"), "'"),
)
REFUSING = re.compile(
    r"\bI(?:'m| am) (?:\w+ ){0,2}(?:sorry|unable|not able|not comfortable|afraid)\b|\bas an ai\b|\bI apologi[sz]e\b|"
    r"\bI (?:cannot|can't|can not|won't|will not|must decline|decline|refuse|do not feel|don't feel)\b|"
    r"\bunable to (?:judge|compare|determine|decide|evaluate|choose)\b",
    re.I,
)


def parse_verdict(text: str, finish: Finish = "stop") -> Said | Unsaid:
    """What a reply says of two completions; "first" is the one named A, 1, (a), m or first, whichever it uses."""
    if finish in ("refusal", "content_filter"):
        return Unsaid("refusal", text[:200])
    own = REASONING.sub("", text).translate(SIGNS).strip()
    if OPEN_REASONING.search(own):
        return unsaid(None, text, own, finish)
    says = label_of(own) or in_json(own)
    if says is None:
        own = unquoted(own)
        cut = finish == "length"
        says = label_of(own) or in_brackets(own) or after_key(own)
        says = says or decided(claims_in(whole_sentences(own) if cut else own), cut)
    return unsaid(says, text, own, finish) if says is None or says == "both named" else Said(says)


def unsaid(says: Says | None, text: str, own: str, finish: Finish) -> Unsaid:
    if says is None and REFUSING.search(own):
        return Unsaid("refusal", text[:200])
    if finish == "length":
        return Unsaid("truncated", text[:200])
    return Unsaid("both named" if says else "unreadable", text[:200])


def whole_sentences(text: str) -> str:
    """The text without the sentence that it was cut off in."""
    return text[: 1 + max(text.rfind(sign) for sign in ".!?\n")]


def unquoted(text: str) -> str:
    """The text without what stands in quotation marks, code or block quotes; a name in them stays, without them."""
    if "```" in text or "~~~" in text:
        text = FENCED.sub("\n", text)
    if ">" in text:
        text = BLOCK_QUOTE.sub("", text)
    for pattern, sign in QUOTED:
        if sign in text:
            text = pattern.sub(only_a_name, text)
    return text.strip()


def only_a_name(quoted: re.Match[str]) -> str:
    bare = quoted[1].strip(AROUND)
    kept = is_short(bare) and "[[" not in quoted[1] and name_of(bare)
    return f" {quoted[1]} " if kept else " quoted "
