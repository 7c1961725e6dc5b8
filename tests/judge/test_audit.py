"""The whole audit in one object: complete, the same again, mirrored with the completions, and never at a loss."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitution.errors import InputError
from judge.audit import audit as whole
from judge.audit.audit import Settings, audit, judged, told
from judge.audit.table import NONE, TIE, Ints, Labels, Material, Verdicts

Row = tuple[int, int, int, int, float]  # item, judge, order, choice, p_one
Answer = tuple[int, int, int]  # item, annotator, choice
QUICK = Settings(splits=5)
MISSING = Settings(anchor=40, splits=5)
EXCHANGED = np.array([TIE, 2, 1, NONE])  # by TIE, 1, 2 and, as the last one, NONE


def material(rows: Sequence[Row], answers: Sequence[Answer], items: int, **more: Any) -> Material:
    """``more`` may have judges, annotators, strata, stratum and lengths."""
    item, judge, order, choice = np.array([row[:4] for row in rows], dtype=np.int64).reshape(-1, 4).T
    p_one = np.array([row[4] for row in rows])
    judges, people = more.get("judges", 1), more.get("annotators", 1)
    verdicts = Verdicts(
        tuple(f"judge {n}" for n in range(judges)), item, judge, order, choice, p_one,
        np.isin(p_one, (0.0, 0.5, 1.0), invert=True), {"refusal": int((choice == NONE).sum())},
    )  # fmt: skip
    who = np.array(answers, dtype=np.int64).reshape(-1, 3).T
    labels = Labels(tuple(f"person {n}" for n in range(people)), *who)
    strata = more.get("strata", ("all",))
    stratum = np.array(more.get("stratum", [0] * items), dtype=np.int64)
    lengths = more.get("lengths")
    return Material(tuple(f"item {n:03}" for n in range(items)), verdicts, labels, strata, stratum, lengths)


def choice_of(p: float) -> int:
    return 1 if p > 0.5 else 2 if p < 0.5 else TIE


def crowd(items: int = 120, judges: int = 2, people: int = 1, labelled: float = 1.0, divided: bool = False) -> Material:
    """Judges of rising skill with a leaning to slot 1, some ties and failures; people who mostly agree."""
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 3, items)
    rows: list[Row] = []
    for item in range(items):
        for judge in range(judges):
            for order in (1, 2):
                odds = (0.4 + 1.5 * judge) * (3 - 2 * truth[item]) + rng.normal(0, 1.5) + 0.4 * (3 - 2 * order)
                p = float(np.round(1024 / (1 + np.exp(-odds))) / 1024)  # so that 1 - p is exact
                missing = rng.random() < 0.05
                rows.append((item, judge, order, NONE if missing else choice_of(p), 0.5 if missing else p))
    asked = np.flatnonzero(rng.random(items) < labelled)
    answers = [
        (int(item), who, int(rng.choice([truth[item], 3 - truth[item], TIE], p=[0.8, 0.15, 0.05])))
        for item in asked
        for who in range(people)
    ]
    lengths, stratum = rng.integers(20, 400, (items, 2)), rng.integers(0, 1 + divided, items)
    strata = ("easy", "hard") if divided else ("all",)
    return material(
        rows, answers, items, judges=judges, annotators=people, lengths=lengths, strata=strata, stratum=stratum
    )


def mirrored(one: Material) -> Material:
    """The same with every item's two completions exchanged."""
    v, labels = one.verdicts, one.labels
    turned = Verdicts(v.judges, v.item, v.judge, 3 - v.order, EXCHANGED[v.choice], 1 - v.p_one, v.graded, v.no_verdicts)
    people = Labels(labels.annotators, labels.item, labels.annotator, EXCHANGED[labels.choice])
    lengths = None if one.lengths is None else one.lengths[:, ::-1]
    return Material(one.items, turned, people, one.strata, one.stratum, lengths)


def shuffled(one: Material, seed: int) -> Material:
    v, labels, rng = one.verdicts, one.labels, np.random.default_rng(seed)
    rows, answers = rng.permutation(len(v.item)), rng.permutation(len(labels.item))
    said = (column[rows] for column in (v.item, v.judge, v.order, v.choice, v.p_one, v.graded))
    people = (column[answers] for column in (labels.item, labels.annotator, labels.choice))
    verdicts = Verdicts(v.judges, *said, v.no_verdicts)
    return Material(one.items, verdicts, Labels(labels.annotators, *people), one.strata, one.stratum, one.lengths)


