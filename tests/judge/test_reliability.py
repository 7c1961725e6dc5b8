from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.audit.reliability import (
    Bin,
    brier,
    deviation,
    ece,
    ece_by_chance,
    log_loss,
    outcomes,
    reliability,
    reliability_curve,
    rightness,
)
from judge.audit.table import Floats

CHANCES = st.floats(0, 1)


def drawn(n: int, scale: float, seed: int = 0) -> tuple[Floats, Floats]:
    """Chances, and outcomes by log-odds ``scale`` times as large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, n)
    return 1 / (1 + np.exp(-odds)), (rng.random(n) < 1 / (1 + np.exp(-scale * odds))).astype(np.float64)


def test_measures_by_hand() -> None:
    p, y = np.array([0.9, 0.9, 0.2, 0.5]), np.array([1.0, 0.0, 0.0, 1.0])
    assert brier(p, y).value == pytest.approx((0.01 + 0.81 + 0.04 + 0.25) / 4)
    assert log_loss(p, y).value == pytest.approx(-np.log([0.9, 0.1, 0.8, 0.5]).mean())
    # 0.9 twice, of which one is right; 0.8 is right; one half is always half right.
    assert ece(p, y, 0).value == pytest.approx((2 * 0.4 + 0.2 + 0) / 4)
    assert reliability_curve(p, y) == (
        Bin(0.5, 0.5, 1),
        Bin(pytest.approx(0.8), 1.0, 1),
        Bin(pytest.approx(0.9), 0.5, 2),
    )


def test_a_tie_of_people_is_half_a_vote_for_each() -> None:
    tie, halves = (
        reliability(np.full(10, 0.8), np.full(10, 0.5), 0),
        reliability(np.full(10, 0.8), np.arange(10) % 2, 0),
    )
    assert tie is not None
    assert halves is not None
    for name in ("ece", "brier", "log_loss"):
        assert getattr(tie, name).value == pytest.approx(getattr(halves, name).value)
    assert outcomes(np.array([1, 2, 0])).tolist() == [1.0, 0.0, 0.5]


def test_a_certain_error_costs_a_finite_log_loss() -> None:
    assert log_loss(np.array([1.0]), np.array([0.0])).value == pytest.approx(-np.log(1e-6))


def test_without_an_item_there_is_no_measure() -> None:
    empty = np.array([])
    assert reliability(empty, empty, 0) is None
    assert ece(empty, empty, 0) is None


@given(st.lists(st.tuples(CHANCES, st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 9)), min_size=1, max_size=30))
def test_exchanged_completions_change_no_bit_of_any_measure(rows: list[tuple[float, float, int]]) -> None:
    p, y = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    items = np.array([row[2] for row in rows])
    assert reliability(p, y, 3) == reliability(1 - p, 1 - y, 3)
    turned = items % 2 == 0
    exchanged = np.where(turned, 1 - p, p), np.where(turned, 1 - y, y)
    assert reliability(p, y, 3, items) == reliability(*exchanged, 3, items)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_one_label_says_next_to_nothing(right: float) -> None:
    found = reliability(np.ones(1), np.array([right]), 0)
    assert found is not None
    for figure, most in ((found.ece, 1), (found.brier, 1), (found.log_loss, -np.log(1e-6))):
        assert figure.high - figure.low > 0.75 * most
        assert 0 <= figure.low <= figure.value <= figure.high <= most * 1.001


def test_forty_of_forty_right_may_be_nine_of_ten() -> None:
    found = reliability(np.ones(40), np.ones(40), 0)
    assert found is not None
    for figure in (found.ece, found.brier):
        assert (figure.value, figure.low) == (0, 0)
        assert 0.085 < figure.high < 0.11


@pytest.mark.parametrize("n", [20, 50, 100])
@pytest.mark.parametrize("sure", [0.95, 1.0])
def test_intervals_hold_the_truth_where_errors_are_rare(sure: float, n: int) -> None:
    held = np.zeros(2)
    for seed in range(200):
        y = (np.random.default_rng(seed).random(n) < 0.97).astype(np.float64)
        p = np.full(n, sure)
        expected = 0.97 * (1 - sure) ** 2 + 0.03 * sure**2
        for k, (found, truth) in enumerate(((ece(p, y, seed), abs(sure - 0.97)), (brier(p, y), expected))):
            held[k] += found is not None and found.low <= truth <= found.high
    assert (held / 200).min() >= 0.94


def test_copies_of_a_judge_have_the_intervals_of_one() -> None:
    p, y = drawn(150, 0.5)
    one = reliability(p, y, 0)
    many = reliability(np.repeat(p, 20), np.repeat(y, 20), 0, np.repeat(np.arange(150), 20))
    assert one is not None
    assert many is not None
    assert one == reliability(p, y, 0, np.arange(150) * 3)
    for name in ("ece", "brier", "log_loss"):
        assert astuple(getattr(many, name)) == pytest.approx(astuple(getattr(one, name)))
    assert many.ece_by_chance == pytest.approx(one.ece_by_chance)


def test_intervals_hold_the_truth_where_judges_speak_of_the_same_items() -> None:
    rng = np.random.default_rng(0)
    odds = 2 * (0.9 * rng.normal(size=(40_000, 1)) + 0.4 * rng.normal(size=(40_000, 4)))
    y = (rng.random(40_000) < 1 / (1 + np.exp(-0.6 * odds.mean(axis=1)))).astype(np.float64)
    p, items = 1 / (1 + np.exp(-odds)), np.repeat(np.arange(200), 4)
    truth = ece(p.ravel(), np.repeat(y, 4), 0).value, brier(p.ravel(), np.repeat(y, 4)).value
    held = np.zeros(2)
    for start in range(0, 40_000, 200):
        part = p[start : start + 200].ravel(), np.repeat(y[start : start + 200], 4)
        found = ece(*part, 0, items), brier(*part, items)
        held += [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)]
    assert (held / 200).min() >= 0.9


def test_an_interval_lies_about_the_truth_where_the_value_lies_above_it() -> None:
    p, y = drawn(400_000, 0.4, 1)
    truth = ece(p[:100_000], y[:100_000], 0).value
    found = [ece(p[k * 100 : (k + 1) * 100], y[k * 100 : (k + 1) * 100], k) for k in range(200)]
    value = np.mean([one.value for one in found])
    assert value > truth + 0.02
    below = [one.value - (one.low + one.high) / 2 for one in found if one.low > 0]
    assert np.mean(below) == pytest.approx(value - truth, abs=0.008)


def test_judges_on_opposite_sides_of_an_item_are_not_wrong_together() -> None:
    items = np.repeat(np.arange(200), 2)
    same, opposed = (ece_by_chance(np.tile(p, 200), 0, items) for p in ([0.8, 0.8], [0.8, 0.2]))
    assert opposed == pytest.approx(np.sqrt(0.06 / 0.16) * same, rel=0.2)


def test_where_no_side_is_preferred_chance_shows_no_error() -> None:
    assert ece_by_chance(np.full(9, 0.5), 0) == 0
    mixed = ece_by_chance(np.repeat([0.5, 0.8], 50), 0)
    assert mixed == pytest.approx(ece_by_chance(np.full(50, 0.8), 0) / 2, rel=0.2)


@given(CHANCES)
def test_mirrored_chances_lie_exactly_as_far_from_one_half(p: float) -> None:
    assert deviation(np.array([p]))[0] == -deviation(np.array([1 - p]))[0]
    assert deviation(np.array([p]))[0] == pytest.approx(p - 0.5, abs=2**-53)


def test_rightness_follows_the_side_that_is_preferred() -> None:
    p, y = np.array([0.9, 0.1, 0.5, 0.9, 0.1]), np.array([1.0, 1.0, 1.0, 0.5, 0.0])
    assert rightness(p, y).tolist() == [1.0, 0.0, 0.5, 0.5, 1.0]


def test_calibrated_chances_show_no_more_than_chance_and_their_interval_holds_0() -> None:
    p, y = drawn(500, 1)
    found = reliability(p, y, 0)
    assert found is not None
    assert found.ece_by_chance == pytest.approx(0.04, abs=0.015)
    assert found.ece.low == 0
    assert found.ece.value < 2 * found.ece_by_chance
    assert ece_by_chance(p, 0) == found.ece_by_chance
    assert ece(p, y, 0) == found.ece


def test_an_interval_above_0_hardly_ever_accuses_calibrated_chances() -> None:
    found = [ece(*drawn(200, 1, seed), seed) for seed in range(60)]
    assert sum(one is not None and one.low > 0 for one in found) <= 5


def test_the_interval_of_ece_holds_the_truth_about_as_often_as_it_says() -> None:
    p, y = drawn(400_000, 0.7, 1)
    truth = ece(p[:100_000], y[:100_000], 0).value
    held = 0
    for k in range(150):
        found = ece(p[k * 300 : (k + 1) * 300], y[k * 300 : (k + 1) * 300], k)
        held += found.low <= truth <= found.high
        assert found.low <= found.value <= found.high
    assert held / 150 >= 0.89


def test_the_same_seed_gives_the_same_bits_and_items_may_come_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    p, y = drawn(200, 0.5)
    whole = reliability(p, y, 5)
    assert whole == reliability(p, y, 5)
    assert whole is not None
    monkeypatch.setattr("judge.audit.reliability.DRAWN_AT_ONCE", 700)
    portions = reliability(p, y, 5)
    assert portions is not None
    assert replace(portions, ece_by_chance=0.0) == replace(whole, ece_by_chance=0.0)
    assert portions.ece_by_chance == pytest.approx(whole.ece_by_chance)
