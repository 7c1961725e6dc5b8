from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.draw import draw
from constitution.principle import Principle

SCOPES = st.lists(st.text(max_size=5) | st.integers(), max_size=3)
PRINCIPLES = st.lists(
    st.builds(Principle, id=st.text(min_size=1, max_size=5), rule=st.just("r"), weight=st.floats(1e-3, 1e3)),
    min_size=1,
    max_size=8,
    unique_by=lambda principle: principle.id,
)


@given(PRINCIPLES, st.integers(), SCOPES, st.randoms())
def test_a_draw_does_not_depend_on_the_order_of_principles(principles, seed, scope, random) -> None:
    shuffled = random.sample(principles, len(principles))
    assert draw(shuffled, seed, *scope) == draw(principles, seed, *scope)


@given(PRINCIPLES, st.integers(), SCOPES, st.data())
def test_adding_a_principle_moves_draws_only_to_it_and_removing_it_only_from_it(principles, seed, scope, data) -> None:
    added = data.draw(st.sampled_from(principles))
    without = [principle for principle in principles if principle is not added]
    drawn = draw(principles, seed, *scope)
    if without:
        assert drawn in (added, draw(without, seed, *scope))
    else:
        assert drawn == added


@given(PRINCIPLES, st.integers(), SCOPES)
def test_rewording_a_principle_moves_no_draw(principles, seed, scope) -> None:
    reworded = [
        replace(principle, rule=f"Always {principle.rule}", critique="c", tags=("t",)) for principle in principles
    ]
    assert draw(reworded, seed, *scope).id == draw(principles, seed, *scope).id


@given(PRINCIPLES, st.integers(), SCOPES, st.floats(1, 1e3))
def test_raising_a_weight_moves_draws_only_to_that_principle(principles, seed, scope, factor) -> None:
    heavier = [replace(principles[0], weight=principles[0].weight * factor), *principles[1:]]
    before, after = draw(principles, seed, *scope).id, draw(heavier, seed, *scope).id
    assert after in (before, principles[0].id)


def test_each_principle_is_drawn_in_proportion_to_its_weight() -> None:
    weights = {"rare": 1.0, "common": 2.0, "usual": 5.0}
    principles = [Principle(name, "r", weight=weight) for name, weight in weights.items()]
    counts = Counter(draw(principles, 0, f"prompt-{n}", 1).id for n in range(5000))
    for name, weight in weights.items():
        assert counts[name] / 5000 == pytest.approx(weight / 8, abs=0.025)


def test_seed_and_scope_each_decide_a_draw() -> None:
    principles = [Principle(f"p{n}", "r") for n in range(50)]
    draws = [draw(principles, *arguments).id for arguments in ((0, "x", 1), (0, "x", 2), (0, "y", 1), (1, "x", 1))]
    assert len(set(draws)) > 2
    assert draws == [
        draw(principles, *arguments).id for arguments in ((0, "x", 1), (0, "x", 2), (0, "y", 1), (1, "x", 1))
    ]
