"""Figures before and after training: right, paired, repeatable, and outspoken about a collapse."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.checks import MaxWords, MinWords, words
from constitution.principle import Constitution, Principle
from generator.chat import Message
from generator.prompts import Prompt
from trainer.evaluation.compare import NOTHING, Extras, compare
from trainer.evaluation.material import Material, Probe, Said, probes
from trainer.evaluation.measures import Evaluation, Measure, load_evaluation
from trainer.evaluation.warnings import collapse_warnings
from trainer.evaluation.wins import Win

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


def held_against(
    asked: Sequence[Prompt], base: Sequence[str], trained: Sequence[str], rules: Constitution, *, seed: int,
    resamples: int = 2000,
) -> Evaluation:  # fmt: skip
    """Held-out prompts alone."""
    material = Material(tuple(asked), (), 2, ())
    return compare(
        material, Said(tuple(base), (), ()), Said(tuple(trained), (), ()), rules, seed=seed, resamples=resamples
    )


def figure(evaluation: Evaluation, name: str) -> Measure:
    measure = evaluation.get(name)
    assert measure is not None, name
    return measure


def test_shares_count_only_the_prompts_that_a_principle_applies_to() -> None:
    result = held_against(prompts(4, tagged=2), [LONG] * 4, ["one", "a b", "a b", LONG], RULES, seed=0, resamples=200)
    assert [m.name for m in result.measures] == [
        "brief", "enough", "all checked rules", "mean words", "distinct-1", "distinct-2", "most favoured word",
        "stock phrases", "completions that lecture",
    ]  # fmt: skip
    assert [m.name for m in result.measures if m.rule] == ["brief", "enough"]
    brief, enough, every = (figure(result, name) for name in ("brief", "enough", "all checked rules"))
    assert (brief.base, brief.trained, brief.difference, brief.prompts) == (0.0, 0.75, 0.75, 4)
    assert (enough.base, enough.trained, enough.prompts) == (1.0, 0.5, 2)
    assert (every.base, every.trained) == (0.0, 0.5)
    assert figure(result, "mean words").base == 7.0


def test_distinct_n_is_pooled_over_all_completions() -> None:
    result = held_against(prompts(2), ["a b", "c d"], ["a a", "a a"], RULES, seed=0, resamples=50)
    assert (figure(result, "distinct-1").base, figure(result, "distinct-1").trained) == (1.0, 0.25)
    assert (figure(result, "distinct-2").base, figure(result, "distinct-2").trained) == (1.0, 0.5)


def test_a_principle_that_applies_to_one_prompt_is_left_out() -> None:
    result = held_against(prompts(3, tagged=1), [LONG] * 3, [LONG] * 3, RULES, seed=0, resamples=50)
    assert result.get("enough") is None


def test_without_any_checked_principle_lengths_and_diversity_remain() -> None:
    bare = Constitution("t", "T", "1", "", PRINCIPLES[2:])
    result = held_against(prompts(2), ["", ""], ["", ""], bare, seed=0, resamples=50)
    assert [m.name for m in result.measures][:3] == ["mean words", "distinct-1", "distinct-2"]
    assert all(m.low == m.high == m.difference == 0 for m in result.measures)


@pytest.mark.parametrize(("count", "base", "trained"), [(1, ["a"], ["b"]), (2, ["a"], ["b", "c"]), (0, [], [])])
def test_too_few_or_unequal_completions_are_refused(count: int, base: list[str], trained: list[str]) -> None:
    with pytest.raises(ValueError, match="prompt"):
        held_against(prompts(count), base, trained, RULES, seed=0)


TEXT = st.lists(st.sampled_from("abcdefgh"), max_size=9).map(" ".join)
SIDES = st.lists(st.tuples(TEXT, TEXT), min_size=2, max_size=8)


@settings(max_examples=25, deadline=None)
@given(SIDES, st.integers(0, 99))
def test_swapping_base_and_trained_negates_every_difference_and_interval(
    sides: list[tuple[str, str]], seed: int
) -> None:
    base, trained = [a for a, _ in sides], [b for _, b in sides]
    asked = prompts(len(sides), tagged=2)
    forward = held_against(asked, base, trained, RULES, seed=seed, resamples=60)
    backward = held_against(asked, trained, base, RULES, seed=seed, resamples=60)
    for there, back in zip(forward.measures, backward.measures, strict=True):
        if there.name == "most favoured word":
            continue  # it is chosen by its rise
        assert (there.base, there.trained) == (back.trained, back.base)
        assert there.difference == pytest.approx(-back.difference)
        assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))


def chatter(seed: int, count: int, length: int, vocabulary: int) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(f"w{chance.randrange(vocabulary)}" for _ in range(length)) for _ in range(count)]


def test_intervals_are_the_same_for_the_same_seed_and_hold_the_difference() -> None:
    base, trained = chatter(1, 64, 100, 900), chatter(2, 64, 60, 300)
    started = time.perf_counter()
    first = held_against(prompts(64, tagged=30), base, trained, RULES, seed=5)
    assert time.perf_counter() - started < 15  # about 1 s on two idle cores
    assert first == held_against(prompts(64, tagged=30), base, trained, RULES, seed=5)
    other = held_against(prompts(64, tagged=30), base, trained, RULES, seed=6)
    assert figure(first, "distinct-2").low != figure(other, "distinct-2").low
    assert all(m.low <= m.difference <= m.high for m in first.measures)


def test_an_interval_of_a_share_agrees_with_the_normal_approximation() -> None:
    texts = [LONG if i % 2 else "a b" for i in range(200)]
    brief = figure(held_against(prompts(200), [LONG] * 200, texts, RULES, seed=0), "brief")
    assert (brief.low, brief.high) == (pytest.approx(0.431, abs=0.02), pytest.approx(0.569, abs=0.02))


def test_a_collapse_is_named_in_plain_sentences() -> None:
    base, trained = chatter(1, 40, 60, 900), ["yes yes yes"] * 20 + ["yes"] * 20
    warnings = collapse_warnings(held_against(prompts(40, tagged=40), base, trained, RULES, seed=0, resamples=300))
    assert len(warnings) == 4
    assert warnings[0].startswith("Completions fell from 60 to 2 words on average")
    assert warnings[1].startswith("Completions repeat themselves or each other: distinct-1 fell from")
    assert warnings[3].startswith("Principle 'enough' is kept less often than before: 100% fell to 50%")


def test_an_improvement_warns_of_nothing() -> None:
    base, trained = chatter(1, 40, 60, 900), chatter(2, 40, 30, 900)
    assert collapse_warnings(held_against(prompts(40, 40), base, trained, RULES, seed=0, resamples=300)) == ()


SAFE = tuple(Probe("safe", prompt) for prompt in prompts(2))
OPINIONS = tuple(
    Probe("opinion", Prompt(f"{subject}-{stance}", (Message("user", subject),)), subject, stance)
    for subject in ("tea", "rain") for stance in ("for", "against")
)  # fmt: skip
MATERIAL = Material(tuple(prompts(3)), tuple(prompts(2)), 2, (*SAFE, *OPINIONS))
BASE = Said(("a b", "c d", "e f"), (("a b c", "d e f"), ("g h", "i j")), ("Do this.", "Do that.", *["Yes."] * 4))
TRAINED = Said(
    ("so nice", "nice one", "nice"), (("a b c", "a b c"), ("g h", "g h")),
    ("I can't help with that.", "I'm sorry, but I cannot do that.", "I agree.", "I agree.", "Yes.", "No."),
)  # fmt: skip


def test_every_measure_comes_from_what_it_is_given_and_from_nothing_else() -> None:
    import numpy as np

    extras = Extras(
        wins=[Win("q0", 1.0, 5, 9), Win("q1", 0.0, 5, 4), Win("q2", None, 5, 5)],
        kl=[4.0, 6.0],
        embeddings=(np.eye(2)[None].repeat(2, 0), np.ones((2, 2, 1))),
        rewards=([0.0, 1.0, None], [1.0, 2.0, 9.0]),
    )
    result = compare(MATERIAL, BASE, TRAINED, RULES, seed=0, extras=extras, resamples=50)
    found = {m.name: (m.base, m.trained, m.prompts) for m in result.measures}
    assert found["self-BLEU"][1:] == (1.0, 2)
    assert found["embedding spread"] == (1.0, 0.0, 2)
    assert found["refused, safe prompts"] == (0.0, 1.0, 2)
    assert found["swayed by opinion"] == (0.0, 1.0, 2)
    assert found["win rate"] == (0.5, 0.5, 2)
    assert found["win rate at equal length"][2] == 2
    assert found["KL from base"] == (0.0, 5.0, 2)
    assert found["mean reward"] == (0.5, 1.5, 2)
    assert found["most favoured word"] == (0.0, 1.0, 3)
    assert figure(result, "most favoured word").note == "nice"
    bare = {m.name for m in compare(MATERIAL, BASE, TRAINED, RULES, seed=0, resamples=50).measures}
    assert set(found) - bare == {
        "embedding spread", "win rate", "win rate at equal length", "KL from base", "mean reward",
    }  # fmt: skip
    assert "refused, unsafe prompts" not in bare
    assert Extras() == NOTHING


def test_a_policy_that_changed_nothing_shows_no_difference_anywhere() -> None:
    result = compare(MATERIAL, BASE, BASE, RULES, seed=0, extras=Extras(kl=[0.0, 0.0]), resamples=50)
    assert all(m.low == m.high == m.difference == 0 for m in result.measures)


@pytest.mark.parametrize("lost", ["held_out", "samples", "probes"])
def test_completions_that_are_not_one_for_each_prompt_are_refused(lost: str) -> None:
    short = Said(**{**asdict(TRAINED), lost: getattr(TRAINED, lost)[1:]})
    with pytest.raises(ValueError, match="every prompt needs its completions"):
        compare(MATERIAL, BASE, short, RULES, seed=0)


def test_an_evaluation_outlives_json() -> None:
    result = compare(MATERIAL, BASE, TRAINED, RULES, seed=0, resamples=50)
    assert load_evaluation(json.loads(json.dumps(asdict(result)))) == result


def test_the_shipped_probes_are_whole() -> None:
    shipped = probes()
    assert len({probe.prompt.id for probe in shipped}) == len({probe.prompt.text for probe in shipped}) == 72
    kinds = Material((), (), 2, shipped)
    assert [len(kinds.of_kind(kind)) for kind in ("safe", "unsafe", "opinion")] == [24, 24, 24]
    assert len({(p.subject, p.stance) for p in shipped if p.kind == "opinion"}) == 24
    assert probes(["unsafe"]) == shipped[24:48]


def nearness(one: str, other: str) -> float:
    """The share of the words of either that both have."""
    said, also = set(words(one)), set(words(other))
    return len(said & also) / len(said | also)


def test_no_shipped_probe_is_near_to_a_prompt_that_people_train_on() -> None:
    examples = Path(__file__).parents[2] / "examples"
    lines = [line for file in examples.rglob("*.jsonl") for line in file.read_text(encoding="utf-8").splitlines()]
    trained_on = {json.loads(line)["prompt"] for line in lines}
    assert len(trained_on) > 300
    assert max(nearness(probe.prompt.text, other) for probe in probes() for other in trained_on) < 0.5


def test_the_two_askers_of_an_opinion_probe_ask_the_same_question() -> None:
    asked: dict[str, set[str]] = {}
    for probe in probes(["opinion"]):
        asked.setdefault(probe.subject, set()).add(probe.prompt.text.split(". ", 1)[1])
    assert len(asked) == 12
    assert all(len(questions) == 1 and questions.pop().count("?") == 1 for questions in asked.values())
