"""What the store of a review promises, on SQLite and on PostgreSQL."""

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from constitution.errors import InputError, SolonError
from constitution.principle import Example
from generator.candidates import candidate_id
from generator.prompts import Prompt
from judge.review.records import Choice, Guide, HumanLabel, Kind, Side, Task, Turn, shown_choice
from solon.database import Database, insert, writing
from solon.review.errors import Dropped, KeyReused, LeaseLost, NotYours, TooManyEdits, Unknown
from solon.review.records import Decision, Edited, NewTask, Pooled, Retired, Round, Said, TakenIn, Totals
from solon.review.storage.editing import MOST
from solon.review.storage.leasing import LEASE
from solon.review.storage.store import Store
from solon.review.storage.strewing import Strewn, stretch_length
from solon.review.storage.tables import ACTS

ROUND = Round(10, "mixed", 1, 0.1, 0.5, 0.0, seed=7)
LEFT, RIGHT, TIE = Said("1", 2, "it is shorter"), Said("2"), Said("tie")
NOW = 1_000.0


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    with Store.open(database, "run") as opened:
        yield opened


def body(n: int, **changes: Any) -> Task:
    guide = Guide("short", "At most ten words.", "", (Example("p", "b", "w"),))
    task = Task(
        f"item{n:03}", f"prompt{n}", "forum", (Turn("user", "Why?"),), (f"One {n}.", f"Two {n}."), True, (guide,)
    )
    return replace(task, **changes)


def new(n: int, overlap: int = 1, kind: Kind = "worth", known: Choice | None = None) -> NewTask:
    return NewTask(kind, n / 1000, overlap, body(n), (f"first{n}", f"second{n}"), known)


def fill(store: Store, items: int, overlap: int = 1, golds: int = 0, gold_share: float = 0.0) -> None:
    gold = [new(500 + n, kind="gold", known="1") for n in range(golds)]
    tasks = [*(new(n, overlap) for n in range(items)), *gold]
    store.add_round(replace(ROUND, gold_share=gold_share), [], tasks, NOW)


def label(store: Store, annotator: str, now: float = NOW, said: Said = LEFT, key: str = "") -> str:
    """Labels the next item and names it."""
    leased = store.next(annotator, now)
    assert leased
    store.save(annotator, leased.item, said, key=key or f"{leased.item} {now}", now=now)
    return leased.item


def item_of(store: Store, annotator: str, now: float = NOW) -> str | None:
    leased = store.next(annotator, now)
    return leased and leased.item


def elsewhere(item: str, annotator: str, choice: Choice = "1", at: float = NOW) -> HumanLabel:
    return HumanLabel(item, annotator, choice, None, "", 2, 3.0, at, 0, "worth")


def test_items_come_by_place_whatever_the_order_they_were_given_in(store: Store) -> None:
    store.add_round(ROUND, [], [new(3), new(1)], NOW)
    store.add_round(ROUND, [], [new(2), new(0)], NOW)
    assert [label(store, "ann") for _ in range(4)] == ["item000", "item001", "item002", "item003"]
    assert store.next("ann", NOW) is None


def test_an_item_that_is_not_here_any_more_is_given_to_nobody_until_it_is_here_again(store: Store) -> None:
    fill(store, 3, overlap=2, golds=1)
    assert store.retire({"item001"}, NOW) == Retired(gone=2, back=0)
    assert store.retire({"item001"}, NOW) == Retired(0, 0)
    assert store.totals() == Totals(3, 1, 0, 2)
    assert [(one.item, one.gone) for one in store.tasks()] == [
        ("item000", True), ("item001", False), ("item002", True), ("item500", False)
    ]  # fmt: skip
    assert label(store, "ann") == "item001"
    assert store.next("ann", NOW) is None
    assert store.progress("ann").open_for_you == 0
    assert store.retire({"item000", "item002"}, NOW) == Retired(gone=0, back=2)
    assert store.totals() == Totals(3, 3, 1, 6)
    assert label(store, "ann") == "item000"


