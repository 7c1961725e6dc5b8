"""An audit in words: what a person should know first, what the figures come to, and what to do now.

Every text that came from a file is made printable here, and is never read as markup or as a pattern.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, TypeAlias

from judge.audit.position import FEWEST, TOO_BOUND, TOO_FICKLE

Record: TypeAlias = Mapping[str, Any]
State: TypeAlias = Literal["good", "careful", "bad", "unknown"]

WANTED = 0.05  # half the width of the interval that is aimed at
STEADY = 0.8  # share of the same choice in both orders that one can live with
TOO_WIDE = 0.10  # half the width of an interval that decides nothing
MISCALIBRATED, TOLERABLE = 0.10, 0.05  # what an ECE surely exceeds: that is a warning, that one can live with
FINE = 0.01  # half the width of an interval that deserves another digit
SILENT = 0.95  # share of items with a verdict below which a judge is called silent
NAMED, WARNED, LISTED = 3, 8, 6  # judges in a sentence, warnings and judges on a terminal
LONGEST = 60  # characters of a name


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that speaks against the judges, and what to do about it; ``remedy`` may be empty."""

    what: str
    fact: str
    remedy: str

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.what}:" if self.what else "", self.fact, self.remedy) if part)


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the questions that an audit is asked; ``figure`` may be empty."""

    question: str
    state: State
    figure: str
    words: str


GRAVITY: tuple[State, ...] = ("good", "unknown", "careful", "bad")
ORDER_FAULTS = ("Slot-bound", "Contradicts itself")
FAULTS = {
    "Slot-bound": "Such a judge picks one slot whatever stands in it. Do not label with it: use a stronger judge, "
    "or a check for what code can decide.",
    "Contradicts itself": "Such a judge turns round with the order about as often as a coin would. Do not label "
    "with it: use a stronger judge, or a check for what code can decide.",
    "Worse than chance": "On these items such a judge is drawn to what people reject. Do not label with it, and do "
    "not count it in a majority.",
    "Not shown to be better than chance": "Do not label with such a judge before more labels speak for it.",
    "Not shown to be better than always preferring the longer": "Use a stronger judge, or label more items to tell "
    "the two apart.",
}


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


def warned(audit: Record) -> tuple[Finding, ...]:
    """What a person is shown: the audit's own warnings first, then what else its figures say.

    Where the audit warns of anything itself, what it says of single judges is left to it: nothing is said twice.
    """
    own = audit["warnings"] or ()
    derived = findings(audit)
    beside = {finding for kind in BESIDE for finding in kind(audit)}
    known = {str(finding) for finding in derived}
    others = [Finding("", shown(warning, 600), "") for warning in own if warning not in known]
    kept = [finding for finding in derived if not own or str(finding) in own or finding in beside]
    return tuple(dict.fromkeys([*others, *kept]))


def findings(audit: Record) -> tuple[Finding, ...]:
    """Everything in the figures that speaks against the judges or the labels, the gravest first."""
    return tuple(finding for kind in (few_labels, faulty, miscalibrated, *BESIDE) for finding in kind(audit))


def few_labels(audit: Record) -> Iterable[Finding]:
    judge = best(audit)
    off = half_width(judge, "accuracy") if judge else None
    if judge is None or off is None:
        yield Finding("No labels to compare with", "No judge has a verdict on a labelled item.", "Label some items.")
    elif off > TOO_WIDE:
        fact = f"{counted(judge['accuracy_n'], 'label')} give the judge's accuracy to ±{points(off)} points only."
        more = f"{wanted_labels(judge['accuracy']):,} give it to ±{100 * WANTED:.0f}."
        yield Finding("Too few labels", fact, more)


def faulty(audit: Record) -> Iterable[Finding]:
    """Each judge under the first of its faults, the gravest first."""
    faults = {name: fault(audit, judge) for name, judge in audit["by_judge"].items()}
    for what, remedy in FAULTS.items():
        having = {name: found[1] for name, found in faults.items() if found and found[0] == what}
        if having:
            yield Finding(what, f"{named(having)}.", remedy)
    silent = {
        name: f"verdicts on {figure(judge, 'answered', bare=True)}"
        for name, judge in audit["by_judge"].items()
        if judge["answered"] is not None and judge["answered"] < SILENT
    }
    if silent:
        why = f" Reasons: {reasons(audit['no_verdicts'])}." if audit["no_verdicts"] else ""
        yield Finding("Often without a verdict", f"{named(silent)}.{why}", "Mend the prompt or the token limit.")


def fault(audit: Record, judge: Record) -> tuple[str, str] | None:
    """The judge's gravest fault and the figure that shows it."""
    position, label = judge["position"], judge["label"]
    first, consistency = position["first_slot"], position["consistency"]
    if position["items"] >= FEWEST and first is not None and max(first, 1 - first) > TOO_BOUND:
        slot, share = ("first", first) if first > 0.5 else ("second", 1 - first)
        return "Slot-bound", f"the {slot} slot in {100 * share:.0f} %"
    if position["items"] >= FEWEST and consistency is not None and consistency < TOO_FICKLE:
        return "Contradicts itself", f"the same in both orders in {figure(position, 'consistency', bare=True)}"
    low, high = label.get("kappa_interval") or (None, None)
    if high is not None and high < 0:
        return "Worse than chance", f"κ {figure(label, 'kappa', share=False)}"
    if low is not None and low <= 0 and label["n"] >= FEWEST:
        return "Not shown to be better than chance", f"κ {figure(label, 'kappa', share=False)}"
    low = (judge.get("accuracy_interval") or (None,))[0]
    if audit["longer"] is not None and low is not None and low <= audit["longer"]:
        both = f"{figure(judge, 'accuracy')} against {figure(audit, 'longer')}"
        return "Not shown to be better than always preferring the longer", both
    return None


