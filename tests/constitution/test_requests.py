from dataclasses import replace

from constitution.checks import MaxWords
from constitution.principle import Principle
from constitution.requests import NO_VIOLATION, critique_request, preference_request, revision_request

BARE = Principle("short", "Be short.")
WRITTEN = Principle("short", "Be short.", critique="C?", revision="R!", preference="P?")


def test_requests_that_a_file_leaves_out_are_derived_from_the_rule() -> None:
    for request in (critique_request, revision_request, preference_request):
        assert "Be short." in request(BARE)


def test_requests_that_a_file_gives_are_asked_as_written_under_the_rule_they_apply() -> None:
    assert critique_request(WRITTEN).startswith(f"Rule: {WRITTEN.rule}\nC?\n")
    assert revision_request(WRITTEN) == f"Rule: {WRITTEN.rule}\nR!"
    assert preference_request(WRITTEN) == f"Rule: {WRITTEN.rule}\nP?"


def test_where_a_check_is_the_rule_the_requests_of_the_file_stand_alone() -> None:
    checked = replace(WRITTEN, check=MaxWords("max_words", 3))
    asked = (critique_request(checked), revision_request(checked), preference_request(checked))
    assert asked == ("C?", "R!", "P?")


def test_rewording_a_rule_that_a_model_judges_reaches_every_request() -> None:
    reworded = replace(WRITTEN, rule="Be brief.")
    for request in (critique_request, revision_request, preference_request):
        assert request(reworded) != request(WRITTEN)


def test_a_critic_may_find_no_fault_only_where_no_check_found_one() -> None:
    checked = Principle("short", "Be short.", critique="C?", check=MaxWords("max_words", 3))
    assert critique_request(checked) == "C?"
    assert critique_request(WRITTEN).endswith(NO_VIOLATION)
    assert critique_request(BARE).endswith(NO_VIOLATION)
