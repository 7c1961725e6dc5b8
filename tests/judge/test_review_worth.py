"""What a label is worth, and the side on which a completion is shown."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from judge.review.sides import side
from judge.review.worth import CLOSE, DISAGREE, NO_VERDICT, ORDERS, REASONS, SUSPICIOUS, Couple, worth


def couple(p: float | None, **more: Any) -> Couple:
    margin = 0.0 if p is None else abs(2 * p - 1)
    return replace(Couple("item", "prompt", "source", p, margin), **more)


couples = st.builds(
    lambda p, orders, apart, bad: couple(p, orders_agree=orders, disagreement=apart, suspicious=bad),
    st.one_of(st.none(), st.floats(0, 1)),
    st.sampled_from([None, True, False]),
    st.floats(0, 1),
    st.booleans(),
)


@given(couples)
def test_a_score_lies_in_its_range_and_its_reasons_are_known_words(one: Couple) -> None:
    found = worth(one)
    assert 0 <= found.score <= 1
    assert set(found.reasons) <= set(REASONS)


@given(couples)
def test_which_completion_is_called_1_changes_nothing(one: Couple) -> None:
    turned = one if one.p is None else replace(one, p=1 - one.p)
    assert worth(turned) == worth(one)


@given(couples, st.floats(0, 1))
def test_every_doubt_makes_a_label_worth_more(one: Couple, more: float) -> None:
    plain = replace(one, orders_agree=True, disagreement=0.0, suspicious=False)
    assert worth(replace(plain, orders_agree=False)).score >= worth(plain).score
    assert worth(replace(plain, disagreement=more)).score >= worth(plain).score
    assert worth(replace(plain, suspicious=True)).score >= worth(plain).score


def test_each_reason_is_told_where_it_holds() -> None:
    assert worth(couple(None)).reasons == (NO_VERDICT,)
    assert worth(couple(0.55)).reasons == (CLOSE,)
    assert worth(couple(0.9, orders_agree=False)).reasons == (ORDERS,)
    assert worth(couple(0.9, disagreement=0.8)).reasons == (DISAGREE,)
    assert worth(couple(0.9, suspicious=True)).reasons == (SUSPICIOUS,)
    assert worth(couple(0.6, suspicious=True)).reasons == (CLOSE,)  # no confident win
    assert worth(couple(0.95, orders_agree=True)).reasons == ()


def test_a_sure_win_of_suspicious_text_is_worth_most_and_a_sure_plain_one_least() -> None:
    order = [couple(1.0), couple(0.8), couple(0.8, orders_agree=False), couple(0.5), couple(0.99, suspicious=True)]
    scores = [worth(one).score for one in order]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)


def test_a_side_is_a_fair_coin_for_each_person_and_item_and_the_same_each_time() -> None:
    sides = {(item, who): side(7, item, who) for item in map(str, range(200)) for who in ("ann", "bob")}
    first = [sides[str(n), "ann"] for n in range(200)]
    other = [sides[str(n), "bob"] for n in range(200)]
    assert 70 < first.count(1) < 130
    assert 70 < sum(one == two for one, two in zip(first, other, strict=True)) < 130
    assert first == [side(7, str(n), "ann") for n in range(200)] != [side(8, str(n), "ann") for n in range(200)]
