"""The page's sections on how each judge does: agreement, confidence, order, length and strata."""

from collections.abc import Sequence

from solon.auditing import plots
from solon.auditing.findings import fault
from solon.auditing.markup import Pictures, picture, section, table, text
from solon.auditing.text import Record, by_accuracy, ceiling, counted, ece, figure, shown

MOST_STRATA = 60


def quality(audit: Record, pictures: Pictures) -> str:
    names = (
        "judge",
        "labels",
        "agreement with people",
        "verdicts on",
        "order-averaged",
        "its κ",
        "the same when asked again",
        "fault",
    )
    rows = [
        (
            shown(name),
            f"{judge.get('accuracy_n') or 0:,}",
            figure(judge, "accuracy"),
            figure(judge, "answered"),
            figure(judge["label"], "accuracy"),
            figure(judge["label"], "kappa", share=False),
            figure(judge, "stability"),
            (fault(audit, judge) or ("",))[0].lower(),
        )
        for name, judge in by_accuracy(audit)
    ]
    if len(rows) > 1:
        rows.append(("all together", "", figure(audit, "accuracy"), figure(audit, "coverage"), "", "", "", ""))
    drawn = picture(pictures, "accuracy", caption_of(rows[: len(by_accuracy(audit))]))
    return section("Agreement with people", drawn, among_people(audit), table(names, rows))


def caption_of(rows: Sequence[Sequence[str]]) -> str:
    least = f" The {plots.MOST_JUDGES} best of {len(rows)} are shown." if len(rows) > plots.MOST_JUDGES else ""
    return f"Each judge's agreement with people; the bars are 95 % intervals, and so are the shaded bands.{least}"


def among_people(audit: Record) -> str:
    people = audit["people"]
    if ceiling(people) is None:
        return text("How far people agree among themselves is not known, as no item has two people's labels.")
    return text(
        f"People among themselves, the ceiling of all this: a person chooses as most of the others do in "
        f"{figure(people, 'left_out')}; two people choose the same in {figure(people, 'pairwise')}; "
        f"κ {figure(people, 'kappa', share=False)}, α {figure(people, 'alpha', share=False)}."
    )


def confidence(audit: Record, pictures: Pictures) -> str:
    who = shown(audit["best_judge"] or "")
    rows = [
        (
            shown(name),
            ece(judge["calibration"], "before"),
            ece(judge["calibration"], "after"),
            *(before_and_after(judge["calibration"], kind) for kind in ("brier", "log_loss")),
            shown(judge["calibration"]["chosen"]["name"]),
        )
        for name, judge in by_accuracy(audit)
        if judge["calibration"]
    ]
    names = ("judge", "ECE", "ECE, calibrated", "Brier", "log loss", "calibrated by")
    return section(
        "Confidence",
        picture(pictures, "reliability", f"{who}: how often people bear it out, by how sure it says it is. On the "
                "dashed line both are the same; below it the judge is surer than it should be."),
        picture(pictures, "coverage", keeping(audit, who)),
        threshold(audit),
        table(names, rows),
    )  # fmt: skip


def keeping(audit: Record, who: str) -> str:
    words = f"{who}: agreement with people if only its surest verdicts are kept."
    if audit["selective"] and audit["selective"].get("agreement") is not None:
        words += " The diamond is what may be taken without a person when the judges are anchored."
    return words


def before_and_after(calibration: Record, kind: str) -> str:
    return " → ".join(f"{calibration[when][kind]:.2f}" for when in ("before", "after"))


def threshold(audit: Record) -> str:
    chosen = audit["selective"]
    if not chosen:
        return ""
    promised = f"{100 * (1 - chosen['alpha']):.0f} %"
    if chosen["threshold"] is None:
        return text(f"No threshold can promise {promised} agreement with people on these labels.")
    return text(
        f"Anchored labels of confidence {chosen['threshold']:.2f} or more can be taken: they agree with people "
        f"in at least {promised}, with {100 * (1 - chosen['delta']):.0f} % certainty. They are "
        f"{100 * chosen['accepted_share']:.0f} % of all; on the labelled "
        f"ones agreement is {figure(chosen, 'agreement')}."
    )


def order(audit: Record, pictures: Pictures) -> str:
    names = (
        "judge",
        "same in both orders",
        "first slot both times",
        "second both times",
        "lean, 1 is always first",
        "verdicts for the first slot",
    )
    rows = [
        (
            shown(name),
            figure(position, "consistency"),
            f"{position['first_both']:,}",
            f"{position['second_both']:,}",
            figure(position, "fairness", share=False),
            figure(position, "first_slot"),
        )
        for name, judge in by_accuracy(audit)
        if (position := judge["position"])["items"]
    ]
    caption = (
        "Left: how often a judge makes the same choice in both orders. Right: where it does not, the slot it leans "
        "to; the dashed line is neither."
    )
    return section("Does the order decide?", picture(pictures, "position", caption), table(names, rows))


def length(audit: Record) -> str:
    names = (
        "judge",
        "prefers the longer",
        "agreement where it does",
        "and where the shorter",
        "the two balanced",
        "completion 1, plain",
        "length taken out",
    )
    rows = []
    for name, judge in by_accuracy(audit):
        found = judge["length"]
        if not found or found["longer_preferred"] is None:
            continue
        adjusted = found["adjusted"] or {}
        rows.append((
            shown(name),
            figure(found, "longer_preferred"),
            *(figure(found["accuracy"], which) for which in ("longer", "shorter", "balanced")),
            figure(adjusted, "plain"),
            figure(adjusted, "rate"),
        ))  # fmt: skip
    people = ""
    if audit["longer"] is not None:
        people = text(
            f"People prefer the longer completion in {figure(audit, 'people_longer')}. A judge that always did would "
            f"agree with them in {figure(audit, 'longer')}: a judge worth having is well above that."
        )
    return section("Does length decide?", people, table(names, rows))


def parts(audit: Record, pictures: Pictures) -> str:
    judge = audit["best_judge"]
    strata = sorted((audit["strata"] or {}).items())
    rows = [
        (
            shown(name),
            f"{part['labelled']:,}",
            figure(there, "accuracy"),
            figure(there.get("label") or {}, "kappa", share=False),
            figure(part["together"], "accuracy"),
            figure(part["people"], ceiling(part["people"]) or ""),
            figure(part, "longer"),
        )
        for name, part in strata[:MOST_STRATA]
        for there in (part["judges"].get(judge) or {},)
        if part["together"]["accuracy"] is not None
    ]
    more = len(strata) - MOST_STRATA
    names = (
        "stratum",
        "labelled",
        shown(judge or "judge", 30),
        "its κ",
        "all judges",
        "people among themselves",
        "always the longer",
    )
    least = text(f"{counted(more, 'more stratum', 'more strata')} in the JSON.", "soft") if more > 0 else ""
    return section(
        "By stratum", picture(pictures, "strata", "Agreement with people by stratum."), table(names, rows), least
    )