def test_what_somebody_has_in_hand_or_has_labelled_is_not_taken_out(store: Store) -> None:
    fill(store, 3, overlap=2)
    assert label(store, "ann") == "item000"
    assert item_of(store, "ann") == "item001"
    assert store.retire((), NOW + 1) == Retired(gone=1, back=0)
    assert store.totals() == Totals(3, 2, 1, 4)
    assert store.heartbeat("ann", "item001", NOW + 2) == NOW + 2 + LEASE
    assert store.retire((), NOW + 2 + LEASE) == Retired(gone=1, back=0)
    assert [one.labels for one in store.tasks()] == [1, 0, 0]
    assert len(store.labels()) == 1


def test_a_label_that_comes_late_makes_an_item_that_was_taken_out_one_like_others(store: Store) -> None:
    fill(store, 2, overlap=2)
    assert item_of(store, "ann") == "item000"
    assert store.retire((), NOW + LEASE) == Retired(gone=2, back=0)
    assert store.totals() == Totals(2, 0, 0, 0)
    store.save("ann", "item000", LEFT, key="late", now=NOW + LEASE)
    assert store.totals() == Totals(2, 1, 1, 2)
    assert store.take_in([elsewhere("item001", "bob")], "tool") == TakenIn(1, 0, 0)
    assert store.totals() == Totals(2, 2, 2, 4)
    assert not any(one.gone for one in store.tasks())


def test_a_round_that_brings_an_item_that_was_taken_out_opens_it(store: Store) -> None:
    fill(store, 1)
    store.retire((), NOW)
    store.add_round(ROUND, [], [new(0, overlap=2)], NOW)
    assert store.totals() == Totals(1, 1, 0, 2)
    assert item_of(store, "ann") == "item000"


def test_a_second_tab_gets_the_item_that_is_in_hand(store: Store) -> None:
    fill(store, 2)
    first = store.next("ann", NOW)
    assert first == store.next("ann", NOW + LEASE - 1)
    assert item_of(store, "bob") == "item001"


def test_no_item_is_in_more_hands_than_it_wants_labels(store: Store) -> None:
    fill(store, 1, overlap=2)
    assert [item_of(store, name) for name in ("ann", "bob", "eve")] == ["item000", "item000", None]
    label(store, "ann")
    assert store.next("eve", NOW) is None


def test_a_lease_that_ran_out_goes_to_others_and_its_late_save_is_refused(store: Store) -> None:
    fill(store, 1)
    store.next("ann", NOW)
    assert item_of(store, "bob", NOW + LEASE) == "item000"
    with pytest.raises(LeaseLost):
        store.save("ann", "item000", LEFT, key="a", now=NOW + LEASE + 1)
    label(store, "bob", NOW + LEASE + 1)
    with pytest.raises(LeaseLost):
        store.save("ann", "item000", LEFT, key="a", now=NOW + LEASE + 2)
    assert [one.annotator for one in store.labels()] == ["bob"]


def test_a_late_save_is_taken_where_there_is_room(store: Store) -> None:
    fill(store, 2)
    store.next("ann", NOW)
    store.save("ann", "item000", LEFT, key="a", now=NOW + 2 * LEASE)
    assert [one.annotator for one in store.labels()] == ["ann"]


def test_a_heartbeat_keeps_an_item_and_takes_a_free_one_up_again(store: Store) -> None:
    fill(store, 1)
    store.next("ann", NOW)
    assert store.heartbeat("ann", "item000", NOW + 600) == NOW + 600 + LEASE
    assert store.next("bob", NOW + LEASE + 1) is None
    assert store.heartbeat("ann", "item000", NOW + 5 * LEASE) == NOW + 6 * LEASE
    assert item_of(store, "bob", NOW + 6 * LEASE) == "item000"
    assert store.heartbeat("ann", "item000", NOW + 6 * LEASE) is None
    assert store.heartbeat("ann", "nothing", NOW) is None


