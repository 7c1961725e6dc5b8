"""A judge's free text read as a verdict. What is not plainly one is none, with its reason.

Reasoning before ``</think>`` and whatever is quoted, from a completion or elsewhere, is not read. How the
rest is weighed stands in ``judge.wording.stated``.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from generator.chat import Finish
from judge.wording.comparing import Says
from judge.wording.quoting import unquoted
from judge.wording.stated import stated

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
    says = stated(own, finish == "length")
    return unsaid(says, text, unquoted(own), finish) if says is None or says == "both named" else Said(says)


def unsaid(says: Says | None, text: str, own: str, finish: Finish) -> Unsaid:
    if says is None and REFUSING.search(own):
        return Unsaid("refusal", text[:200])
    if finish == "length":
        return Unsaid("truncated", text[:200])
    return Unsaid("both named" if says else "unreadable", text[:200])
