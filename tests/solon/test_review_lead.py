from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.pairs import couple_id
from judge.review.records import Choice, HumanLabel, Kind, Task, Turn
from judge.verdict import Judgement, NoVerdict, Verdict
from solon.cli.actions import run
from solon.database import Database
from solon.folder import open_folder
from solon.journal import Journal
from solon.review.errors import Unknown
from solon.review.labels import labels_csv
from solon.review.lead.desk import ai_label, desk, look, side_for, spoken, words
from solon.review.lead.disputes import disputes
from solon.review.lead.progress import HOUR, Slot, per_hour, progress
from solon.review.records import Decision, NewTask, Round, Said
from solon.review.storage.store import Store
from solon.run import stored_rows


def label(item: str, annotator: str = "ann", choice: Choice = "1", **changes: Any) -> HumanLabel:
    return replace(HumanLabel(item, annotator, choice, None, "", 1, 30.0, 0.0, 1, "audit"), **changes)


def new_task(item: str, kind: Kind = "audit", overlap: int = 2, known: Choice | None = None) -> NewTask:
    place = int(item.strip("abcdefghijklmnopqrstuvwxyz") or 1) / 100
    body = Task(item, "p", "help", (Turn("user", "Why?"),), ("One two.", "One two three."), False, ())
    return NewTask(kind, place, overlap, body, (f"{item}-a", f"{item}-b"), known)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(Database.file(tmp_path / "review.db"), "demo") as opened:
        opened.add_round(Round(3, "random", 2, 1.0, 1.0, 0.0, 0), [], [new_task(f"i{n}") for n in (1, 2, 3)], 0.0)
        yield opened


def say(store: Store, annotator: str, *choices: Choice, at: float = 100.0) -> None:
    """The choices of the next items, of the items' own completions."""
    for n, choice in enumerate(choices):
        leased = store.next(annotator, at + n)
        assert leased
        shown: Choice = choice if choice not in ("1", "2") or leased.side == 1 else "2" if choice == "1" else "1"
        store.save(annotator, leased.item, Said(shown), key=f"{annotator}{n}", now=at + n + 0.5)


def test_people_who_prefer_opposite_sides_come_before_ties_and_flags() -> None:
    labels = [
        label("agreed", "ann"), label("agreed", "ben"), label("alone"),
        label("flagged", "ann", flag="odd"), label("flagged", "ben"),
        label("tie", "ann"), label("tie", "ben", "tie"),
        label("weak", "ann", "1", strength=1), label("weak", "ben", "2", strength=1),
        label("strong", "ann", "1", strength=4), label("strong", "ben", "2", strength=3, flag="!"),
        label("ties", "ann", "both good"), label("ties", "ben", "both bad"),
        label("known", "ann", kind="gold"), label("known", "ben", "2", kind="gold"),
        label("known, flagged", "ann", kind="gold", flag="odd"), label("known, flagged", "ben", "2", kind="gold"),
    ]  # fmt: skip
    found = disputes(labels, {})
    assert [one.item for one in found] == ["strong", "weak", "tie", "flagged", "known, flagged"]
    assert [one.why for one in found] == [
        ("opposite", "flagged"), ("opposite",), ("tie or not",), ("flagged",), ("flagged",)
    ]  # fmt: skip
    assert found[0].strength == 7
    assert found[2].said == {"1": 1, "tie": 1}


def test_decided_items_come_last_and_stay_when_those_who_differed_are_dropped() -> None:
    labels = [label("a"), label("a", "ben", "2"), label("b"), label("b", "ben", "2")]
    assert [(one.item, one.decided) for one in disputes(labels, {"a": "2"})] == [("b", None), ("a", "2")]
    assert [one.item for one in disputes(labels, {"a": "2"}, {"ben"})] == ["a"]


def test_progress_counts_no_label_beyond_what_is_wanted_and_known_items_apart() -> None:
    slots = [Slot("a", "audit", 1, 2), Slot("b", "worth", 1, 1), Slot("g", "gold", 1, 1)]
    labels = [label("a", "ann"), label("b", "ann"), label("b", "ben"), label("g", "ann", kind="gold")]
    found = progress(slots, labels, 60.0)
    assert (found.items, found.labelled, found.wanted, found.labels) == (2, 2, 3, 2)
    assert [(part.kind, part.items, part.wanted, part.labels) for part in found.parts] == [
        ("audit", 1, 2, 1),
        ("gold", 1, None, 1),
        ("worth", 1, 1, 1),
    ]


def test_the_pace_is_of_the_last_hour_or_of_the_time_since_the_first_label() -> None:
    assert per_hour([0.0, 600.0], 1200.0) == 2 * 3
    assert per_hour([0.0, HOUR + 10, HOUR + 20], HOUR + 600) == 2
    assert per_hour([0.0], 2 * HOUR) == 0
    assert per_hour([], 1.0) == 0
    slots = [Slot(f"i{n}", "audit", 1, 1) for n in range(10)]
    done = [label(f"i{n}", at=600.0 * n + 1) for n in range(6)] + [label("g", at=3000.0, kind="gold")]
    found = progress(slots, done, 3600.0)
    assert (found.per_hour, found.hours_left, found.last) == (
        pytest.approx(7, rel=0.01),
        pytest.approx(4 / 6, rel=0.01),
        3001.0,
    )
    assert progress(slots, done, 9000.0).hours_left is None


def test_the_state_changes_with_whatever_the_figures_are_made_of(store: Store) -> None:
    states = [desk(store).state]
    say(store, "ann", "1", "2")
    states.append(desk(store).state)
    store.set_dropped("ann", True, by="lead", at=1.0)
    states.append(desk(store).state)
    store.decide(Decision("i1", "tie", "lead", "", 1.0))
    states.append(desk(store).state)
    store.set_dropped("ann", False, by="lead", at=1.0)
    store.undo("ann", key="u", now=200.0)
    states.append(desk(store).state)
    assert len(set(states)) == 5
    assert desk(store).state == desk(store).state