def miscalibrated(audit: Record) -> Iterable[Finding]:
    mended: dict[str, str] = {}
    not_mended: dict[str, str] = {}
    for name, judge in audit["by_judge"].items():
        calibration = judge["calibration"]
        if calibration and calibration["before"]["ece_interval"][0] > MISCALIBRATED:
            lasting = calibration["after"]["ece_interval"][0] > TOLERABLE
            both = f"ECE {ece(calibration, 'before', bare=True)}, calibrated {ece(calibration, 'after', bare=True)}"
            (not_mended if lasting else mended)[name] = both
    what = "Badly calibrated"
    if mended:
        yield Finding(what, f"{named(mended)}.", "Use the calibrated p_chosen, never the judge's own chance.")
    if not_mended:
        yield Finding(f"{what}, even calibrated", f"{named(not_mended)}.", "Do not filter or weigh by its confidence.")


def biased(audit: Record) -> Iterable[Finding]:
    """Judges that prefer the longer completion surely more often than people do."""
    people = audit.get("people_longer_interval")
    leaning = {
        name: f"the longer in {figure(judge['length'], 'longer_preferred', bare=True)}"
        for name, judge in audit["by_judge"].items()
        if people and judge["length"] and (judge["length"].get("longer_preferred_interval") or [0])[0] > people[1]
    }
    if leaning:
        fact = f"{named(leaning)}; people prefer it in {figure(audit, 'people_longer')}."
        remedy = "Compare completions of like length, or look at the length-adjusted rate."
        yield Finding("Fonder of length than people are", fact, remedy)


def weak_strata(audit: Record) -> Iterable[Finding]:
    """Strata where the best judge is surely worse than it is on the whole."""
    judge = best(audit)
    low = judge.get("accuracy_interval", [0])[0] if judge else 0
    weak = {}
    for name, part in (audit["strata"] or {}).items():
        there = part["judges"].get(audit["best_judge"]) or {}
        if (there.get("accuracy_interval") or [0, 1])[1] < low:
            weak[name] = figure(there, "accuracy")
    if weak and judge:
        fact = f"{shown(audit['best_judge'])} has {figure(judge, 'accuracy')} in all, but on {named(weak)}."
        yield Finding("Weak on a part of the items", fact, "Have people label these, or try another judge on them.")


def not_asked(audit: Record) -> Iterable[Finding]:
    """What nobody can know of these judges, since it was not asked."""
    if audit["by_judge"] and not any(judge["position"]["items"] for judge in audit["by_judge"].values()):
        fact = "No item has a verdict in both orders, so nobody knows whether the slot decides."
        yield Finding("Asked in one order", fact, "Ask in both.")
    if ceiling(audit["people"]) is None:
        fact = "No item has two people's labels, so nobody knows how far people agree among themselves."
        yield Finding("No ceiling", fact, "Let a second person label some 50 of the items.")


BESIDE = (biased, weak_strata, not_asked)


def answers(audit: Record) -> tuple[Answer, ...]:
    """The five questions that a person asks of a judge, about the best one where there are several."""
    return (how_good(audit), how_sure(audit), how_fair(audit), how_many(audit), what_now(audit))


def how_good(audit: Record) -> Answer:
    question, judge = "How good is the judge?", best(audit)
    if judge is None or judge["accuracy"] is None:
        return Answer(question, "unknown", "", "No judge has a verdict on a labelled item.")
    state, beside = beside_people(audit, judge)
    of = f", the best of {len(audit['judges'])} by these labels" if len(audit["judges"]) > 1 else ""
    who = f"That is how often {shown(audit['best_judge'])} agrees with people{of}."
    if fault(audit, judge):
        state = "bad"
    return Answer(question, state, figure(judge, "accuracy"), f"{who} {beside}")


