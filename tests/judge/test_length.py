import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from judge.audit.estimate import Estimate
from judge.audit.length import (
    PRIOR_DIFFERENCE,
    PRIOR_TARGET,
    Adjusted,
    accuracy_by_length,
    length_adjusted,
    length_figures,
    longer_preferred,
)
from judge.audit.table import NONE, TIE, Bools, Floats, Ints, Labels, Material, Verdicts, average


def lengths_of(*differences: int) -> Ints:
    return np.array([(1000 + d, 1000) for d in differences], dtype=np.int64).reshape(-1, 2)


def all_known(items: int) -> Bools:
    return np.ones(items, dtype=np.bool_)


def adjusted(p_one: Floats, lengths: Ints) -> Adjusted:
    found = length_adjusted(p_one, all_known(len(p_one)), lengths)
    assert found is not None
    return found


def value(found: Estimate | None) -> float:
    assert found is not None
    return found.value


def test_the_share_for_the_longer_passes_over_ties_equal_lengths_and_what_is_not_known() -> None:
    lengths = np.array([(9, 5), (5, 9), (9, 5), (9, 5), (5, 5), (9, -1), (9, 5)])
    found = longer_preferred(np.array([1, 2, 2, TIE, 1, 1, NONE]), lengths)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)


def test_accuracy_is_told_apart_for_the_longer_and_the_shorter() -> None:
    lengths = lengths_of(*[100] * 8)
    said, human = np.array([1, 1, 1, 1, 2, 2, 2, 2]), np.array([1, 1, 1, 2, 2, 1, 1, 1])
    found = accuracy_by_length(said, human, lengths)
    assert (value(found.longer), value(found.shorter), value(found.balanced)) == (0.75, 0.25, 0.5)
    assert found.balanced is not None
    assert found.longer is not None
    assert found.balanced.high - found.balanced.low < found.longer.high - found.longer.low


def test_a_judge_that_always_prefers_the_longer_has_no_balanced_accuracy() -> None:
    found = accuracy_by_length(np.array([1, 2]), np.array([1, 1]), lengths_of(5, -5))
    assert (value(found.longer), found.shorter, found.balanced) == (0.5, None, None)


def drawn(level: float, influence: float, items: int, seed: int) -> tuple[Floats, Ints]:
    """Preferences by the very model, between completions of which the first is longer on average."""
    random = np.random.default_rng(seed)
    lengths = np.stack([random.integers(100, 3000, items), random.integers(100, 2000, items)], axis=1)
    difference = (lengths[:, 0] - lengths[:, 1]).astype(np.float64)
    chance = expit(level + influence * np.tanh(difference / difference.std()))
    return (random.random(items) < chance).astype(np.float64), lengths


def test_the_adjusted_rate_takes_out_what_length_alone_brings() -> None:
    p_one, lengths = drawn(0.0, 2.0, 20_000, 0)
    found = adjusted(p_one, lengths)
    assert found.plain > 0.6
    assert found.rate.low < 0.5 < found.rate.high
    assert found.influence == pytest.approx(2.0, abs=0.1)
    assert found.rate.n == 20_000


def test_the_interval_of_the_adjusted_rate_holds_the_truth_as_often_as_it_says() -> None:
    truth = float(expit(0.5))
    found = [adjusted(*drawn(0.5, 1.0, 150, seed)).rate for seed in range(400)]
    assert np.mean([rate.low <= truth <= rate.high for rate in found]) == pytest.approx(0.95, abs=0.03)


def test_the_fit_is_the_one_of_a_well_known_library() -> None:
    p_one, lengths = drawn(0.4, -1.0, 80, 3)
    difference = (lengths[:, 0] - lengths[:, 1]).astype(np.float64)
    features = np.concatenate([np.tanh(difference / difference.std()), PRIOR_DIFFERENCE])[:, None]
    weight = np.concatenate([np.ones(80), np.full(4, 0.25)])
    reference = LogisticRegression(C=1e12, tol=1e-10).fit(features, np.concatenate([p_one, PRIOR_TARGET]), weight)
    found = adjusted(p_one, lengths)
    assert found.influence == pytest.approx(reference.coef_[0, 0], abs=1e-4)
    assert found.rate.value == pytest.approx(float(expit(reference.intercept_[0])), abs=1e-4)


def test_graded_preferences_say_more_than_choices() -> None:
    chance = np.clip(np.random.default_rng(0).normal(0.6, 0.1, 200), 0, 1)
    lengths = lengths_of(*range(-100, 100))
    graded, hard = adjusted(chance, lengths).rate, adjusted((chance > 0.5).astype(np.float64), lengths).rate
    assert graded.value == pytest.approx(0.6, abs=0.02)
    assert graded.high - graded.low < (hard.high - hard.low) / 2