def test_a_dropped_annotator_counts_in_no_progress_and_no_dispute(store: Store) -> None:
    say(store, "ann", "1", "1")
    say(store, "ben", "2", "1")
    assert (desk(store).progress(200.0).labels, len(desk(store).disputes())) == (4, 1)
    store.set_dropped("ben", True, by="lead", at=1.0)
    seen = desk(store)
    assert (seen.progress(200.0).labels, seen.disputes(), seen.known().dropped) == (2, (), {"ben"})
    store.set_dropped("ben", False, by="lead", at=2.0)
    assert len(desk(store).disputes()) == 1


def test_what_is_known_of_items_comes_from_the_tasks(store: Store) -> None:
    gold = [new_task("g9", "gold", known="2"), new_task("g8", "gold", known="tie")]
    store.add_round(Round(0, "random", 1, 1.0, 1.0, 0.5, 0), [], gold, 1.0)
    known = desk(store).known()
    assert known.right == {"g9": "2", "g8": "tie"}
    assert known.words["i1"] == 5
    assert words(replace(new_task("i1").body, related=True)) == 2


def test_labels_are_counted_by_the_guidelines_they_were_made_under(store: Store) -> None:
    store.set_guidelines("Be fair.", "lead", 1.0)
    say(store, "ann", "1", "2")
    store.set_guidelines("Be fairer.", "lead", 150.0)
    say(store, "ben", "1", at=200.0)
    assert desk(store).by_version() == {1: 2, 2: 1}


def test_an_adjudicator_sees_completions_labels_and_decision_by_the_same_sides(store: Store) -> None:
    say(store, "ann", "1")
    say(store, "ben", "2")
    store.decide(Decision("i1", "1", "ada", "shorter", 9.0))
    names = ("ada", "bo", "cy", "di", "el", "flo")
    assert {side_for("i1", name) for name in names} == {1, 2}
    for name in names:
        seen = look(store, "i1", name)
        first, second = ("One two.", "One two three.") if seen.side == 1 else ("One two three.", "One two.")
        assert seen.left_and_right == (first, second)
        said = {one.annotator: one.choice for one in seen.labels}
        assert said == ({"ann": "1", "ben": "2"} if seen.side == 1 else {"ann": "2", "ben": "1"})
        assert seen.decision
        assert seen.decision.choice == said["ann"]


def test_a_flag_on_an_item_whose_label_is_known_reaches_the_lead_and_a_decision_on_it_changes_no_label(
    store: Store,
) -> None:
    gold = new_task("g1", "gold", known="1")
    store.add_round(Round(1, "random", 2, 1.0, 1.0, 0.5, 0), [], [gold], 0.0)
    while leased := store.next("ben", 150.0):
        flag = "both are the same" if leased.item == "g1" else ""
        store.save("ben", leased.item, Said("1", flag=flag), key=leased.item, now=151.0)
    (dispute,) = store.disputes()
    assert (dispute.item, dispute.why, dispute.decided) == ("g1", ("flagged",), None)
    for name in ("ada", "bo", "cy", "di", "el", "flo"):
        seen = look(store, "g1", name)
        assert seen.known == ("1" if seen.side == 1 else "2")
    assert look(store, "i1", "ada").known is None
    before = labels_csv(store)
    store.decide(Decision("g1", "2", "ada", "They are.", 200.0))
    assert labels_csv(store) == before
    assert "g1" not in before
    assert [(one.item, one.decided) for one in store.disputes()] == [("g1", "2")]


def test_an_item_that_was_never_drawn_is_unknown(store: Store) -> None:
    with pytest.raises(Unknown):
        look(store, "nothing", "ada")


def test_a_judge_is_told_by_the_adjudicators_sides() -> None:
    """The judge prefers completion 1 by 0.9 where it is shown first, and by 0.7 where it is shown second."""
    said = Judgement("a", "b", "plain", "model", Verdict(0.9, ""), Verdict(0.3, ""), "j")
    left, right = spoken(said, 1), spoken(said, 2)
    assert (left.p_left, left.left_first, left.right_first) == (pytest.approx(0.8), "first, 90 %", "first, 70 %")
    assert (right.p_left, right.left_first, right.right_first) == (pytest.approx(0.2), "second, 70 %", "second, 90 %")
    none = spoken(replace(said, backward=NoVerdict("refusal", "")), 1)
    assert (none.p_left, none.right_first) == (None, "no verdict: refusal")
    check = spoken(Judgement("a", "b", "short", "check", Verdict(1.0, ""), None), 2)
    assert (check.judge, check.p_left, check.left_first) == ("", 0.0, "")


def test_the_runs_label_is_found_by_the_couple_and_turned(write_run: Any, tmp_path: Path) -> None:
    place = tmp_path / "runs" / "demo"
    run(write_run({"pairs": {"policy": "all"}}, prompts=2), place, False, False)
    with Journal.open(open_folder(place).journal, read_only=True) as journal:
        rows = list(stored_rows(journal))
    one = next(label for row in rows for label in row.labels if label.p_a not in (None, 0.5))
    item = couple_id(one.a, one.b)
    left, right = ai_label(rows, item, 1), ai_label(rows, item, 2)
    assert left
    assert right
    assert left.p_left == one.p_a
    assert right.p_left == 1 - (one.p_a or 0)
    assert "short" in {said.principle for said in left.spoken}
    assert ai_label(rows, "elsewhere", 1) is None
