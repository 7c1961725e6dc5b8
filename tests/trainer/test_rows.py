"""Rows keep what TRL needs and where it came from; the split never divides a prompt."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.candidates import Candidate
from generator.chat import Message
from generator.prompts import Prompt
from judge.pairs import PreferencePair
from trainer.pairs.rows import COLUMNS, Origin, columns, is_test, training_row

PROMPT = Prompt("q1", (Message("system", "Be brief."), Message("user", "Why is the sky blue?")))
SHORT = Candidate("c1", "Air scatters blue light most.", "stop", "k1", 0, 1, revises="c2")
LONG = Candidate("c2", "Well, that is a long story.", "stop", "k2", 0, 0)
PAIR = PreferencePair("p1", PROMPT, SHORT, LONG, 0.75, 0.5, ("brief", "plain"), None)


def test_the_system_message_stays_in_the_prompt_and_each_completion_is_one_assistant_message() -> None:
    row = training_row(PAIR, Origin("[]", (), False))
    assert row.prompt == PROMPT.messages
    assert row.chosen == (Message("assistant", SHORT.text),)
    assert row.rejected == (Message("assistant", LONG.text),)


def test_a_table_holds_messages_as_objects_and_provenance_beside_them() -> None:
    verdicts = json.dumps({"brief": 1.0})
    table = columns(
        [
            training_row(PAIR, Origin(verdicts, (), False)),
            training_row(replace(PAIR, id="p2", orders_agree=True), Origin("{}", (), False)),
        ]
    )
    assert table["chosen"][0] == [{"role": "assistant", "content": SHORT.text}]
    assert table["prompt"][0] == [{"role": m.role, "content": m.content} for m in PROMPT.messages]
    assert table["pair_id"] == ["p1", "p2"]
    assert table["orders_agree"] == [None, True]
    assert table["decided_by"][0] == ["brief", "plain"]
    assert table["verdicts"] == [verdicts, "{}"]
    assert (table["chosen_id"][0], table["rejected_id"][0], table["prompt_id"][0]) == ("c1", "c2", "q1")


def test_a_row_tells_whether_its_chosen_completion_is_a_revision() -> None:
    assert training_row(PAIR, Origin("[]", (), False)).revised
    assert not training_row(replace(PAIR, chosen=LONG, rejected=SHORT), Origin("[]", (), False)).revised


def test_a_table_without_rows_still_has_every_column() -> None:
    assert columns([]) == {name: [] for name in COLUMNS}


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_completion_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="p1: a completion is empty"):
        training_row(replace(PAIR, rejected=replace(LONG, text=text)), Origin("[]", (), False))


def test_two_completions_that_are_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="p1: chosen and rejected are the same"):
        training_row(replace(PAIR, rejected=replace(LONG, text=SHORT.text)), Origin("[]", (), False))


@given(st.text(), st.integers(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_only_adds_prompts_to_the_test_side(prompt: str, seed: int, a: float, b: float) -> None:
    smaller, larger = sorted((a, b))
    assert is_test(prompt, seed, smaller) == is_test(prompt, seed, smaller)
    assert is_test(prompt, seed, larger) or not is_test(prompt, seed, smaller)


@given(st.text(), st.integers())
def test_no_share_holds_nothing_out_and_the_whole_holds_everything_out(prompt: str, seed: int) -> None:
    assert not is_test(prompt, seed, 0.0)
    assert is_test(prompt, seed, 1.0)


def test_the_share_held_out_is_about_the_share_asked_for_and_the_seed_decides_which() -> None:
    held = [{i for i in range(2000) if is_test(f"q{i}", seed, 0.25)} for seed in (0, 1)]
    assert all(430 < len(prompts) < 570 for prompts in held)
    assert held[0] != held[1]


def test_every_row_of_a_prompt_stands_on_the_same_side() -> None:
    pairs = [replace(PAIR, id=f"p{i}", prompt=replace(PROMPT, id=f"q{i % 20}")) for i in range(100)]
    rows = [training_row(pair, Origin("[]", (), False)) for pair in pairs]
    held = {row.prompt_id for row in rows if is_test(row.prompt_id, 3, 0.4)}
    kept = {row.prompt_id for row in rows if not is_test(row.prompt_id, 3, 0.4)}
    assert held
    assert kept
    assert held.isdisjoint(kept)
