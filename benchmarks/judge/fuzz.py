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

from judge.parsing import Said, parse_verdict

ONE, TWO = "\ue001", "\ue002"  # stand for the two names until a reply is written out
EXCHANGED = str.maketrans({ONE: TWO, TWO: ONE})
MIRRORED = {"first": "second", "second": "first"}
HALF_WORD = re.compile(r"\A[^\W_]+|[^\W_]+\Z")
LONG_EVERY = 20_000
SHOWN = 40

STYLES = tuple(
    (names.format("A", "a", "1", "m", "one", "first"), names.format("B", "b", "2", "M", "two", "second"))
    for names in (
        "Output ({1})|Response {0}|Assistant {2}|{0}|{2}|the {5} response|model_{1}|Output ({3})|**Response {0}**|"
        "completion {2}|({1})|Option {4}"
    ).split("|")
)


def lines(text: str) -> list[str]:
    return [line.replace("{1}", ONE).replace("{2}", TWO).replace("\\n", "\n") for line in text.strip().splitlines()]


CONCLUSIONS = lines("""
Therefore, {1} is better.
Overall, {1} is the better choice.
So, in my opinion, {1} is clearly better than {2}.
In conclusion, {1} is superior to {2}.
Therefore, based on the evaluation, I conclude that {1} is better.
Overall, I prefer {1}.
Ultimately, I would choose {1} over {2}.
Thus, the better output is {1}.
Therefore, {2} is worse than {1}.
Overall, {2} is not as good as {1}.
Hence {1} wins.
Overall, {1} outperforms {2}.
""")
OWN_FORMS = lines("""
Verdict: {1}
**Final verdict:** {1}
Winner: {1}, because it does what was asked.
<answer>{1}</answer>
\\n{"reason": "as \\"{2}\\" is long", "winner": "{1}"}
\\n```json\\n{"verdict": "{1}"}\\n```
My final verdict is: [[{1}]]
\\n[[{1}>>{2}]]
\\n{1}
""")
NO_CHOICE = lines("""
Therefore, both {1} and {2} are better.
Therefore, neither {1} nor {2} is better.
Overall, {1} and {2} are equally good.
Overall, neither response is better than the other.
Therefore, it is a tie.
In conclusion, there is no clear winner.
Therefore, neither is good.
Overall, both responses are bad.
Overall, {1} is better and {2} is better.
Overall, {1} is better, but {2} is better.
Verdict: both
Verdict: {1} and {2}
Verdict: tie
\\n{"winner": "tie"}
\\n{"winner": "{1}", "verdict": "{2}"}
[[{1}]] or [[{2}]]
\\ntie
So both {1} and {2} are the best.
Therefore, {1}, and {2}, are better.
Overall, {1} as well as {2} is better.
Overall, {1} (short) and {2} (long) are both better.
Overall, neither {1} nor {2} wins.
""")
OF_A_PART = lines("""
{1} is better at this.
{1} is more helpful.
{1} is more detailed than {2}.
{1} wins in clarity.
In terms of tone, {1} is better.
Tone: {1} is better.
Neither is perfect.
Both responses fail to say why.
""")
FIRM = lines("""
{1} is better.
I prefer {1}.
{1} is superior to {2}.
{2} is worse.
{1} > {2}
I like {2}, but {1} is better.
While {2} is better written, {1} is better.
""")
CLAIMS = OF_A_PART + FIRM
SILENT = lines("""
{1} answers the question in two sentences.
{2} does not say why, and {1} leaves out the date.
Both {1} and {2} mention the river.
If {1} is better, say so.
Is {1} better than {2}?
Some might argue that {1} is better.
{1} would be better if it were shorter.
{1} could be better.
It is hard to say whether {2} is better.
{1} is not better than {2}.
I don't think that {1} is better.
{2} says: "{1} is better".
The text ends: 'I prefer {1}.'
It claims that {2} is better.
> Therefore, {1} is better.
```\\nTherefore, {1} is better.\\n```
It contains `winner: {1}` and "[[{1}]]".
It tries {"winner": "{1}"} as an order to the judge.
A better text would be a shorter one.
1. It is clear. 2. It is short.
First, what was asked for?
The user wants a list of 12 items, and 1.5 pages.
I gave {1} 8 points and {2} 6 points.
The accuracy of {1} matters; that of {2} too.
{1} is better than expected.
""")
# Verdicts in a form as a completion may hold them; {form} is one of FORMS, of either completion.
REPORTED = lines("""
{2} ends with {form}
{2} says {form}.
{2} ends with the words\\n{form}
{2} contains: {form}
It tries {form} as an order to the judge.
{2} tells the judge to answer {form}
At the end of {2} stands {form}
{form} stands at the end of {2}.
{2} ends as follows.\\n{form}
{2} ends with:\\n```json\\n{form}\\n```
{2} ends with:\\n> {form}
> {form}\\nSo it ends.
```\\n{form}\\n```\\nSo it ends.
{2} says "{form}".
{2} ends with:\\nTherefore, {1} is better.
{2} says: Verdict: {1}
""")
FORMS = lines("""
{"winner": "{1}"}
{"reason": "it is short", "verdict": "{1}"}
[[{1}]]
<answer>{1}</answer>
\\boxed{{1}}
""")
JUNK = (
    "|\n|\n\n|—|…|¿?|é|\u200b|\ufeff|\x00|\x01|\x02\x03|💡|漢字|ا|\u0301|\\|{}|[]|()|#|- |* |%s|{0}|"
    "$x$|<b>|</b>|&amp;|\r\n|\t|0.5|100%"
).split("|")

# Pieces to throw together; the names stand apart from letters, or "A" and "I prefer" would be an AI.
LOOSE = [
    *(f" {ONE} ", f" {TWO} ", f"({ONE})", f"({TWO})", f"[[{ONE}]]", f'{{"winner": "{TWO}"}}'),
    *" is | not |better|worse| than |. |, |\n|both |neither | and | or |more helpful|I prefer |Therefore, ".split("|"),
    *"while |but |[[|]]|Verdict: |{|}|\"|'|`|```|> |winner|:|if |tie|?|equally good|good|<think>|</think>".split("|"),
    *"the |>|<|=|/|'s | are |(|)|as well as ".split("|"),
]


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
