"""Figures before and after training: right, paired, repeatable, and outspoken about a collapse."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.checks import MaxWords, MinWords
from constitution.principle import Constitution, Principle
from generator.chat import Message
from generator.prompts import Prompt
from trainer.evaluate import Evaluation, Measure, collapse_warnings, compare

pytest.importorskip("scipy", reason="needs the 'train' extra")

PRINCIPLES = (
    Principle("brief", "Be brief.", check=MaxWords("max_words", words=5)),
    Principle("enough", "Say something.", check=MinWords("min_words", words=2), applies_to=("open",)),
    Principle("kind", "Be kind."),
)
RULES = Constitution("t", "T", "1", "", PRINCIPLES)
LONG = "one two three four five six seven"


def prompts(count: int, tagged: int = 0) -> list[Prompt]:
    return [Prompt(f"q{i}", (Message("user", "Tell me."),), ("open",) if i < tagged else ()) for i in range(count)]


def figure(evaluation: Evaluation, name: str) -> Measure:
    measure = evaluation.get(name)
    assert measure is not None, name
    return measure


def test_shares_count_only_the_prompts_that_a_principle_applies_to() -> None:
    result = compare(prompts(4, tagged=2), [LONG] * 4, ["one", "a b", "a b", LONG], RULES, seed=0, resamples=200)
    assert [m.name for m in result.measures] == [
        "brief", "enough", "all checked rules", "mean words", "distinct-1", "distinct-2",
    ]  # fmt: skip
    brief, enough, every = (figure(result, name) for name in ("brief", "enough", "all checked rules"))
    assert (brief.base, brief.trained, brief.difference, brief.prompts) == (0.0, 0.75, 0.75, 4)
    assert (enough.base, enough.trained, enough.prompts) == (1.0, 0.5, 2)
    assert (every.base, every.trained) == (0.0, 0.5)
    assert figure(result, "mean words").base == 7.0


def test_distinct_n_is_pooled_over_all_completions() -> None:
    result = compare(prompts(2), ["a b", "c d"], ["a a", "a a"], RULES, seed=0, resamples=50)
    assert (figure(result, "distinct-1").base, figure(result, "distinct-1").trained) == (1.0, 0.25)
    assert (figure(result, "distinct-2").base, figure(result, "distinct-2").trained) == (1.0, 0.5)


def test_a_principle_that_applies_to_one_prompt_is_left_out() -> None:
    result = compare(prompts(3, tagged=1), [LONG] * 3, [LONG] * 3, RULES, seed=0, resamples=50)
    assert result.get("enough") is None


def test_without_any_checked_principle_lengths_and_diversity_remain() -> None:
    bare = Constitution("t", "T", "1", "", PRINCIPLES[2:])
    result = compare(prompts(2), ["", ""], ["", ""], bare, seed=0, resamples=50)
    assert [m.name for m in result.measures] == ["mean words", "distinct-1", "distinct-2"]
    assert all(m.low == m.high == m.difference == 0 for m in result.measures)


@pytest.mark.parametrize(("count", "base", "trained"), [(1, ["a"], ["b"]), (2, ["a"], ["b", "c"]), (0, [], [])])
def test_too_few_or_unequal_completions_are_refused(count: int, base: list[str], trained: list[str]) -> None:
    with pytest.raises(ValueError, match="prompt"):
        compare(prompts(count), base, trained, RULES, seed=0)


TEXT = st.lists(st.sampled_from("abcdefgh"), max_size=9).map(" ".join)
SIDES = st.lists(st.tuples(TEXT, TEXT), min_size=2, max_size=8)


@settings(max_examples=25, deadline=None)
@given(SIDES, st.integers(0, 99))
def test_swapping_base_and_trained_negates_every_difference_and_interval(
    sides: list[tuple[str, str]], seed: int
) -> None:
    base, trained = [a for a, _ in sides], [b for _, b in sides]
    asked = prompts(len(sides), tagged=2)
    forward = compare(asked, base, trained, RULES, seed=seed, resamples=60)
    backward = compare(asked, trained, base, RULES, seed=seed, resamples=60)
    for there, back in zip(forward.measures, backward.measures, strict=True):
        assert (there.base, there.trained) == (back.trained, back.base)
        assert there.difference == pytest.approx(-back.difference)
        assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))


def chatter(seed: int, count: int, length: int, vocabulary: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(f"w{chance.randrange(vocabulary)}" for _ in range(length)) for _ in range(count)]


def test_intervals_are_the_same_for_the_same_seed_and_hold_the_difference() -> None:
    base, trained = chatter(1, 64, 100, 900), chatter(2, 64, 60, 300)
    started = time.perf_counter()
    first = compare(prompts(64, tagged=30), base, trained, RULES, seed=5)
    assert time.perf_counter() - started < 15  # about 1 s on two idle cores
    assert first == compare(prompts(64, tagged=30), base, trained, RULES, seed=5)
    other = compare(prompts(64, tagged=30), base, trained, RULES, seed=6)
    assert figure(first, "distinct-2").low != figure(other, "distinct-2").low
    assert all(m.low <= m.difference <= m.high for m in first.measures)


def test_an_interval_of_a_share_agrees_with_the_normal_approximation() -> None:
    texts = [LONG if i % 2 else "a b" for i in range(200)]
    brief = figure(compare(prompts(200), [LONG] * 200, texts, RULES, seed=0), "brief")
    assert (brief.low, brief.high) == (pytest.approx(0.431, abs=0.02), pytest.approx(0.569, abs=0.02))


def test_a_collapse_is_named_in_plain_sentences() -> None:
    base, trained = chatter(1, 40, 60, 900), ["yes yes yes"] * 20 + ["yes"] * 20
    warnings = collapse_warnings(compare(prompts(40, tagged=40), base, trained, RULES, seed=0, resamples=300))
    assert len(warnings) == 4
    assert warnings[0].startswith("Completions fell from 60 to 2 words on average")
    assert warnings[1].startswith("Completions repeat themselves or each other: distinct-1 fell from")
    assert warnings[3].startswith("Principle 'enough' is kept less often than before: 100% fell to 50%")


def test_an_improvement_warns_of_nothing() -> None:
    base, trained = chatter(1, 40, 60, 900), chatter(2, 40, 30, 900)
    assert collapse_warnings(compare(prompts(40, 40), base, trained, RULES, seed=0, resamples=300)) == ()
