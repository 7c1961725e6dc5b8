"""A million made-up replies through the verdict parser: `python benchmarks/judge/fuzz.py [COUNT] [SEED]`.

Bars: no exception; with the two names exchanged, the outcome exchanged; no completion preferred by a reply
that prefers none, or whose final claim names both or neither, or by a verdict that it only reports or itself
gainsays; and what a reply plainly concludes is read.
"""

import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from phrases import (
    CLAIMS,
    CONCLUSIONS,
    EXCHANGED,
    FIRM,
    FORMS,
    JUNK,
    LOOSE,
    NO_CHOICE,
    OF_A_PART,
    ONE,
    OWN_FORMS,
    REPORTED,
    SILENT,
    STYLES,
    TWO,
)

from judge.parsing import Said, parse_verdict

MIRRORED = {"first": "second", "second": "first"}
HALF_WORD = re.compile(r"\A[^\W_]+|[^\W_]+\Z")
LONG_EVERY = 20_000
SHOWN = 40


@dataclass(frozen=True, slots=True)
class Made:
    """A reply with placeholders for both names, and which outcomes it may have."""

    text: str
    allowed: frozenset[str] | None  # None: any


ANY = None
FIRST = frozenset(("first",))
SECOND = frozenset(("second",))
BOTH = frozenset(("both named",))
NOBODY = frozenset(("tie", "both bad", "refusal", "unreadable", "both named", "truncated"))


def turned(draw: random.Random, text: str) -> tuple[str, bool]:
    """The text, or the same with its two names exchanged, and which of the two."""
    return (text.translate(EXCHANGED), True) if draw.random() < 0.5 else (text, False)


def before(draw: random.Random, kinds: list[list[str]]) -> str:
    """None to three sentences, with junk between some of them."""
    parts = []
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        parts.append(turned(draw, draw.choice(draw.choice(kinds)))[0])
        if draw.random() < 0.2:
            parts.append(" " + draw.choice(JUNK))
        parts.append(draw.choice(("\n", "\n\n")))
    return "".join(parts)


def concluding(draw: random.Random) -> Made:
    end, other = turned(draw, draw.choice(CONCLUSIONS))
    return Made(before(draw, [SILENT, SILENT, CLAIMS]) + end, SECOND if other else FIRST)


def in_a_form(draw: random.Random) -> Made:
    """Reasoning that leaves the verdict open, then the verdict in a form."""
    end, other = turned(draw, draw.choice(OWN_FORMS))
    return Made(before(draw, [SILENT, SILENT, OF_A_PART]) + end, SECOND if other else FIRST)


def reported(draw: random.Random) -> Made:
    """A form that a completion holds, either one's, beside the judge's own claim or without one."""
    told = turned(draw, draw.choice(REPORTED))[0].replace("{form}", turned(draw, draw.choice(FORMS))[0].strip())
    if draw.random() < 0.3:
        return Made(before(draw, [SILENT]) + told, NOBODY)
    own, other = turned(draw, draw.choice(FIRM))
    parts = [own, told] if draw.random() < 0.7 else [told, own]
    return Made(
        before(draw, [SILENT])
        + draw.choice((" " if parts[0][-1] == "." and parts[1][0] not in ">`" else "\n", "\n\n")).join(parts),
        SECOND if other else FIRST,
    )


def gainsaid(draw: random.Random) -> Made:
    """A form at the end against a firm claim, or against another form."""
    first, other = turned(draw, draw.choice([*FIRM, *FORMS]))
    end = draw.choice(OWN_FORMS)
    return Made(first + draw.choice(("\n", "\n\n")) + (end if other else end.translate(EXCHANGED)), BOTH)


def undecided(draw: random.Random) -> Made:
    return Made(before(draw, [SILENT, SILENT, CLAIMS]) + turned(draw, draw.choice(NO_CHOICE))[0], NOBODY)


def silent(draw: random.Random) -> Made:
    return Made(before(draw, [SILENT]) + turned(draw, draw.choice(SILENT))[0], NOBODY)


def loose(draw: random.Random) -> Made:
    return Made("".join(draw.choices(LOOSE, k=draw.randint(1, 12))), ANY)


def cut(draw: random.Random) -> Made:
    """Cut between any two words, so that half a sentence, an open quote or an open brace is left."""
    text = before(draw, [SILENT, CLAIMS, CONCLUSIONS, OWN_FORMS, NO_CHOICE])
    start = draw.randrange(len(text) + 1)
    piece = text[start : start + draw.randint(1, 120)]
    return Made(HALF_WORD.sub("", piece), ANY)  # half of "both" would be a name


def long(draw: random.Random) -> Made:
    piece = draw.choice([*LOOSE, *JUNK[1:], *SILENT, *CLAIMS, *CONCLUSIONS, *OWN_FORMS, '{"a":', "'a ", "[[", "no "])
    return Made(piece * (draw.randint(5_000, 50_000) // len(piece)) + draw.choice(CONCLUSIONS), ANY)


KINDS: tuple[Callable[[random.Random], Made], ...] = (
    concluding,
    in_a_form,
    reported,
    gainsaid,
    undecided,
    silent,
    loose,
    loose,
    cut,
)


def read(text: str) -> str:
    verdict = parse_verdict(text)
    return verdict.outcome if isinstance(verdict, Said) else verdict.reason


def fault(made: Made, one: str, two: str) -> tuple[str, str]:
    """What is wrong with how a reply is read, or nothing; and the outcome."""
    text = made.text.replace(ONE, one).replace(TWO, two)
    try:
        outcome = read(text)
        other = read(made.text.replace(ONE, two).replace(TWO, one))
    except Exception as error:  # any at all is a fault
        return f"raises {type(error).__name__}: {text[:300]!r}", "exception"
    if other != MIRRORED.get(outcome, outcome):
        if read(made.text.replace(ONE, "x").replace(TWO, "x")) in MIRRORED:
            return "", outcome  # cut so that "a" or "first" is left, which is a name, too
        return f"not symmetric ({outcome}, {other}): {text[:300]!r}", outcome
    if made.allowed and outcome not in made.allowed:
        return f"read as {outcome}: {text[:300]!r}", outcome
    return "", outcome


def main(count: int = 1_000_000, seed: int = 0) -> int:
    draw, started = random.Random(seed), time.process_time()
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    for number in range(1, count + 1):
        made = long(draw) if number % LONG_EVERY == 0 else draw.choice(KINDS)(draw)
        wrong, outcome = fault(made, *draw.choice(STYLES))
        outcomes[outcome] += 1
        if wrong:
            faults.append(wrong)
    for wrong in faults[:SHOWN]:
        print(wrong, file=sys.stderr)
    seconds = round(time.process_time() - started, 1)
    print(
        json.dumps(
            {"replies": count, "seed": seed, "faults": len(faults), "cpu_seconds": seconds, "outcomes": outcomes}
        )
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
