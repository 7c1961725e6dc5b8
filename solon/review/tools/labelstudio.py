"""Label Studio: the tasks and the labelling configuration that it imports, and the JSON that it exports.

Source: https://labelstud.io/guide/tasks and /guide/export, and label-studio-sdk 2.1, which the tests hold against it.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from constitution.errors import InputError
from constitution.tables import explain
from judge.review.records import HumanLabel, Task
from solon.review.records import NewTask
from solon.review.tools.foreign import (
    CHOICES,
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

TOOL = "label studio"
FILES = ("tasks.json", "labelling.xml")


def _options(names: Iterable[str], *keys: str) -> str:
    return "\n".join(f'      <Choice value="{name}" hotkey="{key}"/>' for name, key in zip(names, keys, strict=True))


LABELLING = f"""<View>
  <Style>
    .couple {{ display: flex; gap: 1rem; align-items: flex-start; }}
    .couple > * {{ flex: 1; min-width: 0; }}
  </Style>
  <Header value="Prompt"/>
  <Text name="prompt" value="$prompt" valueType="text"/>
  <View className="couple">
    <View>
      <Header value="Left"/>
      <Text name="left" value="$left" valueType="text"/>
    </View>
    <View>
      <Header value="Right"/>
      <Text name="right" value="$right" valueType="text"/>
    </View>
  </View>
  <Header value="Principles"/>
  <Text name="principles" value="$principles" valueType="text"/>
  <Header value="Which completion is better?"/>
  <Choices name="choice" toName="prompt" choice="single" showInline="true" required="true">
{_options(CHOICES, "1", "2", "t", "g", "b")}
  </Choices>
  <View visibleWhen="choice-selected" whenTagName="choice" whenChoiceValue="left,right">
    <Header value="How much better?"/>
    <Choices name="strength" toName="prompt" choice="single" showInline="true">
{_options(STRENGTHS, "6", "7", "8", "9")}
    </Choices>
  </View>
  <TextArea name="rationale" toName="prompt" rows="3" maxSubmissions="1" placeholder="Why, if you like"/>
</View>
"""

_READ = ConfigDict(extra="ignore")  # an export says much more


@dataclass(frozen=True, slots=True, config=_READ)
class Person:
    id: int
    email: str = ""


@dataclass(frozen=True, slots=True, config=_READ)
class Region:
    """One control's value; a relation between regions has none."""

    from_name: str = ""
    value: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=_READ)
class Annotation:
    completed_by: int | Person
    result: tuple[Region, ...]
    created_at: datetime
    updated_at: datetime | None = None
    lead_time: float | None = None
    was_cancelled: bool = False


@dataclass(frozen=True, slots=True, config=_READ)
class Exported:
    data: dict[str, Any]
    annotations: tuple[Annotation, ...]


EXPORT = TypeAdapter(tuple[Exported, ...])


def tasks(items: Iterable[Task], seed: int) -> str:
    """The JSON task list that a project with the configuration ``LABELLING`` imports, in the order given."""
    return json.dumps([{"data": {"item": one.item, **shown(one, seed, TOOL)}} for one in items], indent=1) + "\n"


def read(text: str, items: Iterable[NewTask], place: str) -> Brought:
    """What people said, from a project's export in the format JSON.

    An annotator's name is the e-mail address where the export has one, else ``user`` and the number.

    Raises:
        InputError: the text is no such export.
    """
    try:
        found = EXPORT.validate_json(text)
    except ValidationError as error:
        fact, remedy = explain(error, EXPORT)
        raise InputError(place, f"is no JSON export of Label Studio ({fact}: {remedy})", "export as JSON") from None
    known, left_out = {one.item: one for one in items}, Counter[str]()
    return brought(_labels(found, known, left_out), left_out)


def _labels(found: Iterable[Exported], known: Mapping[str, NewTask], left_out: Counter[str]) -> Iterator[HumanLabel]:
    """In the order of the file."""
    for exported in found:
        task = known.get(str(exported.data.get("item")))
        for annotation in exported.annotations:
            outcome = _label(task, exported.data, annotation)
            if isinstance(outcome, str):
                left_out[outcome] += 1
            else:
                yield outcome


def _label(task: NewTask | None, data: Mapping[str, Any], annotation: Annotation) -> HumanLabel | str:
    """The label, or why there is none."""
    if task is None:
        return UNKNOWN_ITEM
    if annotation.was_cancelled:
        return SKIPPED
    first = side_shown(task.body, str(data.get("left")), str(data.get("right")))
    if first is None:
        return OTHER_TEXTS
    return label(task, first, _said(annotation), TOOL) or NO_CHOICE


def _said(annotation: Annotation) -> Said:
    who, at = annotation.completed_by, annotation.updated_at or annotation.created_at
    seconds = annotation.lead_time or 0.0
    return Said(
        annotator=who.email if isinstance(who, Person) and who.email else f"user {getattr(who, 'id', who)}",
        choice=_only(annotation, "choice", "choices"),
        strength=_only(annotation, "strength", "choices"),
        rationale="\n".join(_values(annotation, "rationale", "text")),
        seconds=seconds if math.isfinite(seconds) else 0.0,
        at=(at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(),
    )


def _only(annotation: Annotation, control: str, kind: str) -> str:
    """Empty where nothing is said, or more than one thing."""
    values = _values(annotation, control, kind)
    return values[0] if len(values) == 1 else ""


def _values(annotation: Annotation, control: str, kind: str) -> list[str]:
    given = (region.value.get(kind) for region in annotation.result if region.from_name == control)
    return [str(one) for value in given for one in (value if isinstance(value, list) else [value])]
