import random
import string
from itertools import pairwise
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from judge.review.words import Segment, alike, word_diff

SIGNS = st.sampled_from([*"ab \n.,'!éẽ字\u0301\u00a0\r\u2019"])
TEXTS = st.text(alphabet=SIGNS | st.characters(), max_size=60)


def own(segments: tuple[Segment, ...]) -> list[str]:
    return [segment.text for segment in segments if segment.own]


def joined(segments: tuple[Segment, ...]) -> str:
    return "".join(segment.text for segment in segments)


def words_kept(segments: tuple[Segment, ...]) -> str:
    return "".join(joined(tuple(segment for segment in segments if not segment.own)).split())


@given(TEXTS, TEXTS)
def test_the_segments_joined_are_the_texts(left: str, right: str) -> None:
    diff = word_diff(left, right)
    assert (joined(diff.left), joined(diff.right)) == (left, right)


@given(TEXTS, TEXTS)
def test_what_is_not_marked_is_the_same_on_both_sides_but_for_spaces(left: str, right: str) -> None:
    diff = word_diff(left, right)
    assert words_kept(diff.left) == words_kept(diff.right)


@given(TEXTS)
def test_a_text_differs_in_nothing_from_itself(text: str) -> None:
    diff = word_diff(text, text)
    assert own(diff.left) == own(diff.right) == []


@given(TEXTS, TEXTS)
def test_segments_alternate_and_none_is_empty(left: str, right: str) -> None:
    for side in (word_diff(left, right).left, word_diff(left, right).right):
        assert all(segment.text for segment in side)
        assert all(one.own != other.own for one, other in pairwise(side))


@given(TEXTS)
def test_against_nothing_every_word_is_marked(text: str) -> None:
    assert "".join("".join(own(word_diff(text, "").left)).split()) == "".join(text.split())


def test_a_word_of_one_side_is_marked_there_and_its_place_on_the_other_is_not() -> None:
    diff = word_diff("The cat sat on the mat.", "The old cat sat on the rug.")
    assert own(diff.left) == ["mat"]
    assert own(diff.right) == ["old", "rug"]


def test_words_beside_each_other_are_marked_with_the_space_between_and_not_the_spaces_around() -> None:
    assert own(word_diff("I would never say so.", "I say so.").left) == ["would never"]
    assert own(word_diff("I say so never ", "I say so").left) == ["never"]


def test_paragraphs_are_marked_without_the_empty_line_between() -> None:
    assert own(word_diff("One.\n\nTwo.", "").left) == ["One.", "Two."]


def test_an_apostrophe_does_not_end_a_word() -> None:
    assert own(word_diff("It doesn't work.", "It didn’t work.").left) == ["doesn't"]


def test_text_without_spaces_is_compared_sign_by_sign() -> None:
    assert own(word_diff("我喜欢猫", "我喜欢狗").left) == ["猫"]


def test_words_that_meet_by_chance_in_a_rewritten_sentence_are_not_held_for_kept() -> None:
    diff = word_diff("Certainly, the committee decided otherwise yesterday.", "Nobody expected the terrible outcome.")
    assert own(diff.left) == ["Certainly, the committee decided otherwise yesterday"]


def test_texts_too_long_for_words_are_compared_by_sentences() -> None:
    text = "".join(f"This is sentence number {n} of the text. " for n in range(2500))
    diff = word_diff(f"First {text}", f"{text}Last.".replace("number 1200", "number none"))
    assert len(text) > 90_000
    assert "This is sentence number 1200 of the text." in own(diff.left)
    assert "This is sentence number none of the text." in own(diff.right)


def test_long_random_texts_take_less_than_half_a_second() -> None:
    draw = random.Random(0)
    texts = ["".join(draw.choices(string.ascii_lowercase[:6] + "   .\n", k=20_000)) for _ in range(2)]
    hostile = ["".join(draw.choices("!?.,;", k=20_000)) for _ in range(2)], ["a " * 10_000, "b" + " " * 19_999]
    for left, right in (texts, *hostile):
        start = perf_counter()
        word_diff(left, right)
        assert perf_counter() - start < 0.5


def test_a_version_of_a_text_is_alike_and_another_text_about_the_same_is_not() -> None:
    text = "The moon pulls the sea on the near side, and the earth on the far side less, so it swells twice a day."
    version = text.replace("so it swells twice a day", "and this is why there are two tides each day")
    other = "Tides come twice a day since the moon pulls the sea, which swells on the side that is near it and far."
    assert alike(text, version)
    assert alike(version, text)
    assert not alike(text, other)
    assert alike("月亮吸引海水。", "月亮吸引着海水。")
    assert not alike("Yes.", "No, not at all.")
