import asyncio
import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates
from generator.chat import ChatReply, ChatRequest, Message, TokenLogprob
from generator.models.scripted import ScriptedModel
from generator.prompts import Prompt
from judge.asking import Asking
from judge.judging import Judged, Judging
from judge.label import Label
from judge.modes import judge_candidates
from judge.pairs import Pairs, build_pairs
from judge.pairwise import Juror
from judge.ranking import standings
from judge.tournament import default_budget

PROMPT = Prompt("p", (Message("user", "Why?"),))
PRINCIPLES = tuple(Principle(f"rule-{n}", f"Rule {n}.") for n in range(4))
CONSTITUTION = Constitution("c", "C", "1", "", PRINCIPLES)


def drafts(*texts: str) -> Candidates:
    made = tuple(Candidate(f"c{n}", text, "stop", "call", n, 0) for n, text in enumerate(texts))
    return Candidates(PROMPT, made)


def liking(heights: dict[str, float], silent: Iterable[set[str]] = ()) -> ScriptedModel:
    """A judge whose log-odds are the difference of two texts' heights; of the ``silent`` couples it says nothing."""

    def script(request: ChatRequest) -> ChatReply | str:
        _, _, one, other, _ = request.messages[0].content.split("=== ")
        first, second = (part.split("\n")[1] for part in (one, other))
        if {first, second} in list(silent):
            return "Hm."
        p_first = 1 / (1 + math.exp(heights[second] - heights[first]))
        tokens = TokenLogprob("1", math.log(p_first)), TokenLogprob("2", math.log1p(-p_first))
        return ChatReply("", "", "stop", "m", first_token=tokens)

    return ScriptedModel(script)


def ranked(made: Candidates, model: ScriptedModel, **changes: Any) -> Judged:
    whole = {"principles": "one", "policy": "best-vs-worst", "asking": Asking(0), "mode": "ranked", **changes}
    return asyncio.run(judge_candidates(made, CONSTITUTION, Judging((Juror(model),), **whole)))


HEIGHTS = {"low": -2.0, "under": -1.0, "mid": 0.0, "over": 1.0, "high": 2.0}
FIVE = drafts("mid", "high", "low", "over", "under")
ORDER = ["c1", "c3", "c0", "c4", "c2"]


def couples(found: Judged) -> set[tuple[str, str]]:
    return {(j.a, j.b) for j in found.judgements}


@pytest.mark.parametrize("tournament", ["all", "adaptive"])
def test_all_of_a_prompts_candidates_are_put_in_order(tournament: str) -> None:
    found = ranked(FIVE, liking(HEIGHTS), tournament=tournament)
    assert [standing.candidate for standing in found.ranking] == ORDER
    assert math.fsum(s.strength for s in found.ranking) == pytest.approx(0, abs=1e-9)
    assert all(s.error > 0 for s in found.ranking)
    (pair,) = build_pairs(FIVE, found.labels, "best-vs-worst", 0.1, found.ranking).pairs
    assert (pair.chosen.id, pair.rejected.id) == ("c1", "c2")
    strengths = {s.candidate: s.strength for s in found.ranking}
    assert pair.p_chosen == pytest.approx(1 / (1 + math.exp(strengths["c2"] - strengths["c1"])))


def test_all_couples_are_compared_under_one_principle_in_both_orders() -> None:
    model = liking(HEIGHTS)
    found = ranked(FIVE, model)
    assert couples(found) == set(combinations(sorted(c.id for c in FIVE.candidates), 2))
    assert len({j.principle for j in found.judgements}) == 1
    assert len(model.calls) == len(set(model.calls)) == 20


def test_every_prompt_draws_its_own_principle() -> None:
    made = [replace(FIVE, prompt=replace(PROMPT, id=f"p{n}")) for n in range(12)]
    assert len({ranked(m, liking(HEIGHTS)).judgements[0].principle for m in made}) > 2


@pytest.mark.parametrize("comparisons", [None, 1, 3, 8, 15, 99])
def test_an_adaptive_tournament_keeps_to_its_bound(comparisons: int | None) -> None:
    heights = {f"text {n}": n / 2 for n in range(6)}
    model = liking(heights)
    found = ranked(drafts(*heights), model, tournament="adaptive", comparisons=comparisons)
    most = default_budget(6) if comparisons is None else min(comparisons, 15)
    assert len(couples(found)) == len(model.calls) / 2 == most


def revised(*texts: tuple[str, str]) -> Candidates:
    made = [
        Candidate(f"c{n}r{r}", text, "stop", "call", n, r, f"c{n}r0" if r else None, "rule-0" if r else None)
        for n, both in enumerate(texts)
        for r, text in enumerate(both)
    ]
    return Candidates(PROMPT, tuple(made))


