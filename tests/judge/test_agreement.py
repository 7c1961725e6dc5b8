from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.audit.agreement import (
    FEWEST_SHARED,
    accuracy,
    cohen_kappa,
    human_human,
    judge_human,
    krippendorff_alpha,
)
from judge.audit.estimate import Estimate
from judge.audit.table import NONE, TIE, Bools, Ints, Labels, Material, Verdicts, average

NO_VERDICTS = Verdicts(
    (), *(np.zeros(0, dtype=np.int64) for _ in range(4)), np.zeros(0), np.zeros(0, dtype=np.bool_), {}
)
Answer = tuple[int, int, int]  # item, annotator, choice
choice = st.sampled_from([NONE, TIE, 1, 2])


def labelled(answers: Sequence[Answer], items: int, annotators: int) -> Material:
    columns = np.array(answers, dtype=np.int64).reshape(-1, 3).T
    labels = Labels(tuple(f"person {n}" for n in range(annotators)), *columns)
    names = tuple(f"item {n}" for n in range(items))
    return Material(names, NO_VERDICTS, labels, ("all",), np.zeros(items, dtype=np.int64), None)


def judged(verdicts: Sequence[tuple[int, int]]) -> Material:
    """One verdict and one person's choice an item."""
    n = len(verdicts)
    said, human = np.array(verdicts, dtype=np.int64).reshape(-1, 2).T
    items, zeros = np.arange(n), np.zeros(n, dtype=np.int64)
    p_one = np.select([said == 1, said == 2], [1.0, 0.0], 0.5)
    table = Verdicts(("judge",), items, zeros, zeros + 1, said, p_one, zeros > 0, {})
    labels = Labels(("person",), items, zeros, human)
    return Material(tuple(f"{i:03d}" for i in items), table, labels, ("all",), zeros, None)


def mirrored(choices: Ints) -> Ints:
    return np.where(choices > 0, 3 - choices, choices)


def value(found: Estimate | None) -> float:
    assert found is not None
    return found.value


def test_accuracy_counts_a_tie_as_a_choice_and_passes_over_what_was_not_said() -> None:
    found = accuracy(np.array([1, 2, TIE, TIE, NONE, 1]), np.array([1, 1, TIE, 1, 1, NONE]))
    assert found is not None
    assert (found.value, found.n) == (0.5, 4)
    assert 0.1 < found.low < 0.2 < 0.8 < found.high < 0.9


def test_kappa_is_agreement_beyond_chance() -> None:
    one = np.array([1] * 25 + [2] * 25)
    other = np.array([1] * 20 + [2] * 5 + [1] * 10 + [2] * 15)
    found = cohen_kappa(one, other, 0)
    assert found is not None
    assert found.value == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert found.low < 0.25 < 0.55 < found.high
    assert found.n == 50


def test_kappa_and_alpha_of_a_single_label_are_not_defined() -> None:
    ones = np.array([1, 1, 1, NONE])
    assert cohen_kappa(ones, ones, 0) is None
    assert krippendorff_alpha(np.stack([ones, ones], axis=1), 0) is None


def test_kappa_tells_a_tie_from_a_preference() -> None:
    tied = cohen_kappa(np.array([TIE, TIE, 1, 2]), np.array([TIE, 1, 1, 2]), 0)
    assert value(tied) == pytest.approx((12 - 5) / (16 - 5))


def test_alpha_is_that_of_a_coincidence_table_made_by_hand() -> None:
    # Items (1, 1), (1, 2), (2, 2, 2): coincidences 11: 2, 12 and 21: 1 each, 22: 3, so totals 3 and 4.
    answers = np.array([[1, NONE, 1], [1, 2, NONE], [2, 2, 2], [1, NONE, NONE]])
    assert value(krippendorff_alpha(answers, 0)) == pytest.approx(1 - 6 * 2 / (2 * 3 * 4))


@pytest.mark.parametrize(("items", "low"), [(2, -0.4), (10, 0.4), (100, 0.9)])
def test_agreement_on_every_item_is_not_certain_of_the_next(items: int, low: float) -> None:
    ones = np.arange(items) % 2 + 1
    for found in (cohen_kappa(ones, ones, 0), krippendorff_alpha(np.stack([ones, ones], axis=1), 0)):
        assert value(found) == 1
        assert found is not None
        assert low < found.low < 1 - 1 / items
        assert found.high == 1


