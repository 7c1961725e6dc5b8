"""What speaks against the judges or the labels of an audit, the gravest first, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass

from judge.audit.position import FEWEST, TOO_BOUND, TOO_FICKLE
from solon.auditing.text import (
    WANTED,
    Record,
    best,
    ceiling,
    counted,
    ece,
    figure,
    half_width,
    named,
    points,
    reasons,
    shown,
    wanted_labels,
)

TOO_WIDE = 0.10  # half the width of an interval that decides nothing
MISCALIBRATED, TOLERABLE = 0.10, 0.05  # what an ECE surely exceeds: that is a warning, that one can live with
SILENT = 0.95  # share of items with a verdict below which a judge is called silent
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


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that speaks against the judges, and what to do about it; ``remedy`` may be empty."""

    what: str
    fact: str
    remedy: str

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.what}:" if self.what else "", self.fact, self.remedy) if part)


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
    kinds = (drawn_unevenly, few_labels, faulty, miscalibrated, *BESIDE)
    return tuple(finding for kind in kinds for finding in kind(audit))


def drawn_unevenly(audit: Record) -> Iterable[Finding]:
    if audit.get("drawn_unevenly"):
        fact = "Only ppi is corrected for it: every other figure is of the items that happen to be labelled."
        yield Finding("The labels were drawn unevenly", fact, "Take the accuracy and the rates from ppi.")


def needed(audit: Record, half: float = WANTED) -> Record | None:
    """How many of these items' labels give the best judge's accuracy to ``half``; None where that is not known."""
    rows = (audit.get("needed") or {"accuracy": {}})["accuracy"].get(audit["best_judge"], ())
    return next((row for row in rows if row["width"] == 2 * half), None)


def wanted(audit: Record, judge: Record) -> int:
    """Labels for ±WANTED: by the verdicts on all these items, else as many as labels alone take of any items."""
    row, found = needed(audit), audit["ppi"]
    if row and found["labels"] < found["items"]:
        return int(row["with_judges"])
    return wanted_labels(judge["accuracy"])


def few_labels(audit: Record) -> Iterable[Finding]:
    judge = best(audit)
    off = half_width(judge, "accuracy") if judge else None
    if judge is None or off is None:
        yield Finding("No labels to compare with", "No judge has a verdict on a labelled item.", "Label some items.")
    elif off > TOO_WIDE:
        fact = f"{counted(judge['accuracy_n'], 'label')} give the judge's accuracy to ±{points(off)} points only."
        more = f"{wanted(audit, judge):,} give it to ±{100 * WANTED:.0f}."
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
