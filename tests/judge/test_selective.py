import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.errors import InputError
from judge.audit.selective import Promise, Selection, select
from judge.audit.table import Bools, Floats

BOTH = pytest.mark.parametrize("promise", ["population", "rest"])


def split(confidence: Floats, right: Bools, n: int, seed: int) -> tuple[Floats, Bools, Floats, Bools]:
    """Labelled confidences and rights, then those of the rest."""
    order = np.random.default_rng(seed).permutation(len(right))
    return confidence[order[:n]], right[order[:n]], confidence[order[n:]], right[order[n:]]


def rising(n: int, low: float, high: float, seed: int = 0) -> tuple[Floats, Bools]:
    """Confidences in [0, 1], and items that are right with a chance that rises with them from low to high."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return confidence, rng.random(n) < low + (high - low) * confidence


@pytest.mark.parametrize(("low", "high"), [(0.5, 1.0), (0.7, 0.9), (0.8, 0.8), (0.2, 0.95)])
def test_the_promise_to_the_population_is_kept_as_often_as_it_says(low: float, high: float) -> None:
    broken = 0
    for seed in range(300):
        confidence, right = rising(150, low, high, seed)
        found = select(confidence, right, np.array([]), alpha=0.2)
        if found.threshold is not None:
            # Right are low + (high - low) * c of confidence c, so above t the mean of both ends.
            broken += low + (high - low) * (1 + found.threshold) / 2 < 0.8 - 1e-9
    assert broken / 300 <= 0.05 + 0.025


@pytest.mark.parametrize("wrong", [0.15, 0.16, 0.17, 0.175, 0.18, 0.19])
def test_the_promise_to_the_rest_is_kept_in_a_given_pool(wrong: float) -> None:
    # The hardest pools have the same share of wrong items at all confidences: too many for the rest, and just so few
    # among the labelled ones when chance favours them. Drawn from a small pool, those take them from the rest.
    place = np.arange(400)
    right = np.floor((place + 1) * wrong) == np.floor(place * wrong)
    broken = 0
    for seed in range(300):
        confidence, labelled, rest, truth = split(place / 400, right, 200, seed)
        found = select(confidence, labelled, rest, alpha=0.2, promise="rest")
        broken += found.threshold is not None and truth[rest >= found.threshold].mean() < 0.8
    assert broken / 300 <= 0.05 + 0.025


def test_the_promise_to_the_population_may_be_broken_by_a_small_rest() -> None:
    # 71 of 400 are wrong; where at most 30 of them are among the 200 labelled, more than 40 of the rest are.
    right = np.arange(400) >= 71
    broken = dict.fromkeys(("population", "rest"), 0)
    for seed in range(300):
        confidence, labelled, rest, truth = split(np.ones(400), right, 200, seed)
        for promise in broken:
            found = select(confidence, labelled, rest, alpha=0.2, promise=promise)
            broken[promise] += found.threshold is not None and truth.mean() < 0.8
    assert broken["population"] / 300 > 0.05
    assert broken["rest"] / 300 <= 0.05 + 0.025


@BOTH
def test_a_good_judge_is_taken_at_its_word_and_a_hopeless_one_never(promise: Promise) -> None:
    for low, high, share in ((0.95, 0.95, 1.0), (0.6, 0.6, 0.0)):
        confidence, right, rest, _ = split(*rising(1000, low, high), 200, 0)
        assert select(confidence, right, rest, alpha=0.2, promise=promise).accepted_share == share


@BOTH
def test_where_confidence_tells_the_surer_part_is_accepted(promise: Promise) -> None:
    confidence, right, rest, truth = split(*rising(3000, 0.5, 1.0), 500, 1)
    found = select(confidence, right, rest, alpha=0.2, promise=promise)
    assert found.threshold is not None
    assert found.agreement is not None
    # Above 0.2 people agree with just 80 %.
    assert 0.2 < found.threshold < 0.5
    everything = np.concatenate([confidence, rest])
    assert found.accepted_share == (everything >= found.threshold).mean()
    accepted = confidence >= found.threshold
    assert (found.agreement.value, found.agreement.n) == (right[accepted].mean(), accepted.sum())
    assert truth[rest >= found.threshold].mean() >= 0.8


@BOTH
@settings(max_examples=40)
@given(seed=st.integers(0, 2**31), high=st.floats(0.8, 1.0), alpha=st.floats(0.1, 0.4))
def test_a_wrong_item_more_never_accepts_more(promise: Promise, seed: int, high: float, alpha: float) -> None:
    confidence, right, rest, _ = split(*rising(400, 0.6, high, seed), 150, seed)
    worse = right & (np.random.default_rng(seed).random(len(right)) < 0.97)
    found, less = (select(confidence, r, rest, alpha=alpha, promise=promise) for r in (right, worse))
    assert less.accepted_share <= found.accepted_share


def test_equal_confidences_are_accepted_together_or_not_at_all() -> None:
    confidence = np.repeat([0.0, 0.5], [60, 140])
    right = np.concatenate([np.zeros(60, dtype=bool), np.arange(140) % 20 > 0])
    found = select(confidence, right, confidence, alpha=0.2)
    assert (found.threshold, found.accepted_share) == (0.5, 0.7)
    assert select(confidence, right, confidence, alpha=0.2, promise="rest").threshold == 0.5
    assert select(np.zeros(200), right, np.zeros(100), alpha=0.2).threshold is None


@BOTH
@given(st.integers(0, 2**31))
def test_order_and_scale_of_the_confidences_do_not_matter(promise: Promise, seed: int) -> None:
    confidence, right, rest, _ = split(*rising(300, 0.7, 1.0, seed), 150, seed)
    order = np.random.default_rng(seed).permutation(150)
    found = select(confidence, right, rest, alpha=0.2, promise=promise)
    again = select(confidence[order], right[order], rest[::-1], alpha=0.2, promise=promise)
    assert found == again
    scaled = select(confidence * 8, right, rest * 8, alpha=0.2, promise=promise)
    assert scaled.threshold == (None if found.threshold is None else found.threshold * 8)


@pytest.mark.parametrize("n", [0, 1, 13])
def test_too_few_labels_promise_nothing(n: int) -> None:
    found = select(np.ones(n), np.ones(n, dtype=bool), np.ones(50), alpha=0.2)
    assert found == Selection(None, 0.0, None, 0.2, 0.05, "population")


def test_fourteen_right_of_fourteen_are_the_fewest_for_80_percent() -> None:
    # 0.8 ** 14 is the first power below 0.05.
    assert select(np.ones(14), np.ones(14, dtype=bool), np.ones(50), alpha=0.2).threshold == 1.0


def test_to_nothing_left_there_is_nothing_to_promise() -> None:
    assert select(np.ones(100), np.ones(100, dtype=bool), np.array([]), alpha=0.2, promise="rest").threshold is None


@pytest.mark.parametrize(("alpha", "delta"), [(0.0, 0.05), (1.0, 0.05), (0.2, 0.0), (float("nan"), 0.05)])
def test_what_is_no_share_is_refused(alpha: float, delta: float) -> None:
    with pytest.raises(InputError, match="choose a number between 0 and 1"):
        select(np.ones(50), np.ones(50, dtype=bool), np.ones(5), alpha=alpha, delta=delta)
