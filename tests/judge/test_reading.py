import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.chat import CallFailure, ChatReply, FailureReason, Finish, TokenLogprob
from judge.asking import TIE_LABELS
from judge.reading import read_verdict, without_logprobs
from judge.verdict import NoVerdict, Preference, Verdict

PROBABILITIES = st.dictionaries(
    st.sampled_from(["1", "2", " 1", " 2", "\n2", "A", "12", ""]), st.floats(1e-300, 1), min_size=1
)


def said(text: str, finish: Finish = "stop") -> ChatReply:
    return ChatReply("key", text, finish, "m")


def given_tokens(probabilities: dict[str, float], text: str = "1", finish: Finish = "length") -> ChatReply:
    tokens = tuple(TokenLogprob(token, math.log(p)) for token, p in probabilities.items())
    return ChatReply("key", text, finish, "m", first_token=tokens)


def p_first(probabilities: dict[str, float]) -> float:
    verdict = read_verdict(given_tokens(probabilities))
    assert isinstance(verdict, Verdict)
    return verdict.p_first


@pytest.mark.parametrize("text", ["1", " 1", "1.", "**1**", "(1)", '"1"', "[1]", "1:", "\n1\n", "'1'."])
def test_a_text_that_is_only_a_label_is_a_verdict(text: str) -> None:
    assert read_verdict(said(text)) == Verdict(1.0, "key")
    assert read_verdict(said(text.replace("1", "2"))) == Verdict(0.0, "key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 or 2",
        "12",
        "1 2",
        "1, 2",
        "1.5",
        "3",
        "0",
        "-1",
        "one",
        "1!?",
        "²",
        "１",
    ],
)
def test_a_label_that_is_not_the_whole_and_claims_nothing_is_no_verdict(text: str) -> None:
    verdict = read_verdict(said(text))
    assert isinstance(verdict, NoVerdict)
    assert (verdict.reason, verdict.call, verdict.detail) == ("unreadable", "key", text)


@pytest.mark.parametrize(
    "reasoning",
    [
        "<think>2 or 1? 2 is kinder.\nSo: 2</think>",
        "\n<think>\n2</think>\n\n",
        "<think></think>",
        "The second says 2.</think>",  # the opening mark stood in the prompt
    ],
)
def test_a_label_counts_after_reasoning_and_never_in_it(reasoning: str) -> None:
    assert read_verdict(said(f"{reasoning}1")) == Verdict(1.0, "key")
    assert read_verdict(said(f"{reasoning} **2**.")) == Verdict(0.0, "key")
    for unsaid in ("", "1 and 2", "1</think>"):
        assert isinstance(read_verdict(said(reasoning + unsaid)), NoVerdict)


@pytest.mark.parametrize(
    "text", ["<think>1", "<think>so 2", "<think>1</thin", "1<think>", "<think>a</think>b</think>1"]
)
def test_reasoning_that_does_not_end_in_a_label_is_no_verdict(text: str) -> None:
    assert isinstance(read_verdict(said(text)), NoVerdict)
    cut = read_verdict(said(text, "length"))
    assert isinstance(cut, NoVerdict)
    assert cut.reason == "truncated"


@pytest.mark.parametrize(
    ("text", "preference"),
    [
        ("Response 1 is better", "first"),
        ("2 is better.", "second"),
        ("Both are equally good.", "tie"),
        ("Both are bad.", "both bad"),
        ("<think>1</think>Completion 2 is better than completion 1.", "second"),
    ],
)
def test_a_verdict_that_is_plainly_said_in_words_counts(text: str, preference: Preference) -> None:
    verdict = read_verdict(said(text))
    assert isinstance(verdict, Verdict)
    assert verdict.preference == preference
    assert isinstance(read_verdict(said(text, "length")), NoVerdict)


@pytest.mark.parametrize(("label", "preference"), [("1", "first"), ("2", "second"), ("3", "tie"), ("4", "both bad")])
def test_where_ties_may_be_said_four_labels_count(label: str, preference: Preference) -> None:
    by_text = read_verdict(said(label), TIE_LABELS)
    by_logprobs = read_verdict(
        given_tokens({label: 0.7, **{other: 0.1 for other in TIE_LABELS if other != label}}), TIE_LABELS
    )
    for verdict in (by_text, by_logprobs):
        assert isinstance(verdict, Verdict)
        assert verdict.preference == preference
    assert isinstance(by_logprobs, Verdict)
    assert by_logprobs.tie == pytest.approx(0.7 if label == "3" else 0.1)


def test_a_reply_that_is_cut_off_before_its_label_is_truncated() -> None:
    assert read_verdict(said("The better one is", "length")) == NoVerdict("truncated", "key", "The better one is")
    assert read_verdict(said("2", "length")) == Verdict(0.0, "key")


