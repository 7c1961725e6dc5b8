import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.candidates import Candidate, Candidates
from generator.chat import Message
from generator.prompts import Prompt
from judge.canaries import (
    FEWEST,
    INJECTIONS,
    NULLS,
    CanariesTold,
    Canary,
    CanaryCount,
    CanaryKind,
    canary_couples,
    planted_in,
)
from judge.verdict import Judgement, NoVerdict, Verdict

DRAFTS = tuple(Candidate(f"c{n}", f"Draft {n} is about tea.", "stop", f"call{n}", n, 0) for n in range(3))
REVISION = Candidate("r", "A revision about tea.", "stop", "call", 0, 1, revises="c0", principle="p")


def made(number: int = 0, candidates: tuple[Candidate, ...] = (*DRAFTS, REVISION)) -> Candidates:
    return Candidates(Prompt(f"prompt{number}", (Message("user", "What is tea?"),)), candidates)


def of_kind(kind: CanaryKind) -> Canary:
    return next(canary for canary in canary_couples(made(), 0, 1.0) if canary.kind == kind)


def judged(canary: Canary, planted: float | None) -> Judgement:
    """A judgement of ``canary`` that gives the planted completion this chance in both orders."""
    a, b = sorted((canary.real.id, canary.planted.id))
    if planted is None:
        return Judgement(a, b, "p", "model", Verdict(0.9, "k"), NoVerdict("error", "k"))
    p_a = planted if a == canary.planted.id else 1 - planted
    return Judgement(a, b, "p", "model", Verdict(p_a, "k"), Verdict(1 - p_a, "k"))


def told(null: list[float | None], injected: list[float | None]) -> CanariesTold:
    count = CanaryCount()
    for kind, chances in (("null", null), ("injected", injected)):
        for chance in chances:
            count.add(of_kind(kind), judged(of_kind(kind), chance))
    return count.told()


def test_a_null_and_an_injected_canary_stand_beside_one_real_draft() -> None:
    null, injected = canary_couples(made(), 0, 1.0)
    assert (null.kind, injected.kind) == ("null", "injected")
    assert null.real == injected.real
    assert null.real in DRAFTS
    assert null.planted.text in NULLS
    assert injected.planted.text.removeprefix(f"{null.planted.text}\n\n") in INJECTIONS


def test_what_is_planted_is_no_candidate_of_the_prompt_and_no_call() -> None:
    canaries = canary_couples(made(), 0, 1.0)
    ids = {c.id for c in made().candidates} | {canary.planted.id for canary in canaries}
    assert len(ids) == len(made().candidates) + 2
    assert all(canary.planted.call == "" and not canary.planted.is_revision for canary in canaries)


@given(st.integers(0, 50), st.integers(0, 3), st.randoms(use_true_random=False))
def test_canaries_hang_on_seed_and_prompt_and_not_on_the_order_or_the_texts_of_candidates(
    number: int, seed: int, shuffler: random.Random
) -> None:
    expected = canary_couples(made(number), seed, 0.5)
    shuffled = list(made(number).candidates)
    shuffler.shuffle(shuffled)
    assert canary_couples(made(number, tuple(shuffled)), seed, 0.5) == expected
    reworded = tuple(replace(c, text=f"{c.text} Or coffee.") for c in made(number).candidates)
    found = canary_couples(made(number, reworded), seed, 0.5)
    assert [(c.planted, c.real.id) for c in found] == [(c.planted, c.real.id) for c in expected]


def test_the_share_of_prompts_is_kept_and_every_text_and_draft_has_its_turn() -> None:
    canaries = [canary for n in range(2000) for canary in canary_couples(made(n), 1, 0.1)]
    assert len(canaries) / 2 == pytest.approx(200, abs=50)
    assert {c.planted.text for c in canaries if c.kind == "null"} == set(NULLS)
    assert len({c.planted.text for c in canaries}) == len(NULLS) * (1 + len(INJECTIONS))
    assert {c.real.id for c in canaries} == {"c0", "c1", "c2"}
    assert canary_couples(made(), 1, 0.0) == ()
    assert all(len(canary_couples(made(n), 1, 1.0)) == 2 for n in range(100))


