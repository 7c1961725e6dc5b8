"""The figures of a part of the items: single verdicts, orders weighing alike, and all judges in one heap."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import pytest

from judge.audit.estimate import Estimate
from judge.audit.parts import Part, part, single_verdicts
from judge.audit.table import NONE, TIE, Bools, Labels, Material, Verdicts, average, human_choice

Row = tuple[int, int, int, int]  # item, judge, order, choice
CERTAIN = {1: 1.0, 2: 0.0, TIE: 0.5, NONE: 0.5}


def material(rows: Sequence[Row], human: Sequence[int], judges: int = 1) -> Material:
    """One person labelled every item; completion 1 is always the longer."""
    items = len(human)
    item, judge, order, choice = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    p_one = np.array([CERTAIN[row[3]] for row in rows])
    names = tuple(f"judge {n}" for n in range(judges))
    verdicts = Verdicts(names, item, judge, order, choice, p_one, np.zeros(len(rows), dtype=np.bool_), {})
    labels = Labels(("ann",), np.arange(items), np.zeros(items, dtype=np.int64), np.array(human, dtype=np.int64))
    lengths = np.tile(np.array([90, 30]), (items, 1))
    zeros = np.zeros(items, dtype=np.int64)
    return Material(tuple(map(str, range(items))), verdicts, labels, ("all",), zeros, lengths)


def everything(one: Material) -> Bools:
    return np.ones(len(one.items), dtype=np.bool_)


def figures(one: Material, among: Bools | None = None) -> Part:
    return part(one, average(one), everything(one) if among is None else among, 0)


def value(found: Estimate | None) -> float:
    assert found is not None
    assert found.low <= found.value <= found.high
    return found.value


def test_accuracy_is_of_single_verdicts_and_a_label_averages_the_orders() -> None:
    rows = [(0, 0, 1, 1), (0, 0, 2, 2), (1, 0, 1, 1), (1, 0, 2, 1)]
    judge = figures(material(rows, [1, 1])).judges["judge 0"]
    assert (value(judge.accuracy), value(judge.label.accuracy)) == (0.75, 0.5)
    assert judge.accuracy is not None
    assert judge.accuracy.n == 2


def test_orders_weigh_alike_however_often_each_was_asked() -> None:
    rows = [(0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 2, 2)]
    right, spoken = single_verdicts(material(rows, [1]), np.array([1]), np.array([True]))
    assert (right.tolist(), spoken.tolist()) == ([[0.5]], [[True]])


def test_a_missing_verdict_is_no_wrong_one_and_a_tie_is_right_where_people_tie() -> None:
    rows = [(0, 0, 1, NONE), (0, 0, 2, 1), (1, 0, 1, TIE), (1, 0, 2, TIE), (2, 0, 1, NONE), (2, 0, 2, NONE)]
    found = figures(material(rows, [1, TIE, 1]))
    judge = found.judges["judge 0"]
    assert value(judge.accuracy) == 1.0
    assert judge.accuracy is not None
    assert judge.accuracy.n == 2
    assert value(judge.answered) == pytest.approx(1 / 3)
    assert judge.label.n == 1  # item 0 lacks an order


def test_in_one_heap_an_items_judges_weigh_alike() -> None:
    rows = [(0, 0, 1, 1), (0, 1, 1, 2), (0, 1, 2, 2), (1, 0, 1, 1), (2, 1, 1, NONE)]
    together = figures(material(rows, [1, 1, 1], judges=2)).together
    assert value(together.accuracy) == (0.5 + 1.0) / 2
    assert value(together.answered) == pytest.approx(2 / 3)
    assert (together.position.judge, together.position.items) == ("all", 1)
    assert together.calibration is not None
    assert together.calibration.before.ece.n == 2  # items, not the three verdicts on them


def test_copies_of_a_judge_make_nothing_surer_than_the_judge_alone() -> None:
    rng = np.random.default_rng(3)
    human = rng.integers(1, 3, 60)
    said = rng.integers(1, 3, (60, 2))
    alone, copied = (
        figures(
            material(
                [(n, j, order, int(said[n, order - 1])) for n in range(60) for j in range(copies) for order in (1, 2)],
                human.tolist(),
                copies,
            )
        ).together
        for copies in (1, 20)
    )
    assert (copied.accuracy, copied.answered) == (alone.accuracy, alone.answered)
    assert copied.position.items == alone.position.items == 60
    for name in ("consistency", "fairness", "first_slot"):
        assert getattr(copied.position, name) == getattr(alone.position, name), name
    assert alone.calibration is not None
    assert copied.calibration is not None
    assert copied.calibration.chosen.name == alone.calibration.chosen.name
    for when in ("before", "after"):
        for name in ("ece", "brier", "log_loss"):
            one, many = (getattr(getattr(found.calibration, when), name) for found in (alone, copied))
            assert astuple(many) == pytest.approx(astuple(one)), (when, name)


def test_a_few_items_that_are_all_right_prove_little() -> None:
    found = figures(material([(n, 0, 1, 1) for n in range(4)], [1] * 4))
    for figure in (found.together.accuracy, found.together.answered, found.judges["judge 0"].accuracy):
        assert value(figure) == 1.0
        assert figure is not None
        assert figure.low < 0.6


def test_only_the_items_of_the_part_count() -> None:
    rows = [(n, 0, order, 1 if n < 3 else 2) for n in range(6) for order in (1, 2)]
    one = material(rows, [1, 1, 1, 1, 1, NONE])
    first = figures(one, np.arange(6) < 3)
    rest = figures(one, np.arange(6) >= 3)
    assert (first.items, first.labelled, rest.items, rest.labelled) == (3, 3, 3, 2)
    assert (value(first.together.accuracy), value(rest.together.accuracy)) == (1.0, 0.0)
    assert (value(first.longer), value(first.people_longer)) == (1.0, 1.0)
    assert rest.judges["judge 0"].position.items == rest.together.position.items == 3
    assert value(figures(one).together.accuracy) == 3 / 5


def test_a_part_of_nothing_has_no_figures() -> None:
    found = figures(material([(0, 0, 1, 1)], [1]), np.zeros(1, dtype=np.bool_))
    judge = found.judges["judge 0"]
    assert (found.items, found.labelled, found.together.accuracy, found.together.answered) == (0, 0, None, None)
    assert (judge.accuracy, judge.calibration, judge.kept, judge.stability) == (None, None, (), None)


def test_a_judge_that_was_asked_again_says_how_stable_it_is() -> None:
    rows = [(0, 0, 1, 1), (0, 0, 1, 2), (1, 0, 1, 1), (1, 0, 1, 1)]
    assert value(figures(material(rows, [1, 1])).judges["judge 0"].stability) == 0.5


def test_people_and_their_choice_are_those_of_the_table() -> None:
    one = material([(0, 0, 1, 1)], [2])
    assert human_choice(one).tolist() == [2]
    assert figures(one).people.annotators == 1
