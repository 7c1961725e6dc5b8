"""Several judges on one couple."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.checks import MaxWords
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates
from generator.chat import CallFailure, ChatRequest, Message
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import Asking
from judge.judging import Cascade, Judged, Judging
from judge.label import label
from judge.modes import judge_candidates
from judge.pairs import build_pairs
from judge.pairwise import Juror
from judge.verdict import Judgement, NoVerdict, Verdict

PROMPT = Prompt("p", (Message("user", "Why?"),))
KIND, PLAIN = Principle("kind", "Be kind."), Principle("plain", "Be plain.", weight=2.0)
SHORT = Principle("short", "Be short.", check=MaxWords("max_words", 1), hard=True)
CONSTITUTION = Constitution("c", "C", "1", "", (KIND,))
MADE = Candidates(PROMPT, tuple(Candidate(c, f"text {c}", "stop", "call", n, 0) for n, c in enumerate("ab")))


def prefers(text: str) -> ScriptedModel:
    """A judge without log-probs that prefers the completion which is that text."""

    def script(request: ChatRequest) -> str:
        return "1" if request.messages[0].content.split("=== ")[2].split("\n")[1] == text else "2"

    return ScriptedModel(script)


def says(text: str) -> ScriptedModel:
    return ScriptedModel(lambda request: text)


TIES = Asking(0, ties=True)


def judged(*jurors: Juror, asking: Asking = TIES, constitution: Constitution = CONSTITUTION, **changes: Any) -> Judged:
    return asyncio.run(judge_candidates(MADE, constitution, Judging(jurors, "all", "all", asking, **changes)))


def test_every_judge_is_asked_and_every_word_is_kept_with_its_name_and_weight() -> None:
    found = judged(Juror(prefers("text a"), "one"), Juror(prefers("text b"), "two", 3.0))
    assert [(j.judge, j.weight, j.p_a) for j in found.judgements] == [("one", 1.0, 1.0), ("two", 3.0, 0.0)]
    assert found.labels[0].p_a == 0.25
    assert found.labels[0].orders_agree is True


def test_a_judge_without_a_verdict_leaves_the_label_to_the_others_and_is_no_tie() -> None:
    failing = ScriptedModel(lambda request: CallFailure("k", "timeout", "late"))
    found = judged(Juror(prefers("text a"), "one"), Juror(failing, "two", 9.0))
    assert found.labels[0].p_a == 1.0
    assert judged(Juror(failing, "one"), Juror(failing, "two")).labels[0].p_a is None


def drops(found: Judged) -> list[str]:
    return [drop.reason for drop in build_pairs(MADE, found.labels, "all", 0.0, found.ranking).drops]


@pytest.mark.parametrize("mode", ["pairwise", "ranked"])
def test_a_pair_that_every_judge_finds_bad_in_both_orders_is_dropped_by_that_name(mode: str) -> None:
    assert drops(judged(Juror(says("4"), "one"), Juror(says("Both are bad."), "two"), mode=mode)) == ["both bad"]
    assert drops(judged(Juror(says("4"), "one"), Juror(says("3"), "two"), mode=mode)) == ["tie"]
    assert drops(judged(Juror(says("4"), "one"), Juror(prefers("text a"), "two"), mode=mode)) == []


def test_both_bad_in_one_order_alone_is_not_both_bad() -> None:
    def script(request: ChatRequest) -> str:
        return "4" if request.messages[0].content.split("=== ")[2].split("\n")[1] == "text a" else "1"

    found = judged(Juror(ScriptedModel(script)))
    assert drops(found) == []
    assert found.labels[0].p_a == 0.25  # b is preferred where it stands first


def test_both_bad_drops_what_a_check_prefers_too() -> None:
    made = replace(MADE, candidates=(replace(MADE.candidates[0], text="a"), MADE.candidates[1]))
    judging = Judging((Juror(says("4")),), "all", "all", TIES)
    found = asyncio.run(judge_candidates(made, replace(CONSTITUTION, principles=(SHORT, KIND)), judging))
    assert found.labels[0].p_a == 1.0
    assert [drop.reason for drop in build_pairs(made, found.labels, "all", 0.0).drops] == ["both bad"]
    only_checks = asyncio.run(judge_candidates(made, replace(CONSTITUTION, principles=(SHORT,)), judging))
    assert not only_checks.labels[0].both_bad


def test_a_number_that_was_not_offered_is_no_verdict() -> None:
    found = judged(Juror(says("3")), asking=Asking(0))
    assert found.labels[0].p_a is None


def test_an_unheard_word_counts_neither_for_both_bad_nor_for_agreement() -> None:
    first = Cascade(Juror(says("1"), "cheap"), 0.8)
    found = judged(Juror(says("4"), "dear"), first=first)
    assert [(j.judge, j.heard, j.orders_agree) for j in found.judgements] == [
        ("cheap", False, False),
        ("dear", True, True),
    ]
    assert (found.labels[0].both_bad, found.labels[0].orders_agree) == (True, True)


VERDICTS = st.builds(
    lambda p, tie, bad: Verdict(round(p * 2**53) / 2**53, "", tie=tie, both_bad=bad),
    st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.7]), st.sampled_from([0.0, 0.2, 0.9]),
) | st.just(NoVerdict("error", ""))  # fmt: skip
JUDGEMENTS = st.lists(
    st.tuples(VERDICTS, VERDICTS, st.sampled_from(["kind", "plain"]), st.floats(0.01, 100), st.booleans()),
    min_size=1, max_size=6,
)  # fmt: skip


@given(JUDGEMENTS, st.randoms())
def test_a_panels_label_is_exactly_mirrored_and_hangs_on_no_order(said, chances) -> None:
    constitution = replace(CONSTITUTION, principles=(KIND, PLAIN))
    straight = [
        Judgement("a", "b", principle, "model", one, other, f"judge {n}", weight, heard)
        for n, (one, other, principle, weight, heard) in enumerate(said)
    ]
    mirrored = [replace(j, forward=j.backward, backward=j.forward) for j in straight]
    shuffled = list(straight)
    chances.shuffle(shuffled)
    found, turned = (label("a", "b", js, constitution) for js in (straight, mirrored))
    assert label("a", "b", shuffled, constitution) == found
    assert turned.p_a == (None if found.p_a is None else 1 - found.p_a)
    assert (turned.orders_agree, turned.both_bad, turned.margin) == (found.orders_agree, found.both_bad, found.margin)
