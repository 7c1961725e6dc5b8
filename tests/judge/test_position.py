import random

import pytest

from judge.audit.position import FEWEST, Position, position
from judge.verdict import Judgement, NoVerdict, Verdict


def judged(forward: float, backward: float) -> Judgement:
    return Judgement("a", "b", "p", "model", Verdict(forward, "k"), Verdict(backward, "k"))


HONEST = [judged(0.9, 0.2), judged(0.3, 0.6)] * 50
BROKEN = Judgement("a", "b", "p", "model", Verdict(0.9, "k"), NoVerdict("error", "k"))
CHECK = Judgement("a", "b", "p", "check", Verdict(1.0, ""), None)


@pytest.mark.parametrize(("forward", "slot"), [(0.9, 1), (0.2, 2)])
def test_a_judge_bound_to_a_slot_is_named_as_such(forward: float, slot: int) -> None:
    found = position([judged(forward, forward)] * 30)
    assert found.orders_agree == 0
    assert found.first_slot == (1.0 if slot == 1 else 0.0)
    assert found.warning is not None
    assert f"picks slot {slot} in 100% of its verdicts" in found.warning
    assert "[judge]" in found.warning


def test_a_judge_that_answers_like_a_coin_is_named_as_such() -> None:
    coin = random.Random(3)
    found = position(judged(coin.random(), coin.random()) for _ in range(400))
    assert found.orders_agree == pytest.approx(0.5, abs=0.1)
    assert found.warning is not None
    assert "as a coin would" in found.warning


def test_an_honest_judge_is_not_accused() -> None:
    found = position(HONEST)
    assert found == Position(100, 1.0, 0.5)
    assert found.warning is None


def test_a_judge_that_leans_a_little_is_not_accused() -> None:
    assert position(HONEST + [judged(0.9, 0.9)] * 30).warning is None


def test_a_judge_that_always_prefers_the_same_candidate_is_not_slot_bound() -> None:
    assert position([judged(0.9, 0.1)] * 50).warning is None


def test_of_too_few_judgements_nothing_is_said() -> None:
    bound = judged(0.9, 0.9)
    assert position([bound] * (FEWEST - 1)).warning is None
    assert position([bound] * FEWEST).warning is not None
    assert FEWEST == 20


def test_only_judgements_with_a_verdict_in_each_order_count() -> None:
    assert position([BROKEN, CHECK] * 50) == Position(0, None, None)
    assert position([BROKEN, CHECK, judged(0.9, 0.2)]) == Position(1, 1.0, 0.5)
    assert position([BROKEN, CHECK] * 50).warning is None


def test_verdicts_of_exactly_one_half_prefer_no_slot() -> None:
    found = position([judged(0.5, 0.5)] * 30)
    assert found == Position(30, 1.0, None)
    assert found.warning is None
