"""How good a run's labels are, in one sentence for whoever leads the review."""

from math import ceil

from solon.auditing.text import Record, counted

STEPS = (10.0, 7.5, 5.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.0, 0.75, 0.5, 0.25)  # points to either side that are aimed at
NEXT = 0.75  # the next aim is at most this much of what there is
TENS = 20  # labels above which they are told in tens


def headline(audit: Record) -> str:
    """How often people agree with the run's label, how sure that is, and what more labels would make it.

    Empty where the audit is of no run.
    """
    found = audit["ppi"]
    if not found:
        return f"AI labels: {counted(audit['labelled'], 'couple')} reviewed, too few to say how often they are right"
    if "of" not in found:
        return ""
    share, reviewed = f"{100 * found['estimate']:.1f} %", f"{found['labels']:,}"
    of = f" of the {found['items']:,} couples that could be reviewed so far" if found.get("unreached") else ""
    if found["labels"] >= found["items"]:
        return f"AI labels{of} are right {share} of the time (all {reviewed} couples reviewed)"
    low, high = found["interval"]
    off = 50 * (high - low)
    around = f" ± {off:.1f}" if even(found) else f", by the labels between {100 * low:.0f} and {100 * high:.0f} %"
    return f"AI labels{of} are right {share}{around} ({reviewed} reviewed){more(found, off)}"


def even(found: Record) -> bool:
    """Whether the interval reaches about as far to both sides: near 0 and 100 % a few labels leave it lopsided."""
    low, high = found["interval"]
    middle, off = (low + high) / 2, (high - low) / 2
    return bool(abs(found["estimate"] - middle) <= off / 3)


def more(found: Record, off: float) -> str:
    """How many more labels would make it the next narrower, ``off`` points being what there is."""
    aim = next((step for step in STEPS if step <= NEXT * off), None)
    if aim is None:
        return ""
    count = further(found["labels"], found["items"], aim / off)
    if found["labels"] + count >= found["items"]:
        return ""
    return f", {count:,} more would make it ± {aim:g}"


def further(labels: int, items: int, narrower: float) -> int:
    """How many more of ``items`` must be labelled for an interval ``narrower`` times as wide, drawn as until now.

    Variances go with 1/labels - 1/items.
    """
    left = narrower**2 * (1 / labels - 1 / items)
    count = 1 / (left + 1 / items) - labels
    return 10 * ceil(count / 10) if count > TENS else ceil(count)
