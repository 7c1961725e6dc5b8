"""A completion's reward by a constitution's checks: a share of what it keeps, and none where nobody judged."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.checks import EndsSentence, MaxWords, OnSubject
from constitution.principle import Constitution, Principle
from generator.chat import Message
from generator.prompts import Prompt
from trainer.rewards import CheckReward, combined

SHORT = Principle("short", "At most four words.", check=MaxWords("max_words", 4), weight=3.0)
FINISHED = Principle("finished", "It ends.", check=EndsSentence("ends_sentence"))
SUBJECT = Principle("subject", "On the subject.", check=OnSubject("on_subject"), applies_to=("factual",))
KIND = Principle("kind", "It is kind.")


def constitution(*principles: Principle) -> Constitution:
    return Constitution("plain", "", "1", "", principles)


def prompt(text: str, *tags: str) -> Prompt:
    return Prompt("p", (Message("user", text),), tags)


def test_checks_are_weighed_and_only_those_that_apply() -> None:
    reward = CheckReward(constitution(SHORT, FINISHED, SUBJECT))
    plain, factual = prompt("Why do volcanoes erupt?"), prompt("Why do volcanoes erupt?", "factual")
    said = ["Pressure builds up.", "Pressure builds up", "A great deal of gas wants out.", "Volcanoes let gas out."]
    assert reward([plain] * 4, said) == [1.0, 0.75, 0.25, 1.0]
    assert reward([factual] * 4, said) == [0.8, 0.6, 0.2, 1.0]


def test_a_name_changes_with_whatever_changes_the_rewards() -> None:
    names = {
        CheckReward(constitution(*principles)).name
        for principles in ([SHORT], [FINISHED], [replace(SHORT, weight=2.0)], [replace(SHORT, hard=True)])
    }
    assert len(names) == 4
    assert all(re.fullmatch(r"checks of plain \(\w{8}\)", name) for name in names)


def test_nothing_makes_up_for_a_broken_hard_principle() -> None:
    reward = CheckReward(constitution(SHORT, replace(FINISHED, hard=True)))
    assert reward([prompt("Hi")] * 2, ["Good day", "Good day, and what a fine one it is."]) == [0.0, 0.25]


def test_a_principle_that_nobody_judged_leaves_no_reward_rather_than_a_low_one() -> None:
    assert CheckReward(constitution(SHORT, KIND))([prompt("Hi")], ["Good day."]) == [None]
    assert CheckReward(constitution(SUBJECT))([prompt("Hi")], ["Good day."]) == [None]
    assert combined([SHORT, KIND], {"short": 0.0, "kind": None}) is None


def test_as_many_prompts_as_completions_are_asked_about() -> None:
    with pytest.raises(ValueError, match="zip"):
        CheckReward(constitution(SHORT))([prompt("Hi")], [])


VALUES = st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 9), st.booleans()), min_size=1, max_size=6)


@given(VALUES)
def test_a_reward_stays_between_the_values_it_is_made_of_in_any_order(
    values: list[tuple[float, float, bool]],
) -> None:
    principles = [Principle(str(n), "", weight=weight, hard=hard) for n, (_, weight, hard) in enumerate(values)]
    said = {str(n): value for n, (value, _, _) in enumerate(values)}
    reward = combined(principles, said)
    assert reward is not None
    assert min(said.values()) - 1e-9 <= reward <= max(said.values()) + 1e-9
    assert all(reward <= said[p.id] for p in principles if p.hard)
    assert combined(principles[::-1], said) == pytest.approx(reward, abs=1e-12)
