import asyncio
import math
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
from judge.cascade import Trial, Trust, candidates, try_out
from judge.judging import Cascade, Judged, Judging
from judge.modes import judge_candidates
from judge.pairwise import Juror
from judge.verdict import Judgement, NoVerdict, Verdict

PROMPT = Prompt("p", (Message("user", "Why?"),))
PRINCIPLE = Principle("kind", "Be kind.")
SHORT = Principle("short", "Be short.", check=MaxWords("max_words", 3))
CONSTITUTION = Constitution("c", "C", "1", "", (PRINCIPLE, SHORT))
MADE = Candidates(PROMPT, tuple(Candidate(c, f"text {c}", "stop", "call", n, 0) for n, c in enumerate("ab")))


def leaning(p_a: float, slot: float = 0.0) -> ScriptedModel:
    """A judge that gives ``text a`` (or "good") that chance, and the slot shown first ``slot`` more."""

    def script(request: ChatRequest) -> ChatReply:
        shown = request.messages[0].content.split("=== ")[2]
        p_first = (p_a if "text a" in shown or "good" in shown else 1 - p_a) + slot
        tokens = TokenLogprob("1", math.log(p_first)), TokenLogprob("2", math.log1p(-p_first))
        return ChatReply("", "", "stop", "m", first_token=tokens)

    return ScriptedModel(script)


def cascaded(cheap: ScriptedModel, dear: ScriptedModel, sure: float = 0.8, **changes: Any) -> Judging:
    return Judging(
        (Juror(dear, "dear"),), "all", "all", Asking(0), first=Cascade(Juror(cheap, "cheap"), sure), **changes
    )


def judged(cheap: ScriptedModel, dear: ScriptedModel, **changes: Any) -> Judged:
    return asyncio.run(judge_candidates(MADE, CONSTITUTION, cascaded(cheap, dear, **changes)))


@pytest.mark.parametrize("mode", ["pairwise", "ranked"])
def test_a_cheap_judge_that_is_consistent_and_sure_has_the_last_word(mode: str) -> None:
    cheap, dear = leaning(0.95), leaning(0.05)
    found = judged(cheap, dear, mode=mode)
    assert (len(cheap.calls), len(dear.calls)) == (2, 0)
    assert [(j.judge, j.heard) for j in found.judgements if j.by == "model"] == [("cheap", True)]
    assert found.labels[0].preferred == "a"


@pytest.mark.parametrize(
    ("cheap", "why"),
    [
        (leaning(0.75), "unsure"),
        (leaning(0.5, 0.45), "its orders disagree"),
        (ScriptedModel(lambda request: "1"), "it always says 1"),
        (ScriptedModel(lambda request: "Who knows."), "no verdict"),
        (ScriptedModel(lambda request: CallFailure("k", "timeout", "late")), "failed"),
    ],
)
def test_where_it_is_not_the_others_are_asked_and_its_word_is_kept_unheard(cheap: ScriptedModel, why: str) -> None:
    dear = leaning(0.1)
    found = judged(cheap, dear)
    assert len(dear.calls) == 2
    assert [(j.judge, j.heard) for j in found.judgements if j.by == "model"] == [("cheap", False), ("dear", True)]
    alone = asyncio.run(judge_candidates(MADE, CONSTITUTION, replace(cascaded(cheap, dear), first=None)))
    assert found.labels == alone.labels
    assert found.labels[0].preferred == "b"


def test_checks_are_heard_beside_a_cascade() -> None:
    found = judged(leaning(0.95), leaning(0.5))
    assert [(j.principle, j.by) for j in found.judgements] == [("kind", "model"), ("short", "check")]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.5, 1))
def test_what_settles_a_couple_settles_it_whichever_is_named_first(
    forward: float, backward: float, sure: float
) -> None:
    one = Judgement("a", "b", "p", "model", Verdict(forward, ""), Verdict(backward, ""))
    other = Judgement("a", "b", "p", "model", Verdict(backward, ""), Verdict(forward, ""))
    cascade = Cascade(Juror(leaning(0.5)), sure)
    assert cascade.settles(one) is cascade.settles(other)


