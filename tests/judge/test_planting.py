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
from judge.canaries import CanaryCount, planted_in
from judge.judging import Judging, Mode
from judge.pairwise import Juror
from judge.planting import Planted, judge_canaries

ASKING = Asking(0)
PROMPT = Prompt("p", (Message("user", "Why?"),))
SHORT = Principle("short", "Be short.", check=MaxWords("max_words", 3))
ASKED = tuple(Principle(f"asked-{n}", f"Rule {n}.") for n in range(4))
CONSTITUTION = Constitution("c", "C", "1", "", (SHORT, *ASKED))
MADE = Candidates(
    PROMPT,
    (
        Candidate("d0", "draft zero", "stop", "call", 0, 0),
        Candidate("r0", "revised zero", "stop", "call", 0, 1, "d0", "short"),
        Candidate("d1", "draft one", "stop", "call", 1, 0),
    ),
)


def planted(model: ScriptedModel, *more: Juror, share: float = 1.0, made: Candidates = MADE,
            constitution: Constitution = CONSTITUTION, asking: Asking = ASKING,
            mode: Mode = "pairwise") -> tuple[Planted, ...]:  # fmt: skip
    judging = Judging((Juror(model, "main"), *more), "all", "all", asking, mode)
    return asyncio.run(judge_canaries(made, constitution, judging, share))


def obeying(request: ChatRequest) -> str:
    """Gives its verdict to what says something to the judge, else to the first."""
    one = request.messages[0].content.split("=== ")[2]
    other = request.messages[0].content.split("=== ")[3]
    return "2" if len(other) > len(one) else "1"


def test_each_judge_is_shown_each_canary_beside_a_draft_in_both_orders_under_one_principle() -> None:
    main, other = ScriptedModel(obeying), ScriptedModel(lambda request: "2")
    found = planted(main, Juror(other, "other", 2.0))
    assert [(p.canary.kind, p.judgement.judge) for p in found] == [
        ("null", "main"), ("null", "other"), ("injected", "main"), ("injected", "other"),
    ]  # fmt: skip
    assert len(main.calls) == len(other.calls) == 4
    assert len({p.judgement.principle for p in found}) == 1
    for one in found:
        assert one.canary.real.id in ("d0", "d1")
        assert {one.judgement.a, one.judgement.b} == {one.canary.real.id, one.canary.planted.id}


def test_nothing_is_planted_where_no_model_judges_or_nothing_was_drawn() -> None:
    model = ScriptedModel(obeying)
    assert planted(model, constitution=replace(CONSTITUTION, principles=(SHORT,))) == ()
    assert planted(model, share=0.0) == ()
    nothing_said = replace(MADE, candidates=(replace(MADE.candidates[0], text=" "),))
    assert planted(model, made=nothing_said) == ()
    assert model.calls == []


def test_a_share_of_all_prompts_has_canaries_and_their_count_is_known_before() -> None:
    for n in range(40):
        made = replace(MADE, prompt=replace(PROMPT, id=f"p{n}"))
        assert len(planted(ScriptedModel(obeying), share=0.3, made=made)) == planted_in(f"p{n}", 0, 0.3)


@given(st.permutations(MADE.candidates), st.permutations(CONSTITUTION.principles))
def test_neither_the_order_of_candidates_nor_of_principles_changes_what_is_planted(candidates, principles) -> None:
    made, constitution = (
        replace(MADE, candidates=tuple(candidates)),
        replace(CONSTITUTION, principles=tuple(principles)),
    )
    assert planted(ScriptedModel(obeying), made=made, constitution=constitution) == planted(ScriptedModel(obeying))


def test_the_judge_is_asked_as_it_is_about_real_candidates() -> None:
    model = ScriptedModel(lambda request: "3" if request.choices else "Well.")
    found = planted(model, asking=Asking(0, ties=True, reasons=20))
    assert {call.choices for call in model.calls} == {(), ("1", "2", "3", "4")}
    assert {p.judgement.p_a for p in found} == {0.5}


@pytest.mark.parametrize(
    ("script", "null", "injected"),
    [
        (obeying, 40, 40),
        (lambda request: "1", 0, 0),
        (lambda request: CallFailure("k", "timeout", "late"), None, None),
    ],
    ids=["likes what is long", "always 1", "fails"],
)
def test_what_judges_say_of_canaries_adds_up(script: Any, null: int | None, injected: int | None) -> None:
    count = CanaryCount()
    for n in range(40):
        made = replace(MADE, prompt=replace(PROMPT, id=f"p{n}"))
        for one in planted(ScriptedModel(script), made=made):
            count.add(one.canary, one.judgement)
    told = count.told()
    assert (told.null.asked, told.injected.asked) == (40, 40)
    for tally, preferred in ((told.null, null), (told.injected, injected)):
        assert (tally.heard, tally.preferred) == ((0, 0) if preferred is None else (40, preferred))
    assert (told.warning is None) is (not null)


def test_a_judge_that_grades_grades_what_is_planted_too() -> None:
    model = ScriptedModel(lambda request: "Yes" if "noted and looked at" in request.messages[0].content else "No")
    found = planted(model, mode="pointwise")
    assert {p.judgement.by for p in found} == {"grades"}
    assert all(call.choices == ("Yes", "No") for call in model.calls)
    assert all(len(p.marks) == 2 and {mark.candidate for mark in p.marks} >= {p.canary.real.id} for p in found)
