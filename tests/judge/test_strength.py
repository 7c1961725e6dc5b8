import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.strength import GRID, Comparison, Strengths, fit
from judge.tournament import all_pairs

NAMES = [f"n{number}" for number in range(6)]
OUTCOMES = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]) | st.none()
COMPARISONS = st.lists(
    st.builds(
        lambda couple, p, weight: Comparison(*couple, p, weight),
        st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True),
        OUTCOMES,
        st.sampled_from([1.0, 1.0, 1.0, 0.1, 0.3, 50.0]),
    ),
    max_size=25,
)


def mirrored(comparison: Comparison) -> Comparison:
    p_a = comparison.p_a
    return Comparison(comparison.a, comparison.b, None if p_a is None else 1 - p_a, comparison.weight)


def turned(comparison: Comparison) -> Comparison:
    p_a = comparison.p_a
    return Comparison(comparison.b, comparison.a, None if p_a is None else 1 - p_a, comparison.weight)


def chance(difference: float) -> float:
    return 1 / (1 + math.exp(-difference))


def pull(strengths: Strengths, comparisons: list[Comparison], name: str) -> float:
    """Games that ``name`` won above what its strength expects."""
    won = 0.0
    for comparison in comparisons:
        if comparison.p_a is not None and name in (comparison.a, comparison.b):
            share = comparison.p_a if comparison.a == name else 1 - comparison.p_a
            other = comparison.b if comparison.a == name else comparison.a
            won += comparison.weight * (share - chance(strengths.of(name) - strengths.of(other)))
    return won


@given(COMPARISONS, st.randoms(use_true_random=False))
def test_strengths_do_not_depend_on_any_order(comparisons, chances: random.Random) -> None:
    names, others = list(NAMES), [turned(c) if chances.random() < 0.5 else c for c in comparisons]
    chances.shuffle(names)
    chances.shuffle(others)
    assert fit(names * 2, others) == fit(NAMES, comparisons)


@given(COMPARISONS)
def test_mirrored_outcomes_give_exactly_negated_strengths(comparisons) -> None:
    straight, mirror = fit(NAMES, comparisons), fit(NAMES, map(mirrored, comparisons))
    assert mirror.values == tuple(-value for value in straight.values)
    assert mirror.covariance == straight.covariance
    assert all(mirror.p(a, b) == straight.p(b, a) == 1 - straight.p(a, b) for a in NAMES for b in NAMES)


@given(COMPARISONS)
def test_strengths_are_finite_centred_and_as_likely_as_can_be(comparisons) -> None:
    strengths = fit(NAMES, comparisons)
    assert math.fsum(strengths.values) == pytest.approx(0, abs=len(NAMES) / GRID)
    assert all(math.isfinite(value) for value in strengths.values)
    assert all(0 < strengths.error(name) < 10 for name in NAMES)
    pulls = [pull(strengths, comparisons, name) for name in NAMES]  # each is what the drawn games pull back
    offsets = [math.log1p(2 * p / 0.5) - math.log1p(-2 * p / 0.5) for p in pulls]  # prior * tanh(x / 2) / 2 = pull
    moved = [offset - strengths.of(name) for offset, name in zip(offsets, NAMES, strict=True)]
    assert moved == pytest.approx([moved[0]] * len(NAMES), abs=1e-5)


def test_one_game_between_two_is_the_solution_worked_out_by_hand() -> None:
    strengths = fit(["a", "b"], [Comparison("a", "b", 1.0)], prior=1.0)
    s = strengths.of("a")  # 1 - p(2s) = p(s) - 1/2
    assert 1 - chance(2 * s) == pytest.approx(chance(s) - 0.5, abs=1e-11)
    assert strengths.of("b") == -s
    assert strengths.p("a", "b") == pytest.approx(chance(2 * s))
    along = 2 * chance(2 * s) * (1 - chance(2 * s)) + chance(s) * (1 - chance(s))  # information along (1, -1)
    assert strengths.error_between("a", "b") == pytest.approx(math.sqrt(2 / along))
    assert strengths.error("a") == pytest.approx(math.sqrt(2 / along) / 2)


def test_true_strengths_come_back_from_many_games_that_go_as_expected() -> None:
    truth = {name: 0.7 * place - 1.75 for place, name in enumerate(NAMES)}
    games = [Comparison(a, b, chance(truth[a] - truth[b]), 1e6) for a in NAMES for b in NAMES if a < b]
    strengths = fit(NAMES, games)
    assert [strengths.of(name) for name in NAMES] == pytest.approx(list(truth.values()), abs=1e-4)
    assert strengths.ranking() == tuple(reversed(NAMES))


