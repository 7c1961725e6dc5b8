"""People's labels of a run as a table: who said what, with which chance, and what stands for what."""

import csv
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from constitution.errors import InputError
from judge.audit.table import NONE, TIE, human_choice
from judge.pairs import couple_id
from judge.review.cells import from_cell
from judge.review.records import Choice, HumanLabel, Kind, Task
from solon.auditing.read import read_material
from solon.auditing.shares import by_chance, even_share, reachable
from solon.auditing.voices import voices
from solon.review.labels import COLUMNS, labels_csv, people_of
from solon.review.records import Decision, Edit, NewTask, Pooled, StoredTask

pytest.importorskip("pyarrow", reason="pyarrow is in an extra")


@dataclass
class Reviewed:
    """A store that holds what it is told."""

    said: list[HumanLabel] = field(default_factory=list)
    settled: list[Decision] = field(default_factory=list)
    edited: list[Edit] = field(default_factory=list)
    drawn: list[StoredTask] = field(default_factory=list)
    pooled: list[Pooled] = field(default_factory=list)
    gone: frozenset[str] = frozenset()

    def labels(self) -> tuple[HumanLabel, ...]:
        return tuple(self.said)

    def decisions(self) -> tuple[Decision, ...]:
        return tuple(self.settled)

    def edits(self) -> tuple[Edit, ...]:
        return tuple(self.edited)

    def tasks(self) -> tuple[StoredTask, ...]:
        return tuple(self.drawn)

    def pool(self) -> tuple[Pooled, ...]:
        return tuple(self.pooled)

    def dropped(self) -> frozenset[str]:
        return self.gone


def label(item: str, annotator: str = "ann", choice: Choice = "1", **more: Any) -> HumanLabel:
    facts: dict[str, Any] = {"strength": 3, "rationale": "", "side": 2, "seconds": 4.5, "at": 100.0, "guidelines": 1}
    return HumanLabel(item, annotator, choice, kind="audit", **{**facts, **more})


def task(item: str, kind: Kind = "audit", round: int = 1) -> StoredTask:
    return StoredTask(NewTask(kind, 0.5, 1, Task(item, "p", "", (), ("a", "b"), False, ())), round, 0)


def pooled(item: str, *chances: float) -> Pooled:
    """The chance after each round."""
    return Pooled(item, "s", 0.5, chances[-1], tuple(enumerate(chances, start=1)))


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def store() -> Reviewed:
    """Ten couples: two drawn for their worth, four evenly, one to check people, and three never drawn."""
    drawn = [task(f"w{n}", "worth") for n in range(2)] + [task(f"a{n}") for n in range(4)] + [task("g0", "gold")]
    pool = [pooled(f"w{n}", 1.0) for n in range(2)] + [pooled(f"a{n}", 0.5) for n in range(4)]
    pool += [pooled("g0", 0.5), pooled("x0", 0.5), pooled("x1", 0.5), pooled("x2", 0.0)]
    return Reviewed(drawn=drawn, pooled=pool)


def test_a_row_says_who_chose_what_on_which_side_and_when(store: Reviewed) -> None:
    store.said = [label("a0", choice="both bad", strength=None, rationale="neither", flag="odd", source="argilla")]
    text = labels_csv(store)
    row = read(text)[0]
    assert text.splitlines()[0].split(",") == list(COLUMNS)
    assert row == {
        "item": "a0", "annotator": "ann", "choice": "tie", "probability": "0.125", "said": "both bad",
        "strength": "", "side": "2", "kind": "audit", "decided": "", "source": "argilla", "seconds": "4.5",
        "guidelines": "1", "at": "100.0", "rationale": "neither", "flag": "odd",
    }  # fmt: skip


def test_a_chance_is_that_to_be_drawn_times_the_labelled_share_of_what_was_drawn_so(store: Reviewed) -> None:
    store.said = [label("a0"), label("a1"), label("a2"), label("a2", "ben"), label("w0")]
    chance = {row["item"]: float(row["probability"]) for row in read(labels_csv(store))}
    assert chance == {
        "a0": 0.375, "a1": 0.375, "a2": 0.375, "a3": 0.375, "w0": 0.5, "w1": 0.5, "x0": 0.375, "x1": 0.375,
    }  # fmt: skip  # x2 had no chance, and g0 is of those that check people


