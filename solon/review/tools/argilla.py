"""Argilla 2: the dataset that ``Dataset.from_disk`` reads, and its records as the SDK exports them.

Source: argilla 2.8.0: ``settings/_resource.py``, ``records/_resource.py``, ``records/_io``, ``datasets/_io/_disk.py``.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from constitution.errors import InputError
from judge.review.records import HumanLabel, Task
from solon.review.records import NewTask
from solon.review.tools.foreign import (
    CHOICES,
    DRAFT,
    NO_CHOICE,
    OTHER_TEXTS,
    SKIPPED,
    STRENGTHS,
    UNKNOWN_ITEM,
    Brought,
    Said,
    brought,
    label,
    shown,
    side_shown,
)

TOOL = "argilla"
QUESTIONS = ("choice", "strength", "rationale")
EXPORT = "dataset.records.to_list(flatten=True) as JSON, or dataset.records.to_datasets().to_json(FILE)"


@dataclass(slots=True)
class Response:
    """What one user said of one record: the status, and the questions' values."""

    status: str = ""
    values: dict[str, str] = field(default_factory=dict)


def files(items: Iterable[Task], seed: int, *, name: str, guidelines: str, overlap: int) -> dict[str, str]:
    """What ``argilla.Dataset.from_disk`` reads: each file's path in the folder, and its text.

    ``overlap`` people are asked about each item.
    """
    dataset = {"name": name, "status": "draft", "guidelines": guidelines or None, "allow_extra_metadata": False}
    return {
        ".argilla/dataset.json": _dump(dataset),
        ".argilla/settings.json": _dump(settings(guidelines, overlap)),
        "records.json": _dump([record(one, seed) for one in items]),
    }


def _dump(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"


def record(task: Task, seed: int) -> dict[str, Any]:
    fields = {name: text for name, text in shown(task, seed, TOOL).items() if text or name != "principles"}
    return {
        "id": task.item, "fields": fields, "metadata": {}, "suggestions": {}, "responses": {}, "vectors": {},
        "status": "pending", "_server_id": None,
    }  # fmt: skip


def settings(guidelines: str, overlap: int) -> dict[str, Any]:
    """No text is taken for markdown: a completion is shown as it is."""
    titles = {"prompt": "Prompt", "left": "Left", "right": "Right", "principles": "Principles"}
    return {
        "guidelines": guidelines or None,
        "fields": [
            _property(n, title, n != "principles", type="text", use_markdown=False) for n, title in titles.items()
        ],
        "questions": [
            _selection("choice", "Which completion is better?", True, CHOICES),
            _selection("strength", "How much better, if one is?", False, STRENGTHS),
            _property("rationale", "Why, if you like", False, type="text", use_markdown=False),
        ],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": overlap},
        "mapping": None,
    }


def _property(name: str, title: str, required: bool, **settings: Any) -> dict[str, Any]:
    return {"name": name, "title": title, "description": None, "required": required, "settings": settings}


def _selection(name: str, title: str, required: bool, values: Iterable[str]) -> dict[str, Any]:
    options = [{"value": value, "text": value} for value in values]
    return _property(name, title, required, type="label_selection", options=options, visible_options=len(options))


def read(text: str, items: Iterable[NewTask], place: str, at: float) -> Brought:
    """What people said, from records as the SDK exports them flat: a JSON list, or a JSON object a line.

    Argilla's export has no times: ``at`` (Unix time) stands for all of them, and ``seconds`` is 0. An annotator's
    name is the user's id.

    Raises:
        InputError: the text is no such export, or one without the responses' status (as ``records.to_json`` writes
            it), which tells no draft from a label.
    """
    known, left_out = {one.item: one for one in items}, Counter[str]()
    return brought(_labels(_rows(text, place), known, left_out, at), left_out)


def _rows(text: str, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record with its place."""
    try:
        whole = text.lstrip().startswith("[")
        rows = json.loads(text) if whole else [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise InputError(place, f"is no JSON ({error})", f"export {EXPORT}") from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or "id" not in row:
            raise InputError(f"{place}: record {number}", "is no record of Argilla", f"export {EXPORT}")
        yield f"{place}: record {number}", row


def _labels(
    rows: Iterable[tuple[str, dict[str, Any]]], known: Mapping[str, NewTask], left_out: Counter[str], at: float
) -> Iterator[HumanLabel]:
    for place, row in rows:
        for user, response in sorted(_responses(row, place).items()):
            choice, strength, rationale = (response.values.get(name, "") for name in QUESTIONS)
            said = Said(user, choice, strength, rationale, seconds=0.0, at=at)
            outcome = _label(known.get(str(row["id"])), row, response.status, said)
            if isinstance(outcome, str):
                left_out[outcome] += 1
            else:
                yield outcome


def _label(task: NewTask | None, row: Mapping[str, Any], status: str, said: Said) -> HumanLabel | str:
    """The label, or why there is none."""
    if task is None:
        return UNKNOWN_ITEM
    if status != "submitted":
        return SKIPPED if status == "discarded" else DRAFT
    first = side_shown(task.body, str(row.get("left")), str(row.get("right")))
    if first is None:
        return OTHER_TEXTS
    return label(task, first, said, TOOL) or NO_CHOICE


def _responses(row: Mapping[str, Any], place: str) -> dict[str, Response]:
    """By user. The export has three lists of equal length for each question."""
    if row.get("responses"):
        fact = "its responses have no status, so a draft looks like a label"
        raise InputError(place, fact, f"export {EXPORT}")
    found: dict[str, Response] = defaultdict(Response)
    for name in QUESTIONS:
        column = f"{name}.responses"
        lists = [row.get(key) or [] for key in (column, f"{column}.users", f"{column}.status")]
        if not all(isinstance(one, list) and len(one) == len(lists[0]) for one in lists):
            raise InputError(place, f"{column!r}, its users and its statuses do not fit together", f"export {EXPORT}")
        for value, user, status in zip(*lists, strict=True):
            found[str(user)].status = str(status)
            found[str(user)].values[name] = "" if value is None else str(value)
    return found