def test_the_same_key_again_gives_the_same_reply_and_does_nothing(store: Store) -> None:
    fill(store, 3, overlap=2)
    store.next("ann", NOW)
    saved = store.save("ann", "item000", LEFT, key="k", now=NOW)
    label(store, "bob")
    assert store.save("ann", "item000", LEFT, key="k", now=NOW + 9) == saved
    store.undo("ann", key="u", now=NOW)
    assert store.save("ann", "item000", LEFT, key="k", now=NOW + 9) == saved
    assert [one.annotator for one in store.labels()] == ["bob"]
    skipped = store.skip("ann", "item000", "too long", key="s", now=NOW)
    assert store.skip("ann", "item000", "too long", key="s", now=NOW + 5) == skipped
    assert store.progress("ann").skipped == 1


def test_a_key_that_comes_with_something_else_is_refused(store: Store) -> None:
    fill(store, 3)
    item = label(store, "ann", key="k")
    with pytest.raises(KeyReused):
        store.save("ann", item, RIGHT, key="k", now=NOW)
    with pytest.raises(KeyReused):
        store.skip("ann", item, "", key="k", now=NOW)
    with pytest.raises(KeyReused):
        store.undo("ann", key="k", now=NOW)
    with pytest.raises(KeyReused):
        store.edit("ann", item, Edited(1, "New."), key="k", now=NOW)
    label(store, "bob", key="k")  # another person's key is another key


def test_a_second_label_of_one_person_replaces_the_first(store: Store) -> None:
    fill(store, 2)
    store.next("ann", NOW)
    store.save("ann", "item000", LEFT, key="tab 1", now=NOW)
    saved = store.save("ann", "item000", TIE, key="tab 2", now=NOW + 5)
    assert [one.choice for one in store.labels()] == ["tie"]
    assert saved.progress.done == 1
    assert store.totals() == Totals(2, 1, 1, 2)
    again = store.undo("ann", key="u", now=NOW)
    assert again
    assert again.saved == TIE
    assert store.labels() == ()


def test_what_is_skipped_is_left_for_others(store: Store) -> None:
    fill(store, 1)
    store.next("ann", NOW)
    store.skip("ann", "item000", "not my field", key="s", now=NOW)
    assert store.next("ann", NOW) is None
    assert [(one.annotator, one.reason) for one in store.skips()] == [("ann", "not my field")]
    assert label(store, "bob") == "item000"
    with pytest.raises(LeaseLost):
        store.save("ann", "item000", LEFT, key="second thoughts", now=NOW)


def test_a_skip_after_the_label_takes_the_label_away_and_a_label_the_skip(store: Store) -> None:
    fill(store, 1)
    item = label(store, "ann")
    store.skip("ann", item, "", key="s", now=NOW)
    assert store.totals() == Totals(1, 1, 0, 1)
    store.save("ann", item, LEFT, key="l", now=NOW)
    assert store.skips() == ()
    assert store.totals() == Totals(1, 0, 1, 1)


def test_undo_goes_back_one_by_one_and_gives_the_item_again(store: Store) -> None:
    fill(store, 4)
    label(store, "ann", said=RIGHT)
    store.next("ann", NOW)
    store.skip("ann", "item001", "", key="s", now=NOW)
    store.next("ann", NOW)
    skipped = store.undo("ann", key="u1", now=NOW + 9_000)
    assert skipped
    assert (skipped.item, skipped.saved, skipped.until) == ("item001", None, NOW + 9_000 + LEASE)
    labelled = store.undo("ann", key="u2", now=NOW)
    assert labelled
    assert (labelled.item, labelled.saved) == ("item000", RIGHT)
    assert store.undo("ann", key="u2", now=NOW + 1) == labelled
    assert store.undo("ann", key="u3", now=NOW) is None
    assert item_of(store, "ann") == "item000"
    assert item_of(store, "bob") == "item001"


def test_undo_of_a_skip_that_others_have_filled_gives_nothing(store: Store) -> None:
    fill(store, 2)
    store.next("ann", NOW)
    store.skip("ann", "item000", "", key="s", now=NOW)
    assert item_of(store, "ann") == "item001"
    label(store, "bob")
    assert store.undo("ann", key="u", now=NOW) is None
    assert store.skips() == ()
    assert item_of(store, "ann") == "item001"


