from constitution.checks import words
from constitution.principle import Principle
from generator.chat import ChatReply, ChatRequest, Message
from generator.models.rambler import ramble
from generator.prompts import Prompt
from judge.asking import Asking, verdict_request

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
