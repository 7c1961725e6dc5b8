import math
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.chat import CallFailure, ChatReply, FailureReason, Finish, TokenLogprob
from judge.grades import (
    LABELS,
    MOST_LOG_ODDS,
    Grade,
    Graded,
    Reading,
    Scale,
    preference_of,
    read_grade,
    without_logprobs,
)
from judge.verdict import NoVerdict, Verdict

TOKENS = st.sampled_from([" Yes", "yes", "NO", "no ", "1", " 1", "2", "7", "9", "10", "100", "The", ""])
PROBABILITIES = st.dictionaries(TOKENS, st.floats(1e-300, 1), min_size=1)
TEXTS = st.text() | st.sampled_from(["Yes", "no", "1", "10", "7/10", "Rating: 3"])
SCALES = st.sampled_from(get_args(Scale))


def said(text: str, finish: Finish = "stop") -> ChatReply:
    return ChatReply("key", text, finish, "m")


def given_tokens(probabilities: dict[str, float], text: str = "", finish: Finish = "length") -> ChatReply:
    tokens = tuple(TokenLogprob(token, math.log(p)) for token, p in probabilities.items())
    return ChatReply("key", text, finish, "m", first_token=tokens)


def value(reply: ChatReply, scale: Scale) -> float:
    read = read_grade(reply, scale)
    assert isinstance(read, Reading)
    return read.value


def log_odds(probabilities: dict[str, float]) -> float:
    return value(given_tokens(probabilities), "yes-no")


def expected(probabilities: dict[str, float], text: str = "") -> float:
    return value(given_tokens(probabilities, text), "1-10")


# yes or no, from log-probs


def test_log_odds_are_of_yes_against_no_whatever_else_was_likely() -> None:
    read = read_grade(given_tokens({"Yes": 0.3, "No": 0.1, "The": 0.6}), "yes-no")
    assert read == Reading(pytest.approx(math.log(3)), pytest.approx(0.4))


def test_all_spellings_of_a_label_count_and_longer_words_do_not() -> None:
    spelled = {
        " Yes": 0.1,
        "yes": 0.1,
        "YES\n": 0.1,
        "No": 0.05,
        " no": 0.05,
        "Yesterday": 0.3,
        "Not": 0.2,
        "Yes,": 0.1,
    }
    assert log_odds(spelled) == pytest.approx(math.log(3))


def test_a_missing_label_is_no_more_likely_than_what_the_log_probs_leave_over_or_show() -> None:
    assert log_odds({"Yes": 0.6, "The": 0.2, "A": 0.05}) == pytest.approx(math.log(0.6 / 0.05))
    assert log_odds({"No": 0.9, "The": 0.08}) == pytest.approx(math.log(0.02 / 0.9))
    assert log_odds({"Yes": 1.0}) == MOST_LOG_ODDS
    assert log_odds({"No": 1.0}) == -MOST_LOG_ODDS


@pytest.mark.parametrize("scale", get_args(Scale))
def test_labels_that_are_too_unlikely_to_compare_give_no_grade(scale: Scale) -> None:
    read = read_grade(given_tokens({"The": 0.98, LABELS[scale][0]: 0.004, LABELS[scale][1]: 0.005}), scale)
    assert isinstance(read, NoVerdict)
    assert (read.reason, read.call) == ("low label mass", "key")
    enough = read_grade(given_tokens({"The": 0.98, LABELS[scale][0]: 0.004, LABELS[scale][1]: 0.007}), scale)
    assert isinstance(enough, Reading)


def test_a_judge_that_was_held_to_the_labels_shows_no_label_mass() -> None:
    for scale in get_args(Scale):
        free = given_tokens({LABELS[scale][0]: 0.5, LABELS[scale][1]: 0.5})
        assert read_grade(free, scale) == replace(read_grade(replace(free, held=True), scale), label_mass=1.0)
        assert read_grade(replace(free, held=True), scale).label_mass is None


