"""Upstream's reading of LLMBar's replies beside Solon's."""

import sys
from collections import Counter
from dataclasses import dataclass

from recorded import DATA, llmbar
from tables import Proof, Row, judged, share

from judge.parsing import Said, parse_verdict

LEAST = 0.995
TURNED = {"first": "second", "second": "first"}
PLACES = {"1": "first", "2": "second"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One reply; outcomes are of the completions as shown, None where there is none."""

    item: str
    judge: str
    order: int
    reply: str
    ours: str | None
    reason: str  # why ours is none
    theirs: str | None


def parser() -> tuple[Proof, ...]:
    """Replies that are read otherwise go to stderr, with their ends."""
    read = readings()
    told = [one for one in read if one.ours and one.theirs]
    otherwise = [one for one in told if one.ours != one.theirs]
    for one in otherwise:
        place = f"{one.item}, {one.judge}, order {one.order}: Solon {one.ours}, upstream {one.theirs}"
        print(f"{place}\n    ...{one.reply[-200:]!r}", file=sys.stderr)
    agreed = len(told) - len(otherwise)
    same = agreed / len(told)
    left = [one for one in read if one.theirs and not one.ours]
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(one.reason for one in left).items()))
    more = sum(1 for one in read if one.ours and not one.theirs)
    rows = (
        Row(("replies", f"{len(read):,}")),
        Row(("both read a verdict", f"{len(told):,}")),
        Row(("of these the same", f"{agreed:,} ({share(same, 2)})"), "≥ 99.5 %", judged(same >= LEAST)),
        Row(("only upstream reads a verdict", f"{len(left)} ({why})" if left else "0")),
        Row(("only Solon reads a verdict", str(more))),
        Row(("neither does", str(len(read) - len(told) - len(left) - more))),
    )
    listed = tuple(Row((one.item, one.judge, str(one.order), str(one.ours), str(one.theirs))) for one in otherwise)
    return (
        Proof("Parser", "LLMBar's raw replies, upstream's reading beside Solon's.", ("replies", "number"), rows),
        Proof("Replies read otherwise", "", ("item", "judge", "order", "Solon", "upstream"), listed),
    )


def readings() -> tuple[Reading, ...]:
    recorded = llmbar(raw=True)
    if recorded is None:
        raise FileNotFoundError(DATA)
    columns = [recorded.verdicts[name] for name in ("item", "judge", "order", "raw", "upstream")]
    return tuple(reading(str(i), str(j), int(str(o)), str(r), u) for i, j, o, r, u in zip(*columns, strict=True))


def reading(item: str, judge: str, order: int, reply: str, upstream: object) -> Reading:
    heard = parse_verdict(reply)
    theirs = PLACES.get(str(upstream))
    if theirs and order == 2:
        theirs = TURNED[theirs]  # upstream names the completion, not where it was shown
    if isinstance(heard, Said):
        return Reading(item, judge, order, reply, heard.outcome, "", theirs)
    return Reading(item, judge, order, reply, None, heard.reason, theirs)
