from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.audit.consistency import PositionFigures, figures, position, repetition
from judge.audit.position import FEWEST
from judge.audit.table import NONE, TIE, Labels, Material, Verdicts, average

Row = tuple[int, int, int, float | None]  # item, judge, order, p_one or None
Orders = tuple[tuple[int, float], ...]  # order and p_one
NOTHING = np.zeros(0, dtype=np.int64)
FIRST, SECOND = ((1, 1.0), (2, 0.0)), ((1, 0.0), (2, 1.0))  # always the slot
ONE, OTHER = ((1, 1.0), (2, 1.0)), ((1, 0.0), (2, 0.0))  # always the completion
EQUAL, HALF_EQUAL = ((1, 0.5), (2, 0.5)), ((1, 0.5), (2, 1.0))


def asked(rows: Sequence[Row], items: int, judges: int = 1) -> Material:
    said = np.array([p is not None for *_, p in rows], dtype=np.bool_)
    p_one = np.array([0.5 if p is None else p for *_, p in rows])
    item, judge, order = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3).T
    choice = np.where(said, np.select([p_one > 0.5, p_one < 0.5], [1, 2], TIE), NONE)
    names = tuple(f"judge {n}" for n in range(judges))
    verdicts = Verdicts(names, item, judge, order, choice, p_one, np.zeros(len(rows), dtype=np.bool_), {})
    labels = Labels((), NOTHING, NOTHING, NOTHING)
    return Material(tuple(map(str, range(items))), verdicts, labels, ("all",), np.zeros(items, dtype=np.int64), None)


def of(*verdicts: Orders) -> PositionFigures:
    """One judge's figures: an item for each of ``verdicts``."""
    rows = [(item, 0, order, p) for item, orders in enumerate(verdicts) for order, p in orders]
    (found,) = position(asked(rows, len(verdicts)))
    return found


def counted(found: PositionFigures) -> tuple[float | None, ...]:
    figures = (found.consistency, found.fairness, found.first_slot)
    return (found.items, *(figure and figure.value for figure in figures))


def test_a_judge_that_keeps_to_the_completion_is_consistent() -> None:
    found = of(ONE, OTHER, ONE, OTHER)
    assert counted(found) == (4, 1.0, None, 0.5)
    assert found.warning is None


@pytest.mark.parametrize(("slot", "fairness", "first"), [(FIRST, 1.0, 1.0), (SECOND, -1.0, 0.0)])
def test_a_judge_that_keeps_to_the_slot_is_inconsistent_and_unfair(slot: Orders, fairness: float, first: float) -> None:
    assert counted(of(slot, slot)) == (2, 0.0, fairness, first)


def test_a_tie_in_both_orders_is_consistent_and_in_one_order_it_is_not() -> None:
    assert counted(of(EQUAL, EQUAL)) == (2, 1.0, None, None)
    assert counted(of(HALF_EQUAL)) == (1, 0.0, 0.0, 0.0)


def test_fairness_is_the_balance_of_the_inconsistent_items() -> None:
    found = of(FIRST, FIRST, FIRST, SECOND, HALF_EQUAL, ONE, OTHER)
    assert (found.first_both, found.second_both) == (3, 1)
    assert found.fairness is not None
    assert (found.fairness.value, found.fairness.n) == (pytest.approx(2 / 5), 5)
    assert -1 <= found.fairness.low < 0.4 < found.fairness.high <= 1


def test_only_items_with_a_verdict_in_both_orders_count() -> None:
    rows = [(0, 0, 1, 1.0), (1, 0, 1, 1.0), (1, 0, 2, None), (2, 0, 1, 1.0), (2, 0, 2, 1.0)]
    (found,) = position(asked(rows, 3))
    assert counted(found) == (1, 1.0, None, 0.5)


def test_repeats_are_averaged_within_an_order_before_the_orders_are_compared() -> None:
    (found,) = position(asked([(0, 0, 1, 1.0), (0, 0, 1, 1.0), (0, 0, 1, 0.0), (0, 0, 2, 1.0)], 1))
    assert counted(found) == (1, 1.0, None, 0.5)


def test_repeats_that_cancel_but_for_a_rounding_rest_are_a_tie() -> None:
    repeats = (0.8, 0.4, 0.3)
    assert sum(p - 0.5 for p in repeats) != 0
    (found,) = position(asked([*((0, 0, 1, p) for p in repeats), (0, 0, 2, 0.5)], 1))
    assert counted(found) == (1, 1.0, None, None)


def test_of_several_judges_an_items_verdicts_weigh_alike_and_intervals_count_items() -> None:
    first, same, second = [1, 1], [1, -1], [-1, -1]
    found = figures("all", np.array([first, same, same, second]), np.array([4, 4, 7, 7]))
    assert (found.items, found.first_both, found.second_both) == (2, 1, 1)
    assert found.consistency is not None
    assert (found.consistency.value, found.consistency.n) == (0.5, 2)
    assert found.fairness is not None
    assert (found.fairness.value, found.fairness.n) == (0.0, 2)
    assert found.first_slot is not None
    assert (found.first_slot.value, found.first_slot.n) == (0.5, 2)
    uneven = figures("all", np.array([first, first, second, second, second]), np.array([0, 0, 0, 0, 1]))
    assert uneven.fairness is not None
    assert uneven.fairness.value == -0.5  # the mean of 0 and -1