def beside_people(audit: Record, judge: Record) -> tuple[State, str]:
    """The judge beside the agreement of a person with the other people."""
    name = ceiling(audit["people"])
    if name is None:
        return "careful", "How far people agree among themselves is not known: no item has two people's labels."
    people, off = audit["people"], half_width(judge, "accuracy") or 0.0
    top, (low, _) = people[name], people[f"{name}_interval"]
    among = f"people agree among themselves ({figure(people, name)})"
    if judge["accuracy"] >= low and off <= TOO_WIDE:
        return "good", f"It is as good as {among}."
    if judge["accuracy_interval"][1] >= low:
        return "careful", f"It may be as good as {among}: too few labels to tell."
    return "careful", f"That is {100 * (top - judge['accuracy']):.0f} points less than {among}."


def how_sure(audit: Record) -> Answer:
    question, judge = "Can I trust its confidence?", best(audit)
    calibration = judge and judge["calibration"]
    if not calibration:
        return Answer(question, "unknown", "", "There are no labelled verdicts to hold it against.")
    says, right = stated(calibration["before"])
    before, after = calibration["before"]["ece_interval"][0], calibration["after"]["ece_interval"][0]
    said = f"It says {100 * says:.0f} % and is right in {100 * right:.0f} %."
    shot = f"ECE {ece(calibration, 'before')}"
    if before <= TOLERABLE:
        return Answer(question, "good", shot, f"{said} Nothing shows that it is far off.")
    both = f"{shot}, calibrated {ece(calibration, 'after')}"
    if after <= TOLERABLE:
        kind = shown(calibration["chosen"]["name"])
        return Answer(question, "careful", both, f"{said} Trust it only after calibration ({kind}).")
    return Answer(question, "bad", both, f"{said} Calibration does not mend it.")


def how_fair(audit: Record) -> Answer:
    question, judge = "Does order or length decide?", best(audit)
    if judge is None:
        return Answer(question, "unknown", "", "There are no verdicts.")
    (state, order), (other, length) = by_order(audit, judge), by_length(audit, judge)
    shot = f"{figure(judge['position'], 'consistency')} the same in both orders" if judge["position"]["items"] else ""
    return Answer(question, max(state, other, key=GRAVITY.index), shot, f"{order} {length}")


def by_order(audit: Record, judge: Record) -> tuple[State, str]:
    position, found = judge["position"], fault(audit, judge)
    if position["items"] == 0 or position["consistency"] is None:
        return "unknown", "It was asked in one order, so nobody knows whether order does."
    if position["consistency"] == 1:
        return "good", "It never changed its mind with the order."
    low, high = position.get("fairness_interval") or (0.0, 0.0)
    state: State = "good" if position["consistency"] >= STEADY else "careful"
    if low <= 0 <= high:
        words = "Where it changes its mind with the order, it leans to neither slot."
    else:
        state = "careful"
        words = f"Where it changes its mind with the order, it leans to the {'first' if low > 0 else 'second'} slot."
    return "bad" if found and found[0] in ORDER_FAULTS else state, words


def by_length(audit: Record, judge: Record) -> tuple[State, str]:
    length, people = judge["length"], audit.get("people_longer_interval")
    if not length or length["longer_preferred"] is None:
        return "good", "Lengths were not given."
    words = f"It prefers the longer in {figure(length, 'longer_preferred')}"
    if not people:
        return "good", f"{words}."
    state: State = "careful" if length["longer_preferred_interval"][0] > people[1] else "good"
    return state, f"{words}, people in {figure(audit, 'people_longer')}."


def how_many(audit: Record) -> Answer:
    question, judge, ppi = "How many labels do I need?", best(audit), audit["ppi"]
    off = half_width(judge, "accuracy") if judge else None
    if judge is None or off is None:
        return Answer(question, "unknown", "", "Label some 50 items first.")
    need, have = wanted_labels(judge["accuracy"]), judge["accuracy_n"]
    words = f"You have {have:,}, which give the judge's accuracy to ±{points(off)} points."
    if ppi and ppi["width_ratio"] < 1:
        words += (
            f" With the judges' verdicts beside them, {ppi['labels']:,} labels say as much as "
            f"{ppi['effective_labels']:,.0f} alone."
        )
    return Answer(question, "good" if off <= WANTED else "careful", f"{need:,} for ±{100 * WANTED:.0f} points", words)


