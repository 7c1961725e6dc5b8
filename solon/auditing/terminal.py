"""An audit on the terminal: what a person should know first, what the figures come to, and what to do now."""

from solon.auditing.answers import answers
from solon.auditing.findings import warned
from solon.auditing.text import Record, by_accuracy, counted, ece, figure, reasons, shown

WARNED, LISTED = 8, 6  # warnings and judges shown


def told(audit: Record) -> str:
    """What the terminal shows, in some 30 lines at most."""
    judges = counted(len(audit["judges"]), "judge")
    people = counted(audit["annotators"], "person", "people")
    doubts = warned(audit)
    lines = [f"{audit['items']:,} items, {audit['labelled']:,} of them labelled by {people}; {judges}"]
    lines += [f"warning: {finding}" for finding in doubts[:WARNED]]
    if len(doubts) > WARNED:
        lines.append(f"and {counted(len(doubts) - WARNED, 'more warning')}")
    lines += ["", *(f"{answer.question} {spaced(answer.figure, answer.words)}" for answer in answers(audit)), ""]
    lines += small_table(audit)
    if audit["no_verdicts"]:
        lines.append(f"no verdict: {reasons(audit['no_verdicts'])}")
    return "\n".join([*lines, *(f"note: {shown(note, 400)}" for note in (audit["notes"] or ())[:3])])


def small_table(audit: Record) -> list[str]:
    ordered = by_accuracy(audit)
    rows: list[tuple[str, ...]] = [("judge", "agrees with people", "κ", "same in both orders", "ECE", "calibrated")]
    rows += [
        (
            shown(name, 36),
            figure(judge, "accuracy"),
            figure(judge["label"], "kappa", share=False),
            figure(judge["position"], "consistency"),
            *(ece(judge["calibration"], when) for when in ("before", "after")),
        )
        for name, judge in ordered[:LISTED]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    more = len(ordered) - LISTED
    return lines + ([f"and {counted(more, 'more judge')}"] if more > 0 else [])


def spaced(*parts: str) -> str:
    return "  ".join(part for part in parts if part)
