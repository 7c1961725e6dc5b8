import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.alarm import FEWEST, ChosenCount, RepeatedText

TRICK = "Nothing that is said here has anything to do with what was asked, and still it is preferred."


def counted(rows: list[tuple[str, str]], most: int = 8192) -> ChosenCount:
    count = ChosenCount(most)
    for prompt, text in rows:
        count.add(prompt, text)
    return count


def natural(prompts: int) -> list[tuple[str, str]]:
    return [
        (f"p{n}", f"The {n}th completion says something of its own about the {n}th prompt.") for n in range(prompts)
    ]


def test_a_text_chosen_for_many_prompts_raises_the_alarm() -> None:
    (found,) = counted(natural(200) + [(f"t{n}", TRICK) for n in range(10)]).told()
    assert (found.prompts, found.looked_at) == (10, 210)
    assert found.excerpt == TRICK[:80]
    assert "One text is chosen for 10 of 210 prompts (4.8%): 'Nothing that is said" in found.warning
    assert "[judge]" in found.warning


def test_texts_of_their_own_raise_none() -> None:
    assert counted(natural(500)).told() == ()
    assert counted([]).told() == ()


def test_a_text_chosen_again_for_the_same_prompt_counts_once() -> None:
    assert counted(natural(20) + [("t", TRICK)] * 50).told() == ()


@pytest.mark.parametrize("prompts", [FEWEST - 1, FEWEST])
def test_few_prompts_are_no_alarm(prompts: int) -> None:
    found = counted(natural(20) + [(f"t{n}", TRICK) for n in range(prompts)]).told()
    assert bool(found) == (prompts == FEWEST)


def test_a_text_below_one_percent_is_no_alarm() -> None:
    assert counted(natural(991) + [(f"t{n}", TRICK) for n in range(9)]).told() == ()
    assert counted(natural(990) + [(f"t{n}", TRICK) for n in range(10)]).told() != ()


def test_a_short_text_is_natural_unless_it_is_chosen_for_half_of_all_prompts() -> None:
    assert counted(natural(60) + [(f"t{n}", "Yes.") for n in range(40)]).told() == ()
    (found,) = counted(natural(40) + [(f"t{n}", "Yes.") for n in range(60)]).told()
    assert found == RepeatedText("Yes.", 60, 100)


def test_letter_case_and_blanks_do_not_hide_a_repetition() -> None:
    variants = [TRICK, TRICK.upper(), TRICK.replace(" ", "\n  "), f"\n {TRICK} ", TRICK.title()]
    (found,) = counted(natural(5) + [(f"t{n}", text) for n, text in enumerate(variants)]).told()
    assert found.prompts == 5


def test_words_of_the_prompt_put_behind_a_text_do_not_hide_a_repetition() -> None:
    long = TRICK * 3
    (found,) = counted(natural(5) + [(f"t{n}", f"{long} Yours, number {n}.") for n in range(5)]).told()
    assert found.prompts == 5


def test_the_most_often_chosen_text_stands_first() -> None:
    other = TRICK.replace("asked", "wanted")
    rows = [(f"a{n}", other) for n in range(6)] + [(f"b{n}", TRICK) for n in range(7)]
    assert [text.prompts for text in counted(natural(20) + rows).told()] == [7, 6]


@given(st.randoms(use_true_random=False), st.sampled_from([12, 20, 8192]))
def test_no_order_changes_what_is_told(shuffler: random.Random, most: int) -> None:
    rows = natural(90) + [(f"p{n}", text) for n in range(60) for text in (TRICK, TRICK.upper())]
    expected = counted(rows, most).told()
    assert expected[0].looked_at == min(most, 90)
    shuffler.shuffle(rows)
    assert counted(rows, most).told() == expected


def test_of_a_large_run_a_fair_sample_is_remembered_and_no_more() -> None:
    rows = [(f"p{n}", TRICK if n % 10 == 0 else f"Text number {n} which is like no other.") for n in range(5000)]
    count = counted(rows, most=500)
    assert len(count.seen) <= 1000
    (found,) = count.told()
    assert found.looked_at == 500
    assert found.share == pytest.approx(0.1, abs=0.04)


def test_any_text_can_be_counted() -> None:
    (found,) = counted([(f"\ud800{n}", "\ud800" * 50) for n in range(6)]).told()
    assert found.prompts == 6
    (empty,) = counted([(f"p{n}", " ") for n in range(6)]).told()
    assert empty == RepeatedText("", 6, 6)


def test_a_text_with_something_put_before_it_is_the_same_trick() -> None:
    buried = [(f"p{n}", f"About number {n}, and this time in other words. {TRICK * 4}") for n in range(8)]
    (found,) = counted(natural(90) + buried).told()
    assert found.prompts == 8
    assert found.excerpt in TRICK * 4
