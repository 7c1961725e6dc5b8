"""An audit as one HTML page: everything is in the file, nothing is fetched, and no script runs in it.

Every text goes through `text` or a table's cells, which escape it; only the pictures are put in as they are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, TypeAlias

from solon.auditing import plots
from solon.auditing.text import (
    Answer,
    Finding,
    answers,
    by_accuracy,
    ceiling,
    counted,
    ece,
    fault,
    figure,
    points,
    reasons,
    shown,
    warned,
)

Record: TypeAlias = Mapping[str, Any]
Draw: TypeAlias = Callable[[Record], Mapping[str, str]]
Pictures: TypeAlias = Mapping[str, str]

WITHOUT_PLOTS = "The plots are left out, since Altair is not installed: pip install 'solon[audit]', and audit again."
MARKS = {"good": "✓ good", "careful": "! with care", "bad": "✗ no", "unknown": "? not known"}
MOST_STRATA = 60
WORDS, WORDY = ("fault", "calibrated by"), ' class="words"'  # columns of words, not figures
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --paper: #fff; --card: #f6f7f9; --ink: #1c2430; --soft: #5b6675; --line: #d8dde3;
  --judge: #0072b2; --other: #009e73; --people: #d55e00; --good: #00734f; --careful: #8a5a00; --bad: #b3261e; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #14181e; --card: #1d232b; --ink: #e8ebef;
  --soft: #a3adba; --line: #38414d; --judge: #56b4e9; --other: #3ecf9f; --people: #f2a35e; --good: #4fd1a1;
  --careful: #f0b849; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
p { margin: .5rem 0; max-width: 46rem; } .soft, figcaption, dd { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: .75rem;
  margin: 1.5rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--tone); border-radius: 6px;
  padding: .75rem 1rem; } .card h3 { font-size: .95rem; margin: 0; } .card p { font-size: .92rem; }
.card .shot { font-size: 1.2rem; font-weight: 600; margin: .25rem 0; } .now { grid-column: 1 / -1; }
.mark { float: right; margin-left: .5rem; color: var(--tone); font-weight: 600; font-size: .85rem; }
.good { --tone: var(--good); } .careful { --tone: var(--careful); } .bad { --tone: var(--bad); }
.unknown { --tone: var(--soft); }
ul.warnings { list-style: none; padding: 0; } ul.warnings li { border-left: 5px solid var(--careful); margin: .5rem 0;
  padding: .4rem .8rem; background: var(--card); border-radius: 6px; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .92rem; max-width: 46rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; margin: .75rem 0; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; } td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: break-word; min-width: 10rem;
  max-width: 22rem; }
td.words, th.words { text-align: left; white-space: normal; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0; max-width: 46rem; font-size: .92rem; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } .card, li, figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; } .wide, figure { overflow: visible; } table { font-size: 8.5pt; }
  td { white-space: normal; } }
"""
TERMS = (
    ("agreement with people", "Share of a judge's single verdicts that choose as most people do; a tie is a choice."),
    ("order-averaged", "Agreement of the label that both orders make: a tie where they contradict each other."),
    ("κ", "Agreement of such labels with people beyond what chance gives: 0 is chance, 1 is perfect."),
    ("same in both orders", "Share of the items on which it makes the same choice, whichever completion comes first."),
    ("ECE", "How far stated confidence is from how often it is borne out, on average: 0 is perfect."),
    ("[low, high]", "The 95 % interval. Where two overlap widely, the labels do not tell the two apart."),
)


def page(audit: Record, draw: Draw = plots.draw) -> str:
    """The page of an audit as ``solon audit --json`` gives it; the same audit gives the same page.

    Args:
        draw: gives the pictures as trusted SVG; where it raises ImportError, the page is made without them.
    """
    pictures: Pictures = {}
    missing = ""
    try:
        pictures = draw(audit)
    except ImportError:
        missing = text(WITHOUT_PLOTS, "soft")
    sections = (
        quality(audit, pictures),
        confidence(audit, pictures),
        order(audit, pictures),
        length(audit),
        parts(audit, pictures),
        anchoring(audit),
        labels_needed(audit),
        replacement(audit),
        remarks(audit),
    )
    body = "\n".join([head(audit), missing, glance(answers(audit)), doubts(warned(audit)), *sections, terms()])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Audit of the judge</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def text(words: str, kind: str = "") -> str:
    """A paragraph; ``kind`` is a class of the page's own."""
    styled = f' class="{kind}"' if kind else ""
    return f"<p{styled}>{said(words)}</p>"


