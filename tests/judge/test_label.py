import random
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.principle import Constitution, Principle
from judge.label import Label, label
from judge.verdict import Judgement, NoVerdict, OneVerdict, Verdict

NONE = NoVerdict("error", "k")
CHANCES = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])
VERDICTS = CHANCES.map(lambda p: Verdict(p, "k")) | st.just(NONE)
PRINCIPLES = st.lists(
    st.builds(
        Principle,
        id=st.text("abcdef", min_size=1, max_size=3),
        rule=st.just("r"),
        weight=st.floats(1e-3, 1e3),
        priority=st.integers(-1, 1),
        hard=st.booleans(),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda principle: principle.id,
)


def constitution(*principles: Principle) -> Constitution:
    return Constitution("c", "C", "1", "", principles)


def says(principle: str, p_a: float | NoVerdict) -> Judgement:
    """A judgement whose two orders agree on ``p_a`` exactly."""
    if isinstance(p_a, NoVerdict):
        return Judgement("a", "b", principle, "model", Verdict(0.9, "k"), p_a)
    return Judgement("a", "b", principle, "check", Verdict(p_a, ""), None)


def labelled(said: dict[str, float | NoVerdict], *principles: Principle) -> Label:
    return label("a", "b", [says(name, p) for name, p in said.items()], constitution(*principles))


KIND, CLEAR = Principle("kind", "r"), Principle("clear", "r")


def test_weights_share_a_label() -> None:
    made = labelled({"kind": 1.0, "clear": 0.2}, replace(KIND, weight=3.0), CLEAR)
    assert made.p_a == pytest.approx((3 * 1.0 + 0.2) / 4)
    assert made.decided_by == ("clear", "kind")


def test_a_higher_priority_is_heard_before_any_weight() -> None:
    made = labelled({"kind": 0.4, "clear": 1.0}, replace(KIND, priority=1), replace(CLEAR, weight=100.0))
    assert (made.p_a, made.decided_by) == (0.4, ("kind",))


def test_a_hard_principle_is_heard_before_any_priority() -> None:
    made = labelled({"kind": 0.4, "clear": 1.0}, replace(KIND, hard=True, priority=-5), replace(CLEAR, priority=5))
    assert (made.p_a, made.decided_by) == (0.4, ("kind",))


def test_among_hard_principles_priority_decides() -> None:
    made = labelled({"kind": 0.4, "clear": 1.0}, replace(KIND, hard=True), replace(CLEAR, hard=True, priority=1))
    assert (made.p_a, made.decided_by) == (1.0, ("clear",))


def test_a_lower_level_is_heard_where_the_higher_ones_tie() -> None:
    third = Principle("third", "r", priority=-1)
    made = labelled({"kind": 0.5, "clear": 0.5, "third": 0.9}, replace(KIND, hard=True), CLEAR, third)
    assert (made.p_a, made.decided_by) == (0.9, ("third",))


def test_principles_of_one_level_that_cancel_out_tie() -> None:
    made = labelled({"kind": 1.0, "clear": 0.0}, KIND, CLEAR)
    assert (made.p_a, made.preferred, made.margin) == (0.5, None, 0.0)


def test_no_verdict_is_not_heard_and_counts_as_no_number() -> None:
    assert labelled({"kind": NONE, "clear": 0.9}, replace(KIND, hard=True), CLEAR) == labelled({"clear": 0.9}, CLEAR)
    assert labelled({"kind": NONE, "clear": 0.9}, KIND, CLEAR).p_a == 0.9


@pytest.mark.parametrize("said", [{}, {"kind": NONE}, {"kind": NONE, "clear": NONE}])
def test_a_label_without_any_verdict_has_no_chance_no_margin_and_no_preference(said) -> None:
    made = labelled(said, KIND, CLEAR)
    assert (made.p_a, made.margin, made.preferred, made.share("a"), made.decided_by) == (None, 0.0, None, None, ())


def test_both_candidates_shares_add_up() -> None:
    made = Label("a", "b", 0.75, ("kind",), None)
    assert (made.share("a"), made.share("b"), made.preferred, made.margin) == (0.75, 0.25, "a", 0.5)
    assert Label("a", "b", 0.25, ("kind",), None).preferred == "b"


def both_orders(principle: str, forward: float, backward: float) -> Judgement:
    return Judgement("a", "b", principle, "model", Verdict(forward, "k"), Verdict(backward, "k"))


def test_orders_agree_only_where_they_do_under_every_principle_that_a_model_judged() -> None:
    agreeing, fickle = both_orders("kind", 0.9, 0.1), both_orders("clear", 0.9, 0.9)
    both = constitution(KIND, CLEAR)
    assert label("a", "b", [agreeing], both).orders_agree is True
    assert label("a", "b", [agreeing, fickle], both).orders_agree is False
    assert label("a", "b", [agreeing, says("clear", 1.0)], both).orders_agree is True
    assert label("a", "b", [says("clear", 1.0)], both).orders_agree is None


def test_a_principle_that_is_not_in_the_constitution_is_an_error() -> None:
    with pytest.raises(KeyError, match="gone"):
        label("a", "b", [says("gone", 1.0)], constitution(KIND))


@given(PRINCIPLES, st.data())
def test_the_order_of_judgements_and_principles_changes_no_label(
    principles: list[Principle], data: st.DataObject
) -> None:
    judgements = [Judgement("a", "b", p.id, "model", data.draw(VERDICTS), data.draw(VERDICTS)) for p in principles]
    made = label("a", "b", judgements, constitution(*principles))
    shuffled = data.draw(st.permutations(judgements))
    assert label("a", "b", shuffled, constitution(*data.draw(st.permutations(principles)))) == made


def test_not_even_a_rounding_error_depends_on_the_order_of_judgements() -> None:
    chance = random.Random(0)
    principles = [Principle(f"p{n}", "r", weight=chance.uniform(0.1, 10)) for n in range(6)]
    judgements = [says(principle.id, chance.random()) for principle in principles]
    assert len({label("a", "b", order, constitution(*principles)) for order in permutations(judgements)}) == 1


@given(PRINCIPLES, st.data())
def test_mirrored_verdicts_give_an_exactly_mirrored_label(principles: list[Principle], data: st.DataObject) -> None:
    said: list[tuple[str, OneVerdict, OneVerdict]] = [
        (p.id, data.draw(VERDICTS), data.draw(VERDICTS)) for p in principles
    ]
    straight = label("a", "b", [Judgement("a", "b", p, "model", f, b) for p, f, b in said], constitution(*principles))
    mirrored = label("a", "b", [Judgement("a", "b", p, "model", b, f) for p, f, b in said], constitution(*principles))
    assert mirrored.decided_by == straight.decided_by
    assert mirrored.orders_agree == straight.orders_agree
    assert mirrored.margin == straight.margin
    assert mirrored.p_a == straight.share("b")


@given(PRINCIPLES, st.data())
def test_a_label_lies_between_the_verdicts_that_it_averages(principles: list[Principle], data: st.DataObject) -> None:
    said = {p.id: data.draw(CHANCES) for p in principles}
    made = labelled(said, *principles)
    assert made.p_a is not None
    decided = [said[name] for name in made.decided_by]
    assert min(decided) - 1e-12 <= made.p_a <= max(decided) + 1e-12
    assert 0 <= made.p_a <= 1