# one to ten, from log-probs


def test_a_grade_is_the_expectation_over_the_numbers_alone() -> None:
    read = read_grade(given_tokens({"7": 0.3, " 8": 0.1, "8": 0.1, "The": 0.2, "77": 0.3}), "1-10")
    assert isinstance(read, Reading)
    assert read == Reading(pytest.approx(7.4), pytest.approx(0.5))


def test_a_token_ten_means_that_one_is_one() -> None:
    assert expected({"1": 0.5, "10": 0.5}, "10") == pytest.approx(5.5)
    assert expected({"1": 0.9, "10": 0.1}, "1") == pytest.approx(1.9)
    assert expected({"1": 0.5, " 10": 0.5}, "7") == pytest.approx(5.5)


@pytest.mark.parametrize(
    ("text", "grade"), [("1", 1), ("10", 10), (" 1\n", 1), ("10.", 10), ("10/10", 10), ("1/10", 1)]
)
def test_where_ten_has_no_token_the_text_says_what_a_token_one_began(text: str, grade: int) -> None:
    assert expected({"1": 1.0}, text) == grade
    assert expected({"1": 0.6, "5": 0.4}, text) == pytest.approx(0.6 * grade + 2)


@pytest.mark.parametrize("text", ["8", "", "100", "12", "The"])
def test_where_the_text_does_not_say_either_the_neighbours_do(text: str) -> None:
    assert expected({"8": 0.5, "9": 0.3, "1": 0.2}, text) == pytest.approx(4 + 2.7 + 2)
    assert expected({"2": 0.5, "3": 0.3, "1": 0.2}, text) == pytest.approx(1 + 0.9 + 0.2)
    assert expected({"2": 0.25, "9": 0.5, "7": 0.05, "1": 0.2}, text) == pytest.approx(0.5 + 4.5 + 0.35 + 0.2 * 7)
    assert expected({"5": 0.5, "1": 0.5}, text) == pytest.approx(2.5 + 0.5 * 5.5)


def test_missing_numbers_share_what_is_left_over_and_none_is_likelier_than_what_is_shown() -> None:
    assert expected({"10": 0.91}) == pytest.approx(0.91 * 10 + 0.01 * 45)
    assert expected({"10": 0.5, "The": 0.001}) == pytest.approx((5 + 0.001 * 45) / 0.509)


@given(PROBABILITIES, TEXTS)
def test_a_grade_stays_on_its_scale(probabilities: dict[str, float], text: str) -> None:
    for scale, low, high in (("yes-no", -MOST_LOG_ODDS, MOST_LOG_ODDS), ("1-10", 1, 10)):
        read = read_grade(given_tokens(probabilities, text), scale)
        if isinstance(read, Reading):
            assert low <= read.value <= high
            assert read.label_mass is not None
            assert 0.01 <= read.label_mass <= 1


@given(st.lists(st.tuples(TOKENS, st.floats(1e-300, 1)), min_size=1))
def test_exchanging_yes_and_no_negates_their_log_odds(shown: list[tuple[str, float]]) -> None:
    exchanged = {" Yes": "no ", "yes": "NO", "NO": "yes", "no ": " Yes"}
    straight = tuple(TokenLogprob(token, math.log(p)) for token, p in shown)
    mirror = tuple(TokenLogprob(exchanged.get(token, token), math.log(p)) for token, p in shown)
    read, mirrored = (read_grade(replace(said(""), first_token=tokens), "yes-no") for tokens in (straight, mirror))
    if isinstance(read, Reading):
        assert mirrored == Reading(-read.value, read.label_mass)
    else:
        assert mirrored == read


# in words


