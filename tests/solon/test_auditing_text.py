"""What a person is told of an audit: faults first, with what to do; then answers, with the digits that are known."""

from collections.abc import Mapping
from typing import Any

import pytest

from solon.auditing.answers import answers
from solon.auditing.findings import findings, warned
from solon.auditing.terminal import told
from solon.auditing.text import figure, shown

SPLIT = {"agreement": 0.7, "confidence": 0.9, "n": 200}


def estimate(name: str, value: float, off: float = 0.03, n: int = 200) -> dict[str, Any]:
    return {name: value, f"{name}_interval": [value - off, value + off], f"{name}_n": n}


def judge(
    accuracy: float = 0.85, off: float = 0.03, *, kappa: float = 0.7, same: float = 0.95, first: float = 0.5,
    ece: tuple[float, float] = (0.04, 0.02), longer: float = 0.5, answered: float = 1.0,
) -> dict[str, Any]:  # fmt: skip
    measured = [estimate("ece", value, 0.02) | {"curve": [SPLIT]} for value in ece]
    position = estimate("consistency", same) | estimate("fairness", 0.0) | estimate("first_slot", first)
    return (
        estimate("accuracy", accuracy, off)
        | estimate("answered", answered)
        | {
            "label": {"n": 200, "accuracy": accuracy} | estimate("kappa", kappa, 0.1),
            "position": {"items": 200, "first_both": 5, "second_both": 5} | position,
            "stability": None,
            "length": estimate("longer_preferred", longer),
            "calibration": {"chosen": {"name": "platt"}, "before": measured[0], "after": measured[1]},
            "kept": [],
        }
    )