@given(st.integers(0, 1000), st.integers(0, 3), st.floats(0, 1))
def test_how_many_canaries_there_will_be_is_known_ahead(number: int, seed: int, share: float) -> None:
    assert planted_in(f"prompt{number}", seed, share) == len(canary_couples(made(number), seed, share))


def test_a_larger_share_takes_in_a_smaller_one() -> None:
    for n in range(200):
        assert canary_couples(made(n), 1, 0.1) in ((), canary_couples(made(n), 1, 0.6))


def test_a_draft_that_says_nothing_is_not_used() -> None:
    blank, refused = replace(DRAFTS[0], text=" \n"), replace(DRAFTS[1], finish="refusal")
    for n in range(50):
        canaries = canary_couples(made(n, (blank, refused, DRAFTS[2])), 0, 1.0)
        assert {canary.real.id for canary in canaries} == {"c2"}
    assert canary_couples(made(0, (blank, refused)), 0, 1.0) == ()
    assert canary_couples(made(0, ()), 0, 1.0) == ()


def test_a_draft_equal_to_what_would_be_planted_is_no_comparison() -> None:
    null = of_kind("null").planted.text
    twin = replace(DRAFTS[0], text=f"{null}\n")
    assert [canary.kind for canary in canary_couples(made(0, (twin,)), 0, 1.0)] == ["injected"]


def test_no_planted_text_names_a_slot() -> None:
    assert not any(digit in text.split() for text in (*NULLS, *INJECTIONS) for digit in ("1", "2", "1.", "2."))


@pytest.mark.parametrize("kind", ["null", "injected"])
def test_verdicts_are_counted_by_kind_whichever_of_the_two_is_a(kind: CanaryKind) -> None:
    canary = of_kind(kind)
    for planted_id in ("0", "z"):
        placed = replace(canary, planted=replace(canary.planted, id=planted_id))
        count = CanaryCount()
        for chance in (0.9, 0.6, 0.5, 0.2, None):
            count.add(placed, judged(placed, chance))
        tally = count.tallies[kind]
        assert (tally.asked, tally.preferred, tally.ties, tally.no_verdicts) == (5, 2, 1, 1)
        assert sum(tally.asked for tally in count.tallies.values()) == 5


def test_checks_are_passed_over_and_a_judgement_of_others_is_refused() -> None:
    canary, count = of_kind("null"), CanaryCount()
    count.add(canary, replace(judged(canary, 1.0), by="check"))
    assert count.told() == CanaryCount().told()
    with pytest.raises(ValueError, match="not one of this canary"):
        count.add(canary, Judgement("x", "y", "p", "model", Verdict(1.0, "k"), Verdict(0.0, "k")))


def test_a_sound_judge_is_not_accused() -> None:
    assert told([0.1] * 50, [0.1] * 50).warning is None
    assert told([0.1] * 40 + [0.9] * 10, [0.1] * 40 + [0.9] * 10).warning is None
    assert told([], []).warning is None


def test_of_too_few_verdicts_nothing_is_said() -> None:
    assert told([0.9] * (FEWEST - 1) + [None] * 20, [0.9] * (FEWEST - 1)).warning is None
    assert told([0.9] * FEWEST, []).warning is not None
    assert told([], [0.9] * FEWEST).warning is not None


def test_a_judge_that_obeys_what_it_judges_is_named_as_such() -> None:
    warning = told([0.1] * 20, [0.9] * 15 + [0.1] * 5).warning
    assert warning is not None
    assert "obeys what it should judge" in warning
    assert "in 75% of 20 verdicts" in warning
    assert "[judge]" in warning
    assert "says nothing of the prompt" not in warning


def test_a_judge_that_prefers_nothing_to_something_is_not_said_to_obey() -> None:
    warning = told([0.9] * 15 + [0.1] * 5, [0.9] * 16 + [0.1] * 4).warning
    assert warning is not None
    assert "says nothing of the prompt to a real draft in 75% of 20 verdicts" in warning
    assert "obeys" not in warning


def test_a_judge_with_both_faults_is_told_both() -> None:
    warning = told([0.9] * 10 + [0.1] * 10, [0.9] * 20).warning
    assert warning is not None
    assert "obeys" in warning
    assert "says nothing of the prompt" in warning


def test_ties_and_missing_verdicts_are_no_preference() -> None:
    assert told([0.5] * 30 + [None] * 30, [0.5] * 30).warning is None
