"""What the words of several people on one item come to."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.audit.table import NONE, TIE, Labels, Material, Verdicts, human_choice
from judge.review.cells import from_cell, to_cell
from judge.review.merge import Merged, Voice, merge
from judge.review.records import CHOICES, Choice


def voices(*choices: Choice) -> list[Voice]:
    return [Voice(f"p{n}", choice) for n, choice in enumerate(choices)]


@pytest.mark.parametrize(
    ("choices", "merged"),
    [
        (["1"], "1"),
        (["1", "2", "2"], "2"),
        (["1", "2"], "tie"),
        (["both bad"], "both bad"),
        (["both good", "both good", "1"], "both good"),
        (["both good", "both bad"], "tie"),
        (["both good", "both bad", "both bad"], "both bad"),
        (["tie", "both bad"], "tie"),
        (["1", "both bad"], "tie"),
        (["1", "1", "both bad", "tie"], "tie"),
        (["1", "1", "both bad", "2"], "1"),
    ],
)
def test_most_decide_and_ties_keep_their_kind_where_most_who_tie_name_it(choices: list[Choice], merged: Choice) -> None:
    for order in permutations(voices(*choices)):
        found = merge(order)
        assert found
        assert found.choice == merged


def test_an_adjudicator_decides_over_any_majority_and_everybodys_word_is_counted() -> None:
    said = [Voice("ann", "1", 4), Voice("ben", "1", 2), Voice("cleo", "2", 3)]
    assert merge(said) == Merged("1", 3, 2, 3.0)
    assert merge(said, Voice("dora", "2")) == Merged("2", 4, 2, 3.0, adjudicated=True)
    assert merge(said, Voice("ann", "2")) == Merged("2", 3, 2, 3.0, adjudicated=True)
    assert merge([], Voice("dora", "both bad")) == Merged("both bad", 1, 1, None, adjudicated=True)
    assert merge([]) is None


@given(st.lists(st.sampled_from(CHOICES), min_size=1, max_size=7), st.sampled_from([None, *CHOICES]))
def test_the_audit_takes_the_same_choice(choices: list[Choice], decision: Choice | None) -> None:
    number = {"1": 1, "2": 2}
    no, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    said = np.array([number.get(choice, TIE) for choice in choices])
    over = np.array([NONE if decision is None else number.get(decision, TIE)])
    many = tuple(map(str, range(len(choices))))
    labels = Labels(many, np.zeros(len(choices), int), np.arange(len(choices)), said, decided=over)
    verdicts = Verdicts((), no, no, no, no, nothing, np.zeros(0, dtype=np.bool_), {})
    material = Material(("item",), verdicts, labels, ("all",), np.zeros(1, int), None)
    found = merge(voices(*choices), Voice("lead", decision) if decision else None)
    assert found
    assert human_choice(material).tolist() == [number.get(found.choice, TIE)]


@given(st.text())
def test_a_cell_is_never_a_formula_and_gives_its_text_back(text: str) -> None:
    cell = to_cell(text)
    assert from_cell(cell) == text
    assert to_cell(f"={text}") == f"'={text}"
    if cell == text:
        try:
            float(text)
        except ValueError:
            assert not text.lstrip().startswith(("=", "+", "-", "@"))
            assert not text.startswith(("\t", "\r", "\n"))


@pytest.mark.parametrize("text", ["-1", "+2.5", "1e-05", "0.5", "1763650000.25", "", "ann", "a=b"])
def test_plain_numbers_and_plain_words_stay_as_they_are(text: str) -> None:
    assert to_cell(text) == text