def said(words: str) -> str:
    """Escaped, with a figure and its sign kept together."""
    return escape(words).replace(" %", "&nbsp;%")


def section(title: str, *blocks: str) -> str:
    """Nothing where there is nothing under the heading."""
    there = [block for block in blocks if block]
    return "\n".join([f"<h2>{escape(title)}</h2>", *there]) if there else ""


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without the columns that have no figure in any row; nothing without a row."""
    cells = list(rows)
    wordy = {at for at, name in enumerate(names) if name in WORDS}
    kept = [at for at in range(len(names)) if at == 0 or any(row[at] not in ("", "–") for row in cells)]
    if not cells or len(kept) < 2:
        return ""
    lines = [
        "<tr>" + "".join(f"<{tag}{WORDY if at in wordy else ''}>{escape(row[at])}</{tag}>" for at in kept) + "</tr>"
        for tag, row in [("th", names), *(("td", row) for row in cells)]
    ]
    return "\n".join(['<div class="wide"><table>', *lines, "</table></div>"])


def picture(pictures: Pictures, name: str, caption: str) -> str:
    if name not in pictures:
        return ""
    return f"<figure>{pictures[name]}<figcaption>{said(caption)}</figcaption></figure>"


def head(audit: Record) -> str:
    people = counted(audit["annotators"], "person", "people")
    judges = counted(len(audit["judges"]), "judge")
    size = f"{judges} on {counted(audit['items'], 'item')}, {audit['labelled']:,} of them labelled by {people}."
    files = " ".join(
        f"{what}: {shown(str(audit[name]), 200)}."
        for what, name in (("Verdicts", "verdicts"), ("Labels", "labels"))
        if audit.get(name)
    )
    return "\n".join(["<h1>How far can this judge be trusted?</h1>", text(size), text(files, "soft") if files else ""])


def glance(given: Sequence[Answer]) -> str:
    cards = [card(answer, "") for answer in given[:-1]] + [card(answer, " now") for answer in given[-1:]]
    return "\n".join(['<div class="cards">', *cards, "</div>"])


def card(answer: Answer, kind: str) -> str:
    shot = f'<p class="shot">{said(answer.figure)}</p>' if answer.figure else ""
    return (
        f'<div class="card {answer.state}{kind}"><span class="mark">{MARKS[answer.state]}</span>'
        f"<h3>{escape(answer.question)}</h3>{shot}{text(answer.words)}</div>"
    )


def doubts(found: Sequence[Finding]) -> str:
    items = [f"<li>{against(finding)}</li>" for finding in found]
    return section("What speaks against it", "\n".join(['<ul class="warnings">', *items, "</ul>"]) if items else "")


def against(finding: Finding) -> str:
    what = f"<b>{escape(finding.what)}.</b> " if finding.what else ""
    return what + said(f"{finding.fact} {finding.remedy}".rstrip())


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
    return section("How many labels?", text(preferring(found)), table(names, rows))


def preferring(found: Record) -> str:
    """How often people prefer completion 1, and what the judges' verdicts add to knowing it."""
    if found["labels"] == found["items"]:
        beyond = between({"estimate": found["estimate"], "interval": found["interval_beyond"]})
        return f"People labelled every item. Of items like these, completion 1 is preferred in {beyond}."
    says = (
        f"From {found['labels']:,} labels and the judges' verdicts on {found['items']:,} items, completion 1 is "
        f"preferred in {between(found)}; the labels alone give {between(found['human_only'])}. The interval is "
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


def remarks(audit: Record) -> str:
    silent = reasons(audit["no_verdicts"]) if audit["no_verdicts"] else ""
    notes = [text(shown(note, 600)) for note in audit["notes"] or ()]
    return section("Verdicts that are missing, and notes", text(f"No verdict: {silent}.") if silent else "", *notes)


def terms() -> str:
    lines = [f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in TERMS]
    return section("Words", "\n".join(["<dl>", *lines, "</dl>"]))