def test_a_round_is_labelled_as_far_as_it_is_whatever_others_are(store: Reviewed) -> None:
    store.drawn += [task("b0", round=2), task("b1", round=2)]
    store.pooled += [pooled("b0", 0.5, 0.75), pooled("b1", 0.5, 0.75)]
    store.said = [label(f"a{n}") for n in range(4)] + [label("b0")]
    chance = {row["item"]: float(row["probability"]) for row in read(labels_csv(store))}
    assert (chance["a0"], chance["b0"], chance["b1"]) == (0.5, 0.5 + 0.25 * 0.5, 0.5 + 0.25 * 0.5)


def test_a_round_that_nobody_began_changes_nothing(store: Reviewed) -> None:
    store.said = [label("a0"), label("a1"), label("w0")]
    before = read(labels_csv(store))
    store.pooled = [
        replace(one, probability=0.9, by_round=(*one.by_round, (2, max(0.9, one.probability)))) for one in store.pooled
    ]
    store.drawn.append(task("x0", round=2))
    assert read(labels_csv(store)) == before


def test_what_a_later_round_counts_as_drawn_evenly_does_so_as_far_as_that_round_is_labelled(store: Reviewed) -> None:
    turned = [replace(task(f"t{n}"), turned=2) for n in range(40)]
    later = [task(f"l{n}", round=2) for n in range(4)]
    store.drawn += [*turned, *later]
    store.pooled += [pooled(one.item, 1.0, 1.0) for one in turned] + [pooled(one.item, 0.5, 0.75) for one in later]
    store.said = [label(one.item) for one in turned]

    def even() -> int:
        return sum(row["item"][0] == "t" and row["kind"] == "audit" for row in read(labels_csv(store)))

    assert even() == 0
    store.said += [label("l0"), label("l1")]
    assert 10 < even() < 30
    store.said += [label("l2"), label("l3")]
    assert even() == 40


def test_what_only_dropped_people_labelled_has_the_chance_that_other_rounds_gave_it(store: Reviewed) -> None:
    store.drawn.append(task("x0", "worth", round=2))
    store.pooled = [
        replace(one, by_round=(*one.by_round, (2, 1.0 if one.item in ("x0", "w0", "w1") else 0.6)))
        for one in store.pooled
    ]
    store.said = [label("a0", "ben"), label("w0", "ben"), label("x0")]
    store.gone = frozenset({"ben"})
    chance = {row["item"]: float(row["probability"]) for row in read(labels_csv(store))}
    assert chance == {"x0": 0.5, "x1": 0.1, "x2": 0.6} | {f"a{n}": 0.1 for n in range(4)}  # w0, w1: round 1 alone


def test_what_a_round_took_for_certain_has_its_rounds_share_while_nothing_of_it_is_labelled(store: Reviewed) -> None:
    store.said = [label("w0")]
    chance = {row["item"]: float(row["probability"]) for row in read(labels_csv(store))}
    assert chance["w0"] == 0.5
    assert chance["a0"] == chance["x0"] == pytest.approx(0.5 / 6)


def test_gold_items_and_dropped_people_are_left_out(store: Reviewed) -> None:
    store.said = [label("a0"), label("a1", "ben"), label("a2", "cleo")]
    gold = HumanLabel("g0", "ann", "1", None, "", 1, 1.0, 1.0, 0, "gold")
    store.said.append(gold)
    store.settled = [Decision("g0", "1", "dora", "", 1.0)]
    store.gone = frozenset({"ben"})
    assert {row["annotator"] for row in read(labels_csv(store, ["cleo"]))} == {"ann", ""}
    assert people_of(store) == ("ann", "cleo")
    assert "g0" not in {row["item"] for row in read(labels_csv(store))}
    chance = {row["item"]: row["probability"] for row in read(labels_csv(store, ["cleo"]))}
    assert chance["a1"] == "0.125"  # one of four is labelled by somebody who counts


