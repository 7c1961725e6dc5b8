import asyncio
import math

from hypothesis import given
from hypothesis import strategies as st

from constitution.principle import Constitution, Principle
from generator.candidates import Candidate
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, TokenLogprob, call_key
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import verdict_request
from judge.label import label
from judge.pairwise import judge_pairwise
from judge.verdict import Judgement, NoVerdict, Verdict

PROMPT = Prompt("p", (Message("user", "Why?"),))
PRINCIPLE = Principle("kind", "Be kind.")
CONSTITUTION = Constitution("c", "C", "1", "", (PRINCIPLE,))
IDS = st.text("abc", min_size=1, max_size=3)
TEXTS = st.text(max_size=8)
ANSWERS = st.floats(0.001, 0.999) | st.sampled_from(["1", "2", "neither", "refused", "failed"])


def candidate(name: str, text: str) -> Candidate:
    return Candidate(name, text, "stop", "call", 0, 0)


def answer(said: float | str) -> ChatReply | CallFailure | str:
    if isinstance(said, float):
        tokens = TokenLogprob("1", math.log(said)), TokenLogprob("2", math.log1p(-said))
        return ChatReply("", "1", "stop", "m", first_token=tokens)
    if said == "failed":
        return CallFailure("k", "timeout", "late")
    return ChatReply("", said, "refusal", "m") if said == "refused" else said


def judge_of(answers: dict[tuple[str, str], float | str]) -> ScriptedModel:
    """A judge that answers as it is told to for (text shown first, text shown second)."""
    contents = {
        verdict_request(PROMPT, *shown, PRINCIPLE, 0).messages[-1].content: answer(said)
        for shown, said in answers.items()
    }
    return ScriptedModel(lambda request: contents[request.messages[-1].content])


def judged(judge: ScriptedModel, one: Candidate, other: Candidate) -> Judgement:
    return asyncio.run(judge_pairwise(PROMPT, one, other, PRINCIPLE, judge, 0))


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
    judgement = await judge_pairwise(PROMPT, candidate("b", "B!"), candidate("a", "A!"), PRINCIPLE, judge, 7)
    requests = [verdict_request(PROMPT, *shown, PRINCIPLE, 7) for shown in (("A!", "B!"), ("B!", "A!"))]
    assert judge.calls == requests
    keys = [call_key("scripted", request) for request in requests]
    assert judgement == Judgement("a", "b", "kind", "model", Verdict(1.0, keys[0]), Verdict(1.0, keys[1]))
    assert judgement.p_a == 0.5
    assert judgement.orders_agree is False


async def test_one_order_without_a_verdict_leaves_no_label() -> None:
    def script(request: ChatRequest) -> str:
        content = request.messages[-1].content
        return "1" if content.index("A!") < content.index("B!") else "both are fine"

    judgement = await judge_pairwise(
        PROMPT, candidate("a", "A!"), candidate("b", "B!"), PRINCIPLE, ScriptedModel(script), 0
    )
    assert isinstance(judgement.forward, Verdict)
    assert isinstance(judgement.backward, NoVerdict)
    assert label("a", "b", [judgement], CONSTITUTION).p_a is None