def looked(one: Material, how: Settings = QUICK) -> dict[str, Any]:
    found = told(audit(one, how))
    json.dumps(found, allow_nan=False)
    unordered = list(disordered(found))
    assert not unordered
    return found


def disordered(found: object, path: str = "") -> Any:
    """Where an interval does not hold its figure, or stands the wrong way round."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            if "interval" in key and value is not None:
                figure = found["estimate" if key.startswith("interval") else key.removesuffix("_interval")]
                if not value[0] <= figure <= value[1]:
                    yield f"{path}.{key}", figure, value
            yield from disordered(value, f"{path}.{key}")
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from disordered(value, f"{path}[{number}]")


def test_the_object_has_every_key_that_programs_rely_on_each_figure_with_its_interval() -> None:
    found = looked(crowd(people=2, divided=True), MISSING)
    assert found["no_verdicts"].keys() == {"refusal"}
    assert 0.5 < found["accuracy"] < 1
    assert found["accuracy_interval"][0] < found["accuracy"] < found["accuracy_interval"][1]
    assert found["coverage_interval"][0] < found["coverage"] < found["coverage_interval"][1]
    assert found["position"]["consistency_interval"]
    assert found["calibration"]["before"]["ece_interval"]
    assert found["calibration"]["after"].keys() >= {"ece", "brier", "log_loss", "brier_interval", "log_loss_interval"}
    assert {"accuracy", "ece", "accuracy_interval", "ece_interval", "coverage"} <= found["anchored"].keys()
    assert {"estimate", "interval", "width_ratio", "simulated", "covered"} <= found["ppi"].keys()
    assert found["ppi"]["width_ratio"] <= 1
    assert {"longer_interval", "people_longer_interval"} <= found.keys()
    assert found["by_judge"].keys() == {"judge 0", "judge 1"}
    assert found["strata"].keys() == {"easy", "hard"}
    assert found["strata"]["easy"].keys() >= {"together", "judges", "people"}
    assert found["best_judge"] == "judge 1"
    assert found["people"]["alpha"] > 0.3
    assert found["anchored"]["labels"] == 40
    assert found["anchored"]["fitted_to_all"]["weights"].keys() == found["by_judge"].keys()


def test_the_same_again_and_whatever_the_order_of_rows() -> None:
    one = crowd(60, judges=1, divided=True)
    text = json.dumps(looked(one, Settings(20, 5)))
    assert json.dumps(looked(one, Settings(20, 5))) == text
    assert json.dumps(looked(shuffled(one, 3), Settings(20, 5))) == text
    assert json.dumps(told(audit(one, Settings(20, 5, seed=1)))) != text


@pytest.mark.parametrize("anchor", [None, 30])
def test_exchanged_completions_mirror_what_people_prefer_and_change_nothing_else(anchor: int | None) -> None:
    one = crowd(90, labelled=0.6 if anchor is None else 1.0)
    straight, turned = (looked(side, Settings(anchor, 5)) for side in (one, mirrored(one)))
    assert straight["ppi"]["estimate"] != 0.5
    assert turned["ppi"]["estimate"] == pytest.approx(1 - straight["ppi"]["estimate"])
    assert turned["ppi"]["interval"] == pytest.approx([1 - bound for bound in straight["ppi"]["interval"][::-1]])
    assert turned["ppi"]["width_ratio"] == pytest.approx(straight["ppi"]["width_ratio"])
    for key in ("accuracy", "coverage", "position", "calibration", "people", "longer", "people_longer", "selective"):
        assert turned[key] == straight[key], key
    for name, judge in straight["by_judge"].items():
        for key in ("accuracy", "label", "position", "stability", "calibration", "kept"):
            assert turned["by_judge"][name][key] == judge[key], (name, key)
        assert turned["by_judge"][name]["length"]["longer_preferred"] == judge["length"]["longer_preferred"]
    for key in ("accuracy", "ece", "coverage", "best_single", "majority", "kept_single", "fitted_to_all"):
        assert turned["anchored"][key] == straight["anchored"][key], key


def test_an_item_that_no_judge_was_asked_about_counts_nowhere_but_in_a_note() -> None:
    rows = [(item, 0, order, 1, 1.0) for item in range(30) for order in (1, 2)]
    answers = [(item, 0, 1 if item < 24 else 2) for item in range(30)]
    alone = looked(material(rows, answers, 30), Settings(10, 5))
    more = looked(material(rows, [*answers, *((item, 0, 1) for item in range(30, 90))], 90), Settings(10, 5))
    assert more.pop("notes") == ["60 labelled items have no verdict at all and are left out"]
    assert alone.pop("notes") == []
    assert more == alone
    assert judged(crowd(20)).items == crowd(20).items


def test_one_judge_in_one_order_has_no_position_and_is_taken_at_its_word() -> None:
    rows = [(item, 0, 1, 1 + item % 2, 1.0 - item % 2) for item in range(40)]
    found = looked(material(rows, [(item, 0, 1 + item % 2 if item < 36 else 1) for item in range(40)], 40))
    assert found["accuracy"] == found["by_judge"]["judge 0"]["label"]["accuracy"] == 38 / 40
    assert (found["position"]["items"], found["position"]["consistency"]) == (0, None)
    assert (found["position"]["consistency_interval"], found["position"]["consistency_n"]) == (None, 0)
    assert found["by_judge"]["judge 0"]["stability"] is None
    assert found["alternative"] == {}


def test_a_judge_without_a_single_verdict_has_no_figures_and_spoils_nobody_elses() -> None:
    rows: list[Row] = [(item, 0, order, 1, 1.0) for item in range(40) for order in (1, 2)]
    answers = [(item, 0, 1 if item < 30 else 2) for item in range(40)]
    alone = looked(material(rows, answers, 40))
    mute: list[Row] = [(item, 1, order, NONE, 0.5) for item in range(40) for order in (1, 2)]
    found = looked(material(sorted([*rows, *mute]), answers, 40, judges=2))
    judge = found["by_judge"]["judge 1"]
    assert (judge["accuracy"], judge["calibration"], judge["answered"], judge["kept"]) == (None, None, 0.0, [])
    assert found["by_judge"]["judge 0"] == alone["by_judge"]["judge 0"]
    assert found["best_judge"] == "judge 0"
    assert found["accuracy"] == 0.75
    assert found["coverage"] == 0.5
    assert found["ppi"]["accuracy"].keys() == {"judge 0"}
    assert found["no_verdicts"] == {"refusal": 80}


@pytest.mark.parametrize("choice", [1, TIE])
def test_where_all_say_the_same_there_is_agreement_without_anything_beyond_chance(choice: int) -> None:
    p = 1.0 if choice else 0.5
    rows = [(item, judge, order, choice, p) for item in range(30) for judge in (0, 1) for order in (1, 2)]
    answers = [(item, who, choice) for item in range(30) for who in (0, 1)]
    found = looked(material(rows, answers, 30, judges=2, annotators=2), Settings(10, 5))
    assert found["accuracy"] == 1
    assert found["accuracy_interval"][0] < 0.9  # thirty items show no more than that
    assert found["by_judge"]["judge 0"]["label"]["kappa"] is None
    assert found["people"]["alpha"] is None
    assert found["people"]["pairwise"] == 1
    assert found["ppi"]["estimate"] == pytest.approx(1.0 if choice else 0.5)


@pytest.mark.parametrize("items", [1, 2, 9])
def test_few_items_and_one_label_give_what_can_be_given(items: int) -> None:
    rows = [(item, 0, order, 1, 0.9) for item in range(items) for order in (1, 2)]
    found = looked(material(rows, [(0, 0, 1)], items))
    assert (found["items"], found["labelled"], found["accuracy"], found["accuracy_n"]) == (items, 1, 1.0, 1)
    assert found["accuracy_interval"][0] < 0.5
    assert (found["anchored"], found["ppi"], found["selective"], found["budget"]) == (None, None, None, [])


def test_without_any_label_there_is_still_position_and_coverage() -> None:
    rows = [(item, 0, order, 1, 0.9) for item in range(30) for order in (1, 2)]
    found = looked(material(rows, [(0, 0, NONE)], 30))
    assert (found["labelled"], found["accuracy"], found["anchored"], found["best_judge"]) == (0, None, None, None)
    assert (found["position"]["consistency"], found["coverage"]) == (1.0, 1.0)


def test_a_stratum_without_labels_has_figures_without_people_and_one_item_is_no_stratum() -> None:
    rows = [(item, 0, order, 1, 1.0) for item in range(9) for order in (1, 2)]
    answers = [(item, 0, 1 + item % 2) for item in range(4)]
    stratum = [0] * 4 + [1] * 4 + [2]
    found = looked(material(rows, answers, 9, strata=("labelled", "not", "tiny"), stratum=stratum))
    assert found["strata"].keys() == {"labelled", "not"}
    assert found["strata"]["labelled"]["together"]["accuracy"] == 0.5
    bare = found["strata"]["not"]
    assert (bare["items"], bare["labelled"], bare["together"]["accuracy"]) == (4, 0, None)
    assert bare["judges"]["judge 0"]["position"]["consistency"] == 1


def test_of_very_many_strata_the_largest_have_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "MOST_STRATA", 2)
    rows = [(item, 0, 1, 1, 1.0) for item in range(9)]
    one = material(rows, [(0, 0, 1)], 9, strata=("a", "b", "c"), stratum=[0, 0, 0, 1, 1, 2, 2, 2, 2])
    found = looked(one)
    assert list(found["strata"]) == ["a", "c"]
    assert found["notes"] == ["of 3 strata only the 2 largest have figures of their own"]


@pytest.mark.parametrize(
    ("labels", "anchor", "remedy"), [(12, 12, "at most"), (12, 99, "at most"), (1, 1, "label more")]
)
def test_more_anchors_than_labels_are_refused_in_one_line(labels: int, anchor: int, remedy: str) -> None:
    rows = [(item, 0, 1, 1, 1.0) for item in range(30)]
    one = material(rows, [(item, 0, 1 + item % 2) for item in range(labels)], 30)
    with pytest.raises(InputError, match=f"anchoring on {anchor} labels: {labels} judged items .*{remedy}") as caught:
        audit(one, Settings(anchor))
    assert "\n" not in str(caught.value)


def test_one_item_less_than_all_labelled_still_tries_few_labels_out() -> None:
    one = crowd(100, labelled=0.9)
    found = looked(one, Settings(30, 5))
    assert 0 < found["labelled"] < 100
    assert found["ppi"]["simulated"] == 5
    assert found["ppi"]["labels"] == 30


def test_where_few_are_labelled_the_labels_are_used_as_they_are() -> None:
    found = looked(crowd(100, labelled=0.3), Settings(10, 5))
    assert found["ppi"]["simulated"] == 0
    assert found["ppi"]["labels"] == found["labelled"] > 10


def test_the_threshold_of_confidence_is_the_chance_of_the_preferred_completion() -> None:
    found = looked(crowd(300), Settings(splits=5, alpha=0.4))
    assert 0.5 <= found["selective"]["threshold"] <= 1


def test_people_are_named_beside_the_judges_that_may_stand_in_for_them() -> None:
    tested = looked(crowd(judges=1, people=3))["alternative"]["judge 0"]
    assert [row["annotator"] for row in tested["rows"]] == ["person 0", "person 1", "person 2"]
    assert "3 people who each answered" in looked(crowd(20, judges=1, people=3))["alternative"]["judge 0"]["reason"]


@st.composite
def odd(draw: st.DrawFn) -> Material:
    """Anything that a file may hold: gaps, repeats, ties, one order, nobody's labels, unknown lengths."""
    items, judges, people = (draw(st.integers(1, most)) for most in (12, 3, 4))
    chance = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])
    cells = [(i, j, o) for i in range(items) for j in range(judges) for o in (1, 2)]
    asked = draw(st.lists(st.sampled_from(cells), min_size=1, max_size=40))
    rows: list[Row] = []
    for item, judge, order in sorted(asked):
        p = draw(st.none() | chance)
        rows.append((item, judge, order, NONE, 0.5) if p is None else (item, judge, order, choice_of(p), p))
    seats = [(i, a) for i in range(items) for a in range(people)]
    said = draw(st.dictionaries(st.sampled_from(seats), st.sampled_from([1, 2, TIE, NONE]), min_size=1))
    names = tuple("abc"[: draw(st.integers(1, 3))])
    stratum = draw(st.lists(st.integers(0, len(names) - 1), min_size=items, max_size=items))
    counts = draw(st.none() | st.lists(st.integers(-1, 4), min_size=2 * items, max_size=2 * items))
    lengths: Ints | None = None if counts is None else np.array(counts, dtype=np.int64).reshape(items, 2)
    answers = [(i, a, choice) for (i, a), choice in sorted(said.items())]
    return material(
        rows, answers, items, judges=judges, annotators=people, strata=names, stratum=stratum, lengths=lengths
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(odd())
def test_no_material_is_too_odd(one: Material) -> None:
    found = looked(one, Settings(splits=2))
    if found["labelled"] > 1:
        looked(one, Settings(anchor=found["labelled"] - 1, splits=2))