@pytest.mark.parametrize("finish", ["refusal", "content_filter"])
def test_a_judge_that_refuses_gives_no_verdict_whatever_its_text(finish: Finish) -> None:
    assert read_verdict(said("1", finish)) == NoVerdict("refusal", "key", "1")
    refused = read_verdict(given_tokens({"1": 0.9, "2": 0.1}, finish=finish))
    assert isinstance(refused, NoVerdict)
    assert refused.reason == "refusal"


def test_a_call_that_failed_gives_no_verdict() -> None:
    assert read_verdict(CallFailure("key", "timeout", "late")) == NoVerdict("error", "key", "timeout: late", "timeout")


def test_two_labels_share_a_verdict_by_their_probabilities() -> None:
    verdict = read_verdict(given_tokens({"1": 0.3, "2": 0.1, "The": 0.6}))
    assert isinstance(verdict, Verdict)
    assert verdict.p_first == pytest.approx(0.75)
    assert verdict.label_mass == pytest.approx(0.4)


def test_a_judge_that_was_held_to_the_labels_shows_no_label_mass() -> None:
    free = given_tokens({"1": 0.75, "2": 0.25})
    held = ChatReply("key", "1", "stop", "m", first_token=free.first_token, held=True)
    assert read_verdict(held) == Verdict(pytest.approx(0.75), "key", None)
    assert read_verdict(free) == Verdict(pytest.approx(0.75), "key", pytest.approx(1))
    assert read_verdict(ChatReply("key", "2", "stop", "m", held=True)) == Verdict(0.0, "key")


@pytest.mark.parametrize("reason", get_args(FailureReason))
def test_only_a_model_without_log_probs_or_words_is_asked_for_words(reason: FailureReason) -> None:
    assert without_logprobs(CallFailure("key", reason, "")) is (reason in ("unsupported", "empty"))


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (said("", "length"), True),
        (said("<think>", "length"), True),
        (said("I cannot say"), True),
        (said("1"), False),
        (said(" 2.", "length"), False),
        (said("no", "refusal"), False),
        (said("", "content_filter"), False),
        (given_tokens({"The": 0.99}), False),
        (given_tokens({"1": 0.5, "2": 0.5}, text="neither"), False),
        (given_tokens({"<think>": 0.99}, text="<think>\n"), True),
        (given_tokens({"1": 0.9, "<think>": 0.1}, text="<think>\n"), False),
    ],
)
def test_words_are_asked_for_where_neither_log_probs_of_a_label_nor_a_label_came(reply: ChatReply, asked: bool) -> None:
    assert without_logprobs(reply) is asked


def test_spaces_around_a_label_do_not_matter_and_their_probabilities_add_up() -> None:
    assert p_first({" 1": 0.2, "1": 0.1, "\n2": 0.05, "2 ": 0.05}) == pytest.approx(0.75)


def test_longer_numbers_are_not_labels() -> None:
    assert p_first({"1": 0.3, "2": 0.1, "12": 0.5, "2.": 0.1}) == pytest.approx(0.75)


def test_log_probs_decide_and_not_the_text_that_was_sampled() -> None:
    assert p_first({"1": 0.2, "2": 0.8}) == pytest.approx(0.2)


def test_labels_that_are_too_unlikely_to_compare_give_no_verdict() -> None:
    verdict = read_verdict(given_tokens({"The": 0.98, "1": 0.004, "2": 0.005}))
    assert isinstance(verdict, NoVerdict)
    assert (verdict.reason, verdict.call) == ("low label mass", "key")
    assert isinstance(read_verdict(given_tokens({"The": 0.9})), NoVerdict)
    assert isinstance(read_verdict(given_tokens({"The": 0.98, "1": 0.004, "2": 0.007})), Verdict)


def test_a_missing_label_is_as_likely_as_the_least_likely_token_at_most() -> None:
    assert p_first({"1": 0.6, "The": 0.2, "A": 0.05}) == pytest.approx(0.6 / 0.65)
    assert p_first({"2": 0.6, "The": 0.2, "A": 0.05}) == pytest.approx(0.05 / 0.65)


def test_a_missing_label_is_no_more_likely_than_what_is_left_over() -> None:
    assert p_first({"1": 0.9}) == pytest.approx(0.9)
    assert p_first({"2": 0.9, "The": 0.08}) == pytest.approx(0.02 / 0.92)
    assert p_first({"1": 1.0}) == 1.0  # the other was -9999, and left out


@given(PROBABILITIES)
def test_a_verdict_is_a_probability_and_nothing_else_is_a_number(probabilities: dict[str, float]) -> None:
    verdict = read_verdict(given_tokens(probabilities))
    if isinstance(verdict, Verdict):
        assert 0 <= verdict.p_first <= 1
        assert verdict.label_mass is not None
        assert 0.01 <= verdict.label_mass <= 1
    else:
        assert not hasattr(verdict, "p_first")


@given(st.text(), st.sampled_from(["stop", "length", "refusal", "content_filter"]))
def test_any_text_is_a_certain_verdict_or_none(text: str, finish: Finish) -> None:
    verdict = read_verdict(said(text, finish))
    assert isinstance(verdict, NoVerdict) or verdict.p_first in (0.0, 1.0)