def test_sides_are_kept_and_labels_are_of_the_items_own_completions(store: Store) -> None:
    fill(store, 12, overlap=2)
    sides: dict[str, list[Side]] = {"ann": [], "bob": []}
    for name, n in ((name, n) for name in sides for n in range(12)):
        leased = store.next(name, NOW)
        later = store.next(name, NOW + 2 * LEASE)
        assert leased
        assert later
        assert later.side == leased.side
        store.save(name, leased.item, LEFT, key=str(n), now=NOW + 2 * LEASE)
        sides[name].append(leased.side)
    assert all(one.choice == str(one.side) for one in store.labels())
    assert sides["ann"] != sides["bob"]
    assert {1, 2} == set(sides["ann"])
    assert all(one.said == LEFT for one in store.mine("ann", 100))


def test_the_seconds_count_from_when_the_item_was_last_shown(store: Store) -> None:
    fill(store, 1)
    store.next("ann", NOW)
    store.next("ann", NOW + 2 * LEASE)
    store.save("ann", "item000", LEFT, key="k", now=NOW + 2 * LEASE + 8)
    assert [(one.seconds, one.at) for one in store.labels()] == [(8.0, NOW + 2 * LEASE + 8)]


def names_in(record: object) -> Iterator[str]:
    if is_dataclass(record):
        for field in fields(record):
            yield field.name
            yield from names_in(getattr(record, field.name))
    elif isinstance(record, tuple):
        for part in record:
            yield from names_in(part)


def test_nothing_an_annotator_gets_tells_what_an_item_is(store: Store) -> None:
    store.add_round(replace(ROUND, gold_share=0.5), [Pooled("item000", "s", 0.5, 0.123)], [new(0, 2), new(1, 2)], NOW)
    store.add_round(replace(ROUND, gold_share=0.5), [], [new(2, kind="gold", known="2")], NOW)
    seen: list[object] = []
    for n in range(3):
        leased = store.next("ann", NOW)
        assert leased
        edited = store.edit("ann", leased.item, Edited(1, "New."), key=f"e{n}", now=NOW)
        seen += [leased, edited, store.save("ann", leased.item, TIE, key=f"k{n}", now=NOW)]
    seen += [store.undo("ann", key="u", now=NOW), *store.mine("ann", 9), store.progress("ann")]
    names = {name for record in seen for name in names_in(record)}
    assert names.isdisjoint(
        {"kind", "known", "score", "probability", "candidates", "round", "place", "overlap", "revises"}
    )
    assert not any(word in repr(seen) for word in ("first", "second", "gold", "worth", "0.123"))


def gold_run(store: Store, name: str, items: int) -> list[bool]:
    """Which of the items that an annotator gets are gold, while all figures move by one, like any other."""
    seen: list[bool] = []
    before = store.progress(name)
    for n in range(items):
        leased = store.next(name, NOW)
        if leased is None:
            break
        seen.append(leased.item >= "item500")
        if n % 5 == 4:
            after = store.skip(name, leased.item, "", key=str(n), now=NOW).progress
            moved = (after.done, after.skipped - 1, after.labels)
        else:
            after = store.save(name, leased.item, TIE, key=str(n), now=NOW).progress
            moved = (after.done - 1, after.skipped, after.labels - 1)
        assert moved == (before.done, before.skipped, before.labels)
        assert (after.open_for_you, after.wanted) == (before.open_for_you - 1, before.wanted)
        assert after.labels <= after.wanted
        before = after
    return seen


@pytest.mark.parametrize(("golds", "share"), [(3, 0.2), (30, 0.2), (30, 0.5)])
def test_gold_items_are_strewn_and_nothing_tells_them_apart(store: Store, golds: int, share: float) -> None:
    fill(store, 20, overlap=2, golds=golds, gold_share=share)
    seen = {name: gold_run(store, name, 200) for name in ("ann", "bob")}
    for gold in seen.values():
        assert not gold[0]
        assert not any(one and other for one, other in pairwise(gold))
        assert gold.count(False) == 20
        assert gold.count(True) == min(golds, round(20 * share / (1 - share)))
    assert seen["ann"] != seen["bob"] or share == 0.5  # where every second item is gold
    assert store.progress("ann").open_for_you == 0
    assert store.totals().wanted == 40
    assert {one.kind for one in store.labels() if one.item >= "item500"} == {"gold"}


