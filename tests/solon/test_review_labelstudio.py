import json
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.errors import InputError
from constitution.principle import Example
from judge.review.records import Choice, Guide, Side, Task, Turn
from solon.review.records import NewTask
from solon.review.tools.foreign import CHOICES, STRENGTHS
from solon.review.tools.labelstudio import LABELLING, read, tasks

GUIDE = Guide("short", "Be short.", "Nobody has time.", (Example("Why?", "So.", "Well, you see, …"),))


def task(number: int, first: str = "", second: str = "") -> NewTask:
    texts = (first or f"first of {number}", second or f"second of {number}")
    body = Task(f"item-{number}", "prompt-1", "easy", (Turn("user", "Why?"),), texts, False, (GUIDE,))
    return NewTask("worth", 0.5, 1, body)


ITEMS = [task(number) for number in range(40)]
BODIES = [one.body for one in ITEMS]


def region(control: str, **value: Any) -> dict[str, Any]:
    kind = "textarea" if "text" in value else "choices"
    return {"id": "x", "from_name": control, "to_name": "prompt", "type": kind, "origin": "manual", "value": value}


def annotation(choice: str | None, who: Any = 1, **more: Any) -> dict[str, Any]:
    """As the server exports it, its many other keys left out but two."""
    return {
        "id": 7, "completed_by": who, "was_cancelled": False, "lead_time": 12.5, "ground_truth": False,
        "created_at": "2026-11-20T10:00:00.000000Z", "updated_at": "2026-11-20T10:00:30.250000Z",
        "result": [region("choice", choices=[choice])] if choice else [], **more,
    }  # fmt: skip


def exported(annotations: Mapping[int, list[dict[str, Any]]], seed: int = 0, items: list[Task] = BODIES) -> str:
    whole = json.loads(tasks(items, seed))
    for number, made in annotations.items():
        whole[number] |= {"id": number, "annotations": made, "drafts": [], "predictions": [], "total_annotations": 1}
    return json.dumps([whole[number] for number in annotations])


def test_a_file_shows_each_item_in_an_order_drawn_by_seed_and_tells_nothing_else() -> None:
    whole = json.loads(tasks(BODIES, 0))
    assert tasks(BODIES, 0) == tasks(BODIES, 0)
    assert [one["data"]["item"] for one in whole] == [one.item for one in BODIES]
    assert {key for one in whole for key in one["data"]} == {"item", "prompt", "principles", "left", "right"}
    assert {key for one in whole for key in one} == {"data"}
    lefts = [one["data"]["left"].split()[0] for one in whole]
    assert 8 <= lefts.count("first") <= 32
    assert lefts != [one["data"]["left"].split()[0] for one in json.loads(tasks(BODIES, 1))]
    one_alone = json.loads(tasks(BODIES[7:8], 0))
    assert one_alone == whole[7:8]  # whatever else is in the file
    assert "Prompt: Why?\nBetter: So.\nWorse:" in whole[0]["data"]["principles"]


@given(st.integers(), st.sampled_from(sorted(CHOICES)), st.sampled_from(BODIES))
def test_what_is_said_of_left_and_right_is_said_of_the_texts_that_stood_there(seed: int, said: str, body: Task) -> None:
    text = exported({0: [annotation(said)]}, seed, [body])
    data = json.loads(text)[0]["data"]
    (found,) = read(text, ITEMS, "export.json").labels
    assert body.completions[found.side - 1] == data["left"]
    if found.choice in ("1", "2"):
        assert body.completions[int(found.choice) - 1] == data[said]
    else:
        assert found.choice == said


def test_everything_that_a_person_says_arrives() -> None:
    result = [
        region("rationale", text=["The other one", "rambles."]),
        region("choice", choices=["left"]),
        region("strength", choices=["clearly"]),
        {"type": "relation", "from_id": "x", "to_id": "y", "direction": "right"},
    ]
    text = exported({3: [annotation(None, {"id": 4, "email": "ann@example.org"}, result=result)]})
    (found,) = read(text, ITEMS, "export.json").labels
    left: Choice = "1" if found.side == 1 else "2"
    assert (found.item, found.annotator, found.choice, found.strength) == ("item-3", "ann@example.org", left, 3)
    assert (found.rationale, found.seconds, found.at) == ("The other one\nrambles.", 12.5, 1795168830.25)
    assert (found.kind, found.guidelines, found.flag, found.source) == ("worth", 0, "", "label studio")


def test_strength_is_for_one_that_is_better_alone() -> None:
    result = [region("choice", choices=["tie"]), region("strength", choices=["by far"])]
    (found,) = read(exported({0: [annotation(None, result=result)]}), ITEMS, "export.json").labels
    assert (found.choice, found.strength) == ("tie", None)


