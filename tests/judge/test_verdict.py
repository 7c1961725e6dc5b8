from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.verdict import Judgement, NoVerdict, OneVerdict, Verdict, from_half

CHANCES = st.floats(0, 1)
NONE = NoVerdict("unreadable", "k")


def judged(forward: float | NoVerdict, backward: float | NoVerdict | None) -> Judgement:
    def verdict(p: float | NoVerdict) -> OneVerdict:
        return Verdict(p, "k") if isinstance(p, float) else p

    return Judgement("a", "b", "p", "model", verdict(forward), None if backward is None else verdict(backward))


def test_both_orders_are_averaged() -> None:
    assert judged(0.9, 0.3).p_a == pytest.approx(0.8)
    assert judged(0.9, 0.9).p_a == 0.5
    assert judged(1.0, 0.0).p_a == 1.0


def test_a_check_speaks_for_itself() -> None:
    assert judged(1.0, None).p_a == 1.0
    assert judged(1.0, None).orders_agree is None


@pytest.mark.parametrize(("forward", "backward"), [(NONE, 0.9), (0.9, NONE), (NONE, NONE), (NONE, None)])
def test_without_both_verdicts_there_is_no_chance_and_no_agreement(forward, backward) -> None:
    assert judged(forward, backward).p_a is None
    assert judged(forward, backward).orders_agree is None


@pytest.mark.parametrize(
    ("forward", "backward", "agree"),
    [
        (0.9, 0.1, True),
        (0.1, 0.9, True),
        (0.9, 0.8, False),
        (0.1, 0.2, False),
        (0.5, 0.5, True),
        (0.5, 0.9, False),
        (0.9, 0.5, False),
    ],
)
def test_orders_agree_where_both_prefer_the_same_candidate(forward: float, backward: float, agree: bool) -> None:
    assert judged(forward, backward).orders_agree is agree


@given(CHANCES, CHANCES)
def test_mirrored_verdicts_give_exactly_mirrored_chances(forward: float, backward: float) -> None:
    p, mirrored = judged(forward, backward).p_a, judged(backward, forward).p_a
    assert p is not None
    assert mirrored is not None
    assert 0 <= p <= 1
    assert Fraction(mirrored) == 1 - Fraction(p)


@given(st.floats(-0.5, 0.5))
def test_a_deviation_from_one_half_is_mirrored_without_rounding(deviation: float) -> None:
    assert Fraction(from_half(deviation)) + Fraction(from_half(-deviation)) == 1
    assert from_half(deviation) == pytest.approx(0.5 + deviation, abs=2**-53)


def test_a_verdict_of_exactly_one_half_prefers_no_slot() -> None:
    assert [Verdict(p, "k").slot for p in (0.6, 0.5, 0.4)] == [1, None, 2]


def test_a_tie_said_in_both_orders_is_a_tie_whichever_way_the_rest_leans() -> None:
    tied = [Verdict(p, "k", tie=0.6) for p in (0.65, 0.35)]
    leaning = Judgement("a", "b", "p", "model", *tied)
    assert [verdict.preference for verdict in tied] == ["tie", "tie"]
    assert leaning.p_a == 0.5
    assert leaning.orders_agree is True
    one_order = Judgement("a", "b", "p", "model", tied[0], Verdict(0.2, "k"))
    assert one_order.p_a == pytest.approx(0.725)
    assert one_order.orders_agree is False
