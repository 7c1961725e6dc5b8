import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.errors import InputError
from judge.review.records import Guide, Task, Turn
from solon.review.records import NewTask
from solon.review.tools.argilla import QUESTIONS, files, read
from solon.review.tools.foreign import CHOICES, STRENGTHS

ANN, BO, CY = (str(UUID(int=number)) for number in (1, 2, 3))
AT = 1795168830.0


def task(number: int, first: str = "", second: str = "") -> NewTask:
    texts = (first or f"first of {number}", second or f"second of {number}")
    guides = (Guide("short", "Be short."),) if number else ()
    turns = (Turn("system", "Be kind."), Turn("user", "Why?"))
    return NewTask("audit", 0.5, 1, Task(f"item-{number}", "prompt-1", "easy", turns, texts, False, guides))


ITEMS = [task(number) for number in range(40)]
BODIES = [one.body for one in ITEMS]


def written(items: list[Task] = BODIES, seed: int = 0, overlap: int = 2) -> dict[str, Any]:
    """Each file, parsed, by its path."""
    texts = files(items, seed, name="demo", guidelines="Read both.", overlap=overlap)
    return {path: json.loads(text) for path, text in texts.items()}


def flat(record: dict[str, Any], *said: tuple[str, str, str | None, str | None, str | None]) -> dict[str, Any]:
    """The record as ``to_list(flatten=True)`` has it with what users said: user, status, and a value a question."""
    row = {"id": record["id"], "status": "pending", "_server_id": None, **record["fields"]}
    for number, question in enumerate(QUESTIONS, start=2):
        given = [one for one in said if one[number] is not None]
        column = f"{question}.responses"
        row |= {column: [one[number] for one in given]} if given else {column: None}  # as it evens out its rows
        row |= {f"{column}.users": [one[0] for one in given], f"{column}.status": [one[1] for one in given]}
    return row


def test_a_dataset_shows_each_item_in_an_order_drawn_by_seed_and_tells_nothing_else() -> None:
    records = written()["records.json"]
    assert written() == written()
    assert [one["id"] for one in records] == [one.item for one in BODIES]
    assert {key for one in records for key in one["fields"]} == {"prompt", "principles", "left", "right"}
    assert not any(one[key] for one in records for key in ("metadata", "suggestions", "responses", "vectors"))
    lefts = [one["fields"]["left"].split()[0] for one in records]
    assert 8 <= lefts.count("first") <= 32
    assert lefts != [one["fields"]["left"].split()[0] for one in written(seed=1)["records.json"]]
    assert records[0]["fields"]["prompt"] == "System:\nBe kind.\n\nUser:\nWhy?"
    assert "principles" not in records[0]["fields"]  # a text that is there may not be empty


@given(st.integers(), st.sampled_from(sorted(CHOICES)), st.sampled_from(BODIES))
def test_what_is_said_of_left_and_right_is_said_of_the_texts_that_stood_there(seed: int, said: str, body: Task) -> None:
    (record,) = written([body], seed)["records.json"]
    text = json.dumps([flat(record, (ANN, "submitted", said, None, None))])
    (found,) = read(text, ITEMS, "records.json", AT).labels
    assert body.completions[found.side - 1] == record["fields"]["left"]
    if found.choice in ("1", "2"):
        assert body.completions[int(found.choice) - 1] == record["fields"][said]
    else:
        assert found.choice == said


@pytest.mark.parametrize("lines", [False, True])
def test_several_users_each_have_their_word_and_what_is_not_submitted_is_counted(lines: bool) -> None:
    records = written()["records.json"]
    rows = [
        flat(records[0], (ANN, "submitted", "left", "clearly", "It is short."), (BO, "submitted", "tie", None, None)),
        flat(records[1], (ANN, "draft", "left", None, None), (BO, "discarded", None, None, "broken")),
        flat(records[2], (ANN, "submitted", None, "by far", None), (CY, "submitted", "both good", "by far", None)),
        flat({**records[3], "id": "of-another-run"}, (ANN, "submitted", "left", None, None)),
        flat({**records[4], "fields": {"left": "x", "right": "y"}}, (ANN, "submitted", "left", None, None)),
        flat(records[5]),
    ]
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    found = read(text, ITEMS, "records.json", AT)
    assert [(one.item, one.annotator) for one in found.labels] == [("item-0", ANN), ("item-0", BO), ("item-2", CY)]
    ann, bo, cy = found.labels
    assert (ann.choice, ann.strength, ann.rationale) == (str(ann.side), 3, "It is short.")
    assert (bo.choice, bo.strength, bo.rationale) == ("tie", None, "")
    assert (cy.choice, cy.strength, cy.kind, cy.at, cy.source) == ("both good", None, "audit", AT, "argilla")
    assert found.left_out == {
        "not submitted": 1, "skipped": 1, "without a choice": 1, "of no item of this review": 1,
        "of other texts than the item has": 1,
    }  # fmt: skip


