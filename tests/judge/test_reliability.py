from dataclasses import replace

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


@given(st.lists(st.tuples(CHANCES, st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=30))
def test_exchanged_completions_change_no_bit_of_any_measure(rows: list[tuple[float, float]]) -> None:
    p, y = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    assert reliability(p, y, 3) == reliability(1 - p, 1 - y, 3)


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
