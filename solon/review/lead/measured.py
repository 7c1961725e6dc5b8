"""The figures that take seconds: how people do, how far they agree, and what their labels say of the judges.

It needs the packages of the audit, so whatever only shows figures imports `figures` instead.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from constitution.errors import InputError
from judge.audit.audit import Settings
from judge.review.agreeing import among
from judge.review.doubts import doubts
from judge.review.people import people
from solon.auditing.answers import answers
from solon.auditing.findings import warned
from solon.auditing.headline import headline
from solon.auditing.own import LABEL, material_of, measure
from solon.folder import open_folder
from solon.journal import Journal
from solon.pipeline import Row
from solon.review.lead.figures import Against, Answered, Asked, Judged, Measured
from solon.run import stored_rows


def measured(asked: Asked) -> Measured:
    persons = people(asked.labels, asked.known)
    audit, why = audited(asked)
    shares = judges_of(audit) if audit else ()
    return Measured(
        len(asked.labels),
        persons,
        doubts(persons, asked.known.dropped),
        among(asked.labels, asked.known.dropped),
        headline(audit) if audit else "",
        next((one for one in shares if one.judge == LABEL), None),
        tuple(one for one in shares if one.judge != LABEL),
        tuple(Answered(one.question, one.state, one.figure, one.words) for one in answers(audit)) if audit else (),
        tuple(Against(one.what, one.fact, one.remedy) for one in warned(audit)) if audit else (),
        audit,
        why,
    )


def rows_of(folder: Path) -> list[Row]:
    with Journal.open(open_folder(folder).journal, read_only=True) as journal:
        return list(stored_rows(journal))


def audited(asked: Asked) -> tuple[dict[str, Any] | None, str]:
    """What ``solon audit`` says of these labels, or why it says nothing."""
    counting = {label.annotator for label in asked.labels if label.kind != "gold"} - asked.known.dropped
    if not counting:
        return None, "Nobody has labelled yet whose labels count."
    with TemporaryDirectory() as place:
        labels = Path(place) / "labels.csv"
        labels.write_text(asked.table, encoding="utf-8")
        try:
            figures = measure(material_of(rows_of(asked.folder), labels), Settings())
        except InputError as error:
            return None, str(error).replace(f"{place}/", "")
    return {"warnings": [], **figures}, ""


def judges_of(audit: dict[str, Any]) -> tuple[Judged, ...]:
    """From the estimates that take account of each item's chance to be labelled."""
    accuracy = (audit["ppi"] or {}).get("accuracy", {})
    found = []
    for name, one in accuracy.items():
        judge, _, principle = name.rpartition(" / ")
        low, high = one["interval"]
        found.append(Judged(judge or name, principle if judge else "", one["estimate"], low, high, one["labels"]))
    return tuple(sorted(found, key=lambda one: (one.value, one.judge, one.principle)))