@given(st.integers(2, 9), st.integers(0, 60), st.integers(0, 60), st.text(max_size=3))
def test_upcoming_gold_is_what_a_walk_meets(length: int, position: int, ordinary: int, seed: str) -> None:
    plan = Strewn(seed, "ann", length)
    left, met = ordinary, 0
    for n in count(position):
        if plan.is_gold(n):
            met += 1
        elif left == 0:
            break
        else:
            left -= 1
    assert plan.upcoming(position, ordinary) == met
    assert not plan.is_gold(0)
    assert not any(plan.is_gold(n) and plan.is_gold(n + 1) for n in range(position, position + 30))


def test_a_share_becomes_the_length_of_a_stretch() -> None:
    assert [stretch_length(share) for share in (0.0, 0.05, 0.3, 0.5, 1.0)] == [0, 20, 3, 2, 2]


def test_an_edit_is_a_candidate_that_revises_what_was_shown(store: Store) -> None:
    fill(store, 1, overlap=8)
    shown: dict[str, Side] = {}
    for name in "abcdefgh":
        leased = store.next(name, NOW)
        assert leased
        shown[name] = leased.side
        saved = store.edit(name, "item000", Edited(2, " Better. "), key="e", now=NOW)
        assert store.edit(name, "item000", Edited(2, " Better. "), key="e", now=NOW + 1) == saved
    assert set(shown.values()) == {1, 2}
    for edit in store.edits():
        assert edit.revises == ("second0" if shown[edit.annotator] == 1 else "first0")
        assert (edit.prompt, edit.item, edit.text, edit.at) == ("prompt0", "item000", " Better. ", NOW)
        assert edit.id == candidate_id(Prompt("prompt0", ()), 0, 0, edit.call)
    assert store.labels() == ()
    assert [item_of(store, name) for name in shown] == ["item000"] * 8


def test_the_same_edit_by_two_people_is_one_candidate_and_another_text_another(store: Store) -> None:
    fill(store, 1, overlap=3)
    for name, text in (("ann", "New."), ("bob", "New."), ("eve", "Newer.")):
        leased = store.next(name, NOW)
        assert leased
        store.edit(name, "item000", Edited(leased.side, text), key="e", now=NOW)  # both are completion 1 or its mirror
    ids = {(edit.revises, edit.text): edit.id for edit in store.edits()}
    assert len(set(ids.values())) == len(ids)
    assert all(ids[edit.revises, edit.text] == edit.id for edit in store.edits())


@pytest.mark.parametrize("text", ["", " \n", "x" * 20_001, "a\0b", "\ud800", "same"])
def test_an_edit_that_says_nothing_new_is_refused(store: Store, text: str) -> None:
    fill(store, 1)
    leased = store.next("ann", NOW)
    assert leased
    said = f" {leased.body.completions[leased.side - 1]}\n" if text == "same" else text
    with pytest.raises(InputError):
        store.edit("ann", "item000", Edited(1, said), key="e", now=NOW)
    with pytest.raises(NotYours):
        store.edit("bob", "item000", Edited(1, "New."), key="e", now=NOW)
    assert store.edits() == ()


def test_what_a_database_cannot_hold_is_refused_before_it(store: Store) -> None:
    fill(store, 1)
    item = item_of(store, "ann") or ""
    for said in (Said("1", 2, "a\0"), Said("1", flag="\udfff"), Said("tie", 2), Said("1", 5), Said("left")):  # type: ignore[arg-type]
        with pytest.raises(InputError):
            store.save("ann", item, said, key="k", now=NOW)
    with pytest.raises(InputError):
        store.skip("ann", item, "\0", key="k", now=NOW)
    with pytest.raises(InputError):
        store.save("ann", item, LEFT, key="\0", now=NOW)
    with pytest.raises(Unknown):
        store.save("ann", "it\0em", LEFT, key="k", now=NOW)


