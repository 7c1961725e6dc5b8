import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.strength import Comparison, fit
from judge.tournament import all_pairs, default_budget, next_round, settled, worth

Ask = Callable[[str, str], float | None]


def played(names: list[str], ask: Ask, seed: int = 0, budget: int | None = None) -> list[list[Comparison]]:
    """Every round of a tournament, played to its end."""
    rounds: list[list[Comparison]] = []
    while couples := next_round(names, sum(rounds, []), seed, budget):  # noqa: RUF017
        rounds.append([Comparison(a, b, ask(a, b)) for a, b in couples])
    return rounds


def judge_of(strengths: dict[str, float], chances: random.Random, noise: float) -> Ask:
    """A judge whose log-odds err by ``noise`` standard deviations, always alike for one couple."""
    errors = {couple: chances.gauss(0, noise) for couple in all_pairs(strengths)}
    return lambda a, b: 1 / (1 + math.exp(strengths[b] - strengths[a] + errors[a, b]))


def kendall_tau(ranking: tuple[str, ...], truth: dict[str, float]) -> float:
    place = {name: number for number, name in enumerate(ranking)}
    signs = [math.copysign(1, (place[b] - place[a]) * (truth[a] - truth[b])) for a, b in all_pairs(ranking)]
    return sum(signs) / len(signs)


def test_all_pairs_are_every_couple_once_whatever_the_order_of_names() -> None:
    assert all_pairs("cab") == all_pairs("abccb") == (("a", "b"), ("a", "c"), ("b", "c"))


@pytest.mark.parametrize(
    ("count", "budget"), [(0, 0), (1, 0), (2, 1), (3, 3), (5, 10), (6, 15), (8, 24), (16, 64), (64, 384)]
)
def test_the_default_budget_grows_like_sorting_and_is_never_more_than_every_couple(count: int, budget: int) -> None:
    assert default_budget(count) == budget


@given(st.integers(0, 9), st.integers(0, 40), st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_tournament_asks_no_couple_twice_nobody_twice_a_round_and_never_past_its_budget(
    count, budget, seed, chances: random.Random
) -> None:
    names = [f"n{number}" for number in range(count)]
    rounds = played(names, lambda a, b: chances.choice([None, chances.random()]), seed, budget)
    asked = [(c.a, c.b) for comparisons in rounds for c in comparisons]
    assert len(asked) == len(set(asked)) == min(budget, len(all_pairs(names)))
    assert all(a < b for a, b in asked)
    for comparisons in rounds:
        players = [name for c in comparisons for name in (c.a, c.b)]
        assert len(players) == len(set(players))


@given(st.integers(2, 8), st.randoms(use_true_random=False))
def test_the_next_round_does_not_depend_on_the_order_of_names_or_of_arrival(count, chances: random.Random) -> None:
    names = [f"n{number}" for number in range(count)]
    asked = chances.sample(all_pairs(names), chances.randrange(len(all_pairs(names)) + 1))
    comparisons = [Comparison(a, b, chances.choice([None, 0.5, chances.random()])) for a, b in asked]
    others = [
        Comparison(c.b, c.a, None if c.p_a is None else 1 - c.p_a) if chances.random() < 0.5 else c for c in comparisons
    ]
    drawn = next_round(names, comparisons, 5, 99)
    chances.shuffle(names)
    chances.shuffle(others)
    assert next_round(names, others, 5, 99) == drawn == tuple(sorted(drawn))


def test_the_first_round_is_drawn_by_the_seed_and_seats_all_but_one() -> None:
    names = [f"n{number}" for number in range(9)]
    draws = {next_round(names, [], seed) for seed in range(20)}
    assert len(draws) > 15
    assert {len(draw) for draw in draws} == {4}


def test_who_is_close_and_uncertain_meets_next() -> None:
    comparisons = [Comparison("a", "b", 1.0), Comparison("c", "d", 1.0)]
    assert next_round("abcd", comparisons, 0) == (("a", "c"), ("b", "d"))  # those who won, and those who lost
    strengths = fit("abcd", comparisons)
    assert worth(strengths, ("a", "c")) > worth(strengths, ("a", "d"))
    assert worth(fit("abc", [Comparison("a", "b", 0.5)]), ("a", "c")) > worth(
        fit("abc", [Comparison("a", "b", 0.5)] * 9), ("a", "b")
    )


def test_a_couple_without_a_verdict_is_not_asked_again() -> None:
    assert next_round("ab", [Comparison("b", "a", None)], 0, 9) == ()
    assert next_round("abc", [Comparison("a", "b", None)], 0, 9) in ((("a", "c"),), (("b", "c"),))


def test_a_ranking_is_settled_once_all_neighbours_are_far_apart_for_their_errors() -> None:
    sure = [Comparison(a, b, 0.9, 100.0) for a, b in ("ab", "bc")]
    assert settled(fit("abc", sure))
    assert next_round("abc", sure, 0) == ()
    unsure = [sure[0], Comparison("b", "c", 0.9)]
    assert not settled(fit("abc", unsure))
    assert next_round("abc", unsure, 0) == (("a", "c"),)


@pytest.mark.parametrize(("count", "trials"), [(8, 150), (16, 60)])
def test_half_of_all_comparisons_rank_nearly_as_well_and_find_the_best_more_often_than_any_half(
    count: int, trials: int
) -> None:
    tau, best = dict.fromkeys(("all", "adaptive", "random"), 0.0), dict.fromkeys(("all", "adaptive", "random"), 0)
    for trial in range(trials):
        chances = random.Random(1000 * count + trial)
        truth = {f"{chances.getrandbits(40):x}": chances.gauss(0, 2) for _ in range(count)}
        ask, couples = judge_of(truth, chances, 1.0), all_pairs(truth)
        half = len(couples) // 2
        asked = {
            "all": couples,
            "adaptive": [(c.a, c.b) for comparisons in played([*truth], ask, trial, half) for c in comparisons],
            "random": chances.sample(couples, half),
        }
        assert len(asked["adaptive"]) == half
        for way, chosen in asked.items():
            ranking = fit(truth, [Comparison(a, b, ask(a, b)) for a, b in chosen]).ranking()
            tau[way] += kendall_tau(ranking, truth) / trials
            best[way] += ranking[0] == max(truth, key=truth.__getitem__)
    assert tau["all"] - 0.07 < tau["adaptive"]
    assert tau["adaptive"] > tau["random"]
    assert best["adaptive"] > best["random"]
