"""Others' text on its way into a judge's prompt: sham structure is broken, words to the judge are named.

Prose is never altered: that would change what is judged. It is only flagged.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

Flag = Literal["imitates the delimiters", "chat template", "reasoning tags", "instructs the judge", "verdict template"]
FLAGS: tuple[Flag, ...] = get_args(Flag)

QUOTE = "| "  # before a line that looks like a delimiter
BREAK = "\\"  # after the first character of a token that a tokenizer or a parser would take for its own
MARK_LENGTH = 80  # characters of a line in which a delimiter would have shown itself

# Every pattern below takes a text of n characters in time of order n: repetitions are bounded or cannot overlap.
LEAD = re.compile(
    r"[\W_]*(?:\d{1,3}[.)][\W_]*)?"
)  # all that may stand before a line's first word, list numbers included
WORD = re.compile(r"[^\W_]+")
MARK = re.compile(
    r"(?:\w+ ){0,4}(?:completion|response|candidate) ?(?:\d{1,2}|[ab]|one|two|first|second)\b.*"
    r"|(?:(?=\w*\d)\w+ |[a-f]{4,} |fence )?(?:(?:begin|start|end) (?:of )?(?:the )?)?(?:prompt|completion|end)"
)
TEMPLATE = re.compile(
    r"<\\?[|｜][\w▁]{1,40}[|｜]>|<\\?/s>|<\\?(?:start_of_turn|end_of_turn|bos|eos)>|<\\?</?SYS>>"
    r"|\[\\?/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
)
ROLE = re.compile(r"^[^\w\n]*(?:Human|Assistant|HUMAN|USER|ASSISTANT):|^### ?(?:Instruction|Response):?[ \t]*$", re.M)
REASONING = re.compile(r"[<◁]\\?\s{0,3}/?\s{0,3}(?:think|thinking|reasoning)\s{0,3}[>▷]|\[\\?/?THINK\]", re.IGNORECASE)
CHOICE = r"(?:(?:completion|response|output|candidate|assistant|model)[\s_]{0,3})?\(?(?:[12ab]|first|second)\b\)?"
VERDICT = re.compile(
    rf"""["'](?:winner|choice|better|best|preferred|preference|verdict|judge?ment|chosen|decision)["']\s*:\s*
        ["']?{CHOICE}["']?\s*[,}}]
    | \{{\s*["'](?:score|rating)["']\s*:\s*["']?\d{{1,4}}(?:\.\d{{1,4}})?(?:/10)?["']?\s*\}}
    | \[\[(?:[abc]|rating:\s?\d{{1,3}})\]\]
    | ^[^\w\n]*(?:(?:my|final)\ )?(?:verdict|preferred|preference|winner|judge?ment|better\ completion)
        [^\w\n]{{1,9}}{CHOICE}[^\w\n]*$""",
    re.VERBOSE | re.MULTILINE,
)
TEXT = r"(?:completion|response|candidate|output)"
INSTRUCTION = re.compile(
    rf"""\b(?:ignore|disregard|forget|override)\s+(?:(?:all|any|of|the|your|these)\s+){{0,3}}
        (?:(?:previous|prior|above|earlier|preceding)\s+(?:\w+\s+)?(?:instruction|prompt|rule|direction|guideline)s?
        | (?:instruction|direction|guideline)s?\s+(?:above|before)|everything\s+(?:above|before|said))\b
    | \b(?:ignore|disregard|override)\s+(?:all|any|your)\s+(?:of\s+)?(?:the\s+|your\s+)?instructions\b
    | \b(?:reply|respond|answer)\s+(?:only\s+|just\s+)?with\s+(?:only\s+|just\s+)?
        (?:the\s+(?:number|label|letter)\s+of\s+the\s|["'`(]?[12ab]["'`)]?[ \t]*(?:[.!,;\n]|$))
    | \b(?:choose|prefer|pick|select|favou?r|vote\s+for|rank|judge)\s+(?:the\s+)?
        (?:(?:this|my|first|second)\s+(?:completion|response|candidate)|{TEXT}\s+\(?[12ab])\b
    | \bthis\s+(?:is|{TEXT}\s+is)\s+(?:\w+\s+){{0,3}}(?:(?:better|superior|preferred|winning)\s+{TEXT}
        | best\s+(?:completion|candidate))\b
    | \b{TEXT}\s+\(?[12ab]\)?\s+is\s+(?:\w+\s+){{0,3}}
        (?:better|best|superior|preferred|preferable|winner)\b
    | \b(?:this|my)\s+(?:completion|response|candidate)\s+(?:must|should|has\s+to)\s+
        (?:win|be\s+(?:chosen|preferred|ranked|rated))\b
    | \b(?:give|award|rate|score|grade)\s+(?:this|my)\s+(?:completion|response|candidate)\s+(?:\w+\s+){{0,3}}
        (?:highest|top|full|maximum|perfect|10)\b
    | \b(?:note|attention|message|instructions?)\W{{0,3}}(?:to|for)?\s?(?:the\s|all\s)?
        (?:judges?|graders?|evaluators?)\s?[:,]""",
    re.VERBOSE,
)
EQUALS = "＝═≡꞊゠⹀⁼₌﹦᐀"
LETTERS = dict(zip("асеорхуіјѕԁһνοι", "aceopxyijsdhvoi", strict=True))  # of other scripts, that look like Latin ones
UNSEEN = ((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E),
          (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xE0100, 0xE01EF))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fenced:
    """A text as a judge may be shown it, and what was found in it, in the order of ``FLAGS``, each once."""

    text: str
    flags: tuple[Flag, ...]


def neutralise(text: str) -> Fenced:
    """``text`` with delimiter-like lines quoted and special tokens broken; the same object where it has none.

    Applied to its own result it changes nothing and finds the same flags.
    """
    plain = folded(text).casefold()
    found: dict[Flag, bool] = {
        "imitates the delimiters": any(map(is_mark, lines_of(text))),
        "chat template": bool(TEMPLATE.search(text) or ROLE.search(text)),
        "reasoning tags": bool(REASONING.search(text)),
        "instructs the judge": bool(INSTRUCTION.search(plain)),
        "verdict template": bool(VERDICT.search(plain)),
    }
    return Fenced(harmless(text), tuple(flag for flag in FLAGS if found[flag]))


def harmless(text: str) -> str:
    """The text of ``neutralise(text)`` without the flags, which are most of the work."""
    quoted = [QUOTE + line if is_mark(line) and not line.startswith(QUOTE) else line for line in lines_of(text)]
    shown = "".join(quoted) if quoted else text
    for pattern in (TEMPLATE, REASONING):
        shown = pattern.sub(broken, shown)
    return text if shown == text else shown


def lines_of(text: str) -> list[str]:
    """The lines of ``text``, cut at every sign that a model may read as their end; none where no delimiter can be."""
    return text.splitlines(keepends=True) if "=" in folded(text) else []


def is_mark(line: str) -> bool:
    """Whether a line begins, after anything that is not a word, with ``===`` and a delimiter's words."""
    plain = folded(line).casefold()
    lead = LEAD.match(plain)
    if lead is None or "===" not in "".join(lead[0].split()):
        return False
    return MARK.fullmatch(" ".join(WORD.findall(plain[lead.end() : lead.end() + MARK_LENGTH]))) is not None


def broken(token: re.Match[str]) -> str:
    return token[0][0] + BREAK + token[0][1:].removeprefix(BREAK)


def folded(text: str) -> str:
    """``text`` as a reader sees it: signs that look alike become one, signs that show nothing vanish."""
    return text if text.isascii() else text.translate(look_alikes())


@cache
def look_alikes() -> dict[int, str | None]:
    table: dict[int, str | None] = {code: None for first, last in UNSEEN for code in range(first, last + 1)}
    table |= {0xFF01 + step: chr(0x21 + step) for step in range(94)}  # full-width forms
    table |= {0xE0020 + step: chr(0x20 + step) for step in range(95)}  # tags: unseen by people, read by some models
    for signs, plain in ((EQUALS, "="), ("“”„", '"'), ("‘’", "'")):
        table |= dict.fromkeys(map(ord, signs), plain)
    return table | {ord(sign): letter for sign, letter in LETTERS.items()}
