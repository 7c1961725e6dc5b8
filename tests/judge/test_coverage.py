from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.audit.coverage import Kept, coverage, coverage_curve
from judge.audit.table import NONE, TIE, Labels, Material, Verdicts, average

NOTHING = np.zeros(0, dtype=np.int64)
Item = tuple[float | None, int]  # p_one, or None without a verdict; the human choice


def curve(items: Sequence[Item]) -> tuple[Kept, ...]:
    known = np.array([p is not None for p, _ in items], dtype=np.bool_)
    p_one = np.array([0.5 if p is None else p for p, _ in items], dtype=np.float64)
    return coverage_curve(p_one, known, np.array([human for _, human in items], dtype=np.int64))


def told(kept: Sequence[Kept]) -> list[tuple[float, float, float]]:
    return [(round(step.coverage, 6), step.threshold, step.agreement.value) for step in kept]


def test_the_surest_items_are_kept_longest() -> None:
    items = [(0.5 + 0.05 * n, 1 if n > 5 else 2) for n in range(1, 11)]
    found = curve(items)
    assert [round(step.coverage, 6) for step in found] == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert [step.threshold for step in found] == pytest.approx([0.55 + 0.05 * n for n in range(10)])
    assert found[0].agreement.value == 0.5
    assert found[5].agreement.value == found[9].agreement.value == 1.0
    assert found[5].agreement.n == 5


def test_a_sure_verdict_for_the_second_completion_is_as_sure_as_for_the_first() -> None:
    assert told(curve([(0.1, 2), (0.9, 1), (0.6, 2), (0.4, 1)])) == [(1.0, 0.6, 0.5), (0.5, 0.9, 1.0)]


def test_equally_sure_items_are_kept_or_left_together() -> None:
    hard = [(1.0, 1)] * 6 + [(0.5, 2)] * 4
    assert told(curve(hard)) == [(1.0, 0.5, 0.6), (0.6, 1.0, 1.0)]
    assert told(curve(hard[:6])) == [(1.0, 1.0, 1.0)]


def test_chances_that_differ_by_rounding_alone_are_equally_sure() -> None:
    assert len(curve([(0.1 + 0.2, 2), (0.3, 2), (0.7, 1), (1 - 0.3, 1)])) == 1


def test_items_without_a_verdict_are_never_covered() -> None:
    assert told(curve([(1.0, 1), (None, 1), (None, 2), (0.8, 2)])) == [(0.5, 0.8, 0.5), (0.25, 1.0, 1.0)]


def test_unlabelled_items_do_not_count() -> None:
    assert curve([(1.0, 1), (0.9, NONE), (None, NONE)]) == curve([(1.0, 1)])


def test_a_human_tie_agrees_with_a_judges_tie_only() -> None:
    assert told(curve([(0.5, TIE), (0.9, TIE)])) == [(1.0, 0.5, 0.5), (0.5, 0.9, 0.0)]


def test_where_nothing_is_labelled_or_answered_the_curve_is_empty() -> None:
    assert curve([]) == curve([(None, 1)]) == curve([(0.9, NONE)]) == ()


chance = st.one_of(st.none(), st.integers(0, 16).map(lambda n: n / 16))
item = st.tuples(chance, st.sampled_from([NONE, TIE, 1, 2]))


@given(st.lists(item, max_size=40))
def test_exchanging_the_completions_or_the_rows_changes_nothing(items: list[Item]) -> None:
    exchanged = [(None if p is None else 1 - p, 3 - human if human > 0 else human) for p, human in items]
    assert curve(exchanged) == curve(items[::-1]) == curve(items)


@given(st.lists(item, max_size=40))
def test_each_step_keeps_exactly_the_items_that_reach_its_threshold(items: list[Item]) -> None:
    labelled = [(p, human) for p, human in items if human != NONE]
    for step in curve(items):
        kept = [(p, human) for p, human in labelled if p is not None and max(p, 1 - p) >= step.threshold]
        same = sum(human == (1 if p > 0.5 else 2 if p < 0.5 else TIE) for p, human in kept)
        assert step.agreement.n == len(kept)
        assert step.agreement.value == same / len(kept)
        assert step.coverage == len(kept) / len(labelled)


def asked(rows: Sequence[tuple[int, int, int, int]], items: int, human: Sequence[int]) -> Material:
    """Rows of item, judge, order and choice."""
    item, judge, order, choice = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    p_one = np.select([choice == 1, choice == 2], [1.0, 0.0], 0.5)
    verdicts = Verdicts(("a", "b"), item, judge, order, choice, p_one, np.zeros(len(rows), dtype=np.bool_), {})
    labelled = np.arange(len(human))
    labels = Labels(("person",), labelled, np.zeros_like(labelled), np.array(human, dtype=np.int64))
    return Material(tuple(map(str, range(items))), verdicts, labels, ("all",), np.zeros(items, dtype=np.int64), None)


def test_a_judge_is_held_to_the_items_it_was_asked_about() -> None:
    rows = [(0, 0, 1, 1), (1, 0, 1, NONE), (2, 0, 1, 2), (2, 0, 2, NONE), (0, 1, 1, 1)]
    material = asked(rows, 4, [1, 1, 2, 2])
    some, all_asked = coverage(material, average(material))
    assert some.answered is not None
    assert (some.judge, some.answered.value, some.answered.n) == ("a", pytest.approx(1 / 3), 3)
    assert [step.coverage for step in some.kept] == [pytest.approx(1 / 3)]
    assert all_asked.answered is not None
    assert (all_asked.answered.value, all_asked.answered.n) == (1.0, 1)


def test_a_stratum_is_counted_alone() -> None:
    material = asked([(0, 0, 1, 1), (1, 0, 1, NONE)], 2, [1, 1])
    first, _ = coverage(material, average(material), np.array([False, True]))
    assert first.answered is not None
    assert (first.answered.value, first.kept) == (0.0, ())


def test_without_verdicts_nothing_is_said() -> None:
    material = asked([], 0, [])
    for found in coverage(material, average(material)):
        assert (found.answered, found.kept) == (None, ())
