import asyncio
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.principle import Constitution, Principle
from generator.candidates import Candidate
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, TokenLogprob, call_key
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import Asking, in_words, verdict_request
from judge.label import label
from judge.pairwise import Juror, judge_pairwise
from judge.verdict import Judgement, NoVerdict, Verdict

PROMPT = Prompt("p", (Message("user", "Why?"),))
PRINCIPLE = Principle("kind", "Be kind.")
CONSTITUTION = Constitution("c", "C", "1", "", (PRINCIPLE,))
IDS = st.text("abc", min_size=1, max_size=3)
TEXTS = st.text(max_size=8)
ANSWERS = st.floats(0.001, 0.999) | st.sampled_from(
    ["1", "2", "neither", "refused", "failed", "1 in words", "2 in words", "empty, 2 in words", "cut, 1 in words"]
)


def candidate(name: str, text: str) -> Candidate:
    return Candidate(name, text, "stop", "call", 0, 0)


def answer(said: float | str, words: bool) -> ChatReply | CallFailure | str:
    """What a judge says that is asked for log-probs, or for ``words``."""
    if isinstance(said, str) and said.endswith("in words"):
        if words:
            return f"<think>{said}</think>{said[-len('1 in words')]}"
        if said.startswith("cut"):
            return ChatReply("", "<think>", "length", "m")
        return CallFailure("k", "empty" if said.startswith("empty") else "unsupported", "no log-probs")
    if isinstance(said, float):
        tokens = TokenLogprob("1", math.log(said)), TokenLogprob("2", math.log1p(-said))
        return ChatReply("", "1", "stop", "m", first_token=tokens)
    if said == "failed":
        return CallFailure("k", "timeout", "late")
    return ChatReply("", said, "refusal", "m") if said == "refused" else said


def judge_of(answers: dict[tuple[str, str], float | str]) -> ScriptedModel:
    """A judge that answers as it is told to for (text shown first, text shown second)."""
    contents = {
        verdict_request(PROMPT, *shown, PRINCIPLE, Asking(0)).messages[-1].content: said
        for shown, said in answers.items()
    }
    return ScriptedModel(lambda request: answer(contents[request.messages[-1].content], not request.top_logprobs))


def judged(judge: ScriptedModel, one: Candidate, other: Candidate) -> Judgement:
    return asyncio.run(judge_pairwise(PROMPT, one, other, PRINCIPLE, Juror(judge), Asking(0)))


@given(
    st.lists(IDS, min_size=2, max_size=2, unique=True),
    st.lists(TEXTS, min_size=2, max_size=2, unique=True),
    ANSWERS,
    ANSWERS,
)
def test_a_label_does_not_depend_on_which_candidate_is_named_first(ids, texts, forward, backward) -> None:
    one, other = candidate(ids[0], texts[0]), candidate(ids[1], texts[1])
    judge = judge_of({(texts[0], texts[1]): forward, (texts[1], texts[0]): backward})
    judgement = judged(judge, one, other)
    assert judged(judge, other, one) == judgement
    assert (judgement.a, judgement.b) == tuple(sorted(ids))
    a, b = judgement.a, judgement.b
    assert label(a, b, [judgement], CONSTITUTION) == label(a, b, [judged(judge, other, one)], CONSTITUTION)


@given(st.lists(TEXTS, min_size=2, max_size=2, unique=True), ANSWERS, ANSWERS)
def test_exchanging_the_texts_of_two_candidates_exactly_mirrors_their_label(texts, forward, backward) -> None:
    x, y = texts
    judge = judge_of({(x, y): forward, (y, x): backward})
    straight = label("a", "b", [judged(judge, candidate("a", x), candidate("b", y))], CONSTITUTION)
    mirrored = label("a", "b", [judged(judge, candidate("a", y), candidate("b", x))], CONSTITUTION)
    assert straight.orders_agree == mirrored.orders_agree
    if straight.p_a is None:
        assert mirrored.p_a is None
    else:
        assert mirrored.p_a == 1 - straight.p_a
        assert mirrored.margin == straight.margin