def audit(judges: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    judges = {"one": judge()} if judges is None else judges
    people = {"pairwise": None, "kappa": None, "alpha": None} | estimate("left_out", 0.8)
    whole = {
        "verdicts": "V.csv", "labels": "L.csv", "items": 300, "labelled": 200, "annotators": 3, "notes": [],
        "judges": list(judges), "by_judge": judges, "best_judge": next(iter(judges), None), "warnings": [],
        "no_verdicts": {}, "people": people, "strata": {}, "anchored": None, "selective": None, "ppi": None,
        "budget": None, "alternative": {},
    }  # fmt: skip
    return whole | estimate("longer", 0.55) | estimate("people_longer", 0.52) | changes


def kinds(whole: Mapping[str, Any]) -> list[str]:
    return [finding.what for finding in findings(whole)]


def test_a_sound_judge_gives_rise_to_no_warning() -> None:
    assert findings(audit()) == ()


@pytest.mark.parametrize(
    ("poor", "what", "remedy"),
    [
        (judge(first=0.93), "Slot-bound", "use a stronger judge"),
        (judge(first=0.07), "Slot-bound", "use a stronger judge"),
        (judge(same=0.52), "Contradicts itself", "use a stronger judge"),
        (judge(0.3, kappa=-0.4), "Worse than chance", "Do not label with it"),
        (judge(0.6, kappa=0.05), "Not shown to be better than chance", "before more labels"),
        (judge(0.57), "Not shown to be better than always preferring the longer", "more items"),
        (judge(ece=(0.25, 0.03)), "Badly calibrated", "p_chosen"),
        (judge(ece=(0.25, 0.2)), "Badly calibrated, even calibrated", "Do not filter"),
        (judge(longer=0.8), "Fonder of length than people are", "like length"),
        (judge(answered=0.6), "Often without a verdict", "token limit"),
        (judge(off=0.15), "Too few labels", "200 give it to ±5"),
    ],
)
def test_a_fault_is_named_with_what_to_do(poor: dict[str, Any], what: str, remedy: str) -> None:
    found = findings(audit({"poor": poor}))
    assert [finding.what for finding in found] == [what]
    assert remedy in found[0].remedy


def test_a_judge_stands_under_its_gravest_fault_only() -> None:
    assert kinds(audit({"poor": judge(0.3, first=0.9, same=0.3, kappa=-0.5)})) == ["Slot-bound"]


def test_a_few_judgements_in_both_orders_say_nothing_of_the_slot() -> None:
    young = judge(first=0.93)
    young["position"]["items"] = 19
    assert kinds(audit({"young": young})) == []


def test_judges_of_one_fault_share_a_warning() -> None:
    found = findings(audit({"one": judge()} | {f"bad-{number}": judge(first=0.9) for number in range(9)}))
    assert len(found) == 1
    assert "bad-0 (the first slot in 90 %)" in found[0].fact
    assert "and 6 more" in found[0].fact


def test_a_weak_stratum_is_named() -> None:
    strata = {name: {"judges": {"one": judge(value)}} for name, value in (("easy", 0.9), ("hard", 0.6))}
    (found,) = findings(audit(strata=strata))
    assert "hard (60 %" in found.fact
    assert "easy" not in found.fact


def test_what_was_not_asked_is_said() -> None:
    once = judge()
    once["position"] = {"items": 0, "consistency": None, "fairness": None, "first_slot": None}
    nobody = {"pairwise": None, "kappa": None, "alpha": None, "left_out": None}
    assert kinds(audit({"once": once}, people=nobody)) == ["Asked in one order", "No ceiling"]


def test_the_audits_own_warnings_come_first_and_stand_for_what_the_figures_say_of_single_judges() -> None:
    own = audit({"poor": judge(first=0.93, longer=0.9)}, warnings=["Look here.", "Look here."])
    assert [finding.what or finding.fact for finding in warned(own)] == [
        "Look here.",
        "Fonder of length than people are",
    ]
    assert told(own).count("Look here.") == 1


def test_warnings_made_of_the_findings_are_not_said_twice() -> None:
    poor = audit({"poor": judge(first=0.93, longer=0.9)})
    assert warned(poor) == findings(poor)
    written = poor | {"warnings": ["Canaries won.", *map(str, findings(poor))]}
    assert [finding.fact for finding in warned(written)] == ["Canaries won.", *(one.fact for one in findings(poor))]


def test_a_judge_that_people_do_not_beat_is_as_good_as_they_are() -> None:
    assert "as good as people agree among themselves (80 % [77, 83])" in told(audit())


def test_a_judge_below_the_ceiling_is_told_by_how_much() -> None:
    assert "10 points less than people agree among themselves" in told(audit({"one": judge(0.70)}))


@pytest.mark.parametrize(("anchored", "told_so"), [(0.9, True), (0.8, False)])
def test_anchoring_is_advised_only_where_it_helps(anchored: float, told_so: bool) -> None:
    found = {"labels": 25, "accuracy": anchored, "best_single": 0.85}
    assert (
        "Anchor the judges on your labels: 25 of them gave 90 % on the rest, the best single judge 85 %"
        in answers(audit(anchored=found))[-1].words
    ) is told_so


def test_the_advice_of_a_judge_that_cannot_judge_is_not_to_label_with_it() -> None:
    advice = answers(audit({"poor": judge(first=0.93)}))[-1]
    assert (advice.state, "Do not label with it" in advice.words) == ("bad", True)


def test_a_threshold_is_told_with_what_it_promises() -> None:
    chosen = {"alpha": 0.2, "delta": 0.05, "threshold": 0.9, "accepted_share": 0.4}
    words = answers(audit(selective=chosen))[-1].words
    assert "confidence 0.90 or more agree with people in at least 80 % (with 95 % certainty); they are 40 %" in words


def on_all(labels: int, items: int, row: tuple[int, int], **more: Any) -> dict[str, Any]:
    """Prediction-powered figures of the judge "one", and how many labels ±5 points take."""
    accuracy = {"one": {"estimate": 0.72, "interval": [0.68, 0.76], "labels": labels, "items": items}}
    ppi = {"labels": labels, "items": items, "width_ratio": 1, "simulated": 0, "accuracy": accuracy} | more
    rows = [{"width": width, "with_judges": row[0], "human_only": row[1]} for width in (0.1, 0.2)]
    return {"ppi": ppi, "needed": {"win_rate": [], "accuracy": {"one": rows}}}


def test_how_many_labels_are_needed_is_told_with_the_judges_beside_them() -> None:
    asked = answers(audit(**on_all(100, 3000, (240, 310))))[3]
    assert asked.figure == "240 for ±5 points"
    assert "You have 100, which give the judge's accuracy on these 3,000 items to ±4 points" in asked.words
    assert "Labels alone would take 310" in asked.words
    assert "would take" not in answers(audit(**on_all(100, 3000, (310, 310))))[3].words
    tried = answers(audit(**on_all(25, 3000, (240, 310), simulated=9)))[3].words
    assert tried.startswith("25 of them would give")
    few = audit({"one": judge(off=0.15)}, **on_all(20, 3000, (240, 310)))
    assert "240 give it to ±5" in findings(few)[0].remedy


def test_where_all_items_are_labelled_or_nothing_else_is_known_labels_alone_count() -> None:
    assert answers(audit())[3].figure == answers(audit(**on_all(300, 300, (9, 9))))[3].figure == "200 for ±5 points"


def test_of_unevenly_drawn_labels_the_headline_is_the_corrected_accuracy_and_a_warning_stands_first() -> None:
    uneven = audit(drawn_unevenly=True, **on_all(100, 3000, (240, 310)))
    head = answers(uneven)[0]
    assert (head.state, head.figure) == ("careful", "72 % [68, 76]")
    assert "corrected for the uneven draw" in head.words
    assert findings(uneven)[0].what == "The labels were drawn unevenly"
    assert answers(audit({"one": judge(first=0.93)}, drawn_unevenly=True, **on_all(9, 99, (9, 9))))[0].state == "bad"
    assert answers(audit(drawn_unevenly=True))[0].state == "unknown"
    assert "None" not in told(uneven)


def test_names_from_a_file_move_no_cursor_and_break_no_line() -> None:
    hostile = "\x1b[2J\x1b]0;x\x07a\nb\u202ec\ud800"
    names = {hostile: judge(), f"{hostile}2": judge(first=0.9)}
    calm = told(audit({"one": judge(), "two": judge(first=0.9)}, no_verdicts={"why": 3}, notes=["x"]))
    wild = told(audit(names, no_verdicts={hostile: 3}, notes=[hostile]))
    assert wild.count("\n") == calm.count("\n")
    assert all(line.isprintable() for line in wild.split("\n"))


def test_however_many_judges_the_terminal_stays_short() -> None:
    many = {f"judge-{number}": judge(first=0.9, ece=(0.3, 0.3)) for number in range(65)}
    lines = told(audit(many, warnings=[f"w{n}" for n in range(20)], notes=["n"] * 20, no_verdicts={"x": 1})).split("\n")
    assert len(lines) <= 32
    assert "and 59 more judges" in lines


def test_judges_are_listed_from_best_to_worst_and_the_unknown_last() -> None:
    unknown = judge() | {"accuracy": None, "accuracy_interval": None}
    lines = told(audit({"good": judge(0.9), "unknown": unknown, "poor": judge(0.6), "fair": judge(0.8)})).split("\n")
    table = lines[next(at for at, line in enumerate(lines) if line.startswith("judge ")) + 1 :]
    assert [line.split()[0] for line in table] == ["good", "fair", "poor", "unknown"]


@pytest.mark.parametrize(
    ("record", "share", "expected"),
    [
        ({"x": 0.8449, "x_interval": [0.79, 0.89]}, True, "84 % [79, 89]"),
        ({"x": 0.8449, "x_interval": [0.841, 0.849]}, True, "84.5 % [84.1, 84.9]"),
        ({"x": 0.8449, "x_interval": [0.79, 0.89]}, False, "0.84 [0.79, 0.89]"),
        ({"x": -0.0001, "x_interval": [-0.001, 0.1]}, False, "0.00 [0.00, 0.10]"),
        ({"x": 0.5, "x_interval": [0.5, 0.5]}, True, "50 % [50, 50]"),
        ({"x": 0.5}, True, "50 %"),
        ({"x": None}, True, "–"),
        ({}, True, "–"),
    ],
)
def test_a_figure_has_the_digits_that_its_interval_deserves(record: dict[str, Any], share: bool, expected: str) -> None:
    assert figure(record, "x", share=share) == expected


def test_an_audit_without_a_verdict_on_a_labelled_item_says_so() -> None:
    nobody = audit({}, labelled=0)
    assert kinds(nobody) == ["No labels to compare with"]
    assert "None" not in told(nobody)


def test_a_long_name_keeps_its_end() -> None:
    assert shown("a" * 100 + "/style-2").endswith("/style-2")
    assert len(shown("a" * 100)) == 60
