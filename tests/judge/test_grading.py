import asyncio
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.checks import MaxWords
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, TokenLogprob
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import Asking
from judge.grades import Grade
from judge.judging import Judged, Judging
from judge.modes import judge_candidates
from judge.pairwise import Juror
from judge.verdict import NoVerdict, Verdict

PROMPT = Prompt("p", (Message("user", "Why?"),), ("science",))
SHORT = Principle("short", "Be short.", check=MaxWords("max_words", 3))
KIND, PLAIN = Principle("kind", "Be kind."), Principle("plain", "Be plain.")
CONSTITUTION = Constitution("c", "C", "1", "", (SHORT, KIND, PLAIN))
MADE = Candidates(
    PROMPT,
    (
        Candidate("d0", "zero", "stop", "call", 0, 0),
        Candidate("r0", "zero revised", "stop", "call", 0, 1, "d0", "kind"),
        Candidate("d1", "one", "stop", "call", 1, 0),
    ),
)


def text_of(request: ChatRequest) -> str:
    return next(c.text for c in MADE.candidates if f"completion\n{c.text}\n" in request.messages[0].content)


def grading(p_yes: dict[str, float], fails: str = "") -> ScriptedModel:
    """A judge that says Yes with the chance given for each text."""

    def script(request: ChatRequest) -> ChatReply | CallFailure:
        text = text_of(request)
        if text == fails:
            return CallFailure("k", "timeout", "late")
        tokens = TokenLogprob("Yes", math.log(p_yes[text])), TokenLogprob("No", math.log1p(-p_yes[text]))
        return ChatReply("", "Yes", "stop", "m", first_token=tokens)

    return ScriptedModel(script)


EVEN = {"zero": 0.5, "zero revised": 0.9, "one": 0.2}


def judged(model: ScriptedModel, *more: Juror, constitution: Constitution = CONSTITUTION, **changes: Any) -> Judged:
    whole = {"principles": "all", "policy": "all", "asking": Asking(0), "mode": "pointwise", **changes}
    return asyncio.run(judge_candidates(MADE, constitution, Judging((Juror(model, "main"), *more), **whole)))


def test_every_candidate_is_graded_once_under_each_principle_that_no_check_decides() -> None:
    model = grading(EVEN)
    found = judged(model)
    assert [(m.candidate, m.principle) for m in found.grades] == [
        (c, p) for c in ("d0", "d1", "r0") for p in ("kind", "plain")
    ]
    assert len(model.calls) == len(set(model.calls)) == 3 * 2
    assert Counter(j.by for j in found.judgements) == {"check": 3, "grades": 6}
    assert all(j.backward is None and j.orders_agree is None for j in found.judgements)


def test_the_better_graded_is_preferred_and_equals_tie() -> None:
    found = judged(grading({**EVEN, "one": 0.5}), constitution=replace(CONSTITUTION, principles=(KIND,)))
    labels = {(label.a, label.b): label for label in found.labels}
    assert labels["d0", "r0"].preferred == labels["d1", "r0"].preferred == "r0"
    assert labels["d0", "r0"].p_a == pytest.approx(0.1)  # the odds 1 to 9
    assert (labels["d0", "d1"].p_a, labels["d0", "d1"].preferred) == (0.5, None)


def test_a_grade_that_failed_leaves_every_comparison_with_it_without_a_verdict() -> None:
    found = judged(grading(EVEN, fails="one"), constitution=replace(CONSTITUTION, principles=(KIND,)))
    said = {(j.a, j.b): j.forward for j in found.judgements}
    assert isinstance(said["d0", "r0"], Verdict)
    for couple in (("d0", "d1"), ("d1", "r0")):
        verdict = said[couple]
        assert isinstance(verdict, NoVerdict)
        assert verdict.reason == "error"
    assert [label.p_a is None for label in found.labels] == [True, False, True]
    assert sum(isinstance(mark.said, NoVerdict) for mark in found.grades) == 1


def test_one_principle_is_drawn_for_all_of_a_prompts_candidates() -> None:
    drawn = set()
    for n in range(12):
        model = grading(EVEN)
        judging = Judging((Juror(model),), "one", "all", Asking(n), "pointwise")
        found = asyncio.run(judge_candidates(MADE, CONSTITUTION, judging))
        assert len({mark.principle for mark in found.grades}) == 1
        assert len(model.calls) == 3
        drawn |= {mark.principle for mark in found.grades}
    assert drawn == {"kind", "plain"}


def test_each_judge_of_a_panel_grades_with_its_weight() -> None:
    other = grading({"zero": 0.9, "zero revised": 0.5, "one": 0.5})
    only_kind = replace(CONSTITUTION, principles=(KIND,))
    lightly, heavily = (judged(grading(EVEN), Juror(other, "other", w), constitution=only_kind) for w in (0.1, 10.0))
    assert Counter(mark.judge for mark in lightly.grades) == {"main": 3, "other": 3}
    assert [found.labels[1].preferred for found in (lightly, heavily)] == ["r0", "d0"]


def test_only_candidates_that_a_label_is_wanted_of_are_graded() -> None:
    model = grading(EVEN)
    found = judged(model, policy="revision-vs-draft", principles="one")
    assert {mark.candidate for mark in found.grades} == {"d0", "r0"}
    assert len(model.calls) == 2


def test_a_model_sees_the_share_of_prompts_that_it_is_given_and_checks_see_all() -> None:
    seen = 0
    for n in range(60):
        judging = Judging((Juror(grading(EVEN)),), "one", "all", Asking(0), "pointwise", share=0.4)
        made = replace(MADE, prompt=replace(PROMPT, id=f"p{n}"))
        found = asyncio.run(judge_candidates(made, CONSTITUTION, judging))
        assert sum(j.by == "check" for j in found.judgements) == 3
        assert len(found.grades) in (0, 3)
        seen += bool(found.grades)
    assert 12 < seen < 36


@pytest.mark.parametrize(("text", "value"), [("7", 7.0), ("Rating: 7/10", 7.0), ("Well, 7 or 8.", None)])
def test_a_judge_without_log_probs_is_asked_for_its_grade_in_words(text: str, value: float | None) -> None:
    model = ScriptedModel(lambda call: CallFailure("k", "unsupported", "") if call.top_logprobs else text)
    found = judged(model, principles="one", scale="1-10")
    assert len(model.calls) == 6
    assert {m.said.value if isinstance(m.said, Grade) else None for m in found.grades} == {value}
    assert {label.p_a for label in found.labels if label.decided_by != ("short",)} <= {0.5, None}


@given(st.dictionaries(st.sampled_from(sorted(EVEN)), st.floats(0.001, 0.999), min_size=3))
def test_opposite_grades_exactly_mirror_every_label(p_yes: dict[str, float]) -> None:
    """Yes and No change places, which negates every grade to within rounding; equal grades stay ties."""
    only_kind = replace(CONSTITUTION, principles=(KIND,))
    found = judged(grading(p_yes), constitution=only_kind)
    for label in found.labels:
        one, other = (next(c.text for c in MADE.candidates if c.id == name) for name in (label.a, label.b))
        assert label.p_a is not None
        exchanged = judged(grading({**p_yes, one: p_yes[other], other: p_yes[one]}), constitution=only_kind)
        again = next(found for found in exchanged.labels if (found.a, found.b) == (label.a, label.b))
        assert again.p_a == 1 - label.p_a