def test_an_adaptive_tournament_judges_each_revision_against_what_it_revised_whatever_its_bound() -> None:
    made = revised(("low", "over"), ("mid", "high"))
    found = ranked(made, liking(HEIGHTS), tournament="adaptive", comparisons=1)
    assert couples(found) == {("c0r0", "c0r1"), ("c1r0", "c1r1")}


def test_of_two_that_no_comparison_joins_nothing_says_which_is_better() -> None:
    made = revised(("low", "over"), ("mid", "high"))
    found = ranked(made, liking(HEIGHTS), tournament="adaptive", comparisons=1)
    assert len(found.ranking) == 2
    built = build_pairs(made, found.labels, "all", 0.0, found.ranking)
    assert {(p.chosen.id, p.rejected.id) for p in built.pairs} == {("c0r1", "c0r0"), ("c1r1", "c1r0")}
    assert {drop.reason for drop in built.drops} == {"no verdict"}
    assert len(built.drops) == 4


def test_a_couple_without_a_verdict_is_labelled_by_what_the_others_tell_and_says_by_what_principle() -> None:
    found = ranked(FIVE, liking(HEIGHTS, silent=[{"high", "low"}]))
    pairs: Pairs = build_pairs(FIVE, found.labels, "best-vs-worst", 0.1, found.ranking)
    (pair,) = pairs.pairs
    assert (pair.chosen.id, pair.rejected.id, pair.orders_agree) == ("c1", "c2", None)
    assert pair.decided_by == (found.judgements[0].principle,)


def test_a_candidate_that_no_verdict_names_has_no_standing() -> None:
    silent = [{"mid", other} for other in HEIGHTS]
    found = ranked(FIVE, liking(HEIGHTS, silent))
    assert [s.candidate for s in found.ranking] == [name for name in ORDER if name != "c0"]
    everything_silent = ranked(FIVE, ScriptedModel(lambda request: "Hm."))
    assert everything_silent.ranking == ()
    built = build_pairs(FIVE, everything_silent.labels, "best-vs-worst", 0.0, ())
    assert (built.pairs, [drop.reason for drop in built.drops]) == ((), ["no verdict"])


def test_candidates_of_one_text_are_one_player_and_share_its_place() -> None:
    made = drafts("mid", "high", "mid", "low")
    model = liking(HEIGHTS)
    found = ranked(made, model, tournament="adaptive", comparisons=3)
    assert couples(found) == {("c0", "c1"), ("c0", "c3"), ("c1", "c3")}
    assert [s.candidate for s in found.ranking] == ["c1", "c0", "c2", "c3"]
    assert found.ranking[1].strength == found.ranking[2].strength


def test_what_is_said_of_each_of_one_text_counts_for_their_player_once_whichever_way_round_it_was_said() -> None:
    twice, once = (
        ranked(drafts("high", "mid", "high", "low"), liking(HEIGHTS)),
        ranked(drafts("high", "mid", "low"), liking(HEIGHTS)),
    )
    assert [s.candidate for s in twice.ranking] == ["c0", "c2", "c1", "c3"]
    assert [s.strength for s in twice.ranking[1:]] == [s.strength for s in once.ranking]


@given(st.permutations(FIVE.candidates), st.integers(0, 5))
@settings(max_examples=20)
def test_the_first_of_one_text_by_its_place_plays_for_all(candidates: list[Candidate], seed: int) -> None:
    alike = [replace(c, text="mid") if c.id in ("c2", "c4") else c for c in candidates]
    made = replace(FIVE, candidates=tuple(alike))
    ordered = replace(FIVE, candidates=tuple(sorted(alike, key=lambda c: c.id)))
    one, other = (
        ranked(m, liking(HEIGHTS), tournament="adaptive", comparisons=2, asking=Asking(seed)) for m in (made, ordered)
    )
    assert one == other
    assert not {"c2", "c4"} & {name for couple in couples(one) for name in couple}


def test_a_revision_is_not_chosen_against_the_judges_own_word_whatever_its_strength() -> None:
    """The revision beats everybody but its own draft."""
    made = revised(("low", "high"), ("mid", "under"))
    labels = [
        Label("c0r0", "c0r1", 0.9, ("rule-0",), True),
        *(Label(*couple, p, ("rule-0",), True) for couple, p in {
            ("c0r0", "c1r0"): 0.05, ("c0r0", "c1r1"): 0.05, ("c0r1", "c1r0"): 0.99, ("c0r1", "c1r1"): 0.99,
            ("c1r0", "c1r1"): 0.5,
        }.items()),
    ]  # fmt: skip
    ranking = standings(made, tuple(labels))
    assert ranking[0].candidate == "c0r1"
    (pair,) = build_pairs(made, labels, "best-vs-worst", 0.0, ranking).pairs
    assert pair.chosen.id == "c1r0"
    dropped = build_pairs(made, labels, "revision-vs-draft", 0.0, ranking)
    assert "revision not preferred to what it revised" in {drop.reason for drop in dropped.drops}
