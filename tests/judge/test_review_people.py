from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from judge.audit.estimate import Estimate, proportion
from judge.review.agreeing import among
from judge.review.doubts import Doubt, doubts
from judge.review.people import Known, Person, difference, people
from judge.review.records import CHOICES, Choice, HumanLabel

NAMES = ("ann", "ben", "cleo")
ITEMS = tuple(f"i{n}" for n in range(12))


def label(item: str, annotator: str = "ann", choice: Choice = "1", **changes: Any) -> HumanLabel:
    given = HumanLabel(item, annotator, choice, None, "", 1, 30.0, 0.0, 1, "worth")
    return replace(given, **changes)


def one(labels: Sequence[HumanLabel], known: Known | None = None, name: str = "ann") -> Person:
    return next(person for person in people(labels, known or Known()) if person.annotator == name)


def told(labels: Sequence[HumanLabel], known: Known | None = None) -> dict[str, Doubt]:
    return {doubt.what: doubt for doubt in doubts(people(labels, known or Known())) if doubt.annotator == "ann"}


@st.composite
def labellings(draw: st.DrawFn) -> list[HumanLabel]:
    """At most one label of each person on each item, all at different times."""
    asked = draw(st.lists(st.tuples(st.sampled_from(ITEMS), st.sampled_from(NAMES)), unique=True, max_size=30))
    times = draw(st.permutations(range(len(asked))))
    return [
        label(
            item,
            name,
            draw(st.sampled_from(CHOICES)),
            side=draw(st.sampled_from([1, 2])),
            seconds=draw(st.floats(0.1, 100)),
            at=float(at),
            kind="gold" if item in ITEMS[:3] else "audit",
        )
        for (item, name), at in zip(asked, times, strict=True)
    ]


KNOWN = Known(right=dict.fromkeys(ITEMS[:3], "1"), words=dict.fromkeys(ITEMS, 90), skips={"dora": 3})


def test_the_side_is_what_was_on_the_left_whichever_completion_that_was() -> None:
    labels = [label("a", choice="1", side=1), label("b", choice="2", side=2), label("c", choice="1", side=2)]
    assert one([*labels, label("d", choice="tie")]).left == proportion(2, 3)


@given(labellings())
def test_swapping_all_sides_mirrors_the_bias_and_changes_nothing_else(labels: list[HumanLabel]) -> None:
    swapped = [replace(one, side=1 if one.side == 2 else 2) for one in labels]
    for before, after in zip(people(labels, KNOWN), people(swapped, KNOWN), strict=True):
        assert replace(before, left=None) == replace(after, left=None)
        if before.left and after.left:
            mirrored = (1 - after.left.value, 1 - after.left.high, 1 - after.left.low)
            assert (before.left.value, before.left.low, before.left.high) == pytest.approx(mirrored)


