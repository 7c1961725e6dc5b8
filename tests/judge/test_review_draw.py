"""Which couples people see: never too many, none twice, everyone's chance known, the most worthwhile for certain."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.review.draw import POLICIES, Before, Drawn, Policy, draw, spread, stratum_of
from judge.review.worth import Couple, worth

CHANCES = st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))


@st.composite
def pools(build: st.DrawFn) -> list[Couple]:
    count = build(st.integers(0, 40))
    return [couple(number, build(CHANCES), build(st.sampled_from("abc"))) for number in range(count)]


def couple(number: int, p: float | None, source: str = "a") -> Couple:
    return Couple(f"item-{number}", f"prompt-{number}", source, p, 0.0 if p is None else abs(2 * p - 1))


def many(count: int, seed: int = 0) -> list[Couple]:
    rng = random.Random(seed)
    kinds = [None, 0.0, 0.5, 0.5, 0.9, 1.0]
    return [
        couple(n, rng.random() if rng.random() < 0.4 else rng.choice(kinds), rng.choice("aab")) for n in range(count)
    ]


def after(first: Drawn, before: Before | None = None) -> Before:
    kinds = dict(before.kinds if before else {}) | {one.item: one.kind for one in first.tasks}
    return Before(first.pool, kinds | dict.fromkeys(first.turned, "audit"))


policies = st.sampled_from(POLICIES)
shares = st.floats(0, 1)


@given(pools(), st.integers(1, 60), policies, shares, st.integers(0, 5))
def test_never_more_than_asked_for_and_none_twice_over_rounds_too(
    couples: list[Couple], n: int, policy: Policy, share: float, seed: int
) -> None:
    seen: set[str] = set()
    before = Before()
    for _ in range(3):
        found = draw(couples, n, policy, audit_share=share, seed=seed, before=before)
        items = [one.item for one in found.tasks]
        assert len(items) == min(n, len(couples) - len(seen)) == len(set(items))
        assert seen.isdisjoint(items)
        assert all(0 < one.place < 1 for one in found.tasks)
        seen |= set(items)
        before = after(found, before)
    assert all(before.chances[item] > 0 for item in seen)
    assert all(0 <= chance <= 1 for chance in before.chances.values())


@given(pools(), st.integers(1, 30), policies, shares, st.randoms())
def test_the_order_of_the_couples_changes_nothing(
    couples: list[Couple], n: int, policy: Policy, share: float, rng: random.Random
) -> None:
    mixed = couples.copy()
    rng.shuffle(mixed)
    first, again = (draw(one, n, policy, audit_share=share) for one in (couples, mixed))
    assert first == again
    assert draw(mixed, n, policy, audit_share=share, before=after(first)) == draw(
        couples, n, policy, audit_share=share, before=after(first)
    )


@given(pools(), shares)
def test_where_more_is_asked_for_than_there_is_all_are_drawn_for_certain(couples: list[Couple], share: float) -> None:
    for policy in POLICIES:
        found = draw(couples, 100, policy, audit_share=share)
        assert {one.item for one in found.tasks} == {one.item for one in couples}
        assert set(found.pool.values()) <= {1.0}


@pytest.mark.parametrize("policy", POLICIES)
def test_an_items_share_of_many_draws_is_its_chance(policy: Policy) -> None:
    couples, draws = many(40), 1000
    drawn: Counter[str] = Counter()
    for seed in range(draws):
        found = draw(couples, 12, policy, audit_share=0.4, seed=seed)
        drawn.update(one.item for one in found.tasks)
    assert sum(found.pool.values()) == pytest.approx(12)
    for item, chance in found.pool.items():
        assert drawn[item] / draws == pytest.approx(chance, abs=0.06)
        assert chance not in (0.0, 1.0) or drawn[item] / draws == chance


def test_an_items_share_of_many_draws_in_two_rounds_is_about_its_chance() -> None:
    couples, draws = many(80), 300
    drawn: Counter[str] = Counter()
    chance: Counter[str] = Counter()
    for seed in range(draws):
        first = draw(couples, 16, seed=seed)
        second = draw(couples, 16, seed=seed, before=after(first))
        drawn.update(one.item for one in first.tasks + second.tasks)
        chance.update(second.pool)
    for one in couples:
        assert drawn[one.item] / draws == pytest.approx(chance[one.item] / draws, abs=0.1)


def test_items_of_kind_audit_are_an_even_sample_of_all_over_rounds_too() -> None:
    couples, draws = many(60), 500
    audit: Counter[str] = Counter()
    for seed in range(draws):
        first = draw(couples, 12, audit_share=0.5, seed=seed)
        assert not first.turned
        second = draw(couples, 12, audit_share=0.5, seed=seed, before=after(first))
        assert set(second.turned) <= {one.item for one in first.tasks if one.kind == "worth"}
        audit.update(item for item, kind in after(second, after(first)).kinds.items() if kind == "audit")
    shares = [audit[one.item] / draws for one in couples]
    assert min(shares) == pytest.approx(max(shares), abs=0.12)
    sure, open_ones = (
        [audit[one.item] / draws for one in couples if (worth(one).score > 0.4) is high] for high in (False, True)
    )
    assert sum(sure) / len(sure) == pytest.approx(sum(open_ones) / len(open_ones), abs=0.02)


@pytest.mark.parametrize("policy", ["mixed", "random"])
def test_couples_that_come_after_a_round_are_in_the_even_sample_as_often_as_those_before(policy: Policy) -> None:
    couples, times = many(80), 400
    counts, chances = Counter[str](), Counter[str]()
    for seed in range(times):
        first = draw(couples[:40], 16, policy, seed=seed)
        second = draw(couples, 24, policy, seed=seed, before=after(first))
        assert len(second.tasks) == 24
        kinds = after(second, after(first)).kinds
        counts.update(
            "old" if couple in couples[:40] else "new" for couple in couples if kinds.get(couple.item) == "audit"
        )
        drawn = [couple for couple in couples[40:] if couple.item in kinds]
        chances["new"] += sum(1 / second.pool[couple.item] for couple in drawn) / 40 / times
    assert counts["new"] == pytest.approx(counts["old"], rel=0.05)
    assert chances["new"] == pytest.approx(1.0, abs=0.03)


def test_every_stratum_gets_its_share_rounded_up_or_down_and_every_source_too() -> None:
    couples = many(300)
    chosen = spread(couples, 60, "seed")
    for name in (stratum_of, lambda one: one.stratum):
        whole, got = Counter(map(name, couples)), Counter(map(name, chosen))
        for stratum, size in whole.items():
            assert abs(got[stratum] - size * 60 / 300) < 1
            assert got[stratum] >= 1 or size < 5


def test_what_is_worth_most_is_drawn_for_certain_and_the_lot_decides_among_equals() -> None:
    couples = [couple(n, 1.0) for n in range(50)] + [couple(n, 0.5) for n in range(50, 70)] + [couple(70, 0.51)]
    few = draw(couples, 10, "uncertain")
    assert {one.kind for one in few.tasks} == {"worth"}
    assert {few.pool[f"item-{n}"] for n in range(50, 70)} == {0.5}
    assert few.pool["item-70"] == few.pool["item-0"] == 0.0
    more = draw(couples, 60, "mixed", audit_share=0.5)
    assert {more.pool[f"item-{n}"] for n in range(50, 71)} == {1.0}
    assert 0 < more.pool["item-0"] < 1


def test_a_random_draw_gives_all_the_same_chance_and_a_mixed_one_its_audit_share() -> None:
    couples = many(200)
    even = draw(couples, 50, "random")
    assert {one.kind for one in even.tasks} == {"audit"}
    assert set(even.pool.values()) == {0.25}
    kinds = Counter(one.kind for one in draw(couples, 50, "mixed", audit_share=0.3).tasks)
    assert kinds["audit"] == pytest.approx(15, abs=1)


def test_a_round_goes_on_where_the_run_has_grown_and_lost_some() -> None:
    couples = many(60)
    first = draw(couples[:40], 10)
    later = draw(couples[5:], 20, before=after(first))
    assert later.pool.keys() == {one.item for one in couples[5:]}
    assert all(later.pool[one.item] >= first.pool[one.item] for one in couples[5:40])
    assert len(later.tasks) == 20


def test_labels_so_far_may_change_what_is_worth_asking() -> None:
    couples = [couple(n, 0.5 if n < 10 else 1.0) for n in range(100)]
    first = draw(couples, 10, audit_share=0.1)
    now = [replace(one, p=0.5, margin=0.0) if one.item == "item-99" else one for one in couples[10:]]
    assert draw(now, 2, "uncertain", before=after(first)).pool["item-99"] == 1.0
