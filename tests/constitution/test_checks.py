import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.checks import (
    AvoidsPhrases,
    EndsSentence,
    MaxSentences,
    MaxWords,
    MinWords,
    NoLists,
    NoOpening,
    NoRepeatedSentence,
    OnSubject,
    sentences,
    subject_stems,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t", []),
        ("... — !?", []),
        ("Don't stop", ["don't", "stop"]),
        ("Don’t", ["don't"]),
        ("'quoted' words", ["quoted", "words"]),
        ("well-known twelve-year-old", ["well-known", "twelve-year-old"]),
        ("Größe ÉTÉ вода", ["größe", "été", "вода"]),
        ("snake_case", ["snake", "case"]),
        ("42 is 3.5", ["42", "is", "3", "5"]),
        ("one\ntwo\u2028three", ["one", "two", "three"]),
        ("a\ud800b", ["a", "b"]),
    ],
)
def test_words_are_runs_of_letters_and_numbers_with_inner_apostrophes_and_hyphens(text, expected) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "Stop." Then he left.', ['He said "Stop.', "Then he left."]),
        ("No end\nNext line", ["No end", "Next line"]),
        ("It costs 3.50 now.", ["It costs 3.50 now."]),
        ("\n\n  \n", []),
    ],
)
def test_sentences_end_at_closing_punctuation_and_at_line_ends(text, expected) -> None:
    assert sentences(text) == expected


@given(st.text())
def test_joining_the_words_of_a_text_changes_no_words(text: str) -> None:
    assert words(" ".join(words(text))) == words(text)


def test_word_limits_include_the_limit_itself() -> None:
    assert MaxWords("max_words", 3).kept("", "one two three")
    assert not MaxWords("max_words", 3).kept("", "one two three four")
    assert MinWords("min_words", 3).kept("", "one two three")
    assert not MinWords("min_words", 3).kept("", "one two -- !")


def test_an_empty_completion_is_short_and_says_too_little() -> None:
    assert MaxWords("max_words", 1).kept("p", "")
    assert MaxSentences("max_sentences", 1).kept("p", "")
    assert not MinWords("min_words", 1).kept("p", "")
    assert not EndsSentence("ends_sentence").kept("p", "")


def test_sentences_are_counted() -> None:
    assert MaxSentences("max_sentences", 2).kept("", "One. Two.")
    assert not MaxSentences("max_sentences", 2).kept("", "One. Two. Three")


@pytest.mark.parametrize(
    "opening",
    [
        "Certainly! It is",
        "certainly, it",
        '"Sure," he said',
        "**Great question!** It",
        "GREAT QUESTION",
        "Here’s how",
        "Here's",
    ],
)
def test_a_filler_opening_is_seen_whatever_its_case_and_punctuation(opening: str) -> None:
    assert not NoOpening("no_opening").kept("", opening)


@pytest.mark.parametrize(
    "opening", ["", "Surely it is", "It is certainly so", "Here it rains", "A great question is rare"]
)
def test_an_opening_that_only_resembles_filler_is_none(opening: str) -> None:
    assert NoOpening("no_opening").kept("", opening)


def test_an_opening_of_many_words_is_seen() -> None:
    phrase = "as a large language model trained by a company of people"
    assert not NoOpening("no_opening", (phrase,)).kept("", f"{phrase.title()}, I cannot.")
    assert NoOpening("no_opening", (phrase,)).kept("", "As a large language model I cannot.")


def test_a_phrase_without_words_matches_nothing() -> None:
    assert NoOpening("no_opening", ("!!!",)).kept("", "Hello")
    assert AvoidsPhrases("avoids_phrases", ("!!!",)).kept("", "Hello")


def test_a_sentence_that_stands_twice_is_seen_in_spite_of_case_and_punctuation() -> None:
    check = NoRepeatedSentence("no_repeated_sentence")
    assert not check.kept("", "Salt is in the sea. Rivers flow. SALT is, in the sea!")
    assert not check.kept("", "the same line here\nthe same line here")
    assert check.kept("", "Salt is in the sea. Salt is in the water.")


def test_interjections_of_one_or_two_words_may_stand_twice() -> None:
    check = NoRepeatedSentence("no_repeated_sentence")
    assert check.kept("", "Yes. Yes. No way! No way! It works.")
    assert check.kept("", "")


@pytest.mark.parametrize("end", [".", "!", "?", "…", '."', ".”", "!’", ".)", ".**", "._", ".\n\n", '."  '])
def test_a_completion_that_ends_a_sentence_is_finished(end: str) -> None:
    assert EndsSentence("ends_sentence").kept("", f"It is done{end}")


@pytest.mark.parametrize("end", ["", ",", " and", ":", '"', "**", " (", ". And", "\n"])
def test_a_completion_that_breaks_off_is_not_finished(end: str) -> None:
    assert not EndsSentence("ends_sentence").kept("", f"It is done{end}")


@pytest.mark.parametrize(
    "text", ["- milk", "You need:\n- milk\n- eggs", "Text.\n\n  1. First", "2) Second", "• bullet", "* star", "- \nx"]
)
def test_lines_of_a_list_are_seen_anywhere(text: str) -> None:
    assert not NoLists("no_lists").kept("", text)


@pytest.mark.parametrize(
    "text", ["", "A well-known fact - really.", "1.5 metres", "**Bold** start", "3 eggs", "-5 degrees"]
)
def test_running_text_holds_no_list(text: str) -> None:
    assert NoLists("no_lists").kept("", text)


def test_a_completion_takes_up_its_subject_in_any_form_of_the_word() -> None:
    check = OnSubject("on_subject")
    assert check.kept("Why do volcanoes erupt?", "A volcano is a vent.")
    assert not check.kept("Why do volcanoes erupt?", "It is something that people often ask about.")


def test_a_subject_of_fewer_content_words_than_asked_for_must_be_taken_up_whole() -> None:
    check = OnSubject("on_subject", 2)
    assert check.kept("What is rain?", "Rain is water.")
    assert not check.kept("Why do volcanoes erupt?", "A volcano is a vent.")
    assert check.kept("Why do volcanoes erupt?", "Volcanoes are erupting.")


def test_a_prompt_without_content_words_has_no_subject_to_leave() -> None:
    assert subject_stems("What is it like?") == frozenset()
    assert OnSubject("on_subject", 3).kept("What is it like?", "")


def test_a_phrase_is_avoided_as_whole_words_across_punctuation_and_lines() -> None:
    check = AvoidsPhrases("avoids_phrases", ("As an AI", "cannot"))
    assert not check.kept("", "Well, as\nan -- AI, I try.")
    assert not check.kept("", "I CANNOT.")
    assert check.kept("", "Was an AI there? It cannotate.")
    assert check.kept("", "")
