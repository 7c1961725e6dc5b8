import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.audit.anchor import Anchor, fit_anchor
from judge.audit.anchored import evaluate_anchor
from judge.audit.table import NONE, TIE, Averaged, Bools, Floats, Ints

LLMBAR = Path(__file__).parents[3] / "shared" / "data" / "llmbar" / "verdicts.csv.gz"
EXCHANGED = np.array([TIE, 2, 1, NONE])  # indexed by choice; NONE is -1, the last


def averaged(p_one: Floats, known: Bools | None = None) -> Averaged:
    there = np.ones(p_one.shape, dtype=np.bool_) if known is None else known
    return Averaged(np.where(there, p_one, 0.5), there, np.full(p_one.shape, -1, dtype=np.int64))


def simulated(rightness: list[float], items: int = 300, seed: int = 0) -> tuple[Averaged, Ints]:
    """Independent judges, each right with its own chance."""
    rng = np.random.default_rng(seed)
    human = rng.integers(1, 3, items)
    right = rng.random((items, len(rightness))) < rightness
    return averaged(np.where(right == (human == 1)[:, None], 1.0, 0.0)), human


def names(pool: Averaged) -> tuple[str, ...]:
    return tuple(f"judge {column}" for column in range(pool.p_one.shape[1]))


def fitted(pool: Averaged, human: Ints, labels: int = 25) -> Anchor:
    return fit_anchor(pool, names(pool), human, np.arange(labels))


