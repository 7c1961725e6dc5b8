from collections.abc import Mapping
from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.candidates import Candidate, Candidates
from generator.chat import Message
from generator.prompts import Prompt
from judge.label import Label
from judge.pairs import PairPolicy, Pairs, Standing, build_pairs, couples_to_judge

PROMPT = Prompt("p", (Message("user", "Why?"),))
POLICIES: tuple[PairPolicy, ...] = get_args(PairPolicy)

# Two drafts; the first was revised twice, the second once.
D0 = Candidate("d0", "draft 0", "stop", "call", 0, 0)
R0 = Candidate("r0", "revision 0", "stop", "call", 0, 1, "d0", "kind")
S0 = Candidate("s0", "second revision 0", "stop", "call", 0, 2, "r0", "kind")
D1 = Candidate("d1", "draft 1", "stop", "call", 1, 0)
R1 = Candidate("r1", "revision 1", "stop", "call", 1, 1, "d1", "kind")


def labels_of(preferences: Mapping[tuple[str, str], float | None]) -> list[Label]:
    """Labels from the chance that the first of two ids is preferred."""
    made = []
    for (one, other), p in preferences.items():
        p_a = p if p is None or one < other else 1 - p
        made.append(Label(min(one, other), max(one, other), p_a, ("kind",), True))
    return made


def strengths(candidates: tuple[Candidate, ...], *values: float) -> list[Label]:
    """Labels as if each candidate had a strength: the difference, from one half."""
    strength = dict(zip((c.id for c in candidates), values, strict=True))
    return labels_of({(a, b): 0.5 + (strength[a] - strength[b]) / 2 for a, b in combinations(strength, 2)})


def built(candidates: tuple[Candidate, ...], labels: list[Label], policy: PairPolicy, min_margin: float = 0.1) -> Pairs:
    return build_pairs(Candidates(PROMPT, candidates), labels, policy, min_margin)


def chosen_over(pairs: Pairs) -> set[tuple[str, str]]:
    return {(pair.chosen.id, pair.rejected.id) for pair in pairs.pairs}


ALL = (D0, R0, S0, D1, R1)
GROWING = strengths(ALL, 0.0, 0.3, 0.6, 0.2, 0.9)  # every revision is better than what it revised


def test_all_pairs_every_couple() -> None:
    pairs = built(ALL, GROWING, "all")
    assert len(pairs.pairs) == 10
    assert ("r1", "d0") in chosen_over(pairs)
    assert ("s0", "r0") in chosen_over(pairs)


def test_best_vs_worst_pairs_the_two_ends() -> None:
    (pair,) = built(ALL, GROWING, "best-vs-worst").pairs
    assert (pair.chosen, pair.rejected, pair.prompt) == (R1, D0, PROMPT)
    assert pair.p_chosen == pytest.approx(0.95)
    assert pair.margin == pytest.approx(0.9)
    assert (pair.decided_by, pair.orders_agree, pair.label_source) == (("kind",), True, "ai")


def test_adjacent_pairs_neighbours_in_the_ranking() -> None:
    pairs = built(ALL, GROWING, "adjacent")
    assert chosen_over(pairs) == {("r1", "s0"), ("s0", "r0"), ("r0", "d1"), ("d1", "d0")}


def test_revision_vs_draft_pairs_each_revision_with_what_it_revised() -> None:
    assert chosen_over(built(ALL, GROWING, "revision-vs-draft")) == {("r0", "d0"), ("s0", "r0"), ("r1", "d1")}


def test_a_draft_is_chosen_over_a_revision_that_the_judge_does_not_prefer() -> None:
    pairs = built((D0, R0), labels_of({("d0", "r0"): 0.8}), "revision-vs-draft")
    assert chosen_over(pairs) == {("d0", "r0")}


@pytest.mark.parametrize("policy", ["all", "adjacent"])
def test_a_revision_that_lost_to_its_draft_is_not_chosen_over_others(policy: PairPolicy) -> None:
    pairs = built((D0, R0, D1), strengths((D0, R0, D1), 0.9, 0.5, 0.1), policy)
    assert ("r0", "d1") not in chosen_over(pairs)
    assert [drop.reason for drop in pairs.drops] == ["revision not preferred to what it revised"]


