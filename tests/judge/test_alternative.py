import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from judge.audit.alternative import CROWD, EXPERTS, SKILLED, Alternative, NotTested, alternative_test
from judge.audit.table import NONE, Ints

PANDALM = Path(__file__).parents[3] / "shared" / "data" / "pandalm"


def people(items: int = 300, wrong: float = 0.2, seed: int = 0) -> tuple[Ints, Ints]:
    """What is right, and three people's choices, each sometimes wrong."""
    rng = np.random.default_rng(seed)
    right = rng.integers(1, 3, items)
    slips = rng.random((items, 3)) < wrong
    return right, np.where(slips, 3 - right[:, None], right[:, None])


def outcome(answers: Ints, judge: Ints, epsilon: float = SKILLED) -> Alternative:
    found = alternative_test(answers, judge, epsilon)
    assert isinstance(found, Alternative)
    return found


def test_a_judge_that_is_always_right_may_replace_people_who_err() -> None:
    right, answers = people()
    found = outcome(answers, right)
    assert (found.winning_rate, found.may_replace) == (1.0, True)
    assert found.advantage > 0.9
    assert all(row.beaten and row.items == 300 for row in found.rows)


def test_a_coin_may_not() -> None:
    _, answers = people()
    found = outcome(answers, np.random.default_rng(1).integers(1, 3, 300))
    assert (found.winning_rate, found.may_replace) == (0.0, False)


def test_shares_are_of_agreement_with_the_other_people() -> None:
    one = np.array([[1, 1, 1], [1, 1, 2], [2, 1, 1]])
    found = outcome(np.tile(one, (20, 1)), np.tile([1, 2, 2], 20))
    # Person 0 agrees with 2, 1 and 0 of the other two; the judge with 2, 1 and 0.
    assert (found.rows[0].judge, found.rows[0].person) == (1.0, 1.0)
    # Person 1 with 2, 1 and 1; the judge with 2, 1 and 1.
    assert (found.rows[1].judge, found.rows[1].person) == (1.0, 1.0)
    # Person 2 with 2, 0 and 1; the judge with 2, 0 and 1.
    assert (found.rows[2].judge, found.rows[2].person) == (1.0, 1.0)
    worse = outcome(np.tile(one, (20, 1)), np.tile([2, 2, 2], 20))
    assert worse.rows[0].judge == pytest.approx(2 / 3)
    assert worse.rows[0].person == 1.0


def test_the_p_value_is_that_of_the_paired_t_test() -> None:
    _, answers = people(60)
    judge = np.random.default_rng(2).integers(1, 3, 60)
    found = outcome(answers, judge, epsilon=0.1)
    ours = (answers[:, 1:] == judge[:, None]).sum(axis=1)
    theirs = (answers[:, 1:] == answers[:, [0]]).sum(axis=1)
    difference = (theirs >= ours).astype(float) - (ours >= theirs)
    assert found.rows[0].p_value == pytest.approx(stats.ttest_1samp(difference, 0.1, alternative="less").pvalue)


def test_people_are_beaten_after_correction_for_their_number() -> None:
    spared = 0
    for seed in range(60):
        right, answers = people(40, seed=seed)
        judge = np.where(np.random.default_rng(seed).random(40) < 0.15, 3 - right, right)
        rows = sorted(outcome(answers, judge, CROWD).rows, key=lambda row: row.p_value)
        harmonic = 1 + 1 / 2 + 1 / 3
        held = [k for k, row in enumerate(rows, start=1) if row.p_value <= 0.05 * k / 3 / harmonic]
        assert [row.beaten for row in rows] == [k <= max(held, default=0) for k in (1, 2, 3)]
        spared += any(row.p_value <= 0.05 * k / 3 and not row.beaten for k, row in enumerate(rows, start=1))
    assert spared > 0  # or a lesser correction would have passed as well


def test_a_greater_epsilon_only_helps_the_judge() -> None:
    right, answers = people(100)
    judge = np.where(np.arange(100) % 4 == 0, 3 - right, right)
    rates = [outcome(answers, judge, epsilon).winning_rate for epsilon in (0.0, CROWD, SKILLED, EXPERTS, 0.5)]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]


def test_missing_answers_and_verdicts_are_left_out_and_counted() -> None:
    right, answers = people()
    answers[:100, 0] = NONE
    judge = right.copy()
    judge[250:] = NONE
    found = outcome(answers, judge)
    assert [row.items for row in found.rows] == [150, 250, 250]
    assert found.no_verdict == 50


def test_people_who_agree_perfectly_and_a_judge_that_does_too_are_no_crash() -> None:
    ones = np.ones((40, 3), dtype=np.int64)
    assert outcome(ones, ones[:, 0]).may_replace
    assert not outcome(ones, ones[:, 0] + 1).may_replace


@pytest.mark.parametrize(("items", "annotators"), [(300, 2), (29, 3)])
def test_too_few_people_or_items_are_said_so(items: int, annotators: int) -> None:
    right, answers = people(items)
    found = alternative_test(answers[:, :annotators], right)
    assert isinstance(found, NotTested)
    assert "needs 3 people who each answered 30 items" in found.reason


@pytest.mark.parametrize(
    ("judge", "field", "items", "advantage"),
    [("gpt-3.5-turbo", "gpt_result", 974, 0.758), ("pandalm-7b", "pandalm_result", 999, 0.715)],
)
def test_pandalms_judges_fall_behind_each_of_three_people(judge: str, field: str, items: int, advantage: float) -> None:
    if not PANDALM.exists():
        pytest.skip("PandaLM's answers are not beside this checkout")
    answers = json.loads((PANDALM / "testset-v1.json").read_text())
    said = json.loads((PANDALM / f"{judge}-testset-v1.json").read_text())
    choice = {"0": 0, "1": 1, "2": 2, "tie": 0, "Tie": 0}
    found = outcome(
        np.array([[row[f"annotator{k}"] for k in (1, 2, 3)] for row in answers]),
        np.array([choice.get(str(row[field]).strip(), NONE) for row in said]),
        EXPERTS,
    )
    assert [row.items for row in found.rows] == [items] * 3
    assert found.no_verdict == 999 - items
    assert found.advantage == pytest.approx(advantage, abs=1e-3)
    assert not found.may_replace
