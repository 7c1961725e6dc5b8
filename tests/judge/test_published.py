"""Figures that others published or computed from the same recorded verdicts, to the count."""

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from judge.audit.agreement import HumanAgreement, accuracy, cohen_kappa, human_human, krippendorff_alpha
from judge.audit.consistency import position
from judge.audit.estimate import Estimate
from judge.audit.table import NONE, TIE, Ints, Labels, Material, Verdicts

DATA = Path(__file__).parents[3] / "shared" / "data"
NOTHING = np.zeros(0, dtype=np.int64)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded verdicts are not at {DATA}")

Key = tuple[str, str, str]  # set, judge, strategy


def read_choice(text: str) -> int:
    return {"0": TIE, "Tie": TIE, "1": 1, "2": 2}.get(text, NONE)


@pytest.fixture(scope="module")
def llmbar() -> dict[Key, Ints]:
    """Of each judge and strategy on each set, (items, 3): the choice in each order and the label."""
    found: defaultdict[Key, list[tuple[int, int, int]]] = defaultdict(list)
    with gzip.open(DATA / "llmbar" / "verdicts.csv.gz", "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            said = (read_choice(row["winner_noswap"]), read_choice(row["winner_swap"]), int(row["label"]))
            found[row["set"], row["judge"], row["strategy"]].append(said)
    return {key: np.array(rows) for key, rows in found.items()}


def published() -> list[dict[str, str]]:
    with (DATA / "llmbar" / "published_statistics.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def value(found: Estimate | None) -> float:
    assert found is not None
    return found.value


def hits(choice: Ints, label: Ints) -> int:
    found = accuracy(choice, label)
    return 0 if found is None else round(found.value * found.n)


@needs_data
def test_all_138_published_statistics_of_llmbar_are_reproduced_to_the_count(llmbar: dict[Key, Ints]) -> None:
    """As upstream counts: a missing verdict is never correct; two missing ones are equal.

    Its kappa between the two orders knows two choices, "completion 1" and anything else, so a missing
    verdict counts there as completion 2.
    """
    rows = published()
    assert len(rows) == 138
    for row in rows:
        straight, swapped, label = llmbar[row["set"], row["judge"], row["strategy"]].T
        both = np.where(straight == swapped, straight, NONE)
        counted = {
            "n": len(label),
            "correct_noswap": hits(straight, label),
            "correct_swap": hits(swapped, label),
            "correct_both": hits(both, label),
            "equal": hits(straight, swapped) + int(((straight == NONE) & (swapped == NONE)).sum()),
        }
        assert counted == {name: int(row[name]) for name in counted}, row
        as_two = (np.where(choice == NONE, 2, choice) for choice in (straight, swapped))
        assert value(cohen_kappa(*as_two, 0)) == pytest.approx(float(row["kappa_agreement"]), abs=1e-12), row


@needs_data
def test_position_consistency_is_the_published_count_of_equal_verdicts(llmbar: dict[Key, Ints]) -> None:
    whole = 0
    for row in published():
        said = llmbar[row["set"], row["judge"], row["strategy"]][:, :2]
        missing = (said == NONE).any(axis=1)
        found = position(both_orders(said))[0]
        assert found.items == int(row["n"]) - missing.sum()
        equally_missing = int((said == NONE).all(axis=1).sum())
        assert round(value(found.consistency) * found.items) == int(row["equal"]) - equally_missing
        whole += not missing.any()
    assert whole == 97  # of the 138 the ones without a missing verdict


def both_orders(said: Ints) -> Material:
    """One judge's choices, (items, 2), in the two orders."""
    n = len(said)
    item, order = np.repeat(np.arange(n), 2), np.tile(np.array([1, 2]), n)
    choice, zeros = said.ravel(), np.zeros(2 * n, dtype=np.int64)
    p_one = np.select([choice == 1, choice == 2], [1.0, 0.0], 0.5)
    verdicts = Verdicts(("judge",), item, zeros, order, choice, p_one, zeros > 0, {})
    labels = Labels((), NOTHING, NOTHING, NOTHING)
    return Material(tuple(map(str, range(n))), verdicts, labels, ("all",), np.zeros(n, dtype=np.int64), None)


def pandalm_column(file: str, field: str) -> Ints:
    with (DATA / "pandalm" / file).open(encoding="utf-8") as text:
        return np.array([read_choice(str(row[field])) for row in json.load(text)])


@pytest.fixture(scope="module")
def people() -> Ints:
    """PandaLM's three annotators, (999, 3)."""
    return np.stack([pandalm_column("testset-v1.json", f"annotator{n}") for n in (1, 2, 3)], axis=1)


def among_people(people: Ints) -> HumanAgreement:
    items, annotators = people.shape
    item, annotator = np.indices(people.shape).reshape(2, -1)
    labels = Labels(tuple(f"annotator{n}" for n in range(1, annotators + 1)), item, annotator, people.ravel())
    verdicts = both_orders(np.zeros((0, 2), dtype=np.int64)).verdicts
    return human_human(
        Material(tuple(map(str, range(items))), verdicts, labels, ("all",), np.zeros(items, dtype=np.int64), None), 0
    )


@needs_data
def test_pandalms_annotators_agree_as_is_known(people: Ints) -> None:
    found = among_people(people)
    kappas = {(pair.one[-1], pair.other[-1]): value(pair.kappa) for pair in found.pairs}
    known = {("1", "2"): 0.852, ("1", "3"): 0.879, ("2", "3"): 0.862}
    assert kappas == pytest.approx(known, abs=1e-3)
    assert value(found.alpha) == pytest.approx(0.864, abs=1e-3)
    assert value(krippendorff_alpha(people, 0)) == value(found.alpha)


@needs_data
@pytest.mark.parametrize(
    ("file", "field", "same", "answered"),
    [
        ("gpt-3.5-turbo-testset-v1.json", "gpt_result", 697, 974),
        ("pandalm-7b-testset-v1.json", "pandalm_result", 667, 999),
    ],
)
def test_pandalms_judges_stay_far_below_the_people(
    people: Ints, file: str, field: str, same: int, answered: int
) -> None:
    judge = pandalm_column(file, field)
    majority = np.array([np.bincount(row, minlength=3).argmax() if len(set(row)) < 3 else 0 for row in people.tolist()])
    found = accuracy(judge, majority)
    assert found is not None
    assert (round(found.value * found.n), found.n) == (same, answered)
    ceiling = among_people(people).left_out
    assert ceiling is not None
    assert found.high < ceiling.low
