"""Labels do not hang on which completion is called first, to the last bit: the property tests that show it, run."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tables import Proof, Row, judged

ROOT = Path(__file__).resolve().parents[2]
TESTS = (  # of tests/judge: module, test
    ("test_verdict", "test_mirrored_verdicts_give_exactly_mirrored_chances"),
    ("test_pairwise", "test_a_label_does_not_depend_on_which_candidate_is_named_first"),
    ("test_pairwise", "test_exchanging_the_texts_of_two_candidates_exactly_mirrors_their_label"),
    ("test_label", "test_the_order_of_judgements_and_principles_changes_no_label"),
    ("test_label", "test_mirrored_verdicts_give_an_exactly_mirrored_label"),
    ("test_judging", "test_neither_arrival_nor_the_order_of_candidates_and_principles_changes_a_judgement"),
    ("test_grades", "test_changing_places_exactly_mirrors_a_preference"),
    ("test_strength", "test_mirrored_outcomes_give_exactly_negated_strengths"),
    ("test_strength", "test_strengths_do_not_depend_on_any_order"),
    ("test_pairs", "test_neither_the_order_of_labels_nor_of_candidates_changes_which_pairs_there_are"),
    ("test_anchor", "test_exchanging_any_items_completions_exchanges_its_chance_to_the_last_bit"),
    ("test_calibration", "test_exchanged_completions_give_exactly_the_mirrored_chance"),
    ("test_parsing", "test_exchanging_the_names_in_any_text_exchanges_the_outcome"),
)
SUMMARY = re.compile(r"^(PASSED|FAILED|ERROR) tests/judge/(\w+)\.py::(\w+)", re.M)


def order() -> Proof:
    """A test that is not there has not passed."""
    files = sorted({f"tests/judge/{module}.py" for module, _ in TESTS})
    chosen = " or ".join(test for _, test in TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-k", chosen, *files]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
    seen = Counter((module, test, outcome == "PASSED") for outcome, module, test in SUMMARY.findall(said))
    rows = []
    for module, test in TESTS:
        passed = seen[module, test, True] > 0 and not seen[module, test, False]
        cells = (f"`tests/judge/{module}.py`", test.removeprefix("test_").replace("_", " "))
        rows.append(Row(cells, "passes", judged(passed)))
    return Proof("Labels and the order of completions", "", ("test", "what holds"), tuple(rows))
