"""The page's sections on what people's labels are worth: anchoring, how many are needed, replacing a person."""

from solon.auditing import plots
from solon.auditing.markup import section, table, text
from solon.auditing.text import Record, counted, figure, points, shown


def anchoring(audit: Record) -> str:
    found = audit["anchored"]
    if not found:
        return ""
    rows = [
        ("anchored", figure(found, "accuracy"), figure(found, "ece", share=False), figure(found, "coverage")),
        ("best single judge on the same labels", figure(found, "best_single"), "", ""),
        ("unweighted majority", figure(found, "majority"), "", ""),
    ]
    says = (
        f"Fitted to {counted(found['labels'], 'label')} and measured on the rest, {counted(found['splits'], 'time')}; "
        f"an interval holds the middle 95 % of these. One judge alone was kept in {100 * found['kept_single']:.0f} %."
    )
    weights = sorted(found["fitted_to_all"]["weights"].items(), key=lambda pair: (-abs(pair[1]), pair[0]))
    more = len(weights) - plots.MOST_JUDGES
    weighed = [(shown(name), f"{weight:+z.2f}") for name, weight in weights[: plots.MOST_JUDGES]]
    return section(
        "Anchored on a few human labels",
        text(says),
        table(("labels", "agreement with people", "ECE", "share with a label"), rows),
        table(("judge", "weight in log-odds; below 0 it speaks against"), weighed),
        text(f"{counted(more, 'more judge')} with smaller weights in the JSON.", "soft") if more > 0 else "",
    )


def labels_needed(audit: Record) -> str:
    found = audit["ppi"]
    if not found:
        return ""
    rows = [(f"{row['labels']:,}", arms(row["with_judges"]), arms(row["human_only"])) for row in audit["budget"] or ()]
    if all(powered == alone for _, powered, alone in rows):
        rows = [(labels, "", alone) for labels, _, alone in rows]
    names = ("labels", "with the judges", "labels alone")
    return section("How many labels?", text(preferring(found)), table(names, rows), to_reach(audit))


def to_reach(audit: Record) -> str:
    """How many of these items' labels give the best judge's accuracy how narrowly."""
    if audit["best_judge"] is None or audit["ppi"]["labels"] == audit["ppi"]["items"]:
        return ""
    found = (audit.get("needed") or {"accuracy": {}})["accuracy"].get(audit["best_judge"], ())
    rows = [(arms(row["width"]), f"{row['with_judges']:,}", f"{row['human_only']:,}") for row in found]
    about = f"accuracy of {shown(audit['best_judge'], 30)} on these items"
    return table((about, "labels with the judges", "labels alone"), rows)


def preferring(found: Record) -> str:
    """What the estimate is of, mostly how often people prefer completion 1, and what the judges' verdicts add."""
    what = found.get("of", "completion 1 is preferred")
    if found["labels"] == found["items"]:
        beyond = between({"estimate": found["estimate"], "interval": found["interval_beyond"]})
        return f"People labelled every item. Of items like these, {what} in {beyond}."
    says = (
        f"From {found['labels']:,} labels and the judges' verdicts on {found['items']:,} items, {what} "
        f"in {between(found)}; the labels alone give {between(found['human_only'])}. The interval is "
        f"{100 * found['width_ratio']:.0f} % as wide, as if there were {found['effective_labels']:,.0f} labels."
    )
    if found["simulated"]:
        says += f" These are means over {found['simulated']:,} draws of so many labels from those that there are."
    return says


def between(found: Record) -> str:
    low, high = found["interval"]
    return figure({"value": found["estimate"], "value_interval": [low, high]}, "value")


def arms(width: float) -> str:
    return f"±{points(width / 2)} points"


def replacement(audit: Record) -> str:
    tested = {name: found for name, found in (audit["alternative"] or {}).items() if "reason" not in found}
    rows = [
        (
            shown(name),
            "yes" if found["may_replace"] else "no",
            f"{100 * found['winning_rate']:.0f} %",
            f"{100 * found['advantage']:.0f} %",
        )
        for name, found in sorted(tested.items())
    ]
    names = ("judge", "may it?", "people it does as well as", "chance to do as well as a person")
    why = next((found["reason"] for found in (audit["alternative"] or {}).values() if "reason" in found), "")
    return section("May it replace a person?", table(names, rows) or (text(shown(why, 400)) if why else ""))
