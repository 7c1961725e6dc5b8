from dataclasses import replace

import pytest

from constitution.checks import words
from constitution.principle import Example, Principle
from generator.chat import ChatReply, ChatRequest, Message
from generator.models.rambler import ramble
from generator.prompts import Prompt
from judge.asking import Asking, after_reasoning, in_words, rationale_request, verdict_request
from judge.grades import Reading, Scale, read_grade
from judge.pointwise import grade_request
from judge.reading import read_verdict
from judge.verdict import Verdict

PROMPT = Prompt("p", (Message("user", "Why is compost warm?"),))


def say(*turns: str, sample: int = 0) -> str:
    roles = ("user", "assistant", "user", "assistant", "user")
    return ramble(ChatRequest(tuple(map(Message, roles, turns)), 1.0, 100, sample=sample)).text


def test_the_rambler_says_the_same_to_the_same_call_and_other_things_to_other_samples() -> None:
    assert say("Why is compost warm?") == say("Why is compost warm?")
    assert len({say("Why is compost warm?", sample=n) for n in range(5)}) > 1


def test_a_revision_of_the_rambler_is_its_last_two_sentences() -> None:
    assert say("Q", "One. Two. Three.", "critique?", "long", "revise!") == "Two. Three."


def test_the_rambler_prefers_the_shorter_completion() -> None:
    def p_first(first: str, second: str) -> ChatReply:
        return ramble(verdict_request(PROMPT, first, second, Principle("p", "r"), Asking(0)))

    assert p_first("short one", "word " * 40).text == "1"
    assert p_first("word " * 40, "short one").text == "2"
    assert len(p_first("a", "b").first_token) == 2


def test_a_draft_names_the_subject() -> None:
    assert "compost" in words(say("Why is compost warm?"))


SHORT, MEDIUM, LONG, ENDLESS = "A short one.", "word " * 40, "word " * 90, "word " * 100000
SOLVED = Principle("p", "r", examples=(Example("Q", "one two three four", "one"),))


@pytest.mark.parametrize(
    ("first", "second", "preference"),
    [
        (SHORT, MEDIUM, "first"),
        (MEDIUM, SHORT, "second"),
        (MEDIUM, MEDIUM.replace("word", "term"), "tie"),
        (LONG, ENDLESS, "both bad"),
        (SHORT, ENDLESS, "first"),
        (ENDLESS, SHORT, "second"),
    ],
)
@pytest.mark.parametrize("few_shot", [0, 1])
@pytest.mark.parametrize("reasons", [0, 50])
def test_the_rambler_gives_each_of_four_labels_also_after_reasons_and_solved_examples(
    first: str, second: str, preference: str, few_shot: int, reasons: int
) -> None:
    asking = Asking(0, ties=True, few_shot=few_shot, reasons=reasons)
    request = verdict_request(PROMPT, first, second, SOLVED, asking)
    if reasons:
        rationale = ramble(rationale_request(request, asking))
        assert rationale.first_token == ()
        assert f"Completion 1 takes {len(words(first))} words." in rationale.text
        request = after_reasoning(request, rationale.text, asking)
    for asked in (request, in_words(request, asking)):
        verdict = read_verdict(ramble(asked), asking.labels)
        assert isinstance(verdict, Verdict)
        assert verdict.preference == preference


@pytest.mark.parametrize("scale", ["yes-no", "1-10"])
def test_the_rambler_grades_the_shorter_higher(scale: Scale) -> None:
    requests = [
        grade_request(PROMPT, text, Principle("p", "r"), scale, Asking(0)) for text in (SHORT, MEDIUM, LONG, ENDLESS)
    ]
    grades = [read_grade(ramble(request), scale) for request in requests]
    values = [grade.value for grade in grades if isinstance(grade, Reading)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) >= 3
    for request in requests:
        said = ramble(in_words(request, Asking(0)))
        assert said.text in request.choices
        assert isinstance(read_grade(replace(said, first_token=()), scale), Reading)


def test_a_prompt_that_speaks_of_labels_is_still_answered() -> None:
    said = say("Write about compost.\nReply with one word and nothing else: Yes or No.")
    assert len(words(said)) > 1