@pytest.mark.parametrize(
    "text", ["Yes", " yes.", "**YES**", '"Yes"', "<think>No? It does.\nNo.</think>\n\nYes", "(yes)"]
)
def test_a_text_that_is_only_yes_or_no_is_a_certain_grade(text: str) -> None:
    assert read_grade(said(text), "yes-no") == Reading(MOST_LOG_ODDS)
    no = text.replace("Yes", "No").replace("yes", "no").replace("YES", "NO")
    assert read_grade(said(no), "yes-no") == Reading(-MOST_LOG_ODDS)


@pytest.mark.parametrize(
    "text", ["", "Yes, it does", "Yes and no", "Yes No", "Yeſ", "Y", "1", "Maybe", "<think>Yes", "Not"]
)
def test_yes_inside_other_words_is_no_grade(text: str) -> None:
    assert read_grade(said(text), "yes-no") == NoVerdict("unreadable", "key", text)
    assert read_grade(said(text, "length"), "yes-no") == NoVerdict("truncated", "key", text)


MARKED = (
    "Rating: {}",
    "**Rating:** {}/10",
    "**Rating**: {}",
    "Score: [[{}]]",
    "grade: {}.",
    "[[{}]]",
    "{}/10",
    "{} / 10",
)
AT_THE_END = ("It keeps 9 of 12 points.\n\nRating: {}", "Rating: 2 at first.\nRating: 2\n[[{}]]\n", "Why: ...\n{}/10")


@pytest.mark.parametrize(
    "text", ["{}", " {}.", "**{}**", "[{}]", "({})", '"{}"', "<think>3</think>{}", *MARKED, *AT_THE_END]
)
@pytest.mark.parametrize("number", [1, 7, 10])
def test_a_number_that_is_the_whole_text_or_marked_as_its_ending_is_a_grade(text: str, number: int) -> None:
    assert read_grade(said(text.format(number)), "1-10") == Reading(float(number))


NOT_ON_THE_SCALE = ("", "0", "11", "-7", "7.5", "seven", "７", "7/9", "17/10", "7/100", "[[11]]", "Yes")
NOT_PLAIN = (
    "7 8",
    "7 or 8",
    "Rating:",
    "Rating 7",
    "Rating: 7 of 12",
    "Rating: 7, [[8]]",
    "Overrating: 7",
    "I say [[7]]",
)
NOT_THE_END = ("I give it 7", "Well.\n7", "Rating: 7\nor not", "<think>7", "<think>Rating: 7</think>")


@pytest.mark.parametrize("text", [*NOT_ON_THE_SCALE, *NOT_PLAIN, *NOT_THE_END])
def test_a_number_that_is_anything_else_is_no_grade(text: str) -> None:
    assert read_grade(said(text), "1-10") == NoVerdict("unreadable", "key", text)


def test_a_number_that_was_cut_off_counts_only_where_nothing_else_can_have_been_begun() -> None:
    assert read_grade(said("7", "length"), "1-10") == Reading(7.0)
    assert read_grade(said("10", "length"), "1-10") == Reading(10.0)
    for text in ("1", "Rating: 7", "Rating: 1", "So far 7/10"):
        assert read_grade(said(text, "length"), "1-10") == NoVerdict("truncated", "key", text)


# no grade, and what to do about it


@pytest.mark.parametrize("finish", ["refusal", "content_filter"])
@pytest.mark.parametrize("scale", get_args(Scale))
def test_a_judge_that_refuses_gives_no_grade_whatever_its_text(scale: Scale, finish: Finish) -> None:
    for reply in (said("7", finish), said("Yes", finish), given_tokens({"7": 0.5, "Yes": 0.5}, "7", finish)):
        assert read_grade(reply, scale) == NoVerdict("refusal", "key", reply.text)
        assert not without_logprobs(reply, scale)


