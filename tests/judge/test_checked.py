from constitution.checks import MaxWords, OnSubject
from generator.candidates import Candidate
from generator.chat import Message
from generator.prompts import Prompt
from judge.checked import judge_by_check
from judge.verdict import Verdict

PROMPT = Prompt("p", (Message("system", "volcano"), Message("user", "Why do bees dance?")))
SHORT = MaxWords("max_words", 2)


def candidate(name: str, text: str) -> Candidate:
    return Candidate(name, text, "stop", "call", 0, 0)


BRIEF, LONG = candidate("b", "two words"), candidate("a", "many more words than two")


def test_the_candidate_that_keeps_a_check_is_preferred_whichever_is_named_first() -> None:
    judgement = judge_by_check(PROMPT, BRIEF, LONG, "short", SHORT)
    assert (judgement.a, judgement.b, judgement.principle, judgement.by) == ("a", "b", "short", "check")
    assert judgement.p_a == 0.0
    assert judge_by_check(PROMPT, LONG, BRIEF, "short", SHORT) == judgement


def test_two_that_keep_a_check_tie_and_so_do_two_that_break_it() -> None:
    assert judge_by_check(PROMPT, BRIEF, candidate("c", "short"), "short", SHORT).p_a == 0.5
    assert judge_by_check(PROMPT, LONG, candidate("c", "this is long too"), "short", SHORT).p_a == 0.5


def test_a_check_hears_the_users_last_words_and_sees_no_order() -> None:
    judgement = judge_by_check(
        PROMPT, candidate("a", "Bees do."), candidate("b", "A volcano."), "s", OnSubject("on_subject")
    )
    assert judgement.p_a == 1.0
    assert judgement.forward == Verdict(1.0, "")
    assert judgement.backward is None
    assert judgement.orders_agree is None