def test_disagreement_that_no_resample_changes_is_not_certain_either() -> None:
    found = cohen_kappa(np.array([1, 1]), np.array([1, 2]), 0)
    assert found is not None
    assert found.low < -0.7 < found.value == 0 < 0.7 < found.high


def test_intervals_shrink_with_more_items() -> None:
    one, other = np.array([1, 2, 1, 2, TIE] * 20), np.array([1, 2, 2, 2, TIE] * 20)
    few, many = cohen_kappa(one, other, 0), cohen_kappa(np.tile(one, 16), np.tile(other, 16), 0)
    assert few is not None
    assert many is not None
    assert (many.high - many.low) == pytest.approx((few.high - few.low) / 4, rel=0.2)


@settings(max_examples=40)
@given(st.lists(st.tuples(choice, choice), max_size=30))
def test_exchanging_the_completions_or_the_rows_changes_not_a_bit(pairs: list[tuple[int, int]]) -> None:
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    shuffled = rows[np.random.default_rng(len(pairs)).permutation(len(rows))]
    for other in (mirrored(rows), shuffled, mirrored(shuffled)):
        assert accuracy(*rows.T) == accuracy(*other.T)
        assert cohen_kappa(*rows.T, 3) == cohen_kappa(*other.T, 3)
        assert krippendorff_alpha(rows, 3) == krippendorff_alpha(other, 3)


def test_without_an_answer_nothing_is_said() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert accuracy(nothing, nothing) is None
    assert cohen_kappa(nothing, nothing, 0) is None
    assert krippendorff_alpha(np.zeros((0, 3), dtype=np.int64), 0) is None
    found = human_human(labelled([], 0, 0), 0)
    assert (found.annotators, found.pairs, found.kappa, found.alpha) == (0, (), None, None)
    assert (found.pairwise, found.left_out) == (None, None)
    (alone,) = judge_human(judged([]), average(judged([])), 0)
    assert (alone.n, alone.accuracy, alone.kappa, alone.alpha) == (0, None, None, None)


def test_one_persons_labels_have_no_ceiling() -> None:
    found = human_human(labelled([(i, 0, 1) for i in range(30)], 30, 1), 0)
    assert (found.annotators, found.pairs, found.pairwise, found.left_out) == (1, (), None, None)


def test_two_annotators_are_compared_where_they_share_enough_items() -> None:
    enough = [(i, person, 1 + i % 2) for i in range(FEWEST_SHARED) for person in (0, 2)]
    too_few = [(i, 1, 1) for i in range(FEWEST_SHARED - 1)] + [(99, 1, 2)]
    (pair,) = human_human(labelled(enough + too_few, 100, 3), 0).pairs
    assert (pair.one, pair.other, pair.accuracy.n) == ("person 0", "person 2", FEWEST_SHARED)
    assert pair.accuracy.value == value(pair.kappa) == 1.0


def test_pairs_that_share_most_come_first_and_have_the_kappa_of_their_own_choices() -> None:
    random = np.random.default_rng(1)
    table = random.integers(0, 3, size=(60, 3))
    table[40:, 0] = NONE
    answers = [(i, j, int(table[i, j])) for i in range(60) for j in range(3)]
    found = human_human(labelled(answers, 60, 3), 5)
    assert [(p.one[-1], p.other[-1], p.accuracy.n) for p in found.pairs] == [
        ("1", "2", 60),
        ("0", "1", 40),
        ("0", "2", 40),
    ]
    for pair in found.pairs:
        one, other = table[:, int(pair.one[-1])], table[:, int(pair.other[-1])]
        assert pair.kappa == cohen_kappa(one, other, 5)
        assert pair.accuracy == accuracy(one, other)
    assert found.alpha == krippendorff_alpha(table, 5)
    assert value(found.kappa) == pytest.approx(np.mean([value(p.kappa) for p in found.pairs]))


def test_agreement_between_people_is_averaged_over_items() -> None:
    three = [(0, 0, 1), (0, 1, 1), (0, 2, 2)]
    two = [(1, 0, 2), (1, 1, 2)]
    one = [(2, 0, 1)]
    found = human_human(labelled(three + two + one, 3, 3), 0)
    assert found.pairwise is not None
    assert (found.pairwise.value, found.pairwise.n) == (pytest.approx((1 / 3 + 1) / 2), 2)


