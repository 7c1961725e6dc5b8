from dataclasses import astuple
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.audit.calibration import (
    FEWEST,
    Identity,
    IsotonicMap,
    Map,
    PlattMap,
    TemperatureMap,
    calibration_report,
    fit_calibrator,
)
from judge.audit.reliability import log_loss
from judge.audit.table import Floats

MAPS: list[Map] = [
    Identity(),
    TemperatureMap(0.3),
    TemperatureMap(2.5),
    PlattMap(0.4, -0.7),
    PlattMap(0.0, 1.3),
    IsotonicMap((0.5, 1.0, 4.0), (0.4, 0.7, 0.93)),
]
EACH = pytest.mark.parametrize("map_", MAPS, ids=repr)


def drawn(n: int, scale: float, seed: int = 0) -> tuple[Floats, Floats]:
    """Chances, and outcomes by log-odds ``scale`` times as large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, n)
    return 1 / (1 + np.exp(-odds)), (rng.random(n) < 1 / (1 + np.exp(-scale * odds))).astype(np.float64)


@EACH
@given(p=st.floats(0, 1))
def test_exchanged_completions_give_exactly_the_mirrored_chance(map_: Map, p: float) -> None:
    one, other = (float(map_.apply(np.array([x]))[0]) for x in (p, 1 - p))
    assert Fraction(one) + Fraction(other) == 1
    assert 0 <= one <= 1


@EACH
@given(st.floats(0.5, 1), st.floats(0.5, 1))
def test_no_map_turns_a_preference_or_the_order_of_confidence(map_: Map, p: float, q: float) -> None:
    low, high = map_.apply(np.array(sorted([p, q])))
    assert 0.5 <= low <= high


@EACH
def test_one_half_stays(map_: Map) -> None:
    assert map_.apply(np.array([0.5])).tolist() == [0.5]


def test_a_judge_that_is_too_sure_is_cooled_by_about_as_much() -> None:
    p, y = drawn(3000, 0.4)
    fitted = fit_calibrator(p, y, 0)
    assert fitted.name == "temperature"
    assert isinstance(fitted.map, TemperatureMap)
    assert fitted.map.scale == pytest.approx(0.4, abs=0.03)
    assert set(fitted.held_out) == {"identity", "temperature", "platt", "isotonic"}
    assert min(fitted.held_out, key=fitted.held_out.__getitem__) == "temperature"


def test_a_calibrated_judge_is_left_alone() -> None:
    assert fit_calibrator(*drawn(3000, 1), 0).name == "identity"


def test_a_step_in_the_confidences_is_found() -> None:
    rng = np.random.default_rng(4)
    p = 1 / (1 + np.exp(-rng.uniform(0.1, 4, 4000)))
    y = (rng.random(4000) < np.where(p > 0.9, 0.95, 0.55)).astype(np.float64)
    fitted = fit_calibrator(p, y, 0)
    assert fitted.name == "isotonic"
    assert fitted.map.apply(np.array([0.6, 0.97])) == pytest.approx([0.55, 0.95], abs=0.05)


def test_words_without_degrees_get_the_share_that_people_bear_out() -> None:
    p, y = np.tile([1.0, 0.0], 100), np.tile([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0], 20)
    assert fit_calibrator(p, y, 0).map.apply(np.array([1.0, 0.0, 0.5])) == pytest.approx([0.8, 0.2, 0.5], abs=0.01)


def test_few_labels_that_all_bear_a_certain_judge_out_do_not_make_it_infallible() -> None:
    fitted = fit_calibrator(np.ones(25), np.ones(25), 0)
    assert fitted.name != "identity"
    assert 0.9 < fitted.map.apply(np.array([1.0]))[0] < 0.99


def test_a_judge_that_people_contradict_is_taken_down_to_one_half() -> None:
    p, y = drawn(500, -1)
    assert fit_calibrator(p, y, 0).map.apply(p) == pytest.approx(0.5, abs=0.02)


def test_a_judge_that_is_less_right_when_it_is_surer_keeps_its_order_of_confidence() -> None:
    p = np.linspace(0.55, 0.99, 400)
    y = (np.random.default_rng(2).random(400) < 1.4 - 0.9 * p).astype(np.float64)
    fitted = fit_calibrator(p, y, 0)
    assert (np.diff(fitted.map.apply(p)) >= 0).all()
    assert fitted.map.apply(p).mean() == pytest.approx(y.mean(), abs=0.03)


def test_below_the_fewest_labels_nothing_is_fitted() -> None:
    p, y = np.full(FEWEST, 0.9), np.tile([1.0, 0.0], FEWEST // 2)
    assert fit_calibrator(p, y, 0).held_out
    assert fit_calibrator(p[1:], y[1:], 0).map == Identity()
    # Where the judge prefers no side, a label says nothing of its confidence.
    assert fit_calibrator(np.append(p[1:], 0.5), np.append(y[1:], 1), 0).map == Identity()
    assert FEWEST == 10


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(10, 60))
def test_exchanged_completions_fit_the_same_map(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    p, y, turned = rng.integers(0, 5, n) / 4, rng.integers(0, 3, n) / 2, rng.random(n) < 0.5
    assert fit_calibrator(p, y, 1) == fit_calibrator(np.where(turned, 1 - p, p), np.where(turned, 1 - y, y), 1)


def test_with_25_labels_no_fit_explodes() -> None:
    before, after = [], []
    for seed in range(20):
        p, y = drawn(2000, 1, seed)
        map_ = fit_calibrator(p[:25], y[:25], seed).map
        before.append(log_loss(p, y).value)
        after.append(log_loss(map_.apply(p), y).value)
    assert np.mean(after) < np.mean(before) + 0.04
    assert max(after) < np.mean(before) + 0.25


def test_the_report_shows_what_calibration_is_worth_on_items_it_has_not_seen() -> None:
    p, y = drawn(1500, 0.4)
    report = calibration_report(p, y, 0)
    assert report is not None
    assert report.chosen == fit_calibrator(p, y, 0)
    assert report.before.ece.value > 0.1
    assert report.after.ece.value < 0.04
    assert report.after.log_loss.value < report.before.log_loss.value - 0.05
    assert report.after.brier.value < report.before.brier.value
    assert report == calibration_report(p, y, 0)
    assert calibration_report(p[:0], y[:0], 0) is None


def test_copies_of_a_judge_are_worth_one_and_no_label_is_tried_on_its_own_map() -> None:
    p, y = drawn(200, 0.4, 3)
    items = np.arange(200)
    alone = calibration_report(p, y, 0)
    copied = calibration_report(np.repeat(p, 20), np.repeat(y, 20), 0, np.repeat(items, 20))
    assert alone is not None
    assert copied is not None
    assert calibration_report(p, y, 0, items[::-1] * 7) is not None
    assert copied.chosen.held_out == pytest.approx(alone.chosen.held_out)
    for name in ("ece", "brier", "log_loss"):
        for when in ("before", "after"):
            one, many = (getattr(getattr(found, when), name) for found in (alone, copied))
            assert astuple(many) == pytest.approx(astuple(one)), (when, name)


def test_the_fewest_labels_are_of_items_not_of_judges() -> None:
    p, y, items = np.full(100, 0.9), np.ones(100), np.arange(100) // 20
    assert fit_calibrator(p, y, 0, items).map == Identity()
    assert fit_calibrator(p, y, 0).map != Identity()


def test_a_judge_that_knows_more_than_it_says_is_raised_along_a_line() -> None:
    rng = np.random.default_rng(1)
    odds = rng.uniform(0, 4, 6000)
    y = (rng.random(6000) < 1 / (1 + np.exp(-0.5 * odds - 1))).astype(np.float64)
    fitted = fit_calibrator(1 / (1 + np.exp(-odds)), y, 0).map
    assert isinstance(fitted, PlattMap)
    assert (fitted.slope, fitted.shift) == pytest.approx((0.5, 1), abs=0.15)


def test_labels_of_pure_chance_are_not_calibrated_into_certainty() -> None:
    rng = np.random.default_rng(1)
    p, y = rng.random(200), rng.integers(0, 2, 200).astype(np.float64)
    report = calibration_report(p, y, 0)
    assert report is not None
    assert report.after.log_loss.value == pytest.approx(np.log(2), abs=0.04)
