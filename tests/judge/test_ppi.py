import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from constitution.errors import InputError
from judge.audit.ppi import PpiEstimate, _drawn, _scale, _tuned, estimate_mean, predictions_of_agreement
from judge.audit.table import Bools, Floats

DATA = Path(__file__).parents[3] / "shared" / "data"
T3 = 3.182446305284263  # Student's t with 3 degrees of freedom, 97.5 %


def everything(predictions: Floats) -> Bools:
    return np.ones(predictions.shape, dtype=np.bool_)


def shares(items: int, seed: int, wrong: float = 0.15) -> tuple[Floats, Floats]:
    """Labels of 0 and 1, and two judges that are sometimes wrong."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(items) < 0.4).astype(float)
    slips = rng.random((items, 2)) < [wrong, 2 * wrong]
    return truth, np.where(slips, 1 - truth[:, None], truth[:, None])


def estimate(truth: Floats, predictions: Floats, n: int, seed: int) -> PpiEstimate:
    labelled = np.random.default_rng(seed).choice(len(truth), n, replace=False)
    found = estimate_mean(truth[labelled], labelled, predictions, everything(predictions), seed=seed)
    assert found is not None
    return found


def covered(found: list[PpiEstimate], truth: float) -> float:
    return float(np.mean([e.interval[0] <= truth <= e.interval[1] for e in found]))


def covered_beyond(found: list[PpiEstimate], truth: float) -> float:
    return float(np.mean([e.interval_beyond[0] <= truth <= e.interval_beyond[1] for e in found]))


def ratio(found: list[PpiEstimate]) -> float:
    wide = sum(e.interval[1] - e.interval[0] for e in found)
    return wide / sum(e.human_only.interval[1] - e.human_only.interval[0] for e in found)


def test_labels_alone_give_students_interval_narrowed_by_the_part_that_is_labelled() -> None:
    labels, labelled = np.array([2.0, 4.0, 6.0, 12.0]), np.array([0, 3, 5, 6])
    found = estimate_mean(labels, labelled, np.ones((8, 1)), np.ones((8, 1), dtype=np.bool_))
    assert found is not None
    near = T3 * (56 / 3 / 4 * (1 - 4 / 8)) ** 0.5
    far = T3 * (56 / 3 / 4) ** 0.5
    assert found.estimate == found.human_only.estimate == pytest.approx(6.0)
    assert found.interval == found.human_only.interval == pytest.approx((6 - near, 6 + near))
    assert found.interval_beyond == pytest.approx((6 - far, 6 + far))
    assert (found.width_ratio, found.tuning, found.effective_labels) == pytest.approx((1.0, 0.0, 4.0))


def test_one_prediction_is_tuned_by_the_formula_of_ppi_plus_plus() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(size=300)
    guess = 1.5 * truth + rng.normal(size=300)
    labelled = rng.choice(300, 60, replace=False)
    rest = np.setdiff1d(np.arange(300), labelled)
    labels, at = truth[labelled], guess[labelled]
    lam = np.cov(labels, at)[0, 1] / ((1 + 60 / 240) * np.var(at, ddof=1))
    drawn = _drawn(labelled, 300, None, None)
    tuning, _ = _tuned(drawn, _scale(labels, drawn), labels, at)
    assert tuning * (240 / 300) == pytest.approx(lam)
    ours = labels.mean() + tuning * (guess.mean() - at.mean())
    assert ours == pytest.approx(labels.mean() + lam * (guess[rest].mean() - at.mean()))


def test_the_variance_is_that_of_ppi_plus_plus_at_its_best_tuning() -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(size=4000)
    guess = truth + rng.normal(size=4000)
    labelled = rng.choice(4000, 1000, replace=False)
    labels, at = truth[labelled], guess[labelled]
    lam = np.cov(labels, at)[0, 1] / ((1 + 1000 / 3000) * np.var(at, ddof=1))
    theirs = np.var(labels - lam * at, ddof=1) / 1000 + lam**2 * np.var(at, ddof=1) / 3000
    drawn = _drawn(labelled, 4000, None, None)
    scale = _scale(labels, drawn)
    assert _tuned(drawn, scale, labels, at)[1] + scale.single == pytest.approx(theirs, rel=0.01)


def test_the_estimate_is_unbiased_and_its_interval_holds() -> None:
    truth, predictions = shares(600, 1)
    found = [estimate(truth, predictions, 60, seed) for seed in range(800)]
    errors = np.array([e.estimate for e in found]) - truth.mean()
    assert abs(errors.mean()) < 3 * errors.std() / 800**0.5
    assert 0.93 <= covered(found, truth.mean()) <= 0.975
    assert ratio(found) < 0.75


def test_the_interval_beyond_holds_for_items_not_seen() -> None:
    found = [estimate(*shares(300, 1000 + seed), 100, seed) for seed in range(600)]
    assert 0.925 <= covered_beyond(found, 0.4) <= 0.975
    assert covered(found, 0.4) < 0.85


@pytest.mark.parametrize("n", [2, 5, 25, 100, 400])
@pytest.mark.parametrize(
    "useless",
    [lambda rng, items: rng.random((items, 4)), lambda rng, items: np.ones((items, 2))],
    ids=["random", "constant"],
)
def test_useless_predictions_never_widen_the_interval(
    useless: Callable[[np.random.Generator, int], Floats], n: int
) -> None:
    rng = np.random.default_rng(n)
    for rate in (0.03, 0.5):
        truth = (rng.random(500) < rate).astype(float)
        for seed in range(25):
            found = estimate(truth, useless(rng, 500), n, seed)
            near, far = found.interval, found.interval_beyond
            alone = found.human_only
            assert near[1] - near[0] <= 1.02 * (alone.interval[1] - alone.interval[0])
            assert far[1] - far[0] <= 1.02 * (alone.interval_beyond[1] - alone.interval_beyond[0])
            assert 0 < found.width_ratio <= 1


def test_choosing_between_labels_and_predictions_leaves_the_coverage_alone() -> None:
    rng = np.random.default_rng(7)
    truth, useless = (rng.random(1000) < 0.4).astype(float), rng.random((1000, 4))
    found = [estimate(truth, useless, 50, seed) for seed in range(600)]
    assert 0.935 <= covered(found, truth.mean()) <= 0.98


def test_predictions_that_nobody_gave_are_not_looked_at() -> None:
    truth, predictions = shares(400, 2)
    labelled = np.arange(0, 400, 8)
    nothing = np.zeros(predictions.shape, dtype=np.bool_)
    found = estimate_mean(truth[labelled], labelled, np.full(predictions.shape, np.nan), nothing)
    assert found is not None
    assert (found.tuning, found.interval) == (0.0, found.human_only.interval)


def test_what_stands_where_a_prediction_is_missing_makes_no_difference() -> None:
    truth, predictions = shares(400, 2)
    labelled = np.arange(0, 400, 8)
    known = np.random.default_rng(2).random(predictions.shape) < 0.7
    found = [
        estimate_mean(truth[labelled], labelled, np.where(known, predictions, filler), known)
        for filler in (0.0, 9.0, np.nan)
    ]
    assert found[0] == found[1] == found[2]
    assert found[0] is not None
    assert found[0].tuning > 0


def test_missing_predictions_leave_the_estimate_valid() -> None:
    truth, predictions = shares(1000, 3)
    known = np.random.default_rng(3).random(predictions.shape) < 0.3 + 0.6 * truth[:, None]  # missing is telling
    found = []
    for seed in range(500):
        labelled = np.random.default_rng(seed).choice(1000, 80, replace=False)
        one = estimate_mean(truth[labelled], labelled, np.where(known, predictions, 9.0), known, seed=seed)
        assert one is not None
        found.append(one)
    assert 0.93 <= covered(found, truth.mean()) <= 0.98
    assert ratio(found) < 0.85


def test_where_every_item_has_a_label_the_interval_is_a_point() -> None:
    truth, predictions = shares(50, 4)
    found = estimate_mean(truth, np.arange(50), predictions, everything(predictions))
    assert found is not None
    assert found.interval == pytest.approx((truth.mean(), truth.mean()))
    assert (found.width_ratio, found.effective_labels) == pytest.approx((1.0, 50.0))
    assert found.interval_beyond[0] < truth.mean() < found.interval_beyond[1]


def test_labels_of_one_mind_still_have_an_interval() -> None:
    found = estimate(np.ones(400), np.ones((400, 1)), 20, 0)
    assert found.estimate == pytest.approx(1.0)
    assert 0.75 < found.interval[0] < 0.9
    assert found.interval[1] == pytest.approx(1.0)


def test_few_labels_without_a_wrong_prediction_prove_little() -> None:
    truth, predictions = shares(1000, 5, wrong=0.0)
    assert 0.1 < estimate(truth, predictions, 20, 0).width_ratio < 0.6


def test_a_rate_near_an_end_keeps_its_interval_between_0_and_1() -> None:
    truth = (np.arange(1000) % 50 == 0).astype(float)
    for seed in range(50):
        low, high = estimate(truth, truth[:, None], 40, seed).interval
        assert 0 <= low < high <= 1


def test_exchanged_completions_give_the_mirrored_estimate() -> None:
    truth, predictions = shares(300, 6)
    there, back = estimate(truth, predictions, 50, 1), estimate(1 - truth, 1 - predictions, 50, 1)
    assert back.estimate == pytest.approx(1 - there.estimate)
    assert back.interval == pytest.approx((1 - there.interval[1], 1 - there.interval[0]))


def test_the_same_arguments_give_the_same_bits() -> None:
    truth, predictions = shares(300, 6)
    assert estimate(truth, predictions, 50, 1) == estimate(truth, predictions, 50, 1)


def test_strata_labelled_at_different_rates_are_weighted_by_size() -> None:
    rng = np.random.default_rng(8)
    strata = np.repeat([3, 7], [900, 100])
    truth = (rng.random(1000) < np.where(strata == 3, 0.2, 0.8)).astype(float)
    guess = np.where(rng.random(1000) < 0.1, 1 - truth, truth)[:, None]
    found = []
    for seed in range(500):
        draw = np.random.default_rng(seed)
        labelled = np.concatenate([draw.choice(900, 40, replace=False), 900 + draw.choice(100, 40, replace=False)])
        one = estimate_mean(truth[labelled], labelled, guess, everything(guess), strata=strata, seed=seed)
        assert one is not None
        found.append(one)
    errors = np.array([e.estimate for e in found]) - truth.mean()
    assert abs(errors.mean()) < 0.006
    assert 0.925 <= covered(found, truth.mean()) <= 0.985
    assert ratio(found) < 0.9


def test_strata_with_few_labels_are_put_together() -> None:
    truth, predictions = shares(400, 9)
    labelled = np.arange(0, 400, 10)
    alone = estimate_mean(truth[labelled], labelled, predictions, everything(predictions), strata=np.arange(400))
    assert alone is not None
    assert alone.human_only.estimate == pytest.approx(truth[labelled].mean())


def test_labels_drawn_with_unequal_chances_are_weighted_back() -> None:
    truth, predictions = shares(1000, 10)
    chance = np.where(truth == 1, 0.15, 0.05)  # as lopsided as can be: by the label itself
    found = []
    for seed in range(500):
        labelled = np.flatnonzero(np.random.default_rng(seed).random(1000) < chance)
        one = estimate_mean(
            truth[labelled], labelled, predictions, everything(predictions), probabilities=chance, seed=seed
        )
        assert one is not None
        found.append(one)
    for values in ([e.estimate for e in found], [e.human_only.estimate for e in found]):
        assert abs(np.mean(values) - truth.mean()) < 0.008
    assert 0.92 <= covered(found, truth.mean()) <= 0.985
    assert ratio(found) < 0.8


def test_a_labelled_item_without_a_chance_is_refused() -> None:
    with pytest.raises(InputError, match="probabilities"):
        estimate_mean(
            np.ones(2), np.array([0, 1]), np.ones((5, 1)), np.ones((5, 1), np.bool_), probabilities=np.zeros(5)
        )


def test_one_label_is_too_few() -> None:
    assert estimate_mean(np.ones(1), np.array([0]), np.ones((5, 1)), np.ones((5, 1), dtype=np.bool_)) is None


def test_a_judge_is_predicted_to_be_right_where_others_choose_as_it_does() -> None:
    p_one = np.array([[1.0, 0.7], [0.0, 0.7], [0.5, 0.7]])
    expected = [[1.0, 0.7], [1.0, 0.3], [1.0, 0.6]]
    assert predictions_of_agreement(np.array([1, 2, 0]), p_one) == pytest.approx(np.array(expected))


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return list(csv.DictReader(lines))


def arena() -> tuple[Floats, Floats]:
    table = rows(DATA / "arena" / "arena_votes_4judges.csv.gz")
    value = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie (bothbad)": 0.5}
    judges = [name for name in table[0] if name.startswith(("gpt", "claude"))]
    return np.array([value[r["human"]] for r in table]), np.array([[value[r[j]] for j in judges] for r in table])


def test_arenas_win_rate_takes_fewer_labels_and_the_intervals_hold() -> None:
    truth, predictions = arena()
    found = [estimate(truth, predictions, 500, seed) for seed in range(400)]
    assert 0.92 <= covered(found, truth.mean()) <= 0.98
    assert ratio(found) <= 0.88
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(truth), len(truth)) for _ in range(400)]
    beyond = [estimate(truth[i], predictions[i], 500, seed) for seed, i in enumerate(drawn)]
    assert 0.92 <= covered_beyond(beyond, truth.mean()) <= 0.98


@pytest.mark.parametrize("n", [100, 200])
def test_xstests_refusal_rate_takes_far_fewer_labels_and_the_intervals_hold(n: int) -> None:
    table = rows(DATA / "xstest" / "labels_human_gpt4_strmatch.csv")
    names = {"1_full_compliance": 0.0, "2_full_refusal": 1.0, "3_partial_refusal": 1.0}
    judges = ("gpt4_label", "strmatch_label")
    truth = np.array([names[r["human_final"]] for r in table])
    known = np.array([[r[j] in names for j in judges] for r in table])
    predictions = np.array([[names.get(r[j], 0.0) for j in judges] for r in table])
    found = []
    for seed in range(400):
        labelled = np.random.default_rng(seed).choice(len(truth), n, replace=False)
        one = estimate_mean(truth[labelled], labelled, predictions, known, seed=seed)
        assert one is not None
        found.append(one)
    assert 0.92 <= covered(found, truth.mean()) <= 0.98
    assert ratio(found) <= 0.65