def test_records_without_the_status_of_their_responses_are_refused() -> None:
    record = {**written()["records.json"][0], "responses": {"choice": [{"value": "left", "user_id": ANN}]}}
    with pytest.raises(InputError, match=r"records\.json: record 1: its responses have no status, .*flatten=True"):
        read(json.dumps([record]), ITEMS, "records.json", AT)
    assert read(json.dumps(written()["records.json"]), ITEMS, "records.json", AT).labels == ()


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", '[{"fields": {}}]', '"text"', "null", "[" * 10**5, '[{"id": "a", "choice.responses": ["left"]}]',
     '[{"id": "a", "choice.responses": "left"}]'],
)  # fmt: skip
def test_another_kind_of_file_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^records\.json.*: export dataset\.records\.to_list") as refusal:
        read(text, ITEMS, "records.json", AT)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("odd", ["a\0b", "\ud800 alone", "\r\n \n", "😀" * 3])
def test_texts_that_databases_refuse_are_still_known_again(odd: str) -> None:
    item = task(1, odd, "second")
    (record,) = written([item.body])["records.json"]
    row = flat(record, (ANN, "submitted", "both bad", None, None))
    assert len(read(json.dumps([row]), [item], "records.json", AT).labels) == 1


class Anything:
    """Stands for a server's API, which reading and writing files asks nothing of."""

    def __getattr__(self, name: str) -> "Anything":
        return self


@pytest.fixture
def argilla(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        module = pytest.importorskip("argilla", reason="pip install argilla")
        monkeypatch.setattr(module.Argilla, "_default_client", SimpleNamespace(api=Anything()))
        yield module


def test_argillas_own_reader_takes_our_dataset(argilla: ModuleType, tmp_path: Path) -> None:
    from argilla._models import DatasetModel
    from argilla.records._io import JsonIO

    for path, text in files(BODIES, 0, name="demo", guidelines="Read both.", overlap=3).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    settings = argilla.Settings.from_json(tmp_path / ".argilla/settings.json")
    settings.validate()
    made = argilla.Settings(
        guidelines="Read both.",
        fields=[
            argilla.TextField("prompt", title="Prompt"),
            argilla.TextField("left", title="Left"),
            argilla.TextField("right", title="Right"),
            argilla.TextField("principles", title="Principles", required=False),
        ],
        questions=[
            argilla.LabelQuestion("choice", list(CHOICES), title="Which completion is better?"),
            argilla.LabelQuestion("strength", list(STRENGTHS), title="How much better, if one is?", required=False),
            argilla.TextQuestion("rationale", title="Why, if you like", required=False),
        ],
        distribution=argilla.TaskDistribution(min_submitted=3),
    )
    assert settings == made
    assert DatasetModel(**json.loads((tmp_path / ".argilla/dataset.json").read_text())).name == "demo"
    records = JsonIO._records_from_json(tmp_path / "records.json")
    assert [record.id for record in records] == [one.item for one in BODIES]
    names = {field.name for field in settings.fields}
    assert all(record.fields.keys() <= names for record in records)


def test_what_argilla_would_write_is_read_back(argilla: ModuleType, tmp_path: Path) -> None:
    from argilla.records._io import GenericIO, HFDatasetsIO, JsonIO

    (tmp_path / "records.json").write_text(json.dumps(written()["records.json"]))
    records = JsonIO._records_from_json(tmp_path / "records.json")
    for record in records[:10]:
        for user, status, values in (
            (ANN, "submitted", {"choice": "right", "strength": "slightly", "rationale": "So."}),
            (BO, "draft", {"choice": "left"}),
            (CY, "discarded", {"rationale": "Broken."}),
        ):
            for question, value in values.items():
                record.responses.add(argilla.Response(question, value, UUID(user), status))
    rows = GenericIO.to_list(records, flatten=True)
    found = read(json.dumps(rows), ITEMS, "records.json", AT)
    assert [(one.item, one.annotator) for one in found.labels] == [(one.item, ANN) for one in sorted_by_item(10)]
    assert all(one.choice == str(3 - one.side) and one.strength == 1 for one in found.labels)
    assert found.left_out == {"not submitted": 10, "skipped": 10}
    lines = tmp_path / "records.jsonl"
    HFDatasetsIO.to_datasets(records, SimpleNamespace(schema={})).to_json(lines)
    assert read(lines.read_text(), ITEMS, "records.jsonl", AT) == found
    JsonIO.to_json(records, tmp_path / "exported.json")
    with pytest.raises(InputError, match="its responses have no status"):  # if it has by now, read it
        read((tmp_path / "exported.json").read_text(), ITEMS, "exported.json", AT)


def sorted_by_item(count: int) -> list[NewTask]:
    return sorted(ITEMS[:count], key=lambda one: one.item)