def what_now(audit: Record) -> Answer:
    question, judge = "What should I do now?", best(audit)
    if judge is None or judge["accuracy"] is None:
        return Answer(question, "bad", "", "Label some items, and audit again.")
    grave, anchored = fault(audit, judge), audit["anchored"]
    if anchored and anchored["accuracy"] > (anchored["best_single"] or 0):
        single = f", the best single judge {figure(anchored, 'best_single', bare=True)}"
        rest = f"{figure(anchored, 'accuracy')} on the rest{single if anchored['best_single'] is not None else ''}"
        how = f"Anchor the judges on your labels: {anchored['labels']:,} of them gave {rest}."
    elif grave:
        return Answer(question, "bad", "", f"{grave[0]}, even the best judge. {FAULTS[grave[0]]}")
    else:
        how = f"Label with {shown(audit['best_judge'])}, calibrated."
    state, kept = accepting(audit["selective"])
    return Answer(question, "careful" if grave else state, "", f"{how} {kept}".rstrip())


def accepting(selective: Record | None) -> tuple[State, str]:
    """Which labels may be taken without a person."""
    if not selective:
        return "careful", ""
    promised = f"{100 * (1 - selective['alpha']):.0f} %"
    if selective["threshold"] is None:
        return "careful", f"No threshold promises {promised} agreement with people: let people check the labels."
    share = selective["accepted_share"]
    which = (
        "All anchored labels" if share == 1 else f"Anchored labels of confidence {selective['threshold']:.2f} or more"
    )
    rest = "" if share == 1 else f"; they are {100 * share:.0f} %, let people decide the rest"
    sure = f"{100 * (1 - selective['delta']):.0f} % certainty"
    return "good", f"{which} agree with people in at least {promised} (with {sure}){rest}."


def best(audit: Record) -> Record | None:
    judge: Record | None = audit["by_judge"].get(audit["best_judge"])
    return judge


def by_accuracy(audit: Record) -> list[tuple[str, Record]]:
    """The judges from best to worst, those that nothing is known of last."""

    def place(pair: tuple[str, Record]) -> tuple[float, str]:
        accuracy = pair[1]["accuracy"]
        return (1.0 if accuracy is None else -accuracy, pair[0])

    return sorted(audit["by_judge"].items(), key=place)


def ceiling(people: Record) -> str | None:
    """The name of the figure of people among themselves that a judge's accuracy stands beside."""
    return next((name for name in ("left_out", "pairwise") if people[name] is not None), None)


def stated(measured: Record) -> tuple[float, float]:
    """The mean confidence stated and the share in which it is borne out."""
    n = sum(part["n"] for part in measured["curve"])
    return (
        sum(part["n"] * part["confidence"] for part in measured["curve"]) / n,
        sum(part["n"] * part["agreement"] for part in measured["curve"]) / n,
    )


def half_width(record: Record, name: str) -> float | None:
    low, high = record.get(f"{name}_interval") or (None, None)
    return None if low is None or high is None else float(high - low) / 2


def points(off: float) -> str:
    return f"{100 * off:.{int(off < 0.02)}f}"


def wanted_labels(accuracy: float) -> int:
    """Labels for an interval of ±WANTED about a share like this one, in tens; of an extreme one not too few."""
    share = min(max(accuracy, 0.1), 0.9)
    return 10 * ceil((1.96 / WANTED) ** 2 * share * (1 - share) / 10)


def figure(record: Record, name: str, *, share: bool = True, bare: bool = False) -> str:
    """A figure with its 95 % interval in brackets, with as many digits as the interval deserves.

    Args:
        share: whether it is told in per cent.
        bare: without the interval, which is told elsewhere.
    """
    value, off = record.get(name), half_width(record, name)
    if value is None:
        return "–"
    fine = off is not None and 0 < off < FINE
    digits = int(fine) if share else 2 + fine

    def told(number: float) -> str:
        return f"{(100 if share else 1) * number:z.{digits}f}"

    unit = " %" if share else ""
    if off is None or bare:
        return f"{told(value)}{unit}"
    low, high = record[f"{name}_interval"]
    return f"{told(value)}{unit} [{told(low)}, {told(high)}]"


def ece(calibration: Record | None, when: str, *, bare: bool = False) -> str:
    return figure(calibration[when], "ece", share=False, bare=bare) if calibration else "–"


def named(having: Mapping[str, str]) -> str:
    """Names with a figure each, the first few of them."""
    some = [f"{shown(name)} ({what})" for name, what in list(having.items())[:NAMED]]
    more = len(having) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "")


def reasons(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    some = [f"{shown(reason)} ({count:,})" for reason, count in ordered[: 2 * NAMED]]
    return ", ".join(some) + (f" and {len(ordered) - len(some)} more" if len(ordered) > len(some) else "")


def shown(text: str, most: int = LONGEST) -> str:
    """Text from a file on one line, in which nothing moves a cursor or turns the direction of writing."""
    half = most // 2
    cut = text if len(text) <= most else f"{text[:half]}…{text[1 - half :]}"  # long names often differ at the end
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def counted(n: int, what: str, several: str = "") -> str:
    return f"{n:,} {what if n == 1 else several or what + 's'}"


def spaced(*parts: str) -> str:
    return "  ".join(part for part in parts if part)