def test_judges_and_strata_are_counted_apart() -> None:
    rows = [(0, 0, 1, 1.0), (0, 0, 2, 1.0), (0, 1, 1, 1.0), (0, 1, 2, 0.0), (1, 1, 1, 0.0), (1, 1, 2, 0.0)]
    steady, bound = position(asked(rows, 2, judges=2))
    assert counted(steady) == (1, 1.0, None, 0.5)
    assert counted(bound) == (2, 0.5, 1.0, 0.75)
    assert counted(position(asked(rows, 2, judges=2), np.array([False, True]))[1]) == (1, 1.0, None, 0.5)


@pytest.mark.parametrize(("slot", "named"), [(FIRST, "slot 1"), (SECOND, "slot 2")])
def test_a_slot_bound_judge_is_named_as_such(slot: Orders, named: str) -> None:
    warning = of(*[slot] * FEWEST).warning
    assert warning is not None
    assert f"'judge 0' cannot judge: it picks {named} in 100% of its verdicts" in warning
    assert of(*[slot] * (FEWEST - 1)).warning is None


def test_a_judge_that_contradicts_itself_like_a_coin_is_named_as_such() -> None:
    warning = of(*[ONE, OTHER, FIRST, SECOND] * 10).warning
    assert warning is not None
    assert "as a coin would; the two orders agree in 50% of 40 items" in warning
    assert of(*[ONE, OTHER, ONE, SECOND] * 10).warning is None


def test_asked_in_one_order_only_a_judge_shows_no_position() -> None:
    (found,) = position(asked([(i, 0, 1, 1.0) for i in range(40)], 40))
    assert counted(found) == (0, None, None, None)
    assert found.warning is None


def test_stability_is_the_chance_that_two_repeats_are_the_same() -> None:
    thrice = [(0, 0, 1, p) for p in (1.0, 0.9, 0.0)]
    twice = [(1, 0, 2, p) for p in (0.2, 0.1)]
    failed = [(2, 0, 1, 1.0), (2, 0, 1, None)]
    (found,) = repetition(asked(thrice + twice + failed, 3))
    assert found.stability is not None
    assert (found.stability.value, found.stability.n) == (pytest.approx((1 / 3 + 1) / 2), 2)


def test_repetition_within_a_stratum_is_counted_alone() -> None:
    steady, shaky = [(0, 0, 1, 1.0)] * 2, [(1, 0, 1, 1.0), (1, 0, 1, 0.0)]
    material = asked(steady + shaky, 2)
    for mask, expected in (([True, False], 1.0), ([False, True], 0.0)):
        (found,) = repetition(material, np.array(mask))
        assert found.stability is not None
        assert (found.stability.value, found.stability.n) == (expected, 1)


def test_the_two_orders_are_not_repeats_of_each_other() -> None:
    (found,) = repetition(asked([(0, 0, 1, 1.0), (0, 0, 2, 0.0)], 1))
    assert found.stability is None


def test_an_items_orders_are_one_observation() -> None:
    steady, shaky = [(0, 0, 1, 1.0)] * 2, [(0, 0, 2, 1.0), (0, 0, 2, 0.0)]
    (found,) = repetition(asked(steady + shaky, 1))
    assert found.stability is not None
    assert (found.stability.value, found.stability.n) == (0.5, 1)


def test_perfect_stability_is_still_not_certain() -> None:
    (found,) = repetition(asked([(i, 0, 1, 1.0) for i in range(10)] * 2, 10))
    assert found.stability is not None
    assert found.stability.value == 1.0
    assert found.stability.high == pytest.approx(1.0)
    assert 0.6 < found.stability.low < 0.8


def test_without_verdicts_nothing_is_said() -> None:
    assert position(asked([], 0, judges=0)) == repetition(asked([], 0, judges=0)) == ()
    (found,) = position(asked([], 0))
    assert counted(found) == (0, None, None, None)
    assert repetition(asked([], 0))[0].stability is None


chance = st.sampled_from([None, 0.0, 0.25, 0.5, 0.75, 1.0])
verdict = st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(1, 2), chance)


@given(st.lists(verdict, max_size=40))
def test_exchanging_the_completions_or_the_rows_changes_nothing(rows: list[Row]) -> None:
    exchanged = [(item, judge, 3 - order, None if p is None else 1 - p) for item, judge, order, p in rows]
    straight = asked(rows, 5, judges=2)
    for other in (asked(exchanged, 5, judges=2), asked(rows[::-1], 5, judges=2)):
        assert position(other) == position(straight)
        assert repetition(other) == repetition(straight)


@given(st.lists(verdict, max_size=40))
def test_consistency_is_the_share_of_averaged_items_whose_orders_agree(rows: list[Row]) -> None:
    material = asked(rows, 5, judges=2)
    agree = average(material).agree
    for judge, found in enumerate(position(material)):
        assert found.items == (agree[:, judge] >= 0).sum()
        if found.consistency is not None:
            assert round(found.consistency.value * found.items) == (agree[:, judge] == 1).sum()