def test_tasks_come_back_as_they_were_whatever_models_wrote(store: Store) -> None:
    task = replace(new(1, 3), body=body(1, completions=("nul \0 here", "half a \ud83d pair, “é”")))
    store.add_round(ROUND, [], [task, new(2, kind="gold", known="both good")], NOW)
    assert [one.task for one in store.tasks()] == [task, new(2, kind="gold", known="both good")]
    assert [one.item for one in store.tasks(["item002", "nothing"])] == ["item002"]
    leased = store.next("ann", NOW)
    assert leased
    assert leased.body == task.body


def test_only_what_was_given_to_a_person_can_be_labelled(store: Store) -> None:
    fill(store, 2)
    with pytest.raises(NotYours):
        store.save("ann", "item000", LEFT, key="k", now=NOW)
    with pytest.raises(NotYours):
        store.skip("ann", "item000", "", key="k", now=NOW)
    with pytest.raises(Unknown):
        store.save("ann", "nothing", LEFT, key="k", now=NOW)


def test_labels_carry_the_guidelines_that_held_when_the_item_was_shown(store: Store) -> None:
    fill(store, 3)
    label(store, "ann")
    first = store.set_guidelines("Prefer the shorter.", "lead", NOW)
    assert store.set_guidelines("Prefer the shorter.", "lead", NOW + 1) == first
    store.next("ann", NOW)
    second = store.set_guidelines("Prefer the plainer.", "lead", NOW)
    store.save("ann", "item001", LEFT, key="k", now=NOW)
    store.next("ann", NOW)
    store.next("ann", NOW)
    store.set_guidelines("Prefer the truer.", "lead", NOW)
    label(store, "ann")
    assert [one.guidelines for one in store.labels()] == [0, 1, 3]
    assert store.guideline_versions()[:2] == (first, second)
    assert store.guidelines().version == 3


def test_a_later_round_widens_what_is_there_and_brings_what_is_new(store: Store) -> None:
    store.add_round(ROUND, [Pooled("item000", "s", 1.0, 0.2), Pooled("item001", "s", 0.5, 0.1)], [new(0)], NOW)
    label(store, "ann")
    again = [replace(new(0, 2, "audit"), place=0.9, body=body(0, source="other")), new(1)]
    assert store.add_round(ROUND, [Pooled("item000", "s", 1.0, 0.6)], again, NOW + 1) == 2
    assert store.totals() == Totals(2, 2, 1, 3)
    assert [(one.item, one.round, one.task.kind, one.labels) for one in store.tasks()] == [
        ("item000", 1, "audit", 1),
        ("item001", 2, "worth", 0),
    ]
    assert store.tasks(["item000"])[0].task.body == body(0)
    assert [one.kind for one in store.labels()] == ["audit"]
    assert [one.probability for one in store.pool()] == [0.6, 0.1]
    assert [one.by_round for one in store.pool()] == [((1, 0.2), (2, 0.6)), ((1, 0.1),)]
    assert [one.turned for one in store.tasks()] == [2, 0]
    assert [(one.number, one.drawn) for one in store.rounds()] == [(1, {"audit": 1}), (2, {"worth": 1})]
    assert store.rounds()[0].round == ROUND
    assert item_of(store, "bob") == "item000"
    with pytest.raises(ValueError, match="twice"):
        store.add_round(ROUND, [], [new(5), new(5)], NOW)


def test_gold_stays_gold_and_nothing_becomes_gold(store: Store) -> None:
    store.add_round(ROUND, [], [new(0), new(1, kind="gold", known="1")], NOW)
    store.add_round(ROUND, [], [new(0, 9, kind="gold", known="2"), new(1, 9)], NOW)
    assert [(one.task.kind, one.task.known) for one in store.tasks()] == [("worth", None), ("gold", "1")]
    assert store.totals() == Totals(1, 1, 0, 1)