@given(labellings(), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_labels_changes_nothing(labels: list[HumanLabel], random: Any) -> None:
    shuffled = random.sample(labels, len(labels))
    assert people(shuffled, KNOWN) == people(labels, KNOWN)
    assert among(shuffled) == among(labels)


def test_exchanging_the_completions_changes_no_agreement() -> None:
    swap: dict[Choice, Choice] = {"1": "2", "2": "1"}
    said: list[tuple[Choice, Choice]] = [("1", "1"), ("1", "2"), ("1", "both bad"), ("tie", "both good"), ("2", "2")]
    labels = [
        label(f"i{n}", who, choice)
        for n, couple in enumerate(said * 4 + said[:2] * 3)
        for who, choice in zip(("ann", "ben"), couple, strict=True)
    ]
    assert among(labels).five
    assert among([replace(one, choice=swap.get(one.choice, one.choice)) for one in labels]) == among(labels)


def test_a_label_quicker_than_the_texts_can_be_read_is_hasty() -> None:
    labels = [label("a", seconds=1.9), label("b", seconds=2.0), label("long", seconds=19.0), label("c", seconds=99.0)]
    person = one(labels, Known(words={"long": 300}))  # 20 seconds
    assert person.hasty == proportion(2, 4)
    assert person.seconds == 10.5


def test_labels_of_a_tool_that_tells_no_times_are_neither_quick_nor_slow() -> None:
    brought = [label(item, seconds=0.0, source="argilla") for item in ITEMS]
    assert (one(brought).seconds, one(brought).hasty) == (None, None)
    mixed = one([*brought, label("i99", seconds=0.0), label("i98", seconds=30.0, source="label studio")])
    assert (mixed.labels, mixed.seconds, mixed.hasty) == (14, 15.0, proportion(1, 2))


def test_ties_skips_and_flags_are_counted() -> None:
    labels = [label("a", choice="both bad"), label("b", choice="tie", flag="odd"), label("c"), label("d")]
    person = one(labels, Known(skips={"ann": 4, "ben": 2}))
    assert (person.ties, person.skips, person.flags) == (proportion(2, 4), proportion(4, 8), 1)
    assert one(labels, Known(skips={"ben": 2}), "ben").skips == proportion(2, 2)


def test_known_items_are_right_by_choice_with_every_kind_of_tie_alike() -> None:
    labels = [label("a", choice="1"), label("b", choice="2"), label("c", choice="both good"), label("d")]
    assert one(labels, Known(right={"a": "1", "b": "1", "c": "tie"})).gold == proportion(2, 3)


def test_drift_is_the_first_half_by_time_beside_the_second() -> None:
    labels = [label(f"g{n:02}", choice="1" if n < 12 else "2", at=n, kind="gold") for n in range(21)]
    person = one(labels[::-1], Known(right={f"g{n:02}": "1" for n in range(21)}))
    assert person.gold_fall
    assert (person.gold_fall.before, person.gold_fall.after) == (proportion(10, 10), proportion(2, 11))
    assert person.gold_fall.fell
    assert (person.gold_course[0], person.gold_course[2], person.gold_course[-1]) == (1.0, 1.0, 0.1)
    assert len(person.gold_course) == 12


def test_the_difference_of_two_shares_is_newcombes() -> None:
    """56 of 70 and 48 of 80: his first example, 0.2 with 0.0524 to 0.3339 by method 10."""
    before, after = proportion(48, 80), proportion(56, 70)
    assert before
    assert after
    found = difference(before, after)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_agreement_is_with_most_of_the_others_and_half_where_they_are_split() -> None:
    labels = [
        label("a", "ann", "1"), label("a", "ben", "1"), label("a", "cleo", "1"),
        label("b", "ann", "1"), label("b", "ben", "1"), label("b", "cleo", "2"),
        label("c", "ann", "tie"), label("c", "ben", "2"),
        label("alone", "ann", "1"),
        label("known", "ann", "1", kind="gold"), label("known", "ben", "2", kind="gold"),
    ]  # fmt: skip
    assert one(labels).agreement == proportion(1.5, 3)
    assert one(labels, Known(dropped=frozenset({"ben"}))).agreement == proportion(1, 2)
    assert one(labels, Known(dropped=frozenset({"ann"}))).agreement == one(labels).agreement  # beside those who stay


def test_agreement_among_people_is_the_audits_and_leaves_known_items_and_dropped_people_out() -> None:
    said: list[tuple[Choice, Choice]] = [("1", "1"), ("2", "2"), ("tie", "both bad"), ("1", "2"), ("2", "tie")] * 5
    labels = [
        label(f"i{n}", who, choice)
        for n, couple in enumerate(said)
        for who, choice in zip(("ann", "ben"), couple, strict=True)
    ]
    gold = [label("g", "ann", kind="gold"), label("g", "ben", kind="gold")]
    found = among([*labels, *gold, label("i0", "cleo", "2")], {"cleo"})
    merged = [[{"1": 1, "2": 2}.get(choice, 0) for choice in side] for side in zip(*said, strict=True)]
    assert (found.items, found.shared, len(found.couples)) == (25, 25, 1)
    assert found.kappa
    assert found.kappa.value == pytest.approx(cohen_kappa_score(*merged))
    assert found.pairwise == proportion(15, 25)
    assert found.five
    # Of five pairs of answers two agree; two answers drawn at random, of fifty, are the same 700 times in 2450.
    assert found.five.value == pytest.approx(1 - (3 / 5) / (1 - 700 / 2450))


def test_nothing_is_said_where_nothing_is_there() -> None:
    assert people([], Known()) == ()
    empty = among([])
    assert (empty.items, empty.shared, empty.five, empty.alpha) == (0, 0, None, None)
    person = one([], Known(skips={"ann": 1}))
    assert (person.left, person.seconds, person.gold, person.gold_fall) == (None, None, None, None)
    assert doubts([person]) == ()


def test_always_the_left_is_severe_and_a_slight_leaning_is_not() -> None:
    left = [label(f"i{n}", side=1) for n in range(200)]
    found = told(left)["position"]
    assert found.severe
    assert found.text.startswith("Chose the completion shown first in 100 % (98 to 100) of 200 decided items")
    slight = [replace(one, side=2 if n < 120 else 1) for n, one in enumerate(left)]
    found = told(slight)["position"]
    assert not found.severe
    assert found.text.startswith("Chose the completion shown second in 60 % (53 to 67) of 200")
    assert "position" not in told([replace(one, side=2 if n < 110 else 1) for n, one in enumerate(left)])


def test_few_labels_make_no_doubt() -> None:
    assert told([label(f"i{n}", seconds=0.5) for n in range(19)]) == {}
    assert {*told([label(f"i{n}", seconds=0.5) for n in range(20)])} == {"position", "speed"}


def test_each_habit_is_doubted_in_a_sentence_with_what_to_do() -> None:
    ties = [label(f"i{n}", choice="tie") for n in range(40)]
    gold = Known(right={f"i{n}": "1" for n in range(12)})
    assert told(ties)["ties"].text == (
        "Preferred neither in 100 % (91 to 100) of 40 items: say in the guidelines when a tie is meant."
    )
    assert "Skipped 50 % (39 to 61) of 80 items" in told(ties, Known(skips={"ann": 40}))["skips"].text
    assert told(ties, gold)["gold"].text.startswith("Is right on 0 % (0 to 24) of 12 items whose label is known")
    assert told(ties, gold)["gold"].severe


def test_falling_accuracy_and_standing_apart_are_doubted() -> None:
    mine = [label(f"i{n}", choice="1" if n < 30 else "2", at=n) for n in range(60)]
    others = [label(f"i{n}", who, "1", at=n) for n in range(60) for who in ("ben", "cleo", "dora")]
    found = told([*mine, *others])
    assert "Agreement with the others fell from 100 % of the first 30 to 0 % of the last 30" in found["drift"].text
    assert (
        "Agrees with the others in 50 % (38 to 62) of 60 items, where the others do in 100 %" in found["agreement"].text
    )
    known = Known(right={f"i{n}": "1" for n in range(20, 40)})
    assert "Accuracy on known items fell" in told([*mine, *others], known)["drift"].text


def test_severe_doubts_come_first() -> None:
    bad = [label(f"i{n}", "zoe") for n in range(50)]
    leaning = [label(f"i{n}", "ann", side=1 if n % 3 else 2) for n in range(50)]
    assert [(one.annotator, one.severe) for one in doubts(people([*bad, *leaning], Known()))] == [
        ("zoe", True),
        ("ann", False),
    ]


def test_a_change_that_may_be_chance_is_no_fall() -> None:
    before, after = Estimate(0.9, 0.7, 0.97, 10), Estimate(0.8, 0.5, 0.9, 10)
    assert difference(before, after).high > 0