def test_exactly_as_sure_as_asked_for_is_enough() -> None:
    said = Judgement("a", "b", "p", "model", Verdict(0.75, ""), Verdict(0.25, ""))
    assert Cascade(Juror(leaning(0.5)), 0.75).settles(said)
    assert not Cascade(Juror(leaning(0.5)), 0.76).settles(said)
    assert not Cascade(Juror(leaning(0.5)), 0.5).settles(replace(said, backward=NoVerdict("error", "")))


def test_where_its_orders_disagree_it_settles_nothing_however_sure_it_is_of_one_of_them() -> None:
    said = Judgement("a", "b", "p", "model", Verdict(0.99, ""), Verdict(0.6, ""))
    assert said.p_a == pytest.approx(0.695)
    assert not Cascade(Juror(leaning(0.5)), 0.6).settles(said)
    assert Cascade(Juror(leaning(0.5)), 0.6).settles(replace(said, backward=Verdict(0.4, "")))


def trial(n: int, choice: Any = 1) -> Trial:
    texts = ("good", "bad") if choice in (1, "tie") else ("bad", "good")
    return Trial(Prompt(f"t{n}", (Message("user", f"Why {n}?"),)), texts, choice)


def tried(trials: list[Trial], cheap: ScriptedModel, least: float = 0.8, **changes: Any) -> Trust:
    judging = cascaded(cheap, leaning(0.5), **changes)
    return asyncio.run(try_out(trials, CONSTITUTION, judging, least))


def test_a_judge_that_people_agree_with_is_trusted_and_one_that_they_do_not_is_not() -> None:
    trials = [trial(n, 1 + n % 2) for n in range(4)]
    assert tried(trials, leaning(0.9)) == Trust(4, 4, 4, 0.8)
    against = tried(trials, leaning(0.1))
    assert against == Trust(4, 4, 0, 0.8)
    assert not against.earned
    assert against.told() == (
        "cascade: OFF: its first judge, where consistent and sure, is right in 0 of 4 judgements, and 80% are asked "
        "for; the other judges judge everything"
    )
    assert (
        tried(trials, leaning(0.9))
        .told()
        .endswith("of 4 labelled trials; too few to tell anything: give it more trials")
    )


def test_only_what_it_would_have_settled_counts_and_nothing_speaks_against_it_where_nothing_would() -> None:
    trials = [trial(n) for n in range(3)]
    for unsure in (leaning(0.7), leaning(0.5, 0.4), ScriptedModel(lambda request: "Hm.")):
        trust = tried(trials, unsure)
        assert (trust.settled, trust.right, trust.earned) == (0, 0, True)


def test_a_preference_where_people_see_a_tie_is_not_right() -> None:
    trust = tried([trial(0), trial(1, "tie")], leaning(0.9), least=0.6)
    assert (trust.settled, trust.right, trust.earned) == (2, 1, False)


def test_just_the_share_that_is_asked_for_is_enough() -> None:
    trials = [trial(n) for n in range(3)] + [trial(9, "tie")]
    assert tried(trials, leaning(0.9), least=0.75).earned
    assert not tried(trials, leaning(0.9), least=0.76).earned


@pytest.mark.parametrize("changes", [{"share": 0.0}, {"mode": "ranked", "tournament": "adaptive"}])
def test_trials_are_judged_whatever_the_run_leaves_out(changes: dict[str, Any]) -> None:
    cheap = leaning(0.9)
    assert tried([trial(0), trial(1)], cheap, **changes).settled == 2
    assert len(cheap.calls) == 4


@given(st.permutations([trial(n, choice) for n, choice in enumerate((1, 2, 1, "tie"))]))
def test_trust_does_not_hang_on_the_order_of_trials_or_of_their_completions(trials: list[Trial]) -> None:
    turned = [
        Trial(t.prompt, (t.completions[1], t.completions[0]), "tie" if t.choice == "tie" else 1 if t.choice == 2 else 2)
        for t in trials
    ]
    assert tried(trials, leaning(0.9)) == tried(turned, leaning(0.9)) == Trust(4, 4, 3, 0.8)


def test_the_two_completions_of_a_trial_have_names_of_their_own_even_where_their_texts_are_one() -> None:
    one, other = candidates(Trial(PROMPT, ("same", "same"), 1))
    assert one.id != other.id
