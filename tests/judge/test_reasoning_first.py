import asyncio
import math
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from constitution.principle import Example, Principle
from generator.candidates import Candidate
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, Outcome, TokenLogprob, call_key
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import (
    ASK,
    ASK_WITH_TIES,
    REASON,
    Asking,
    after_reasoning,
    rationale_request,
    verdict_request,
)
from judge.pairwise import Juror, clamped, judge_pairwise, spoken
from judge.verdict import Judgement, NoVerdict, Verdict

PROMPT = Prompt("p", (Message("user", "Why?"),))
PRINCIPLE = Principle("kind", "Be kind.", examples=(Example("Q", "good", "bad"),))
A, B = (Candidate(name, text, "stop", "call", n, 0) for n, (name, text) in enumerate((("a", "A!"), ("b", "B!"))))
ASKING = Asking(7, reasons=33, clamp=0.6)
ARGUED = "Completion 1 is warm, completion 2 is cold."


def certain(request: ChatRequest, reasons: object = ARGUED, p_first: float = 0.99) -> object:
    if not request.choices:
        return reasons
    tokens = TokenLogprob("1", math.log(p_first)), TokenLogprob("2", math.log1p(-p_first))
    return ChatReply("", "1", "stop", "m", first_token=tokens)


def judged(script: object, asking: Asking = ASKING) -> tuple[Judgement, ScriptedModel]:
    model = ScriptedModel(script)  # type: ignore[arg-type]
    return asyncio.run(judge_pairwise(PROMPT, A, B, PRINCIPLE, Juror(model), asking)), model


def test_the_judge_reasons_and_then_gives_its_label_in_a_call_that_holds_what_it_said() -> None:
    judgement, model = judged(certain)
    direct = [verdict_request(PROMPT, *shown, PRINCIPLE, ASKING) for shown in (("A!", "B!"), ("B!", "A!"))]
    first = [rationale_request(request, ASKING) for request in direct]
    then = [after_reasoning(request, ARGUED, ASKING) for request in direct]
    assert [call for call in model.calls if not call.choices] == first
    assert [call for call in model.calls if call.choices] == then
    assert all(model.calls.index(one) < model.calls.index(two) for one, two in zip(first, then, strict=True))
    for order, reasons, label in zip((judgement.forward, judgement.backward), first, then, strict=True):
        assert isinstance(order, Verdict)
        assert (order.rationale, order.call) == (call_key("scripted", reasons), call_key("scripted", label))


@pytest.mark.parametrize(("ties", "ask"), [(False, ASK), (True, ASK_WITH_TIES)])
def test_no_label_is_asked_for_before_the_reasons_and_nothing_else_after_them(ties: bool, ask: str) -> None:
    asking = replace(ASKING, ties=ties, few_shot=1)
    request = verdict_request(PROMPT, "x", "y", PRINCIPLE, asking)
    reasons = rationale_request(request, asking)
    assert (reasons.choices, reasons.top_logprobs, reasons.max_tokens) == ((), 0, 33)
    assert reasons.messages[-1].content.endswith(REASON)
    assert ask not in reasons.messages[-1].content
    assert reasons.messages[:2] == request.messages[:2]  # the solved example
    then = after_reasoning(request, "because", asking)
    assert then.messages == (*reasons.messages, Message("assistant", "because"), Message("user", ask))
    assert (then.choices, then.top_logprobs) == (asking.labels, request.top_logprobs) != ((), 0)


def test_a_judge_that_does_not_reason_is_asked_once_an_order() -> None:
    judgement, model = judged(certain, replace(ASKING, reasons=0))
    assert len(model.calls) == 2
    assert isinstance(judgement.forward, Verdict)
    assert judgement.forward.p_first == pytest.approx(0.99)  # and is not clamped
    assert judgement.forward.rationale == ""


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        (CallFailure("k", "timeout", "late"), "error"),
        (ChatReply("", "I will not.", "refusal", "m"), "refusal"),
        (ChatReply("", "1", "content_filter", "m"), "refusal"),
        ("", "unreadable"),
        ("<think>1 is better.</think>", "unreadable"),
        (ChatReply("", " ", "length", "m"), "truncated"),
    ],
)
def test_without_reasons_no_label_is_asked_for_and_none_is_invented(reasons: Outcome | str, reason: str) -> None:
    judgement, model = judged(lambda request: certain(request, reasons))
    assert len(model.calls) == 2
    for order in (judgement.forward, judgement.backward):
        assert isinstance(order, NoVerdict)
        assert order.reason == reason