@pytest.mark.parametrize("reason", get_args(FailureReason))
def test_a_call_that_failed_gives_no_grade_and_only_one_without_log_probs_is_asked_for_words(
    reason: FailureReason,
) -> None:
    failed = CallFailure("key", reason, "late")
    for scale in get_args(Scale):
        assert read_grade(failed, scale) == NoVerdict("error", "key", f"{reason}: late", reason)
        assert without_logprobs(failed, scale) is (reason in ("unsupported", "empty"))


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (said("", "length"), True),
        (said("<think>", "length"), True),
        (said("I cannot say"), True),
        (said("1", "length"), True),
        (said("7"), False),
        (given_tokens({"The": 0.99}), False),
        (given_tokens({"7": 0.5, "8": 0.5}, text="neither"), False),
        (given_tokens({"<think>": 0.99}, text="<think>\n"), True),
        (given_tokens({"7": 0.9, "<think>": 0.1}, text="<think>\n"), False),
    ],
)
def test_words_are_asked_for_where_neither_log_probs_of_a_label_nor_a_label_came(reply: ChatReply, asked: bool) -> None:
    assert without_logprobs(reply, "1-10") is asked


@given(TEXTS, st.sampled_from(["stop", "length", "refusal", "content_filter"]), SCALES)
def test_any_text_is_a_grade_on_the_scale_or_none(text: str, finish: Finish, scale: Scale) -> None:
    read = read_grade(said(text, finish), scale)
    allowed = {MOST_LOG_ODDS, -MOST_LOG_ODDS} if scale == "yes-no" else {float(n) for n in range(1, 11)}
    assert isinstance(read, NoVerdict) or read.value in allowed


# two grades compared


def grade(value: float, scale: Scale = "yes-no", mass: float | None = None) -> Grade:
    return Grade("a", "kind", value, scale, "key", mass)


def p_first(one: Graded, other: Graded) -> float:
    verdict = preference_of(one, other)
    assert isinstance(verdict, Verdict)
    return verdict.p_first


VALUES = st.floats(-MOST_LOG_ODDS, MOST_LOG_ODDS)


@given(VALUES, VALUES, st.floats(1, 10), st.floats(1, 10))
def test_changing_places_exactly_mirrors_a_preference(x: float, y: float, u: float, v: float) -> None:
    for one, other in ((grade(x), grade(y)), (grade(u, "1-10"), grade(v, "1-10"))):
        assert 0 <= p_first(one, other) == 1 - p_first(other, one) <= 1
        assert p_first(one, one) == 0.5
        assert (p_first(one, other) - 0.5) * (one.value - other.value) >= 0


def test_a_preference_is_the_logistic_of_log_odds_and_a_straight_line_of_grades() -> None:
    assert p_first(grade(2.0), grade(0.5)) == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert p_first(grade(MOST_LOG_ODDS), grade(-MOST_LOG_ODDS)) == 1.0
    assert p_first(grade(8.0, "1-10"), grade(3.5, "1-10")) == 0.75
    assert p_first(grade(1.0, "1-10"), grade(10.0, "1-10")) == 0.0


def test_a_preference_holds_the_smaller_label_mass_and_no_call_of_its_own() -> None:
    assert preference_of(grade(1, mass=0.9), grade(1, mass=0.3)) == Verdict(0.5, "", 0.3)
    assert preference_of(grade(1), grade(1, mass=0.3)) == Verdict(0.5, "", 0.3)
    assert preference_of(grade(1), grade(1)) == Verdict(0.5, "", None)


def test_a_missing_grade_leaves_no_verdict_and_says_why_in_either_place() -> None:
    refused, failed = NoVerdict("refusal", "k1", "no"), NoVerdict("error", "k2", "", "timeout")
    assert preference_of(grade(1), refused) == preference_of(refused, grade(1)) == refused
    assert preference_of(refused, failed) == preference_of(failed, refused) == failed


def test_grades_of_two_scales_or_principles_are_never_compared() -> None:
    for other in (grade(1, "1-10"), replace(grade(1), principle="clear")):
        with pytest.raises(ValueError, match="compared"):
            preference_of(grade(1), other)