async def test_a_pair_is_asked_in_both_orders_at_once() -> None:
    judge = ScriptedModel(lambda request: "1")
    judgement = await judge_pairwise(
        PROMPT, candidate("b", "B!"), candidate("a", "A!"), PRINCIPLE, Juror(judge), Asking(7)
    )
    requests = [verdict_request(PROMPT, *shown, PRINCIPLE, Asking(7)) for shown in (("A!", "B!"), ("B!", "A!"))]
    assert judge.calls == requests
    keys = [call_key("scripted", request) for request in requests]
    assert judgement == Judgement("a", "b", "kind", "model", Verdict(1.0, keys[0]), Verdict(1.0, keys[1]))
    assert judgement.p_a == 0.5
    assert judgement.orders_agree is False


async def test_one_order_without_a_verdict_leaves_no_label() -> None:
    def script(request: ChatRequest) -> str:
        content = request.messages[-1].content
        return "1" if content.index("A!") < content.index("B!") else "who can say"

    judgement = await judge_pairwise(
        PROMPT, candidate("a", "A!"), candidate("b", "B!"), PRINCIPLE, Juror(ScriptedModel(script)), Asking(0)
    )
    assert isinstance(judgement.forward, Verdict)
    assert isinstance(judgement.backward, NoVerdict)
    assert label("a", "b", [judgement], CONSTITUTION).p_a is None


CUT = ChatReply("", "<think>Well", "length", "m")
UNSUPPORTED, EMPTY = (CallFailure("k", reason, "") for reason in ("unsupported", "empty"))


async def asked_twice(first: ChatReply | CallFailure | str, second: str = "<think>2?</think> 1") -> ScriptedModel:
    judge = ScriptedModel(lambda request: first if request.top_logprobs else second)
    judgement = await judge_pairwise(
        PROMPT, candidate("a", "A!"), candidate("b", "B!"), PRINCIPLE, Juror(judge), ASKING
    )
    if len(judge.calls) == 4:
        again = {call_key("scripted", call) for call in judge.calls if not call.top_logprobs}
        assert {judgement.forward.call, judgement.backward.call if judgement.backward else ""} == again
    return judge


ASKING = Asking(7, words=99, shared=True)


@pytest.mark.parametrize("first", [UNSUPPORTED, EMPTY, CUT, "I think"], ids=["unsupported", "empty", "cut", "words"])
async def test_a_judge_without_log_probs_is_asked_again_in_words(first: ChatReply | CallFailure | str) -> None:
    judge = await asked_twice(first)
    asked = [verdict_request(PROMPT, *shown, PRINCIPLE, ASKING) for shown in (("A!", "B!"), ("B!", "A!"))]
    assert Counter(judge.calls) == Counter([*asked, *(in_words(request, ASKING) for request in asked)])
    assert {call.max_tokens for call in judge.calls if not call.top_logprobs} == {99}


@pytest.mark.parametrize(
    "first",
    [
        "1",
        ChatReply("", "2", "length", "m"),
        ChatReply("", "", "length", "m", first_token=(TokenLogprob("The", -0.1),)),
        ChatReply("", "Well", "stop", "m", first_token=(TokenLogprob("1", -0.7), TokenLogprob("2", -0.7))),
        ChatReply("", "no", "refusal", "m"),
        CallFailure("k", "context overflow", "too long"),
        CallFailure("k", "server error", "down"),
    ],
    ids=["label", "cut label", "no label mass", "log-probs", "refusal", "too long", "down"],
)
async def test_a_judge_that_gave_log_probs_or_a_label_or_failed_is_not_asked_twice(
    first: ChatReply | CallFailure | str,
) -> None:
    assert len((await asked_twice(first)).calls) == 2


async def test_words_that_are_no_verdict_are_not_asked_for_again() -> None:
    assert len((await asked_twice(UNSUPPORTED, "Neither.")).calls) == 4