def test_a_verdict_inside_the_reasons_is_none() -> None:
    judgement, _ = judged(lambda request: certain(request, "Completion 2 is better. Verdict: 2", 0.8))
    assert isinstance(judgement.forward, Verdict)
    assert judgement.forward.slot == 1
    silent, _ = judged(lambda request: "Verdict: 2" if not request.choices else "Hm.")
    assert isinstance(silent.forward, NoVerdict)


def test_hidden_reasoning_is_not_repeated_to_the_judge() -> None:
    assert spoken(ChatReply("", "<think>1?</think>\n Both are fine. ", "stop", "m")) == "Both are fine."
    _, model = judged(lambda request: certain(request, "<think>secret</think> aloud"))
    assert [m.content for m in model.calls[-1].messages if m.role == "assistant"] == ["aloud"]


def test_reasons_that_were_cut_off_still_count() -> None:
    judgement, _ = judged(lambda request: certain(request, ChatReply("", "Completion 1 is", "length", "m")))
    assert isinstance(judgement.forward, Verdict)


def test_a_judge_without_log_probs_is_asked_in_words_after_its_reasons_too() -> None:
    def script(request: ChatRequest) -> object:
        if request.top_logprobs:
            return CallFailure("k", "unsupported", "")
        return "Response B is a better one." if request.choices else ARGUED

    judgement, model = judged(script)
    assert len(model.calls) == 6
    assert [len(call.messages) for call in model.calls[4:]] == [3, 3]
    assert isinstance(judgement.forward, Verdict)
    assert judgement.forward.p_first == 1 - 0.6


@given(st.floats(0.5, 1), st.floats(0, 1))
@example(0.6, 1.0)
@example(0.6, 0.0)
def test_the_clamp_is_exactly_mirrored_and_bounds_what_reasoning_makes_certain(most: float, p: float) -> None:
    p = round(p * 2**53) / 2**53  # as every chance is read
    one, other = clamped(Verdict(p, ""), most), clamped(Verdict(1 - p, ""), most)
    assert other.p_first == 1 - one.p_first
    assert 1 - most <= one.p_first <= most
    if 1 - most <= p <= most:
        assert one.p_first == p


@given(st.floats(0.5, 1), st.lists(st.floats(0.001, 1), min_size=4, max_size=4))
@example(0.6, [0.5, 0.001, 0.001, 0.45])
def test_the_clamp_leaves_the_likeliest_outcome_as_it_is(most: float, weights: list[float]) -> None:
    first, second, tie, both_bad = (weight / sum(weights) for weight in weights)
    said = Verdict(0.5 + (first - second) / 2, "", tie=tie, both_bad=both_bad)
    ranked = sorted((first, second, tie, both_bad))
    assume(ranked[3] - ranked[2] > 1e-9)
    assume(most > 0.5 + 1e-9)
    assert clamped(said, most).preference == said.preference


def test_both_orders_are_clamped_before_they_are_put_together() -> None:
    judgement, _ = judged(
        lambda request: certain(request, p_first=0.99 if "1\nA!" in request.messages[0].content else 0.01)
    )
    assert judgement.p_a == 0.6
    assert judgement.orders_agree is True


def test_a_verdict_that_failed_after_reasons_names_the_reasons_too() -> None:
    judgement, model = judged(lambda request: "What can one say?" if request.choices else ARGUED)
    keys = {call_key(model.identity, call) for call in model.calls if not call.choices}
    for verdict in (judgement.forward, judgement.backward):
        assert isinstance(verdict, NoVerdict)
        assert verdict.rationale in keys