def test_best_vs_worst_takes_the_best_that_may_be_chosen() -> None:
    labels = labels_of({("r0", "d0"): 0.5, ("r0", "d1"): 1.0, ("d0", "d1"): 0.9})
    (pair,) = built((D0, R0, D1), labels, "best-vs-worst").pairs
    assert (pair.chosen, pair.rejected) == (D0, D1)


def test_a_revision_whose_draft_gave_no_verdict_is_not_chosen() -> None:
    labels = labels_of({("r0", "d0"): None, ("r0", "d1"): 1.0, ("d0", "d1"): 0.5})
    assert ("r0", "d1") not in chosen_over(built((D0, R0, D1), labels, "all"))


@pytest.mark.parametrize(
    ("candidates", "p", "reason"),
    [
        ((D0, D1), None, "no verdict"),
        ((D0, D1), 0.5, "tie"),
        ((D0, D1), 0.54, "margin below minimum"),
        ((D0, Candidate("d1", " draft 0\n", "stop", "call", 1, 0)), 0.9, "identical completions"),
        ((D0, Candidate("d1", "half an emoji \ud83d", "stop", "call", 1, 0)), 0.9, "not valid Unicode"),
    ],
)
@pytest.mark.parametrize("policy", ["all", "adjacent", "best-vs-worst"])
def test_a_couple_that_gives_no_pair_becomes_a_drop_with_its_reason(candidates, p, reason, policy) -> None:
    pairs = built(candidates, labels_of({("d0", "d1"): p}), policy)
    assert pairs.pairs == ()
    (drop,) = pairs.drops
    assert (drop.stage, drop.reason) == ("pairs", reason)


def test_a_margin_that_reaches_the_minimum_is_enough() -> None:
    assert built((D0, D1), labels_of({("d0", "d1"): 0.55}), "all", 0.1).pairs  # 2 · 0.55 - 1 is a little above or below
    assert built((D0, D1), labels_of({("d0", "d1"): 0.45}), "all", 0.1).pairs


@pytest.mark.parametrize("candidates", [(), (D0,)])
@pytest.mark.parametrize("policy", POLICIES)
def test_fewer_than_two_candidates_leave_nothing_to_compare(candidates, policy) -> None:
    (drop,) = built(candidates, [], policy).drops
    assert (drop.reason, drop.about) == ("nothing to compare", "p")


def test_drafts_alone_leave_nothing_to_revision_vs_draft() -> None:
    (drop,) = built((D0, D1), labels_of({("d0", "d1"): 0.9}), "revision-vs-draft").drops
    assert drop.reason == "nothing to compare"


def test_a_pair_is_named_by_its_two_candidates_and_not_by_who_was_chosen() -> None:
    (one,) = built((D0, D1), labels_of({("d0", "d1"): 0.9}), "all").pairs
    (other,) = built((D1, D0), labels_of({("d0", "d1"): 0.1}), "all").pairs
    assert one.chosen != other.chosen
    assert one.id == other.id


def test_only_couples_that_the_policy_needs_are_judged_and_twins_never() -> None:
    twin = Candidate("t", "draft 0 ", "stop", "call", 2, 0)
    related = {("d0", "r0"), ("r0", "s0"), ("d1", "r1")}
    assert {(a.id, b.id) for a, b in couples_to_judge(ALL, "revision-vs-draft")} == related
    for policy in ("all", "adjacent", "best-vs-worst"):
        assert len(list(couples_to_judge(ALL, policy))) == 10
        assert len(list(couples_to_judge((*ALL, twin), policy))) == 14