def test_a_person_is_compared_with_most_of_the_others_and_a_split_is_drawn_by_lot() -> None:
    # Of 1, 1, 1, 2 each 1 meets {1, 1, 2} and agrees; the 2 does not. Of 1, 1, 2, 2 each meets a majority against it.
    clear = [(0, n, c) for n, c in enumerate([1, 1, 1, 2])]
    split = [(1, n, c) for n, c in enumerate([1, 1, 2, 2])]
    assert value(human_human(labelled(clear, 1, 4), 0).left_out) == pytest.approx(3 / 4)
    assert value(human_human(labelled(split, 2, 4), 0).left_out) == 0
    # Of 1, 1, 2 each 1 meets {1, 2}, a split, and agrees by lot every second time.
    assert value(human_human(labelled(clear[1:], 1, 4), 0).left_out) == pytest.approx(1 / 3)


def test_an_annotator_who_answers_twice_is_one_person() -> None:
    once = [(0, 0, 1), (0, 1, 1), (1, 0, 2), (1, 1, 1)]
    again = [*once, (0, 0, 1), (1, 1, 1)]
    assert human_human(labelled(again, 2, 2), 0) == human_human(labelled(once, 2, 2), 0)
    undecided = human_human(labelled([*once, (0, 0, 2)], 2, 2), 0)
    assert undecided == human_human(labelled([(0, 0, TIE), *once[1:]], 2, 2), 0)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), choice), max_size=40))
def test_human_figures_do_not_hang_on_the_order_of_rows_or_completions(answers: list[Answer]) -> None:
    found = human_human(labelled(answers, 5, 4), 1)
    swapped = [(item, who, int(mirrored(np.array(c)))) for item, who, c in answers]
    assert human_human(labelled(answers[::-1], 5, 4), 1) == found
    exchanged = human_human(labelled(swapped, 5, 4), 1)
    assert (exchanged.alpha, exchanged.kappa, exchanged.pairs) == (found.alpha, found.kappa, found.pairs)
    assert (exchanged.pairwise, exchanged.left_out) == (found.pairwise, found.left_out)


def test_a_crowd_of_workers_with_few_items_each_has_a_ceiling_but_no_pairs() -> None:
    random = np.random.default_rng(0)
    items = np.repeat(np.arange(3000), 3)
    answers = np.stack([items, random.integers(0, 600, len(items)), random.integers(1, 3, len(items))], axis=1)
    found = human_human(labelled([tuple(row) for row in answers.tolist()], 3000, 600), 0)
    assert found.pairs == ()
    assert value(found.alpha) == pytest.approx(0, abs=0.05)
    assert value(found.pairwise) == pytest.approx(0.5, abs=0.05)


def test_a_judge_is_put_beside_the_peoples_choice() -> None:
    material = judged([(1, 1), (2, 2), (1, 2), (TIE, TIE), (NONE, 1), (1, NONE)])
    (found,) = judge_human(material, average(material), 0)
    assert (found.judge, found.n, value(found.accuracy)) == ("judge", 4, 0.75)
    assert value(found.kappa) == pytest.approx((12 - 5) / (16 - 5))
    assert found.alpha is not None


def test_a_stratum_is_counted_alone() -> None:
    material = judged([(1, 1), (2, 2), (1, 2), (1, 2)])
    first: Bools = np.array([True, True, False, False])
    (inside,), (outside,) = (judge_human(material, average(material), 0, mask) for mask in (first, ~first))
    assert (value(inside.accuracy), value(outside.accuracy)) == (1.0, 0.0)
    people = labelled([(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 2)], 2, 2)
    assert value(human_human(people, 0, np.array([True, False])).pairwise) == 1.0


def test_the_same_seed_gives_the_same_bits() -> None:
    one, other = np.array([1, 2, 1, TIE] * 10), np.array([1, 2, 2, 1] * 10)
    assert cohen_kappa(one, other, 7) == cohen_kappa(one, other, 7)
    assert cohen_kappa(one, other, 7) != cohen_kappa(one, other, 8)
