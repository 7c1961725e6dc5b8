import numpy as np
import pytest

from constitution.errors import InputError
from judge.audit.budget import labels_needed, propose, widths
from judge.audit.ppi import PpiEstimate, estimate_mean
from judge.audit.table import Bools, Floats, Ints

LABELLED = np.arange(0, 2000, 20)


def material(wrong: float) -> tuple[Floats, Floats, Bools]:
    rng = np.random.default_rng(1)
    truth = (rng.random(2000) < 0.5).astype(float)
    guess = np.where(rng.random(2000) < wrong, 1 - truth, truth)[:, None]
    return truth, guess, np.ones(guess.shape, dtype=np.bool_)


def pilot(wrong: float) -> PpiEstimate:
    truth, guess, known = material(wrong)
    found = estimate_mean(truth[LABELLED], LABELLED, guess, known)
    assert found is not None
    return found


def test_good_judges_save_labels() -> None:
    needed = labels_needed(pilot(0.1), 0.1)
    assert needed is not None
    assert needed.with_judges < 0.75 * needed.human_only
    assert needed.saved_share == pytest.approx(1 - needed.with_judges / needed.human_only)


def test_useless_judges_save_none() -> None:
    needed = labels_needed(pilot(0.5), 0.1)
    assert needed is not None
    assert needed.with_judges == needed.human_only
    assert needed.saved_share == 0


@pytest.mark.parametrize("beyond", [False, True])
@pytest.mark.parametrize("width", [0.05, 0.1, 0.3])
def test_the_number_is_the_least_that_reaches_the_width(width: float, beyond: bool) -> None:
    first = pilot(0.2)
    needed = labels_needed(first, width, beyond=beyond)
    assert needed is not None
    [below, at] = widths(first, (needed.with_judges - 1, needed.with_judges), beyond=beyond)
    assert at.with_judges <= width < below.with_judges
    [below, at] = widths(first, (needed.human_only - 1, needed.human_only), beyond=beyond)
    assert at.human_only <= width < below.human_only


def test_the_number_keeps_what_it_promises() -> None:
    truth, guess, known = material(0.2)
    needed = labels_needed(pilot(0.2), 0.1)
    assert needed is not None
    found = []
    for seed in range(30):
        labelled = np.random.default_rng(seed).choice(2000, needed.with_judges, replace=False)
        one = estimate_mean(truth[labelled], labelled, guess, known, seed=seed)
        assert one is not None
        found.append(one.interval[1] - one.interval[0])
    assert np.mean(found) == pytest.approx(0.1, abs=0.015)


def test_these_items_can_be_known_as_narrowly_as_one_likes_and_items_beyond_cannot() -> None:
    needed = labels_needed(pilot(0.2), 1e-9)
    assert needed is not None
    assert needed.with_judges == needed.human_only == 2000
    assert labels_needed(pilot(0.2), 0.01, beyond=True) is None


def test_widths_shrink_with_labels_and_numbers_that_cannot_be_are_left_out() -> None:
    table = widths(pilot(0.2), (1, 10, 100, 2000, 5000))
    assert [row.labels for row in table] == [10, 100, 2000]
    assert table[0].with_judges > table[1].with_judges > table[2].with_judges == 0
    assert all(row.with_judges <= row.human_only for row in table[1:])


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="width"):
        labels_needed(pilot(0.2), 0.0)


def doubtful_half() -> tuple[Floats, Floats, Bools, Ints]:
    """The judge is right where it is sure, and a coin where it says one half."""
    rng = np.random.default_rng(2)
    sure = rng.random(2000) < 0.7
    truth = (rng.random(2000) < 0.5).astype(float)
    guess = np.where(sure, truth, 0.5)[:, None]
    return truth, guess, np.ones(guess.shape, dtype=np.bool_), rng.choice(2000, 100, replace=False)


