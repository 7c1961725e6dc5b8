"""From what people click to what is exported and audited: a real run, a real draw, a real store."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from judge.label import Label
from judge.pairs import couple_id
from judge.review.records import Choice, HumanLabel, Task, shown_choice
from solon.auditing.headline import headline
from solon.cli import actions, auditing
from solon.folder import open_folder
from solon.journal import Journal
from solon.review.drawing import DrawAsked, draw_round
from solon.review.opened import open_review
from solon.review.records import Decision, Said
from solon.review.storage.store import Store
from solon.run import stored_rows

pytest.importorskip("scipy", reason="scipy is in an extra")
parquet = pytest.importorskip("pyarrow.parquet")

WriteRun = Callable[..., Path]
Say = Callable[[Task], Choice]
ALL = {"pairs": {"policy": "all", "min_margin": 0.0}, "export": {"test_share": 0.0}, "judge": {"canaries": 0.0}}


def shorter(task: Task) -> Choice:
    return "1" if len(task.completions[0]) < len(task.completions[1]) else "2"


def longer(task: Task) -> Choice:
    return "2" if shorter(task) == "1" else "1"


@dataclass
class Review:
    """A run whose couples people look at."""

    run: Path
    store: Store
    now: float = 1_000.0
    clicked: dict[tuple[str, str], Choice] = field(default_factory=dict)  # by item and annotator, own completions

    def draw(self, n: int, **asked: Any) -> None:
        folder = open_folder(self.run)
        with Journal.open(folder.journal, read_only=True) as journal:
            draw_round(folder, journal, self.store, DrawAsked(n, **asked), now=self.now)

    def label(self, annotator: str, say: Say, most: int = 1000, strength: int | None = None) -> int:
        """What this person is given, as it stands on the screen, until nothing is left."""
        for count in range(most):
            held = self.store.next(annotator, self.now)
            if held is None:
                return count
            choice = say(held.body)
            self.clicked[held.item, annotator] = choice
            given = strength if choice in ("1", "2") else None
            said = Said(shown_choice(choice, held.side), given)
            self.store.save(annotator, held.item, said, key=f"{annotator} {held.item}", now=self.now)
            self.now += 3.0
        return most

    def export(self, *args: Any, **more: Any) -> tuple[dict[str, dict[str, Any]], Mapping[str, Any], str]:
        """The rows by pair, what the verb tells as data, and as text."""
        told = actions.export(self.run, "trl", *(args or (None, None)), **more)
        rows = parquet.read_table(Path(told.data["folder"]) / "train.parquet").to_pylist()
        return {row["pair_id"]: row for row in rows}, told.data, told.text

    def audit(self, labels: Path | None = None) -> tuple[Mapping[str, Any], str]:
        told = auditing.audit(auditing.AuditAsked(self.run, None, labels, None, None, 2, 0, None, None))
        return told.data, told.text


@pytest.fixture
def review(write_run: WriteRun, tmp_path: Path) -> Iterator[Review]:
    config = write_run({**ALL, "judge": {"canaries": 0.0, "principles": "all"}}, prompts=20)
    actions.run(config, tmp_path / "run", False, False)
    with open_review(open_folder(tmp_path / "run")) as store:
        yield Review(tmp_path / "run", store)


def side_of(label: Label) -> Choice:
    return "tie" if label.preferred is None else "1" if label.preferred == label.a else "2"


def preferred(row: Mapping[str, Any]) -> Choice:
    return "1" if row["chosen_id"] < row["rejected_id"] else "2"


def test_what_was_clicked_is_what_is_exported_whatever_side_it_stood_on(review: Review) -> None:
    before, _, _ = review.export()
    review.draw(20, seed=1)
    assert review.label("ann", longer, strength=3) == 20
    rows, data, text = review.export()
    assert {label.side for label in review.store.labels()} == {1, 2}
    assert data["labels"] == {"from": "review", "couples": 20, "people": 1}
    assert "people's labels from the review are in it: of 20 couples, by 1 person" in text
    by_people = {name: row for name, row in rows.items() if row["label_source"] == "human"}
    turned = 0
    for (item, _), choice in review.clicked.items():
        row = by_people[item]
        assert preferred(row) == choice
        assert (row["p_chosen"], row["people"], row["people_agree"], row["human_strength"]) == (1.0, 1, 1, 3.0)
        assert row["decided_by"] == []
        texts = {side: row[side][0]["content"] for side in ("chosen", "rejected")}
        assert len(texts["chosen"]) > len(texts["rejected"])
        if item in before:
            turned += preferred(before[item]) != choice
            same = preferred(before[item]) == choice
            was = before[item]["ai_p_chosen"]
            assert row["ai_p_chosen"] == pytest.approx(was if same else 1 - was)
    assert turned > 5
    assert by_people.keys() == {item for item, _ in review.clicked}
    for name, row in rows.items():
        if row["label_source"] == "ai":
            assert (row["people"], row["people_agree"], row["human_strength"]) == (0, 0, None)
            assert name not in {item for item, _ in review.clicked}


def test_the_export_keeps_the_labels_it_was_made_with_and_says_by_which_hash(review: Review) -> None:
    review.draw(12)
    review.label("ann", shorter)
    review.export()
    folder = review.run / "export"
    lock = json.loads((folder / "lock.json").read_text())
    labels = (folder / "labels.csv").read_bytes()
    assert lock["labels_sha256"] == lock["files_sha256"]["labels.csv"] == hashlib.sha256(labels).hexdigest()
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    review.export()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    _, data, text = review.export(Path("none"), None)
    assert data["labels"] is None
    assert "people" not in text
    assert not (folder / "labels.csv").exists()
    elsewhere = review.run.parent / "mine.csv"
    elsewhere.write_bytes(labels)
    _, data, _ = review.export(elsewhere, None)
    assert data["labels"]["from"] == str(elsewhere)
    assert (folder / "train.parquet").read_bytes() == first["train.parquet"]


def test_a_few_labels_win_and_anchor_nothing_and_it_is_said(review: Review) -> None:
    plain, _, _ = review.export()
    review.draw(12)
    review.label("ann", longer, most=4)
    rows, _, text = review.export()
    assert "of 4 couples, by 1 person; too few to anchor the judges on" in text
    labelled = {item for item, _ in review.clicked}
    for name in plain.keys() - labelled:
        assert rows.get(name) in (None, plain[name])  # none: a revision that people prefer its draft to
    assert all(row["epsilon"] is None for row in rows.values())


@pytest.mark.parametrize("choice", ["tie", "both good", "both bad"])
def test_who_prefers_neither_says_which_of_three_it_is_and_the_drop_does(review: Review, choice: Choice) -> None:
    _, before, _ = review.export()
    review.draw(12)
    review.label("ann", lambda _: choice)
    rows, data, _ = review.export()
    assert not rows.keys() & {item for item, _ in review.clicked}
    assert data["drops"][choice] >= len(review.clicked) == 12
    others = {"tie", "both good", "both bad"} - {choice}
    assert all(data["drops"].get(other, 0) <= before["drops"].get(other, 0) for other in others)


def test_an_adjudicators_word_stands_over_a_majority_and_agreement_is_still_of_those_who_labelled(
    review: Review,
) -> None:
    review.draw(12, overlap=2)
    review.label("ann", shorter)
    review.label("ben", shorter)
    before, _ = review.audit()
    item = min(item for item, _ in review.clicked)
    mine = review.clicked[item, "ann"]
    other: Choice = "2" if mine == "1" else "1"
    review.store.decide(Decision(item, other, "dora", "", review.now))
    rows, data, _ = review.export()
    assert data["labels"]["people"] == 3
    assert {row["label_source"] for row in rows.values()} >= {"human", "adjudicated"}
    row = rows[item]
    assert (preferred(row), row["label_source"], row["people"], row["people_agree"]) == (other, "adjudicated", 3, 1)
    assert row["epsilon"] == pytest.approx((1 - (1 - 2 / 26) ** 0.5) / 2)  # nobody of 24 chose otherwise than the other
    assert rows[max(item for item, _ in review.clicked)]["label_source"] == "human"
    after, _ = review.audit()
    assert before["people"] == after["people"]
    assert before["people"]["pairwise"] == 1.0
    assert (after["annotators"], before["annotators"]) == (2, 2)
    label = "the run's label"
    assert before["ppi"]["accuracy"][label]["estimate"] != after["ppi"]["accuracy"][label]["estimate"]


def test_people_who_are_dropped_or_left_out_count_for_nothing(review: Review) -> None:
    review.draw(12, overlap=2)
    review.label("ann", shorter)
    review.label("ben", longer)
    together, data, _ = review.export()
    assert data["drops"]["tie"] >= 12
    rows, data, _ = review.export(None, None, without=["ben"])
    assert data["labels"] == {"from": "review", "couples": 12, "people": 1}
    alone = {name for name, row in rows.items() if row["label_source"] == "human"}
    assert alone <= {item for item, _ in review.clicked}
    assert {row["people"] for row in rows.values()} == {0, 1}
    review.store.set_dropped("ben", True, "lead", review.now)
    assert review.export()[0] == rows != together
    with pytest.raises(InputError, match="--without eve: nobody of that name reviews this run: choose among ann, ben"):
        review.export(None, None, without=["eve"])
    with pytest.raises(InputError, match="--without: is for the labels of the run's review"):
        review.export(Path("mine.csv"), None, without=["ann"])
    _, data, _ = review.export(None, None, without=["ann"])  # and ben is dropped
    assert data["labels"] is None


def test_labels_of_couples_that_the_run_has_no_more_stop_no_export(review: Review) -> None:
    body = Task("stranger", "p", "", (), ("a", "b"), False, ())
    from solon.review.records import NewTask, Pooled, Round

    asked = Round(1, "random", 1, 1.0, 1.0, 0.0, 0)
    review.store.add_round(asked, [Pooled("stranger", "", 0.0, 1.0)], [NewTask("audit", 0.5, 1, body)], 1.0)
    review.label("ann", shorter)
    _, data, text = review.export()
    assert data["labels"] is None
    assert "people's labels in the review are of no couple that the run holds now" in text


def test_an_audit_of_the_review_counts_beside_people_on_the_even_share_alone(review: Review) -> None:
    review.draw(24, policy="mixed", audit_share=0.5)
    review.label("ann", shorter)
    data, text = review.audit()
    assert data["labels"] == "the labels of the run's review"
    kinds = [label.kind for label in review.store.labels()]
    even = kinds.count("audit")
    assert 0 < even < 24
    assert (data["labelled"], data["ppi"]["labels"]) == (even, 24)
    assert not data["drawn_unevenly"]
    assert f"counted on the {even} couples drawn evenly" in " ".join(data["notes"])
    assert text.startswith("AI labels are right ")
    assert "(24 reviewed)" in text.splitlines()[0]
    with Journal.open(open_folder(review.run).journal, read_only=True) as journal:
        said = {couple_id(one.a, one.b): side_of(one) for row in stored_rows(journal) for one in row.labels}
    right = {label.item: label.choice == said[label.item] for label in review.store.labels()}
    found = data["by_judge"]["the run's label"]["label"]
    share = [right[label.item] for label in review.store.labels() if label.kind == "audit"]
    assert found["n"] == even
    assert found["accuracy"] == pytest.approx(sum(share) / even)
    chance = {one.item: one.probability for one in review.store.pool()}
    of = {level: [ok for item, ok in right.items() if chance[item] == level] for level in set(chance.values())}
    weighed = sum(sum(of[level]) / len(of[level]) for level in chance.values()) / len(chance)
    assert data["ppi"]["human_only"]["estimate"] == pytest.approx(weighed)


def test_couples_that_could_not_be_drawn_are_in_no_figure(review: Review) -> None:
    review.draw(12, policy="uncertain")
    review.label("ann", shorter)
    data, _ = review.audit()
    assert data["ppi"]["items"] == data["items"] < 20 * 6
    assert f"{data['ppi']['unreached']} couples that had no chance yet to be labelled" in " ".join(data["notes"])
    whose = f"AI labels of the {data['items']} couples that could be reviewed so far are right"
    assert headline(data).startswith(whose)


def test_a_file_of_labels_goes_before_the_review_and_it_is_said(
    review: Review, capsys: pytest.CaptureFixture[str]
) -> None:
    review.draw(12)
    review.label("ann", shorter)
    items = [f"{item},bo,{choice}" for (item, _), choice in review.clicked.items()]
    own = review.run / "labels.csv"
    own.write_text("\n".join(["item,annotator,choice", *items[:11]]) + "\n")
    data, _ = review.audit()
    assert (data["labels"], data["labelled"]) == (str(own), 11)
    assert f"audited by {own}, not by the labels of the run's review" in capsys.readouterr().err


def test_agreement_is_promised_by_the_even_share_of_uneven_labels(write_run: WriteRun, tmp_path: Path) -> None:
    config = write_run({**ALL, "judge": {"canaries": 0.0, "principles": "all"}}, prompts=80)
    actions.run(config, tmp_path / "run", False, False)
    with open_review(open_folder(tmp_path / "run")) as store:
        review = Review(tmp_path / "run", store)
        with pytest.raises(InputError, match="is agreement with people, who have said nothing"):
            review.export(None, None, 0.7)
        review.draw(160, audit_share=0.7)
        review.label("ann", shorter)
        rows, data, _ = review.export(None, None, 0.7)
        labels = store.labels()
    assert data["promised"]["agreement"] == 0.7
    assert {label.kind for label in labels} == {"audit", "worth"}
    threshold = data["promised"]["threshold"]
    assert all(1 - row["epsilon"] >= threshold for row in rows.values() if row["label_source"] == "ai")


def test_imported_labels_say_where_they_came_from(review: Review) -> None:
    review.draw(12)
    items = [task.item for task in review.store.tasks()]
    said = [HumanLabel(item, "bo", "1", None, "", 1, 0.0, 5.0, 0, "audit") for item in items]
    review.store.take_in(said, "argilla")
    review.export()
    lines = (review.run / "export" / "labels.csv").read_text().splitlines()
    assert sum(",argilla," in line for line in lines) == 12


def test_labels_of_couples_that_the_run_holds_no_more_are_told_as_that(review: Review, write_run: WriteRun) -> None:
    review.draw(12)
    review.label("ann", shorter)
    again = write_run({**ALL, "judge": {"canaries": 0.0, "principles": "all"}, "seed": 1}, prompts=20)
    actions.run(again, review.run, True, False)
    with pytest.raises(
        InputError, match=r"^people's labels in the run's review: are of no couple that the run holds"
    ) as refusal:
        review.audit()
    assert "/tmp" not in str(refusal.value)
    _, data, text = review.export()
    assert data["labels"] is None
    assert "people's labels in the review are of no couple that the run holds now" in text


def test_export_and_audit_tell_of_labelled_couples_that_the_run_holds_no_more(review: Review) -> None:
    review.draw(12)
    review.label("ann", shorter)
    assert "in the run" not in review.export()[2] + review.audit()[1]
    for count in (1, 2):
        bring(review, f"stranger {count}")
        review.label("ann", shorter)
        one = "1 labelled couple is no longer in the run (its completions changed): its labels are"
        two = "2 labelled couples are no longer in the run (their completions changed): their labels are"
        said = f"{one if count == 1 else two} kept and left out"
        _, data, text = review.export()
        assert said in text.splitlines()
        assert data["labels"]["couples"] == 12
        found, text = review.audit()
        assert said in found["notes"]
        assert said in text


def bring(review: Review, item: str) -> None:
    """An item of a couple that the run does not have."""
    from solon.review.records import NewTask, Pooled, Round

    body = Task(item, "p", "", (), ("a", "b"), False, ())
    asked = Round(1, "random", 1, 1.0, 1.0, 0.0, 0)
    review.store.add_round(asked, [Pooled(item, "", 0.0, 1.0)], [NewTask("audit", 0.5, 1, body)], 1.0)


def test_agreement_without_any_labels_is_refused_with_what_to_do(review: Review) -> None:
    with pytest.raises(InputError, match=r"--agreement: .*: add --labels L.csv"):
        review.export(None, None, 0.8)
    with pytest.raises(InputError, match=r"--agreement: .*: leave out --labels none"):
        review.export(Path("none"), None, 0.8)


def test_show_finds_a_couple_by_its_id_and_tells_what_people_said_of_it(review: Review) -> None:
    review.draw(12, overlap=2)
    drawn = {one.item for one in review.store.tasks()}
    undrawn = next(item for item in couples(review) if item not in drawn)
    assert "JUDGED" in actions.show(undrawn, review.run).text
    assert "PEOPLE" not in actions.show(undrawn[:8], review.run).text
    held = review.store.next("ann", review.now)
    assert held
    item, right = held.item, shown_choice("2", held.side)
    review.store.save("ann", item, Said(right, 3, "It is\nshorter.", "odd"), key="a", now=review.now)
    review.label("ben", lambda _: "1")
    review.store.decide(Decision(item, "tie", "dora", "Alike.", review.now))
    for name in (item, item[:10]):
        text = actions.show(name, review.run).text
        lines = [line for line in text.splitlines() if "PEOPLE" in line and ("ann" in line or "dora" in line)]
        assert lines == [
            "  PEOPLE: ann: b is better, clearly: It is shorter. (FLAGGED: odd)",
            "  PEOPLE: decided by dora: a tie: Alike.",
        ]
        assert "  PEOPLE: ben: a is better\n" in text
        assert "  PEOPLE: an export takes this label: a tie (the adjudicator's)" in text
    with pytest.raises(InputError, match="is the id of nothing in this run"):
        actions.show("f" * 20, review.run)


def test_show_tells_skips_and_who_is_left_out_and_whose_label_an_export_takes(review: Review) -> None:
    review.draw(1)
    (item,) = (one.item for one in review.store.tasks())
    review.store.next("cy", review.now)
    review.store.skip("cy", item, "too hard", key="c", now=review.now)
    review.label("ann", lambda _: "1")
    lines = actions.show(item, review.run).data["people"][item]
    assert lines == (
        "ann: a is better", "cy skipped it: too hard", "an export takes this label: a is better (people's, 1 of 1)"
    )  # fmt: skip
    review.store.set_dropped("ann", True, "lead", review.now)
    lines = actions.show(item, review.run).data["people"][item]
    assert (lines[0], lines[-1]) == ("ann (left out): a is better", "an export takes the judges' label")


def couples(review: Review) -> list[str]:
    with Journal.open(open_folder(review.run).journal, read_only=True) as journal:
        return [couple_id(one.a, one.b) for row in stored_rows(journal) for one in row.labels]


def test_show_finds_a_couple_that_became_no_pair_and_is_named_nowhere(write_run: WriteRun, tmp_path: Path) -> None:
    config = write_run({"pairs": {"policy": "best-vs-worst"}, "candidates": {"completions": 4}}, prompts=2)
    actions.run(config, tmp_path / "run", False, False)
    with Journal.open(open_folder(tmp_path / "run").journal, read_only=True) as journal:
        rows = list(stored_rows(journal))
    named = [(row, couple_id(one.a, one.b)) for row in rows for one in row.labels]
    unnamed = [(row, name) for row, name in named if name not in repr(row)]
    assert unnamed
    row, name = unnamed[0]
    for asked in (name, name[:12]):
        assert f"PROMPT {row.made.prompt.id}\n" in actions.show(asked, tmp_path / "run").text
