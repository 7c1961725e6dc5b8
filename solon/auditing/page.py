"""An audit as one HTML page: everything is in the file, nothing is fetched, and no script runs in it.

Every text is escaped, here or in `markup`; only the pictures are put in as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TypeAlias

from solon.auditing import plots
from solon.auditing.answers import Answer, answers
from solon.auditing.findings import Finding, warned
from solon.auditing.frame import drawn, framed
from solon.auditing.labels_worth import anchoring, labels_needed, replacement
from solon.auditing.markup import said, section, text
from solon.auditing.sections import confidence, length, order, parts, quality
from solon.auditing.text import Record, counted, reasons, shown

Draw: TypeAlias = Callable[[Record], Mapping[str, str]]
MARKS = {"good": "✓ good", "careful": "! with care", "bad": "✗ no", "unknown": "? not known"}
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
    pictures, missing = drawn(draw, audit, "audit")
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
    return framed("Audit of the judge", body)


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


def remarks(audit: Record) -> str:
    silent = reasons(audit["no_verdicts"]) if audit["no_verdicts"] else ""
    notes = [text(shown(note, 600)) for note in audit["notes"] or ()]
    return section("Verdicts that are missing, and notes", text(f"No verdict: {silent}.") if silent else "", *notes)


def terms() -> str:
    lines = [f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in TERMS]
    return section("Words", "\n".join(["<dl>", *lines, "</dl>"]))