def test_chances_follow_doubt_where_that_pays() -> None:
    truth, guess, known, labelled = doubtful_half()
    found = propose(truth[labelled], labelled, guess, known, more=200)
    assert found.pays
    assert found.variance_ratio < 0.9
    assert not found.next[labelled].any()
    doubtful, fresh = guess[:, 0] == 0.5, np.setdiff1d(np.arange(2000), labelled)
    assert found.next[fresh].sum() == pytest.approx(200, rel=0.02)
    assert found.next[fresh][doubtful[fresh]].min() > 1.5 * found.next[fresh][~doubtful[fresh]].max()


def test_no_chance_falls_below_half_of_an_even_one() -> None:
    truth, guess, known, labelled = doubtful_half()
    found = propose(truth[labelled], labelled, guess, known, more=200)
    assert found.probabilities.min() >= 0.5 * 300 / 2000
    assert found.probabilities.max() <= 1


def test_chances_are_even_where_it_does_not_pay() -> None:
    truth, guess, known = material(0.3)
    found = propose(truth[LABELLED], LABELLED, guess, known, more=200)
    assert not found.pays
    assert found.probabilities == pytest.approx(np.full(2000, 300 / 2000))


def test_estimates_from_the_chances_hold_and_are_narrower_than_even_ones() -> None:
    truth, guess, known, _ = doubtful_half()
    held, wide, even = [], [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        first = rng.choice(2000, 100, replace=False)
        found = propose(truth[first], first, guess, known, more=200, seed=seed)
        labelled = np.concatenate([first, np.flatnonzero(rng.random(2000) < found.next)])
        one = estimate_mean(truth[labelled], labelled, guess, known, probabilities=found.probabilities, seed=seed)
        plain = rng.choice(2000, 300, replace=False)
        other = estimate_mean(truth[plain], plain, guess, known, seed=seed)
        assert one is not None
        assert other is not None
        held.append(one.interval[0] <= truth.mean() <= one.interval[1])
        wide.append(one.interval[1] - one.interval[0])
        even.append(other.interval[1] - other.interval[0])
    assert 0.92 <= np.mean(held) <= 0.985
    assert np.mean(wide) < 0.95 * np.mean(even)


@pytest.mark.parametrize("count", [0, 1])
def test_with_fewer_than_two_labels_chances_are_even(count: int) -> None:
    truth, guess, known = material(0.3)
    found = propose(truth[:count], np.arange(count), guess, known, more=10)
    assert not found.pays
    assert found.next[count:] == pytest.approx(np.full(2000 - count, 10 / (2000 - count)))
    assert not found.next[:count].any()


def test_chances_stand_on_those_of_the_rounds_before() -> None:
    truth, guess, known, labelled = doubtful_half()
    before = np.random.default_rng(0).uniform(0.02, 0.3, 2000)
    found = propose(truth[labelled], labelled, guess, known, more=200, before=before)
    fresh = np.setdiff1d(np.arange(2000), labelled)
    assert found.probabilities[fresh] == pytest.approx(1 - (1 - before[fresh]) * (1 - found.next[fresh]))
    assert (found.probabilities[labelled] > before[labelled]).all()


def test_whether_it_pays_is_judged_for_all_items_and_not_for_those_drawn_more_often() -> None:
    """The doubtful ones were drawn so often that drawing them more often again would cost more than it saves."""
    truth, guess, known, _ = doubtful_half()
    doubtful, rng = guess[:, 0] == 0.5, np.random.default_rng(9)
    truth = np.where(~doubtful & (rng.random(2000) < 0.1), 1 - truth, truth)
    before, paid = np.where(doubtful, 0.3, 0.03), []
    for seed in range(30):
        labelled = np.flatnonzero(np.random.default_rng(seed).random(2000) < before)
        found = propose(truth[labelled], labelled, guess, known, more=200, before=before, seed=seed)
        paid.append(found.pays)
    assert np.mean(paid) < 0.3