def test_several_people_each_have_their_word_and_the_last_one_counts() -> None:
    later = "2026-11-21T10:00:00Z"
    people = [
        annotation("left", 1),
        annotation("right", {"id": 2, "email": "", "first_name": "Bo"}),
        annotation("tie", 1, updated_at=later),
        annotation("tie", 4, updated_at=later),
        annotation("left", 4),
        annotation("both bad", 3, updated_at=None, created_at="2026-11-20T10:00:00", lead_time=None),
    ]
    found = read(exported({0: people}), ITEMS, "export.json")
    assert [(one.annotator, one.choice) for one in found.labels if one.annotator != "user 2"] == [
        ("user 1", "tie"),
        ("user 3", "both bad"),
        ("user 4", "tie"),
    ]
    assert [one.annotator for one in found.labels] == ["user 1", "user 2", "user 3", "user 4"]
    assert found.labels[2].at == found.labels[1].at - 30.25
    assert found.left_out == {"said again later by the same person": 2}


def test_what_is_no_label_is_counted_with_its_reason() -> None:
    whole = json.loads(
        exported(
            {
                0: [annotation("left", was_cancelled=True), annotation("tie", 2)],
                1: [annotation(None), annotation("no such thing", 2), annotation(None, 3, result=BOTH)],
                2: [annotation("left")],
                3: [annotation("left"), annotation("right", 2)],
                4: [],
            }
        )
    )
    whole[2]["data"]["item"] = "item-of-another-run"
    whole[3]["data"]["left"] += " edited"
    found = read(json.dumps(whole), ITEMS, "export.json")
    assert [(one.item, one.annotator) for one in found.labels] == [("item-0", "user 2")]
    assert found.left_out == {
        "skipped": 1, "without a choice": 3, "of no item of this review": 1, "of other texts than the item has": 2,
    }  # fmt: skip


BOTH = [region("choice", choices=["left", "right"])]


@pytest.mark.parametrize("odd", ["a\0b", "\ud800 alone", "\r\n \n", "$left {{x}} <b>&amp;</b>", "😀" * 3])
def test_texts_that_databases_refuse_are_still_known_again(odd: str) -> None:
    item = task(1, odd, "second")
    text = exported({0: [annotation("both bad")]}, 0, [item.body])
    assert "\\u0000" not in text
    assert len(read(text, [item], "export.json").labels) == 1


@pytest.mark.parametrize(
    "text",
    ["", "{}", "id,choice\n1,left\n", '[{"item": "item-1", "choice": "left", "annotator": 1}]', "[1]", "[" * 10**5],
    ids=["empty", "object", "csv", "json-min", "number", "deep"],
)
def test_another_kind_of_export_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^export\.json: is no JSON export of Label Studio .*: export as JSON$") as it:
        read(text, ITEMS, "export.json")
    assert len(str(it.value)) < 400


@pytest.fixture
def interface() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("label_studio_sdk.label_interface", reason="pip install label-studio-sdk")


def test_label_studios_own_reader_takes_our_configuration_and_tasks(interface: ModuleType) -> None:
    project = interface.LabelInterface(LABELLING)
    assert project.is_valid
    assert {control.name for control in project.controls} == {"choice", "strength", "rationale"}
    assert project.get_control("choice").labels == list(CHOICES)
    assert project.get_control("strength").labels == list(STRENGTHS)
    for one in json.loads(tasks(BODIES, 0)):
        assert project.validate_task(one)


@pytest.mark.filterwarnings("ignore:The `dict` method:DeprecationWarning")  # its own use of pydantic
def test_what_label_studio_would_write_is_read_back(interface: ModuleType) -> None:
    project, sides = interface.LabelInterface(LABELLING), set[Side]()
    for number in range(20):
        sample = project.generate_sample_annotation()
        assert project.validate_annotation(sample)
        whole = exported({number: [{**annotation(None), **sample, "completed_by": 5}]})
        (found,) = read(whole, ITEMS, "export.json").labels
        values = {one["from_name"]: one["value"] for one in sample["result"]}
        (said,) = values["choice"]["choices"]
        expected = {"left": str(found.side), "right": str(3 - found.side)}.get(said, said)
        assert found.choice == expected
        assert found.strength == (STRENGTHS[values["strength"]["choices"][0]] if expected in ("1", "2") else None)
        assert found.rationale == "\n".join(values.get("rationale", {"text": []})["text"])  # at times it has none
        sides.add(found.side)
    assert sides == {1, 2}