def test_a_settled_couples_own_label_holds_whatever_the_strengths_say() -> None:
    """By strength all are alike, so that nothing else becomes a pair. A revision that people chose is chosen."""
    drafts = Candidates(PROMPT, (D0, R0, D1))
    alike = [Standing(candidate.id, 0.0, 1.0) for candidate in drafts.candidates]

    def made(p: float, *settled: tuple[str, str], upheld: float = 0.6) -> Pairs:
        labels = labels_of({("d0", "d1"): p, ("r0", "d0"): upheld, ("r0", "d1"): 1.0})
        return build_pairs(drafts, labels, "all", 0.5, alike, settled=settled)

    assert made(1.0).pairs == ()
    assert chosen_over(made(1.0, ("d0", "d1"))) == {("d0", "d1")}
    assert chosen_over(made(0.0, ("d0", "d1"))) == {("d1", "d0")}
    assert [drop.reason for drop in made(0.5, ("d0", "d1")).drops] == ["tie"] * 3
    assert chosen_over(made(0.5, ("d1", "r0"))) == {("r0", "d1")}
    assert chosen_over(made(0.5, ("d1", "r0"), upheld=0.4)) == {("r0", "d1")}


@st.composite
def contests(draw: st.DrawFn) -> tuple[tuple[Candidate, ...], list[Label]]:
    """Chains of drafts and revisions that often say the same, and labels that need not make sense together."""
    made: list[Candidate] = []
    for sample in range(draw(st.integers(1, 3))):
        revises = None
        for number in range(draw(st.integers(1, 3))):
            name, text = draw(st.uuids().map(str)), draw(st.sampled_from("abcdef\ud83d"))
            made.append(Candidate(name, text, "stop", "call", sample, number, revises))
            revises = name
    chances = st.none() | st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.5 - 2**-53, 0.5 + 2**-53, 1.0])
    labels = [
        Label(*sorted((one.id, other.id)), draw(chances.map(on_the_grid)), ("kind",), None)
        for one, other in combinations(made, 2)
        if draw(st.integers(0, 9))
    ]
    return tuple(made), labels


def on_the_grid(p: float | None) -> float | None:
    """As labels are: in steps of 2^-53."""
    return None if p is None else round(p * 2**53) / 2**53


@given(contests(), st.sampled_from(POLICIES), st.floats(0, 1) | st.just(0.0))
def test_no_pair_breaks_a_law(contest, policy, min_margin) -> None:
    candidates, labels = contest
    label_of = {(label.a, label.b): label for label in labels}
    texts = {candidate.id: candidate.text for candidate in candidates}
    for pair in built(candidates, labels, policy, min_margin).pairs:
        chosen, rejected = pair.chosen, pair.rejected
        label = label_of[min(chosen.id, rejected.id), max(chosen.id, rejected.id)]
        assert chosen.text != rejected.text
        assert 0.5 < pair.p_chosen <= 1
        assert pair.p_chosen == label.share(chosen.id)
        assert pair.margin == label.margin >= min_margin - 1e-9
        if policy == "revision-vs-draft":
            assert chosen.id == rejected.revises or rejected.id == chosen.revises
        if chosen.revises is not None:
            upheld = label_of[min(chosen.id, chosen.revises), max(chosen.id, chosen.revises)]
            assert upheld.preferred == chosen.id
            assert texts[chosen.revises] != chosen.text or upheld.preferred


@given(contests(), st.sampled_from(POLICIES), st.floats(0, 1))
def test_every_couple_becomes_a_pair_or_a_drop_and_none_becomes_two(contest, policy, min_margin) -> None:
    candidates, labels = contest
    pairs = built(candidates, labels, policy, min_margin)
    n = len(candidates)
    expected = {
        "all": n * (n - 1) // 2,
        "adjacent": n - 1,
        "best-vs-worst": 1,
        "revision-vs-draft": sum(candidate.revises is not None for candidate in candidates),
    }
    names = [pair.id for pair in pairs.pairs] + [drop.about for drop in pairs.drops]
    assert len(names) == max(1, expected[policy])
    assert len(set(names)) == len(names)


@given(contests(), st.sampled_from(POLICIES), st.randoms())
def test_neither_the_order_of_labels_nor_of_candidates_changes_which_pairs_there_are(contest, policy, random) -> None:
    candidates, labels = contest
    shuffled = tuple(random.sample(candidates, len(candidates)))
    pairs = built(candidates, labels, policy)
    again = built(shuffled, random.sample(labels, len(labels)), policy)
    assert {(pair.id, pair.chosen.id, pair.p_chosen) for pair in again.pairs} == {
        (pair.id, pair.chosen.id, pair.p_chosen) for pair in pairs.pairs
    }