def test_a_decision_stands_over_the_words_that_it_is_over(store: Reviewed, tmp_path: Path) -> None:
    store.said = [label("a0", "zoe"), label("a0", "ann", "2"), label("a0", "ben", "2", strength=1)]
    store.settled = [Decision("a0", "1", "dora", "ann misread it", 200.0)]
    text = labels_csv(store)
    rows = [row for row in read(text) if row["item"] == "a0"]
    assert [(row["annotator"], row["decided"]) for row in rows] == [
        ("ann", ""), ("ben", ""), ("zoe", ""), ("adjudication: dora", "yes"),
    ]  # fmt: skip
    (tmp_path / "labels.csv").write_text(text)
    found = voices(tmp_path / "labels.csv")
    assert found.merged["a0"].choice == "1"
    assert (found.merged["a0"].people, found.merged["a0"].agree, found.merged["a0"].strength) == (4, 2, 3.0)
    assert found.people["a0"] == {"ann", "ben", "zoe", "dora"}
    assert "a1" not in found.merged


def edit(candidate: str, revises: str, annotator: str = "ann") -> Edit:
    return Edit(candidate, "call", "p", revises, "Better.", "a0", annotator, 50.0)


def test_whoever_edits_prefers_the_edit_to_what_it_revises(store: Reviewed) -> None:
    store.edited = [edit("aaa", "mmm"), edit("zzz", "mmm", "ben"), edit("yyy", "")]
    rows = {row["item"]: row for row in read(labels_csv(store)) if row["annotator"]}
    first, last = couple_id("aaa", "mmm"), couple_id("zzz", "mmm")
    assert rows.keys() == {first, last}
    assert [(rows[i]["choice"], rows[i]["kind"], rows[i]["probability"]) for i in (first, last)] == [
        ("1", "edit", "1.0"), ("2", "edit", "1.0"),
    ]  # fmt: skip


def test_who_said_of_an_edit_what_they_think_is_taken_at_their_word(store: Reviewed) -> None:
    item = couple_id("aaa", "mmm")
    store.drawn.append(task(item))
    store.pooled.append(pooled(item, 0.5))
    store.edited = [edit("aaa", "mmm"), edit("aaa", "mmm", "ben")]
    store.said = [label(item, "ann", "2")]
    rows = [row for row in read(labels_csv(store)) if row["item"] == item]
    assert [(row["annotator"], row["choice"], row["kind"]) for row in rows] == [
        ("ann", "2", "audit"), ("ben", "1", "edit"),
    ]  # fmt: skip
    assert {row["probability"] for row in rows} == {"1.0"}  # it was going to have a label, drawn or not


def test_the_same_store_gives_the_same_bytes_in_whatever_order_things_came(store: Reviewed) -> None:
    store.said = [label("a0"), label("w0", "ben"), label("a1", "ben"), label("a0", "ben", "2")]
    store.edited = [edit("aaa", "mmm"), edit("aaa", "mmm", "ben")]
    text = labels_csv(store)
    for one in (store.said, store.edited, store.drawn, store.pooled):
        one.reverse()
    assert labels_csv(store) == text


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "\tx", " =1", "'quoted", "＝1"])
def test_nothing_that_somebody_typed_is_a_formula_and_our_reader_gives_it_back(
    store: Reviewed, tmp_path: Path, name: str
) -> None:
    store.said = [label("a0", name, rationale=f"{name}, so", flag=name)]
    (row,) = (row for row in read(labels_csv(store)) if row["annotator"])
    for cell in (row["annotator"], row["rationale"], row["flag"]):
        assert cell.startswith("'")
    assert [from_cell(row[column]) for column in ("annotator", "flag")] == [name, name]
    (tmp_path / "labels.csv").write_text(labels_csv(store))
    assert {one.strip() for one in voices(tmp_path / "labels.csv").people["a0"]} == {name.strip()}


HEAD = "item,annotator,choice,probability,said,strength,kind,decided\n"


