"""Win rates: without a verdict nothing is counted, and what length did is taken out."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.evaluation.measures import Drawing, Measure
from trainer.evaluation.wins import Win, logistic, win_measures

pytest.importorskip("scipy", reason="needs the 'train' extra")
np = pytest.importorskip("numpy")

QUICK = Drawing(0, 60)
WINS = st.lists(
    st.builds(
        Win, st.just("q"), st.one_of(st.none(), st.floats(0, 1)), st.integers(0, 200), st.integers(0, 200)
    ),
    max_size=9,
)  # fmt: skip


def rates(wins: list[Win], drawing: Drawing = QUICK) -> tuple[Measure, Measure]:
    plain, adjusted = win_measures(wins, drawing)
    return plain, adjusted


def test_prompts_without_a_verdict_are_left_out() -> None:
    wins = [Win("a", 1.0, 5, 6), Win("b", 0.0, 5, 3), Win("c", None, 5, 5), Win("d", 1.0, 5, 5), Win("e", 1.0, 4, 4)]
    plain, adjusted = rates(wins)
    assert (plain.trained, plain.base, plain.difference, plain.prompts) == (0.75, 0.5, 0.25, 4)
    assert adjusted.prompts == 4


def test_fewer_than_two_verdicts_are_no_win_rate() -> None:
    assert win_measures(None, QUICK) == []
    assert win_measures([Win("a", 1.0, 5, 6), Win("b", None, 5, 6)], QUICK) == []


def test_a_judge_that_prefers_the_longer_one_finds_two_policies_equal_at_equal_length() -> None:
    chance = random.Random(1)
    lengths = [(50, 50 + chance.randint(-30, 90)) for _ in range(200)]
    wins = [Win("q", float(logistic((after - before) / 20)), before, after) for before, after in lengths]
    plain, adjusted = rates(wins, Drawing(0, 300))
    assert plain.trained > 0.7
    assert adjusted.trained == pytest.approx(0.5, abs=0.06)
    assert adjusted.low <= adjusted.difference <= adjusted.high
    assert adjusted.high < plain.low


@pytest.mark.parametrize(("shift", "spread"), [(30, 20), (-30, 20)])
def test_a_policy_that_is_far_longer_on_few_prompts_has_nothing_of_it_at_equal_length(shift: int, spread: int) -> None:
    """By as much as one and a half deviations, so that few completions are as long as the base's."""
    sign = 1 if shift > 0 else -1
    for seed in range(3):
        chance = random.Random(seed)
        longer = [round(chance.gauss(shift, spread)) for _ in range(40)]
        wins = [Win("q", float(logistic(np.float64(sign * more / 10))), 200, 200 + more) for more in longer]
        plain, adjusted = rates(wins, Drawing(0, 200))
        assert plain.trained > 0.8
        assert adjusted.trained == pytest.approx(0.5, abs=0.08)
        assert adjusted.low <= 0.02
        assert adjusted.high >= -0.02
        kept = [replace(win, p=0.8) for win in wins]  # a judge that does not care keeps its own rate
        assert rates(kept)[1].trained == pytest.approx(0.8, abs=0.05)


def test_a_judge_that_does_not_look_at_length_is_left_as_it_is() -> None:
    chance = random.Random(2)
    wins = [Win("q", 0.8, 50, 50 + chance.randint(-30, 60)) for _ in range(100)]
    plain, adjusted = rates(wins)
    assert adjusted.trained == pytest.approx(plain.trained, abs=0.01)


def test_where_length_and_policy_are_one_there_is_no_rate_at_equal_length() -> None:
    assert [m.name for m in win_measures([Win("q", 1.0, 5, 9)] * 4, QUICK)] == ["win rate"]
    assert len(win_measures([Win("q", 1.0, 5, 5)] * 4, QUICK)) == 2


def test_a_policy_that_always_wins_is_near_to_certain_and_finite() -> None:
    wins = [Win("q", 1.0, 20, 10 + i) for i in range(30)]
    _, adjusted = rates(wins)
    assert 0.9 < adjusted.trained < 1.0
    assert adjusted.low <= adjusted.difference <= adjusted.high <= 0.5


@settings(max_examples=25, deadline=None)
@given(WINS)
def test_swapping_the_two_policies_turns_both_rates_round(wins: list[Win]) -> None:
    swapped = [Win(w.prompt, None if w.p is None else 1 - w.p, w.words_trained, w.words_base) for w in wins]
    for there, back in zip(win_measures(wins, QUICK), win_measures(swapped, QUICK), strict=True):
        assert there.difference == pytest.approx(-back.difference, abs=1e-9)
        assert (there.low, there.high) == (pytest.approx(-back.high, abs=1e-9), pytest.approx(-back.low, abs=1e-9))