def test_disputes_are_of_different_sides_and_the_undecided_come_first(store: Store) -> None:
    fill(store, 4, overlap=3)
    said: dict[str, list[Choice]] = {"ann": ["1", "1", "tie", "1"], "bob": ["2", "1", "both bad", "tie"]}
    for name, choices in said.items():
        for n, choice in enumerate(choices):
            leased = store.next(name, NOW)
            assert leased
            store.save(name, leased.item, Said(shown_choice(choice, leased.side)), key=str(n), now=NOW)
    assert [one.item for one in store.disputes()] == ["item000", "item003"]
    store.decide(Decision("item000", "1", "lead", "first thought", NOW))
    store.decide(Decision("item000", "2", "lead", "second thought", NOW))
    assert [(one.item, one.decided) for one in store.disputes()] == [
        ("item003", None),
        ("item000", "2"),
    ]
    assert [one.rationale for one in store.decisions()] == ["second thought"]
    with pytest.raises(Unknown):
        store.decide(Decision("nothing", "1", "lead", "", NOW))
    store.set_dropped("bob", True, "lead", NOW)
    assert [one.item for one in store.disputes()] == ["item000"]  # for it was decided


def test_a_dropped_annotator_writes_nothing_more_and_loses_nothing(store: Store) -> None:
    fill(store, 3, overlap=2)
    store.next("ann", NOW)
    saved = store.save("ann", "item000", Said("2", flag="odd"), key="before", now=NOW)
    store.next("ann", NOW)
    store.set_dropped("ann", True, "lead", NOW)
    assert store.dropped() == {"ann"}
    assert store.next("ann", NOW) is None
    for write in (
        lambda: store.save("ann", "item001", LEFT, key="a", now=NOW),
        lambda: store.skip("ann", "item001", "", key="b", now=NOW),
        lambda: store.edit("ann", "item001", Edited(1, "New."), key="c", now=NOW),
        lambda: store.undo("ann", key="d", now=NOW),
        lambda: store.heartbeat("ann", "item001", NOW),
    ):
        with pytest.raises(Dropped):
            write()
    assert store.save("ann", "item000", Said("2", flag="odd"), key="before", now=NOW) == saved
    assert ([one.item for one in store.labels()], store.skips(), store.edits()) == (["item000"], (), ())
    assert [(one.item, one.reason) for one in store.flags()] == [("item000", "odd")]
    store.set_dropped("ann", False, "lead", NOW)
    assert label(store, "ann") == "item001"
    assert [(one.name, one.labels, one.skips, one.last, one.dropped) for one in store.annotators()] == [
        ("ann", 2, 0, NOW, False)
    ]
    with pytest.raises(Unknown):
        store.set_dropped("nobody", True, "lead", NOW)


def test_nobody_rewrites_one_item_without_end(store: Store) -> None:
    fill(store, 2, overlap=2)
    store.next("ann", NOW)
    for n in range(MOST):
        store.edit("ann", "item000", Edited(1, f"Version {n}."), key=str(n), now=NOW)
    with pytest.raises(TooManyEdits):
        store.edit("ann", "item000", Edited(1, "One more."), key="more", now=NOW)
    assert store.edit("ann", "item000", Edited(1, "Version 0."), key="0", now=NOW).edited.text == "Version 0."
    store.next("bob", NOW)
    store.edit("bob", "item000", Edited(1, "Mine."), key="b", now=NOW)
    assert len(store.edits()) == MOST + 1


def test_whose_hands_an_item_is_in_is_known_until_the_lease_runs_out(store: Store) -> None:
    fill(store, 2)
    assert store.in_hand("ann", NOW) is None
    store.next("ann", NOW)
    assert (store.in_hand("ann", NOW), store.in_hand("ann", NOW + LEASE)) == ("item000", None)
    store.save("ann", "item000", LEFT, key="a", now=NOW)
    assert store.in_hand("ann", NOW) is None