def llmbar(subset: str) -> tuple[Averaged, Ints]:
    if not LLMBAR.exists():
        pytest.skip("LLMBar's recorded verdicts are not here")
    with gzip.open(LLMBAR, "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == subset]
    items = sorted({int(row["idx"]) for row in rows})
    judges = sorted({(row["judge"], row["strategy"]) for row in rows})
    p_one, human = np.full((len(items), len(judges)), 0.5), np.zeros(len(items), dtype=np.int64)
    known = np.zeros(p_one.shape, dtype=np.bool_)
    for row in rows:
        cell = items.index(int(row["idx"])), judges.index((row["judge"], row["strategy"]))
        human[cell[0]] = int(row["label"])
        both = row["winner_noswap"], row["winner_swap"]
        known[cell] = all(both)
        p_one[cell] = both.count("1") / 2
    return averaged(p_one, known), human


@pytest.mark.parametrize(
    ("subset", "at_least"),
    # The best single judges of all items, which nobody can know beforehand, have .90, .96 and .755 of single verdicts.
    [("LLMBar/Adversarial/GPTInst", 0.93), ("LLMBar/Natural", 0.945), ("Processed/LLMEval^2", 0.745)],
)
def test_25_labels_beat_the_judge_of_llmbar_that_they_would_choose(subset: str, at_least: float) -> None:
    found = evaluate_anchor(*llmbar(subset), 25, splits=30, seed=0)
    assert found.accuracy.value >= at_least
    assert found.accuracy.value > found.best_single.value


def test_100_labels_give_chances_that_can_be_taken_at_their_word() -> None:
    found = evaluate_anchor(*simulated([0.9, 0.8, 0.75, 0.7, 0.7], items=2000), 100, splits=30, seed=0)
    assert found.ece.value <= 0.06
    assert found.ece_by_chance.value < found.ece.value


def test_a_judge_that_is_mostly_wrong_is_believed_in_reverse() -> None:
    pool, human = simulated([0.8, 0.05])
    anchor = fitted(pool, human)
    assert anchor.weights[1] < 0 < anchor.weights[0]
    assert np.mean((anchor.p_one(pool) > 0.5) == (human == 1)) > 0.9


def test_where_most_judges_share_an_error_they_are_not_followed() -> None:
    rng = np.random.default_rng(4)
    human = rng.integers(1, 3, 300)
    shared = rng.integers(1, 3, 300)
    herd = np.where(rng.random((300, 12)) < 0.9, (shared == 1)[:, None], (shared == 2)[:, None])
    good = np.where(rng.random(300) < 0.95, human == 1, human == 2)
    found = evaluate_anchor(averaged(np.column_stack([herd, good]).astype(np.float64)), human, 25, splits=20, seed=0)
    assert found.majority.value < 0.65
    assert found.accuracy.value > found.oracle_single.value - 0.02


def test_among_judges_that_guess_the_one_that_knows_is_kept_alone() -> None:
    pool, human = simulated([0.5] * 10 + [0.9])
    anchor = fitted(pool, human, labels=150)
    assert anchor.kind == "single judge"
    assert anchor.single == "judge 10"
    assert anchor.single_loss < anchor.combined_loss
    assert [weight != 0 for weight in anchor.weights] == [False] * 10 + [True]
    assert evaluate_anchor(pool, human, 150, splits=10, seed=0).kept_single >= 0.7


def test_a_judge_found_among_many_pays_for_the_search() -> None:
    pool, human = simulated([0.9] + [0.5] * 40)
    alone = averaged(pool.p_one[:, :1])
    paid = 100 * (fitted(pool, human, 100).single_loss - fitted(alone, human, 100).single_loss)
    assert paid == pytest.approx(np.log(41), abs=0.5)


def test_two_judges_that_always_contradict_each_other_are_told_apart_by_labels() -> None:
    pool, human = simulated([0.95])
    both = averaged(np.column_stack([1 - pool.p_one, pool.p_one]))
    anchor = fitted(both, human)
    assert anchor.single == "judge 1"
    assert np.mean((anchor.p_one(both) > 0.5) == (human == 1)) > 0.9


def test_judges_that_err_apart_are_combined() -> None:
    pool, human = simulated([0.75] * 7)
    found = evaluate_anchor(pool, human, 50, splits=10, seed=0)
    assert found.kept_single == 0
    assert found.accuracy.value > found.oracle_single.value + 0.05


def test_a_lone_judge_keeps_its_preferences_and_gets_its_chance() -> None:
    pool, human = simulated([0.8], items=1000)
    anchor = fitted(pool, human, labels=500)
    p = anchor.p_one(pool)
    assert ((p > 0.5) == (pool.p_one[:, 0] == 1)).all()
    assert p.max() == pytest.approx(0.8, abs=0.04)


def test_judges_that_only_guess_are_hardly_believed() -> None:
    pool, human = simulated([0.5] * 4, items=1000)
    assert np.abs(fitted(pool, human, labels=500).p_one(pool) - 0.5).max() < 0.15


def test_judges_that_are_always_right_are_believed_within_reason() -> None:
    pool, human = simulated([1.0] * 3)
    p = fitted(pool, human).p_one(pool)
    assert ((p > 0.5) == (human == 1)).all()
    assert 0.9 < p.max() < 1


def test_labels_all_of_one_side_show_no_liking_for_that_side() -> None:
    pool, human = simulated([0.9, 0.7, 0.6])
    given = np.flatnonzero(human == 1)[:25]
    anchor = fit_anchor(pool, names(pool), human, given)
    assert np.mean((anchor.p_one(pool) > 0.5) == (human == 1)) > 0.85


def test_items_without_a_verdict_get_one_half_and_count_against_coverage() -> None:
    pool, human = simulated([0.9, 0.8])
    silent = np.arange(300) % 3 == 0
    pool = averaged(pool.p_one, np.repeat(~silent[:, None], 2, axis=1))
    assert (fitted(pool, human).p_one(pool) == 0.5).tolist() == silent.tolist()
    assert evaluate_anchor(pool, human, 25, splits=20, seed=0).coverage.value == pytest.approx(2 / 3, abs=0.03)
    nobody = averaged(pool.p_one, np.zeros((300, 2), dtype=np.bool_))
    assert (fitted(nobody, human).p_one(nobody) == 0.5).all()


def test_labels_outside_the_given_items_are_never_looked_at() -> None:
    pool, human = simulated([0.8, 0.7])
    hidden = np.where(np.arange(300) < 25, human, EXCHANGED[human])
    assert fitted(pool, human) == fitted(pool, hidden)
    unasked = np.where(np.arange(300) < 25, human, NONE)
    assert fit_anchor(pool, names(pool), unasked, np.arange(300)) == fitted(pool, human)


CHANCES = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 0.9375, 1.0])


