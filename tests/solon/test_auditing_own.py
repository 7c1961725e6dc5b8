"""A run's own verdicts as the table of an audit: nothing lost, nothing turned round, nothing said to the labellers."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.candidates import Candidate, Candidates
from generator.chat import Message
from generator.prompts import Prompt
from judge.audit.table import NONE, TIE, Material, average, choices
from judge.label import Label
from judge.pairs import couple_id
from judge.verdict import Judgement, NoVerdict, OneVerdict, Verdict
from solon.auditing.own import COLUMNS, LABEL, apart, as_csv, items, material_of
from solon.auditing.read import read_material
from solon.cli import actions
from solon.database import Database
from solon.journal import Journal
from solon.pipeline import Row
from solon.run import stored_rows

PROMPT = Prompt("p", (Message("user", "Why?"),), source="asked")
A, B, C = (
    Candidate(name, text, "stop", "call", sample, 0)
    for sample, (name, text) in enumerate([("a", "one"), ("b", "other"), ("c", "=third")])
)
AB, AC = couple_id("a", "b"), couple_id("a", "c")
MODEL = {"principle": "kind", "by": "model", "judge": "M"}
LOST = NoVerdict("truncated", "call")


def row(judgements: Sequence[Judgement] = (), labels: Sequence[Label] = (), prompt: Prompt = PROMPT) -> Row:
    return Row(Candidates(prompt, (A, B, C)), tuple(judgements), tuple(labels), (), ())


def judged(forward: OneVerdict, backward: OneVerdict | None, **more: Any) -> Judgement:
    return Judgement("a", "b", forward=forward, backward=backward, **{**MODEL, **more})


def said(*rows: Row) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(rows))))


def of(
    folder: Path, *rows: Row, labels: str = f"item,annotator,choice\n{AB},ann,1\n", divided: bool = False
) -> Material:
    (folder / "labels.csv").write_text(labels)
    return material_of(rows, folder / "labels.csv", divided)


def test_the_completion_shown_first_is_the_one_that_the_order_names(tmp_path: Path) -> None:
    one = row([judged(Verdict(0.9, "call"), Verdict(0.2, "call"))])
    first, second = said(one)
    assert (first["order"], first["choice"], first["p_first"]) == ("1", "1", "0.9")
    assert (second["order"], second["choice"], second["p_first"]) == ("2", "1", "0.2")
    assert (first["item"], first["judge"], first["stratum"]) == (AB, "M / kind", "asked")
    assert (first["text_1_chars"], first["text_2_chars"]) == ("3", "5")
    found = of(tmp_path, one)
    assert found.verdicts.p_one.tolist() == [0.9, 0.8]
    assert found.verdicts.choice.tolist() == [1, 1]
    assert average(found).p_one[0, 0] == pytest.approx(0.85)
    assert found.lengths is not None
    assert found.lengths.tolist() == [[3, 5]]


def test_exchanged_orders_give_mirrored_choices_and_chances(tmp_path: Path) -> None:
    forward, backward = Verdict(0.75, "call"), Verdict(0.375, "call")
    found = [of(tmp_path, row([judged(*pair)])) for pair in ((forward, backward), (backward, forward))]
    p_one, other = (average(one).p_one[0, 0] for one in found)
    assert p_one == 1 - other != 0.5
    assert (3 - found[0].verdicts.choice).tolist() == found[1].verdicts.choice[::-1].tolist()


def test_a_missing_verdict_is_a_row_with_its_reason_and_no_chance(tmp_path: Path) -> None:
    one = row([judged(Verdict(0.9, "call"), LOST), judged(NoVerdict("refusal", "call"), LOST, principle="brief")])
    assert [(cells["choice"], cells["p_first"], cells["reason"]) for cells in said(one)] == [
        ("1", "0.9", ""), ("none", "", "truncated"), ("none", "", "refusal"), ("none", "", "truncated"),
    ]  # fmt: skip
    found = of(tmp_path, one)
    assert dict(found.verdicts.no_verdicts) == {"refusal": 1, "truncated": 2}
    assert not average(found).known.any()


def test_a_tie_is_what_the_judge_says_and_not_only_an_even_chance() -> None:
    even, leaning = Verdict(0.5, "call"), Verdict(0.6, "call", tie=0.7)
    bad = Verdict(0.55, "call", both_bad=0.8)
    assert [c["choice"] for c in said(row([judged(even, leaning), judged(bad, bad, principle="x")]))] == ["tie"] * 4
    assert said(row([judged(leaning, None)]))[0]["p_first"] == "0.6"


def test_a_check_and_grades_see_one_order_and_every_judge_counts_apart(tmp_path: Path) -> None:
    one = row(
        [
            judged(Verdict(1.0, ""), None, by="check", judge="", principle="short"),
            judged(Verdict(0.7, "call"), None, by="grades"),
            judged(Verdict(0.2, "call"), Verdict(0.8, "call"), judge="N"),
            judged(Verdict(0.2, "call"), Verdict(0.8, "call"), judge="N", principle="brief"),
        ]
    )
    found = of(tmp_path, one)
    assert found.verdicts.judges == ("M / kind", "N / brief", "N / kind", "check / short")
    averaged = average(found)
    assert averaged.known.all()
    assert choices(averaged.p_one, averaged.known).tolist() == [[1, 2, 2, 1]]


def test_the_runs_label_counts_as_one_judge_more_also_where_it_says_nothing(tmp_path: Path) -> None:
    labels = [Label("a", "b", 0.8, ("kind",), True), Label("a", "c", None, (), None), Label("b", "c", 0.5, (), None)]
    bad = Label("a", "b", 0.8, ("kind",), True, both_bad=True)
    rows = [cells for cells in said(row(labels=labels)) if cells["judge"] == LABEL]
    assert [(c["item"], c["choice"], c["p_first"], c["reason"]) for c in rows] == [
        (AB, "1", "0.8", ""), (AC, "none", "", "no verdict"), (couple_id("b", "c"), "tie", "0.5", ""),
    ]  # fmt: skip
    assert said(row(labels=[bad]))[0]["choice"] == "tie"
    found = of(tmp_path, row(labels=labels))
    assert dict(zip(found.items, found.verdicts.choice, strict=True)) == {AB: 1, AC: NONE, rows[2]["item"]: TIE}
    assert not any(name in COLUMNS for name in ("raw", "p_one"))


def test_judges_set_apart_keep_their_own_verdicts_and_reasons_and_no_others(tmp_path: Path) -> None:
    words = [
        judged(Verdict(0.9, "call"), LOST),
        judged(Verdict(0.2, "call"), Verdict(0.7, "call"), judge="A", principle="brief"),
        judged(Verdict(1.0, ""), None, by="check", judge="", principle="short"),
    ]
    both = of(tmp_path, row(words, [Label("a", "b", 0.8, ("kind",), True), Label("a", "c", None, (), None)]))
    models, label = apart(both, ["M / kind", "A / brief"]), apart(both, [LABEL])
    assert (models.verdicts.judges, models.items) == (("A / brief", "M / kind"), (AB,))
    assert [models.verdicts.judges[j] for j in models.verdicts.judge] == ["A / brief"] * 2 + ["M / kind"] * 2
    assert models.verdicts.p_one.tolist()[:3] == [0.2, pytest.approx(0.3), 0.9]
    assert dict(models.verdicts.no_verdicts) == {"truncated": 1}
    assert models.verdicts.notes == ("1 couples that none of these judges was asked about are left out",)
    assert (set(label.items), dict(label.verdicts.no_verdicts)) == ({AB, AC}, {})
    assert len(label.labels.item) == len(models.labels.item) == 1


def test_the_prompts_source_divides_the_items_where_that_is_asked_for(tmp_path: Path) -> None:
    other = Prompt("q", (Message("user", "How?"),), source="written")
    here = row([judged(Verdict(1.0, ""), None)])
    there = row([Judgement("a", "c", forward=Verdict(0.0, ""), backward=None, **MODEL)], prompt=other)
    found = of(tmp_path, here, there, divided=True)
    assert found.strata == ("asked", "written")
    assert {found.items[n]: found.strata[s] for n, s in enumerate(found.stratum)} == {AB: "asked", AC: "written"}
    assert of(tmp_path, here, there).strata == ("all",)


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    rows = [
        row([judged(Verdict(0.9, "call"), Verdict(0.4, "call"))], [Label("a", "b", 0.7, (), True)]),
        row([Judgement("a", "c", forward=Verdict(0.3, ""), backward=LOST, **MODEL)]),
    ]
    one, other = of(tmp_path, *rows), of(tmp_path, *reversed(rows))
    assert one.items == other.items
    for name in ("item", "judge", "order", "choice", "p_one"):
        assert getattr(one.verdicts, name).tolist() == getattr(other.verdicts, name).tolist()


@pytest.mark.parametrize(
    ("labels", "fact"),
    [
        ("item,annotator,choice\nnowhere,ann,1\n", "no item of it is in"),
        (f"item,annotator,choice\n{AB},ann,3\n", "labels.csv:2: choice is '3'"),
        (f"annotator,choice\n{AB},1\n", "has no column 'item'"),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_one_line(tmp_path: Path, labels: str, fact: str) -> None:
    with pytest.raises(InputError, match=fact) as caught:
        of(tmp_path, row([judged(Verdict(1.0, ""), None)]), labels=labels)
    assert "\n" not in str(caught.value)


def test_a_run_without_a_verdict_is_nothing_to_audit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no verdict: run it first"):
        of(tmp_path, row())


def test_people_are_shown_the_prompt_and_both_completions_and_not_a_word_of_the_judges() -> None:
    turns = Prompt("t", (Message("system", "Be kind."), Message("user", "Why?")))
    judgements = [judged(Verdict(0.9, "call"), None, judge="secret-judge")]
    one = row(judgements, [Label("a", "b", 0.9, ("kind",), True), Label("a", "c", None, (), None)], turns)
    text = items([one])
    shown = [json.loads(line) for line in text.splitlines()]
    asked = "system: Be kind.\n\nuser: Why?"
    assert shown == [
        {"item": AB, "prompt": asked, "completion_1": "one", "completion_2": "other"},
        {"item": AC, "prompt": asked, "completion_1": "one", "completion_2": "=third"},
    ]
    assert not any(word in text for word in ("secret-judge", "0.9", 'kind"', "chosen"))
    assert text.isascii()


def test_a_whole_runs_verdicts_are_the_same_by_way_of_a_file(write_run: Callable[..., Path], tmp_path: Path) -> None:
    config = write_run({"judge": {"principles": "all"}, "pairs": {"policy": "all"}}, prompts=3)
    actions.run(config, tmp_path / "run", accept_changes=False, no_budget=False)
    with Journal.open(Database.file(tmp_path / "run" / "journal.db"), read_only=True) as journal:
        rows = list(stored_rows(journal))
    couples = {couple_id(label.a, label.b) for row in rows for label in row.labels}
    labels = "item,annotator,choice\n" + "".join(f"{couple},ann,1\n" for couple in sorted(couples))
    own = of(tmp_path, *rows, labels=labels)
    (tmp_path / "verdicts.csv").write_text(as_csv(rows))
    read = read_material(tmp_path / "verdicts.csv", tmp_path / "labels.csv", None)
    assert own.items == read.items == tuple(sorted(couples))
    assert own.verdicts.judges == read.verdicts.judges
    assert {"check / short", "rambler / direct", "rambler / plain", LABEL} <= set(own.verdicts.judges)
    for name in ("item", "judge", "order", "choice", "p_one", "graded"):
        assert getattr(own.verdicts, name).tobytes() == getattr(read.verdicts, name).tobytes()
    live = {couple_id(label.a, label.b): label.p_a for row in rows for label in row.labels}
    column = own.verdicts.judges.index(LABEL)
    assert dict(zip(own.items, average(own).p_one[:, column].tolist(), strict=True)) == live
