"""The five questions that a person asks of a judge, answered from an audit."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from solon.auditing.findings import FAULTS, MISCALIBRATED, ORDER_FAULTS, TOLERABLE, TOO_WIDE, fault, needed, wanted
from solon.auditing.text import WANTED, Record, best, ceiling, ece, figure, half_width, points, shown

State: TypeAlias = Literal["good", "careful", "bad", "unknown"]
STEADY = 0.8  # share of the same choice in both orders that one can live with
GRAVITY: tuple[State, ...] = ("good", "unknown", "careful", "bad")


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the questions that an audit is asked; ``figure`` may be empty."""

    question: str
    state: State
    figure: str
    words: str


def answers(audit: Record) -> tuple[Answer, ...]:
    """The five questions that a person asks of a judge, about the best one where there are several."""
    return (how_good(audit), how_sure(audit), how_fair(audit), how_many(audit), what_now(audit))


def how_good(audit: Record) -> Answer:
    question, judge = "How good is the judge?", best(audit)
    if judge is None or judge["accuracy"] is None:
        return Answer(question, "unknown", "", "No judge has a verdict on a labelled item.")
    if audit.get("drawn_unevenly"):
        return corrected(audit, judge)
    state, beside = beside_people(audit, judge)
    of = f", the best of {len(audit['judges'])} by these labels" if len(audit["judges"]) > 1 else ""
    who = f"That is how often {shown(audit['best_judge'])} agrees with people{of}."
    if fault(audit, judge):
        state = "bad"
    return Answer(question, state, figure(judge, "accuracy"), f"{who} {beside}")


def corrected(audit: Record, judge: Record) -> Answer:
    """The accuracy that takes account of each item's chance to be labelled; nothing else does."""
    question, found = "How good is the judge?", on_all(audit)
    if found is None:
        return Answer(question, "unknown", "", "The labels were drawn unevenly, and too few to correct for it.")
    told = figure({"x": found["estimate"], "x_interval": found["interval"]}, "x")
    words = (
        f"That is how often {shown(audit['best_judge'])}, its orders averaged, agrees with people, corrected for the "
        "uneven draw of the labels. People's agreement with each other is not: do not compare the two."
    )
    return Answer(question, "bad" if fault(audit, judge) else "careful", told, words)


def on_all(audit: Record) -> Record | None:
    """The best judge's prediction-powered accuracy on all these items."""
    accuracy: dict[str, Record] = (audit["ppi"] or {}).get("accuracy", {})
    return accuracy.get(audit["best_judge"])


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
    if before <= TOLERABLE and calibration["before"]["ece_interval"][1] > MISCALIBRATED:
        return Answer(question, "unknown", shot, f"{said} Too few labels to tell whether it is far off.")
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
    need, have, row, found = wanted(audit, judge), judge["accuracy_n"], needed(audit), on_all(audit)
    words = f"You have {have:,}, which give the judge's accuracy to ±{points(off)} points."
    if row and found and found["labels"] < found["items"]:
        off = half_width({"x_interval": found["interval"]}, "x") or 0.0
        start = f"{found['labels']:,} of them would" if ppi["simulated"] else f"You have {found['labels']:,}, which"
        words = f"{start} give the judge's accuracy on these {found['items']:,} items to ±{points(off)} points."
        if row["with_judges"] < row["human_only"]:
            words += f" Labels alone would take {row['human_only']:,}."
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


def stated(measured: Record) -> tuple[float, float]:
    """The mean confidence stated and the share in which it is borne out."""
    n = sum(part["n"] for part in measured["curve"])
    return (
        sum(part["n"] * part["confidence"] for part in measured["curve"]) / n,
        sum(part["n"] * part["agreement"] for part in measured["curve"]) / n,
    )
