"""Estimates from items of a few different chances: their intervals hold, which weighting all together does not give."""

import numpy as np
import pytest

from judge.audit.levels import estimate_drawn
from judge.audit.ppi import estimate_mean

ITEMS, CERTAIN = 200, 15


def pool(seed: int, right: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels of all items, and a prediction for each that says nothing; those drawn for certain are mostly wrong."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(ITEMS) < right).astype(np.float64)
    labels[:CERTAIN] = rng.random(CERTAIN) < 0.3
    return labels, np.full((ITEMS, 1), 0.5)


def test_the_intervals_hold_where_ten_random_labels_stand_beside_those_drawn_for_certain() -> None:
    labels, predictions = pool(1, 0.93)
    known, chance = np.ones((ITEMS, 1), dtype=np.bool_), np.full(ITEMS, 10 / (ITEMS - CERTAIN))
    chance[:CERTAIN] = 1.0
    held = {"apart": 0, "together": 0}
    for seed in range(200):
        drawn = CERTAIN + np.random.default_rng(seed).permutation(ITEMS - CERTAIN)[:10]
        labelled = np.sort(np.concatenate([np.arange(CERTAIN), drawn]))
        for name, estimate in (("apart", estimate_drawn), ("together", estimate_mean)):
            one = estimate(labels[labelled], labelled, predictions, known, probabilities=chance, seed=seed)
            assert one
            held[name] += one.interval[0] <= labels.mean() <= one.interval[1]
            assert one.interval_beyond[0] <= one.interval[0] <= one.estimate <= one.interval[1]
    assert held["apart"] >= 186
    assert held["together"] < 150


def test_with_one_chance_for_all_it_is_the_plain_estimate() -> None:
    labels, predictions = pool(2, 0.8)
    known, labelled = np.ones((ITEMS, 1), dtype=np.bool_), np.arange(0, ITEMS, 4)
    given = {"probabilities": np.full(ITEMS, 0.25), "seed": 3}
    assert estimate_drawn(labels[labelled], labelled, predictions, known, **given) == estimate_mean(
        labels[labelled], labelled, predictions, known, **given
    )


def test_where_all_are_labelled_the_mean_is_known() -> None:
    labels, predictions = pool(3, 0.8)
    chance = np.where(np.arange(ITEMS) < CERTAIN, 1.0, 1 - 1e-6)
    one = estimate_drawn(
        labels, np.arange(ITEMS), predictions, np.ones((ITEMS, 1), dtype=np.bool_), probabilities=chance
    )
    assert one
    assert one.estimate == pytest.approx(labels.mean())
    assert one.interval == pytest.approx((labels.mean(), labels.mean()), abs=1e-6)


def test_labels_that_are_not_as_many_as_their_chances_say_are_weighted_together() -> None:
    labels, predictions = pool(4, 0.8)
    known = np.ones((ITEMS, 1), dtype=np.bool_)
    chance = np.where(np.arange(ITEMS) < 40, 0.3, 0.1)
    labelled = np.arange(0, 200, 5)  # eight of the first forty, and twice too many of the others
    plain = estimate_mean(labels[labelled], labelled, predictions, known, probabilities=chance)
    assert estimate_drawn(labels[labelled], labelled, predictions, known, probabilities=chance) == plain