@pytest.mark.parametrize("items", [1, 20, 500])
def test_where_every_choice_is_the_same_the_rate_stays_below_one_and_the_interval_wide(items: int) -> None:
    found = adjusted(np.ones(items), lengths_of(*range(items)))
    assert 0.5 < found.rate.value < 1
    assert found.rate.low < 1 - 1.5 / (items + 1)


def test_where_length_decides_everything_the_rate_is_even() -> None:
    differences = [d for d in range(-50, 51) if d]
    found = adjusted(np.array([float(d > 0) for d in differences]), lengths_of(*differences))
    assert found.rate.value == pytest.approx(0.5)
    assert found.rate.low < 0.4
    assert found.influence > 5


def test_between_equally_long_completions_nothing_is_adjusted() -> None:
    found = adjusted(np.array([1.0, 1.0, 0.0, 1.0] * 100), lengths_of(*[0] * 400))
    assert found.rate.value == pytest.approx(found.plain, abs=0.005)


item = st.tuples(st.floats(0, 1), st.integers(-500, 500))


@given(st.lists(item, min_size=1, max_size=30))
def test_exchanging_the_completions_mirrors_the_rate(items: list[tuple[float, int]]) -> None:
    p_one, lengths = np.array([p for p, _ in items]), lengths_of(*(d for _, d in items))
    straight, mirrored = adjusted(p_one, lengths), adjusted(1 - p_one, lengths[:, ::-1])
    assert mirrored.plain == pytest.approx(1 - straight.plain)
    assert mirrored.rate.value == pytest.approx(1 - straight.rate.value, abs=1e-6)
    assert mirrored.rate.low == pytest.approx(1 - straight.rate.high, abs=1e-6)
    assert mirrored.influence == pytest.approx(straight.influence, abs=1e-5)


@given(
    arrays.arrays(np.int64, (12, 2), elements=st.sampled_from([NONE, TIE, 1, 2])),
    arrays.arrays(np.int64, (12, 2), elements=st.integers(-1, 3)),
)
def test_exchanging_the_completions_leaves_shares_and_accuracy_the_same(choices: Ints, lengths: Ints) -> None:
    mirrored = np.where(choices > 0, 3 - choices, choices)
    assert longer_preferred(choices[:, 0], lengths) == longer_preferred(mirrored[:, 0], lengths[:, ::-1])
    assert accuracy_by_length(*choices.T, lengths) == accuracy_by_length(*mirrored.T, lengths[:, ::-1])


def judged(said: list[float], human: list[int], lengths: Ints | None) -> Material:
    n = len(said)
    items, zeros, p_one = np.arange(n), np.zeros(n, dtype=np.int64), np.array(said)
    choice = np.select([p_one > 0.5, p_one < 0.5], [1, 2], TIE)
    verdicts = Verdicts(("judge",), items, zeros, zeros + 1, choice, p_one, zeros > 0, {})
    labels = Labels(("person",), items, zeros, np.array(human, dtype=np.int64))
    return Material(tuple(map(str, items)), verdicts, labels, ("all",), zeros, lengths)


def test_all_figures_of_length_stand_together() -> None:
    material = judged([1.0, 0.0, 0.9, 0.4], [1, 1, 2, TIE], lengths_of(10, -10, 10, 0))
    found = length_figures(material, average(material))
    assert found is not None
    assert value(found.people_longer) == pytest.approx(1 / 3)
    assert value(found.baseline) == pytest.approx(2 / 4)
    (judge,) = found.judges
    assert (judge.judge, value(judge.longer_preferred)) == ("judge", 1.0)
    assert value(judge.accuracy.longer) == pytest.approx(1 / 3)
    assert judge.adjusted is not None


def test_a_stratum_is_counted_alone() -> None:
    material = judged([1.0, 0.0], [1, 1], lengths_of(10, 10))
    found = length_figures(material, average(material), np.array([True, False]))
    assert found is not None
    assert (value(found.baseline), value(found.judges[0].longer_preferred)) == (1.0, 1.0)


def test_without_human_labels_the_judge_is_still_told() -> None:
    material = judged([1.0, 0.0], [NONE, NONE], lengths_of(10, 10))
    found = length_figures(material, average(material))
    assert found is not None
    assert (found.people_longer, found.baseline) == (None, None)
    assert value(found.judges[0].longer_preferred) == 0.5


def test_without_lengths_or_items_nothing_is_said() -> None:
    bare = judged([1.0], [1], None)
    assert length_figures(bare, average(bare)) is None
    unknown = judged([1.0], [1], np.array([(-1, 7)]))
    found = length_figures(unknown, average(unknown))
    assert found is not None
    assert (found.people_longer, found.baseline, found.judges[0].longer_preferred) == (None, None, None)
    assert found.judges[0].adjusted is None
    empty = judged([], [], lengths_of())
    nothing = length_figures(empty, average(empty))
    assert nothing is not None
    assert nothing.judges[0].adjusted is None