def test_errors_are_as_large_as_the_strengths_really_scatter() -> None:
    chances = random.Random(3)
    truth = {name: chances.gauss(0, 0.7) for name in NAMES}
    within = trials = 0
    for _ in range(100):
        games = [
            Comparison(a, b, float(chances.random() < chance(truth[a] - truth[b])))
            for a in NAMES
            for b in NAMES
            if a < b
            for _ in range(20)
        ]
        strengths = fit(NAMES, games)
        centre = math.fsum(truth.values()) / len(truth)
        for name in NAMES:
            within += abs(strengths.of(name) - (truth[name] - centre)) < 1.96 * strengths.error(name)
            trials += 1
    assert 0.92 < within / trials < 0.98


def test_who_was_never_compared_is_average_and_least_certain() -> None:
    strengths = fit(["a", "b", "c", "d"], [Comparison("a", "b", 1.0), Comparison("c", "a", None)])
    assert strengths.of("c") == strengths.of("d")
    assert strengths.of("b") < strengths.of("c") < strengths.of("a")
    assert strengths.error("c") == pytest.approx(strengths.error("d"))
    assert strengths.error("c") > strengths.error("a")
    assert fit(["a", "b"], []).values == (0.0, 0.0)
    assert fit([], []).names == ()
    assert fit(["a"], []).ranking() == ("a",)


def test_groups_that_never_met_are_each_fitted() -> None:
    strengths = fit("abcd", [Comparison("a", "b", 1.0), Comparison("c", "d", 1.0)])
    assert strengths.of("a") == strengths.of("c") > 0
    assert strengths.p("a", "c") == 0.5


def test_equals_are_exactly_equal_and_ranked_by_name() -> None:
    ring = [Comparison("a", "b", 0.9), Comparison("b", "c", 0.9), Comparison("c", "a", 0.9)]
    assert fit("abc", ring).values == (0.0, 0.0, 0.0)
    below = [Comparison(x, y, 0.8) for x in "wz" for y in "abc"] + [Comparison("w", "z", 0.9)]
    strengths = fit("zwcba", below)
    assert strengths.of("a") == strengths.of("b") == strengths.of("c")
    assert strengths.p("a", "c") == 0.5
    assert strengths.ranking() == ("w", "z", "a", "b", "c")


def test_more_weight_is_more_certain() -> None:
    light, heavy = (fit("ab", [Comparison("a", "b", 0.8, weight)]) for weight in (1.0, 10.0))
    assert heavy.of("a") > light.of("a") > 0
    assert heavy.error_between("a", "b") < light.error_between("a", "b")
    assert heavy == fit("ab", [Comparison("b", "a", 1 - 0.8)] * 10)


def test_equals_are_equal_though_their_sums_were_taken_in_other_orders() -> None:
    above = {"a0": 0.65, "z1": 0.65, "a2": 0.3}
    games = [Comparison(x, f"e{number}", p) for x, p in above.items() for number in range(4)]
    games += [Comparison("a0", "z1", 0.6), Comparison("a0", "a2", 0.2), Comparison("z1", "a2", 0.6)]
    strengths = fit({name for game in games for name in (game.a, game.b)}, games)
    assert len({strengths.of(f"e{number}") for number in range(4)}) == 1


def test_a_long_chain_of_whole_wins_is_ranked() -> None:
    names = [f"{number:02}" for number in range(64)]
    assert fit(names, [Comparison(a, b, 1.0) for a, b in all_pairs(names)]).ranking() == tuple(names)


def test_strengths_stay_right_where_the_prior_is_next_to_nothing() -> None:
    strengths = fit("abcd", [Comparison("a", "b", 1.0, 1e7)])
    s = strengths.of("a")
    assert 0.5 * (chance(s) - 0.5) == pytest.approx(1e7 * chance(-2 * s), rel=1e-6)
    lost = [Comparison("b", "d", 1.0, 1e11), Comparison("d", "b", 0.0, 1e5), Comparison("a", "b", 0.4, 1e11)]
    strengths = fit("abcd", [*lost, Comparison("d", "c", 0.8, 1e12)])
    assert strengths.ranking() == ("b", "a", "d", "c")
    assert strengths.p("d", "c") == pytest.approx(0.8, abs=1e-3)


def test_strengths_do_not_run_away_from_contradicting_heavy_games() -> None:
    games = [Comparison("f", "c", 0.0, 1e3), Comparison("f", "d", 1.0, 1e7), Comparison("f", "g", 0.0, 1e6)]
    games += [Comparison("e", "c", 0.0, 1e4), Comparison("e", "b", 0.0, 1e5), Comparison("g", "a", 0.2, 1e6)]
    strengths = fit("abcdefg", [*games, Comparison("b", "d", 0.2)])
    assert all(abs(value) < 40 for value in strengths.values)
    assert strengths.p("g", "a") == pytest.approx(0.2, abs=1e-3)