@pytest.mark.parametrize(
    ("rows", "fact"),
    [
        (["i,ann,tie,1.0,1,,audit,"], "labels.csv:2: said is '1' beside the choice tie"),
        (["i,ann,1,1.0,both bad,,audit,"], "labels.csv:2: said is 'both bad' beside the choice 1"),
        (["i,ann,1,1.0,fine,,audit,"], "labels.csv:2: said is 'fine' beside the choice 1"),
        (["i,ann,1,1.0,1,5,audit,"], "labels.csv:2: strength is '5'"),
    ],
)
def test_a_table_that_somebody_spoilt_is_refused_by_its_line(tmp_path: Path, rows: list[str], fact: str) -> None:
    (tmp_path / "labels.csv").write_text(HEAD + "\n".join(rows) + "\n")
    with pytest.raises(InputError, match=fact):
        voices(tmp_path / "labels.csv")


def test_two_decisions_on_one_item_are_refused(tmp_path: Path) -> None:
    rows = ["i,ann,1,1.0,1,,audit,", "i,adjudication: a,1,1.0,1,,audit,yes", "i,adjudication: b,2,1.0,2,,audit,yes"]
    (tmp_path / "labels.csv").write_text(HEAD + "\n".join(rows) + "\n")
    (tmp_path / "verdicts.csv").write_text("item,judge,order,choice\ni,J,1,1\n")
    with pytest.raises(InputError, match=r"labels.csv:4: decides an item that a row above decides"):
        read_material(tmp_path / "verdicts.csv", tmp_path / "labels.csv", None)


def test_the_audit_reads_the_table_as_it_is_meant(store: Reviewed, tmp_path: Path) -> None:
    store.said = [label("a0", "=ann", "2"), label("a0", "ben"), label("w0", "ben", "both good")]
    store.settled = [Decision("a0", "1", "dora", "", 1.0)]
    (tmp_path / "labels.csv").write_text(labels_csv(store))
    (tmp_path / "verdicts.csv").write_text("item,judge,order,choice\n" + "".join(f"{i},J,1,1\n" for i in ("a0", "w0")))
    found = read_material(tmp_path / "verdicts.csv", tmp_path / "labels.csv", None)
    labels, place = found.labels, {name: number for number, name in enumerate(found.items)}
    assert labels.annotators == ("=ann", "ben")
    assert labels.decided is not None
    assert labels.even is not None
    assert (human_choice(found)[place["a0"]], human_choice(found)[place["w0"]]) == (1, TIE)
    assert sorted(labels.choice[labels.item == place["a0"]].tolist()) == [1, 2]  # what agreement is counted from
    assert [name for name in found.items if labels.even[place[name]]] == ["a0"]
    assert "x2" not in place
    share = even_share(found)
    assert share
    assert np.flatnonzero(human_choice(share) != NONE).tolist() == [place["a0"]]
    assert share.labels.probability is None
    assert by_chance(found).tolist() == [place["a0"]]
    assert reachable(found) is found
    cut = np.array(labels.probability)
    cut[place["x0"]] = 0.0
    assert "x0" not in reachable(replace(found, labels=replace(labels, probability=cut))).items


def test_those_labelled_anyhow_are_no_picture_of_the_rest(store: Reviewed, tmp_path: Path) -> None:
    """Chance brought w1 too, but it would have been asked for whatever chance did."""
    store.drawn[1] = task("w1", "audit")
    store.said = [label(item) for item in ("w0", "w1", "a0", "a1", "a2", "a3")]
    (tmp_path / "labels.csv").write_text(labels_csv(store))
    (tmp_path / "verdicts.csv").write_text("item,judge,order,choice\n" + "".join(f"{i},J,1,1\n" for i in ("a0", "w0")))
    found = read_material(tmp_path / "verdicts.csv", tmp_path / "labels.csv", None)
    share = even_share(found)
    assert share
    assert [found.items[n] for n in np.flatnonzero(human_choice(share) != NONE)] == ["a0", "a1", "a2", "a3", "w1"]
    assert [found.items[n] for n in by_chance(found)] == ["a0", "a1", "a2", "a3"]
