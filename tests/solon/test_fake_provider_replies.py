import hashlib
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.chat import ChatRequest, Message
from generator.models.rambler import ramble
from judge.asking import ASK, ASK_WITH_TIES, LAYOUT, REASON, fill
from solon.fake_provider.asked import Asked, tokens
from solon.fake_provider.replies import say, spoiled

LONG, SHORT = "It takes a great many words to say so very little of any use.", "It is so."


def asked(content: str = "Why is the sky blue?", model: str = "rambler", **changes: object) -> Asked:
    return replace(Asked(model, (Message("user", content),), 9), **changes)  # type: ignore[arg-type]


def judging(first: str, second: str, model: str = "rambler", **changes: object) -> Asked:
    content = fill(
        LAYOUT, fence="a1b2c3d4", prompt="Why?", first=first, second=second, question="Which is brief?", ask=ASK
    )
    return asked(content, model, **changes)


@given(st.text())
def test_the_echo_says_the_hash_of_the_last_message_whatever_is_in_it(content: str) -> None:
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    assert digest in (say(asked(content, "echo")).text or "")


def test_half_an_emoji_can_be_echoed() -> None:
    assert len(say(asked("\ud83d", "echo")).text or "") > 64


def test_any_other_model_rambles_as_the_scripted_one_does() -> None:
    said = say(asked(model="gpt-whatever", variety=5, most=900))
    expected = ramble(ChatRequest((Message("user", "Why is the sky blue?"),), 1.0, 900, 0, 5))
    assert (said.text, said.finish) == (expected.text, "stop")


def test_the_same_call_has_the_same_reply_and_another_seed_another() -> None:
    assert say(asked()) == say(asked())
    assert len({say(asked(variety=seed)).text for seed in range(5)}) > 1


@pytest.mark.parametrize("model", ["rambler", "judge-longer", "judge-first"])
@pytest.mark.parametrize("top_logprobs", [None, 20])
def test_a_judge_replies_with_a_bare_label(model: str, top_logprobs: int | None) -> None:
    said = say(judging(LONG, SHORT, model, top_logprobs=top_logprobs))
    assert said.text in ("1", "2")
    assert bool(said.first_token) is (top_logprobs is not None)


@pytest.mark.parametrize("model", ["rambler", "judge-longer", "judge-first"])
def test_a_judge_that_is_to_reason_first_does_and_then_replies_with_a_label(model: str) -> None:
    content = judging(LONG, SHORT).messages[0].content
    open_ended = asked(content.replace(ASK, REASON), model, most=99)
    rationale = say(open_ended).text or ""
    assert rationale.startswith("Completion 1 takes ")
    turns = (*open_ended.messages, Message("assistant", rationale), Message("user", ASK))
    direct = say(judging(LONG, SHORT, model)).text
    assert say(replace(open_ended, messages=turns)).text == direct in ("1", "2")


def test_a_judge_that_may_say_both_are_bad_says_so() -> None:
    content = judging("word " * 80, "word " * 90).messages[0].content
    assert say(asked(content.replace(ASK, ASK_WITH_TIES))).text == "4"


def test_the_judges_have_the_biases_of_their_names() -> None:
    both_orders = ((LONG, SHORT), (SHORT, LONG))
    assert [say(judging(a, b)).text for a, b in both_orders] == ["2", "1"]
    assert [say(judging(a, b, "judge-first")).text for a, b in both_orders] == ["1", "1"]
    assert [say(judging(a, b, "judge-longer")).text for a, b in both_orders] == ["1", "2"]


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_length_biased_judge_does_not_care_for_order(first: int, second: int) -> None:
    texts = "word " * first, "word " * second
    (a, b), (c, d) = (
        {t.token: math.exp(t.logprob) for t in say(judging(x, y, "judge-longer", top_logprobs=2)).first_token}.values()
        for x, y in (texts, texts[::-1])
    )
    assert sorted((a, b)) == pytest.approx(sorted((c, d)))


def test_a_judge_says_its_label_as_json_where_it_is_held_to_one() -> None:
    said = say(judging(LONG, SHORT, field="verdict", choices=("1", "2")))
    assert json.loads(said.text or "") == {"verdict": "2"}
    numbers = say(judging(LONG, SHORT, field="verdict", choices=(1, 2)))
    assert json.loads(numbers.text or "") == {"verdict": 2}


@given(st.lists(st.text(), min_size=1, unique=True), st.text(), st.sampled_from(["echo", "rambler"]))
def test_a_held_reply_is_always_one_of_the_choices(choices: list[str], content: str, model: str) -> None:
    said = say(asked(content, model, field="kind", choices=tuple(choices)))
    assert json.loads(said.text or "")["kind"] in choices


@given(st.integers(1, 300))
def test_a_reply_never_has_more_tokens_than_are_allowed(most: int) -> None:
    assert tokens(say(asked(most=most)).text or "") <= most
    said = say(asked(model="echo", most=most))
    assert tokens(said.text or "") == said.usage.completion <= most
    assert said.finish == ("length" if most < tokens(f"echo {'0' * 64}") else "stop")


@given(st.integers(1, 300))
def test_hidden_reasoning_is_part_of_what_is_used_up(most: int) -> None:
    said = say(asked(model="reasoning-echo", most=most))
    assert said.usage.completion == said.hidden + tokens(said.text or "") <= most
    if most < 16:
        assert (said.text, said.finish) == ("", "length")
    else:
        assert 8 <= said.hidden < most


@pytest.mark.parametrize(
    ("kind", "text", "finish"),
    [
        ("empty", "", "stop"),
        ("null", None, "stop"),
        ("length", "echo 8f434346648f6b96df89dda901c51", "length"),
        ("window", "echo 8f434346648f6b96df89dda901c51", "window"),
        ("filter", None, "content_filter"),
        ("refusal", "I cannot help with that.", "refusal"),
    ],
)
def test_a_fault_takes_away_what_was_said(kind: str, text: str | None, finish: str) -> None:
    said = spoiled(say(asked("hi", "echo")), kind)
    assert (said.text, said.finish) == (text, finish)


@pytest.mark.parametrize(("kind", "character"), [("surrogate", "\ud83d"), ("nul", "\x00"), ("bidi", "\u202e")])
def test_a_fault_puts_in_what_nobody_expects(kind: str, character: str) -> None:
    assert character in (spoiled(say(asked("hi", "echo")), kind).text or "")


def test_a_fault_of_the_wire_leaves_what_was_said() -> None:
    assert spoiled(say(asked("hi", "echo")), "reset") == say(asked("hi", "echo"))