@given(st.lists(st.tuples(CHANCES, CHANCES, CHANCES, st.integers(0, 2), st.booleans()), min_size=2, max_size=12))
@settings(max_examples=60, deadline=None)
def test_exchanging_any_items_completions_exchanges_its_chance_to_the_last_bit(
    rows: list[tuple[float, float, float, int, bool]],
) -> None:
    p_one, human = np.array([row[:3] for row in rows]), np.array([row[3] for row in rows])
    turned = np.array([row[4] for row in rows])
    other = averaged(np.where(turned[:, None], 1 - p_one, p_one)), np.where(turned, EXCHANGED[human], human)
    one, two = fitted(averaged(p_one), human, len(rows)), fitted(*other, len(rows))
    assert one == two
    p = one.p_one(averaged(p_one))
    assert two.p_one(other[0]).tolist() == np.where(turned, 1 - p, p).tolist()


@pytest.mark.parametrize("rightness", [[0.9, 0.6, 0.3, 0.7], [0.5, 0.5, 0.95, 0.5]])
def test_neither_the_order_of_judges_nor_of_items_matters(rightness: list[float]) -> None:
    pool, human = simulated(rightness)
    p = fitted(pool, human, 60).p_one(pool)
    judges, items = np.array([2, 0, 3, 1]), np.random.default_rng(1).permutation(300)
    moved = averaged(pool.p_one[items][:, judges])
    where = np.flatnonzero(items < 60)
    anchor = fit_anchor(moved, ("2", "0", "3", "1"), human[items], where)
    assert anchor.p_one(moved) == pytest.approx(p[items], abs=1e-9)


def test_a_ties_label_draws_towards_one_half() -> None:
    pool, human = simulated([0.9], items=100)
    tied = np.where(np.arange(100) % 2 == 0, TIE, human)
    assert fitted(pool, tied, 100).p_one(pool).max() < fitted(pool, human, 100).p_one(pool).max() - 0.1


def test_ties_of_people_count_half_for_everybody() -> None:
    pool, human = simulated([1.0, 1.0], items=200)
    tied = np.where(np.arange(200) % 2 == 0, TIE, human)
    found = evaluate_anchor(pool, tied, 50, splits=20, seed=0)
    assert found.accuracy.value == pytest.approx(0.75, abs=0.05)
    assert found.accuracy.value == pytest.approx(found.oracle_single.value)


def test_the_same_seed_gives_the_same_figures() -> None:
    pool, human = simulated([0.8, 0.7, 0.6], items=100)
    one, two, other = (evaluate_anchor(pool, human, 20, splits=5, seed=seed) for seed in (3, 3, 4))
    assert one == two != other


def test_exchanged_completions_change_no_bit_of_what_anchoring_is_worth() -> None:
    pool, human = simulated([0.8, 0.7, 0.6], items=100)
    graded = averaged(0.5 + (pool.p_one - 0.5) * np.random.default_rng(2).integers(0, 5, (100, 3)) / 4)
    turned = np.arange(100) % 3 == 0
    other = averaged(np.where(turned[:, None], 1 - graded.p_one, graded.p_one))
    straight = evaluate_anchor(graded, human, 20, splits=5, seed=0)
    assert evaluate_anchor(other, np.where(turned, EXCHANGED[human], human), 20, splits=5, seed=0) == straight
    assert straight.ece_by_chance.value > 0


def test_what_cannot_be_anchored_is_named() -> None:
    pool, human = simulated([0.8, 0.7], items=30)
    with pytest.raises(ValueError, match="at least one label"):
        fit_anchor(pool, names(pool), np.full(30, NONE), np.arange(30))
    with pytest.raises(ValueError, match="at least one judge"):
        fit_anchor(averaged(np.zeros((30, 0))), (), human, np.arange(30))
    with pytest.raises(ValueError, match="leave at least 1"):
        evaluate_anchor(pool, human, 30, splits=3, seed=0)
    with pytest.raises(ValueError, match="judges"):
        fitted(pool, human).p_one(averaged(np.zeros((30, 3))))
