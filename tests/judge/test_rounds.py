"""Round after round of labelling: each draws anew, and every chance that is written is the one that the item had."""

import numpy as np
import pytest

from constitution.errors import InputError
from judge.audit.audit import Settings, audit, told
from judge.audit.powered import Wanted, first_round, next_round, powered
from judge.audit.table import TIE, Floats, Ints, Labels, Material, Verdicts, average, unevenly_drawn

ITEMS = 1500
ROUNDS = 3
MORE = 100


def doubtful_third(seed: int = 1) -> tuple[Ints, Floats]:
    """What people choose, and a judge that is right where it is sure and one half in the other third."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 3, ITEMS)
    return truth, np.where(rng.random(ITEMS) < 0.67, np.where(truth == 1, 0.95, 0.05), 0.5)


def names(items: int = ITEMS) -> tuple[str, ...]:
    return tuple(f"item {n:04}" for n in range(items))


def material(truth: Ints, p: Floats, labelled: Ints, probability: Floats | None) -> Material:
    n = len(p)
    choice = np.where(p > 0.5, 1, np.where(p < 0.5, 2, TIE))
    zeros, item = np.zeros(n, dtype=np.int64), np.arange(n)
    verdicts = Verdicts(("judge",), item, zeros, zeros + 1, choice, p, np.ones(n, dtype=np.bool_), {})
    labels = Labels(("person",), labelled, zeros[labelled], truth[labelled], probability)
    return Material(names(n), verdicts, labels, ("all",), zeros, None)


def probabilities(wanted: tuple[Wanted, ...]) -> Floats:
    return np.array([one.probability for one in sorted(wanted, key=lambda one: one.item)])


def asked(wanted: tuple[Wanted, ...]) -> Ints:
    return np.array([n for n, one in enumerate(sorted(wanted, key=lambda one: one.item)) if one.state == "now"])


def after(rounds: int, seed: int, truth: Ints, p: Floats) -> tuple[Material, list[int]]:
    """What is known after so many rounds, and how many labels each brought."""
    wanted = first_round(names(len(p)), MORE, seed)
    labelled, brought = asked(wanted), [len(asked(wanted))]
    for _ in range(rounds - 1):
        known = material(truth, p, labelled, probabilities(wanted))
        wanted = next_round(known, average(known), MORE, seed)
        brought.append(len(asked(wanted)))
        labelled = np.sort(np.concatenate([labelled, asked(wanted)]))
    return material(truth, p, labelled, probabilities(wanted)), brought


def test_every_round_brings_as_many_labels_and_the_estimates_hold() -> None:
    truth, p = doubtful_third()
    accuracy, rate = (np.where(p > 0.5, 1, np.where(p < 0.5, 2, TIE)) == truth).mean(), (truth == 1).mean()
    brought, shares, stands_for, held, right, plain = [], [], [], [], [], []
    for seed in range(60):
        found, labels = after(ROUNDS, seed, truth, p)
        chance, labelled = found.labels.probability, found.labels.item
        assert chance is not None
        one = powered(found, average(found), None, 1, 0)
        assert one is not None
        brought.append(labels)
        shares.append(chance.sum() / len(labelled))
        stands_for.append((1 / chance[labelled]).sum() / ITEMS)
        held.append(one.win_rate.interval[0] <= rate <= one.win_rate.interval[1])
        held.append(one.accuracy["judge"].interval[0] <= accuracy <= one.accuracy["judge"].interval[1])
        right.append(one.accuracy["judge"].estimate)
        plain.append((found.verdicts.choice[labelled] == truth[labelled]).mean())
    assert np.mean(brought, axis=0) == pytest.approx([MORE] * ROUNDS, rel=0.04)
    assert np.mean(shares) == pytest.approx(1, abs=0.02)
    assert np.mean(stands_for) == pytest.approx(1, abs=0.02)
    assert np.mean(held) >= 0.9
    assert np.mean(right) == pytest.approx(accuracy, abs=0.01)
    assert np.mean(plain) < accuracy - 0.05  # which is what nobody may be told


def test_a_round_draws_other_items_than_the_one_before_and_the_same_ones_again() -> None:
    truth, p = doubtful_third()
    first = first_round(names(), MORE, 5)
    assert first == first_round(names(), MORE, 5) != first_round(names(), MORE, 6)
    known = material(truth, p, asked(first), probabilities(first))
    second = next_round(known, average(known), MORE, 5)
    assert second == next_round(known, average(known), MORE, 5)
    assert len(asked(second)) > 0.7 * MORE
    assert not set(asked(first)) & set(asked(second))


def test_an_item_is_drawn_by_its_own_name_whatever_the_others_are() -> None:
    half = {one.item: one.state for one in first_round(names()[::2], 75, 5)}
    whole = {one.item: one.state for one in first_round(names(), 150, 5)}
    assert half == {item: whole[item] for item in half}


def test_chances_add_up_over_the_rounds() -> None:
    truth, p = doubtful_third()
    labelled, before = np.arange(0, ITEMS, 15), np.where(p == 0.5, 0.2, 0.05)
    known = material(truth, p, labelled, before)
    wanted = next_round(known, average(known), MORE, 0)
    ever = probabilities(wanted)
    assert (ever > before).all()
    assert ever.sum() - before.sum() == pytest.approx(MORE * (1 - before).mean(), rel=0.05)
    assert [one.state for one in wanted] == sorted((one.state for one in wanted), key=("now", "done", "later").index)
    assert sum(one.state == "done" for one in wanted) == len(labelled)
    assert len(wanted) == ITEMS


def test_with_fewer_than_two_labels_the_round_is_even() -> None:
    truth, p = doubtful_third()
    for count in (0, 1):
        known = material(truth, p, np.arange(count), None)
        wanted = next_round(known, average(known), MORE, 0)
        assert len(set(probabilities(wanted))) == 1
        assert 0.7 * MORE < len(asked(wanted)) < 1.3 * MORE


def test_even_chances_need_no_word_of_the_other_items_and_uneven_ones_do() -> None:
    truth, p = doubtful_third()
    labelled, told_of = np.arange(0, ITEMS, 15), np.zeros(ITEMS)
    told_of[labelled] = 1 / 15
    known, plain = (material(truth, p, labelled, chances) for chances in (told_of, None))
    assert next_round(known, average(known), MORE, 0) == next_round(plain, average(plain), MORE, 0)
    told_of[labelled[0]] = 0.5
    with pytest.raises(InputError, match=r"'probability'.*keep the rows of next.csv") as caught:
        next_round(known, average(known), MORE, 0)
    assert "\n" not in str(caught.value)
    assert told(audit(known, Settings(splits=2)))["ppi"]["active"] is None  # an audit alone does without


def test_items_that_had_a_label_anyhow_say_nothing_of_the_others() -> None:
    truth, p = doubtful_third()
    labelled, chances = np.arange(100), np.zeros(ITEMS)
    chances[labelled] = 1.0
    known = material(truth, p, labelled, chances)
    ever = probabilities(next_round(known, average(known), MORE, 0))
    assert (ever[labelled] == 1).all()
    assert ever[100:].sum() == pytest.approx(MORE, rel=0.05)


def test_of_unevenly_drawn_labels_it_is_said_which_figures_hold_and_nothing_is_promised() -> None:
    truth, p = doubtful_third()
    found, _ = after(ROUNDS, 0, truth, p)
    assert unevenly_drawn(found)
    uneven = told(audit(found, Settings(anchor=20, splits=2)))
    assert uneven["drawn_unevenly"]
    assert "only ppi is corrected" in uneven["notes"][-1]
    assert uneven["selective"] is None
    assert (uneven["ppi"]["simulated"], uneven["ppi"]["labels"]) == (0, uneven["labelled"])
    chance = found.labels.probability
    assert chance is not None
    even = told(audit(material(truth, p, found.labels.item, np.full(ITEMS, 0.2)), Settings(splits=2)))
    plain = told(audit(material(truth, p, found.labels.item, None), Settings(splits=2)))
    for one in (even, plain):
        del one["ppi"]["active"]  # for the next round, which the chance so far does matter to
    assert even == plain
    assert not even["drawn_unevenly"]
    assert even["selective"] is not None
    assert even["notes"] == []


def test_unevenly_drawn_labels_that_are_most_of_the_items_are_never_pretended_to_be_few() -> None:
    truth, p = doubtful_third()
    labelled = np.flatnonzero(np.random.default_rng(0).random(ITEMS) < np.where(p == 0.5, 1.0, 0.6))
    found = told(audit(material(truth, p, labelled, np.where(p == 0.5, 1.0, 0.6)), Settings(anchor=50, splits=2)))
    assert found["ppi"]["simulated"] == 0


def test_the_best_of_several_judges_is_the_best_after_correction() -> None:
    truth, p = doubtful_third()
    other = np.where(p == 0.5, np.where(truth == 1, 0.8, 0.2), 0.5)  # right in just the doubtful third
    labelled = np.flatnonzero(np.random.default_rng(0).random(ITEMS) < np.where(p == 0.5, 0.4, 0.05))
    one = material(truth, p, labelled, np.where(p == 0.5, 0.4, 0.05))
    both, turn = np.concatenate([p, other]), np.repeat([0, 1], ITEMS)
    choice = np.where(both > 0.5, 1, np.where(both < 0.5, 2, TIE))
    verdicts = Verdicts(("judge", "other"), np.tile(np.arange(ITEMS), 2), turn, np.ones_like(turn), choice, both,
                        np.ones(2 * ITEMS, dtype=np.bool_), {})  # fmt: skip
    found = told(audit(Material(one.items, verdicts, one.labels, one.strata, one.stratum, None), Settings(splits=2)))
    assert found["by_judge"]["other"]["accuracy"] > found["by_judge"]["judge"]["accuracy"]
    assert found["ppi"]["accuracy"]["judge"]["estimate"] == pytest.approx(0.67, abs=0.05)
    assert found["best_judge"] == "judge"


def test_the_labels_to_reach_a_width_are_told_with_judges_and_without() -> None:
    truth, p = doubtful_third()
    found = told(audit(material(truth, p, np.arange(0, ITEMS, 10), None), Settings(splits=2)))
    for rows in (found["needed"]["win_rate"], found["needed"]["accuracy"]["judge"]):
        assert [row["width"] for row in rows] == [0.2, 0.1, 0.05]
        assert rows[0]["with_judges"] < rows[1]["with_judges"] < rows[2]["with_judges"] < ITEMS
        assert all(row["with_judges"] < 0.8 * row["human_only"] for row in rows)
    assert told(audit(material(truth, p, np.arange(1), None), Settings(splits=2)))["needed"] is None