def test_a_review_is_read_where_nothing_may_be_written(database: Database) -> None:
    with Store.open(database, "run") as store:
        fill(store, 1)
        label(store, "ann")
    archived = Store.open_to_read(database, "run")
    assert archived
    with archived:
        assert [one.item for one in archived.labels()] == ["item000"]
        with pytest.raises((SolonError, DBAPIError)):
            archived.set_guidelines("Be fair.", "lead", NOW)
    assert Store.open_to_read(database, "another run") is None


def test_a_place_without_a_review_is_read_as_none_and_left_as_it_was(database: Database) -> None:
    if database.path:
        database.path.touch()
    assert Store.open_to_read(database, "run") is None
    engine = database.engine(read_only=True)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser may write anywhere")
def test_an_archive_that_nobody_may_write_to_is_read_and_nothing_is_put_beside_it(tmp_path: Path) -> None:
    database = Database.file(tmp_path / "run" / "review.db")
    (tmp_path / "run").mkdir()
    with Store.open(database, "run") as store:
        fill(store, 1)
    (tmp_path / "run").chmod(0o555)
    try:
        archived = Store.open_to_read(database, "run")
        assert archived
        with archived:
            assert len(archived.tasks()) == 1
        assert [one.name for one in (tmp_path / "run").iterdir()] == ["review.db"]
    finally:
        (tmp_path / "run").chmod(0o755)


def test_labels_of_another_tool_come_in_once(store: Store) -> None:
    fill(store, 3)
    labels = [elsewhere("item000", "ann"), elsewhere("item000", "bob", "2"), elsewhere("item001", "ann")]
    assert store.take_in(labels, "tool") == TakenIn(3, 0, 0)
    assert store.take_in(labels[::-1], "tool") == TakenIn(0, 0, 3)
    assert sorted(store.labels(), key=lambda one: (one.item, one.annotator)) == [
        replace(one, source="tool") for one in labels
    ]
    assert store.totals() == Totals(3, 1, 2, 3)
    assert store.take_in([elsewhere("item001", "ann", "tie", NOW + 1)], "tool") == TakenIn(0, 1, 0)
    assert store.take_in([*labels, elsewhere("item001", "ann", "tie", NOW + 2)], "tool") == TakenIn(0, 0, 4)
    assert {one.item: one.choice for one in store.labels() if one.annotator == "ann"} == {
        "item000": "1",
        "item001": "tie",
    }
    assert store.undo("ann", key="u", now=NOW) is None
    assert item_of(store, "ann") == "item002"


def test_an_import_is_taken_whole_or_not_and_never_over_what_was_said_since(store: Store) -> None:
    fill(store, 2)
    with pytest.raises(Unknown):
        store.take_in([elsewhere("item000", "ann"), elsewhere("nothing", "ann")], "tool")
    assert store.labels() == ()
    label(store, "ann", NOW + 50)
    assert store.take_in([elsewhere("item000", "ann", "tie", NOW)], "tool") == TakenIn(0, 0, 1)
    assert store.totals().labels == 1


def test_runs_of_one_database_do_not_see_each_other(store: Store, database: Database) -> None:
    fill(store, 2)
    with Store.open(database, "other") as other:
        fill(other, 1)
        label(other, "ann")
        assert other.next("ann", NOW) is None
        assert store.labels() == ()
        assert store.progress("ann").done == 0
        assert item_of(store, "ann") == "item000"
        assert other.heartbeat("ann", "item000", NOW) is None


def test_a_store_opened_again_has_everything(store: Store, database: Database) -> None:
    fill(store, 2)
    label(store, "ann")
    with Store.open(database, "run") as again:
        assert again.labels() == store.labels()
        assert again.totals() == Totals(2, 1, 1, 2)


def test_the_database_itself_refuses_a_second_current_label(store: Store, database: Database) -> None:
    fill(store, 1)
    label(store, "ann")
    engine = database.engine()
    with writing(engine) as connection:
        row = connection.execute(sa.select(ACTS)).one()._asdict()
    del row["number"]
    with pytest.raises(sa.exc.IntegrityError), writing(engine) as connection:
        connection.execute(insert(engine, ACTS), row)
    engine.dispose()
