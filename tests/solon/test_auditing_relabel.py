"""A run's labels made again with people's: theirs win where they looked, and the judges' are anchored on them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from constitution.errors import InputError
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates
from generator.chat import Message
from generator.prompts import Prompt
from judge.label import Label, label
from judge.pairs import PreferencePair, build_pairs, couple_id
from judge.ranking import standings
from judge.review.merge import Merged
from judge.verdict import Judgement, Verdict, from_half
from solon.auditing.relabel import (
    BELOW,
    FEWEST_LABELS,
    Heard,
    Terms,
    anchored,
    error_rate,
    movable,
    promising,
    relabelled,
)
from solon.config_file import load_config
from solon.pipeline import Row

WriteRun = Callable[..., Path]
PROMPTS = 40
PRINCIPLES = Principle("kind", "r"), Principle("first", "r", priority=1), Principle("law", "r", hard=True)
CONSTITUTION = Constitution("c", "C", "1", "", PRINCIPLES)
SURE, WRONG = 0.95, 5  # what the judge says of the side that it prefers; every fifth time people prefer the other


@pytest.fixture
def config(write_run: WriteRun) -> Callable[..., Terms]:
    def make(policy: str = "all", min_margin: float = 0.0) -> Terms:
        return Terms(load_config(write_run({"pairs": {"policy": policy, "min_margin": min_margin}})), CONSTITUTION)

    return make


def row(number: int, chances: Sequence[float], made: Sequence[Candidate], policy: Any = "all") -> Row:
    """``chances`` that the first of each couple of ``made`` is preferred, couples in the order of their ids."""
    prompt = Prompt(f"p{number}", (Message("user", f"Why {number}?"),))
    candidates = Candidates(prompt, tuple(made))
    ids = sorted(one.id for one in made)
    couples = [(a, b) for n, a in enumerate(ids) for b in ids[n + 1 :]]
    judgements = tuple(
        Judgement(a, b, "kind", "model", Verdict(p, "call"), Verdict(from_half(0.5 - p), "call"), "M")
        for (a, b), p in zip(couples, chances, strict=True)
    )
    labels = tuple(Label(a, b, p, ("kind",), True) for (a, b), p in zip(couples, chances, strict=True))
    built = build_pairs(candidates, labels, policy, 0.0)
    return Row(candidates, judgements, labels, built.pairs, built.drops)


def couple(number: int) -> tuple[Candidate, Candidate]:
    one = Candidate(f"a{number}", f"one of {number}", "stop", "call", 0, 0)
    return one, replace(one, id=f"b{number}", text=f"the other of {number}", sample=1)


def plain_rows() -> list[Row]:
    """A judge that prefers either side by turns, always as sure."""
    return [row(n, [SURE if n % 2 else 1 - SURE], couple(n)) for n in range(PROMPTS)]


def name(number: int) -> str:
    return couple_id(f"a{number}", f"b{number}")


def write_labels(folder: Path, said: dict[str, Sequence[str]]) -> Path:
    """``said`` by couple, an annotator's choice each."""
    lines = [f"{item},person {who},{choice}" for item, many in said.items() for who, choice in enumerate(many)]
    (folder / "labels.csv").write_text("\n".join(["item,annotator,choice", *lines]) + "\n")
    return folder / "labels.csv"


def judged_choice(number: int) -> str:
    return "1" if number % 2 else "2"


def other(choice: str) -> str:
    return "2" if choice == "1" else "1"


def people(count: int) -> dict[str, Sequence[str]]:
    """The first ``count`` couples: people and judge agree on four of five."""
    return {name(n): [judged_choice(n) if n % WRONG else other(judged_choice(n))] for n in range(count)}


def again(rows: Sequence[Row], labels: Path, config: Terms) -> dict[str, PreferencePair]:
    return {pair.id: pair for made in relabelled(rows, anchored(rows, labels), config) for pair in made.pairs}


def test_peoples_label_wins_and_turns_the_pair_round_and_both_labels_are_kept(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    rows = plain_rows()
    before = {pair.id: pair for made in rows for pair in made.pairs}
    after = again(rows, write_labels(tmp_path, people(20)), config())
    turned, kept = after[name(5)], after[name(6)]
    assert (turned.chosen, turned.rejected) == (before[name(5)].rejected, before[name(5)].chosen)
    assert (turned.p_chosen, turned.margin, turned.label_source, turned.people) == (1.0, 1.0, "human", 1)
    assert (turned.decided_by, kept.decided_by) == ((), ())
    assert turned.ai_p_chosen == pytest.approx(1 - SURE)
    assert kept.chosen == before[name(6)].chosen
    assert kept.ai_p_chosen == pytest.approx(SURE)
    assert turned.epsilon is kept.epsilon is None  # no two people looked at the same couple


def test_a_couple_nobody_looked_at_is_anchored_on_those_that_people_did(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    rows = plain_rows()
    after = again(rows, write_labels(tmp_path, people(30)), config())
    unseen = [after[name(n)] for n in range(30, PROMPTS)]
    for n, pair in enumerate(unseen, start=30):
        assert pair.chosen.id[0] == "ab"[judged_choice(n) == "2"]
        assert (pair.label_source, pair.people) == ("ai", 0)
        assert pair.ai_p_chosen == pytest.approx(SURE)
        assert pair.epsilon is not None
        assert 0 <= pair.epsilon <= 0.5
        assert pair.p_chosen == 1 - pair.epsilon
        assert 0.05 < pair.epsilon < 0.45  # the judge says 0.05; people find it wrong in a fifth


def test_a_judge_that_people_contradict_is_believed_less(tmp_path: Path, config: Callable[..., Terms]) -> None:
    rows = plain_rows()
    found = []
    for right in (29, 22, 16):
        said = {name(n): [judged_choice(n) if n < right else other(judged_choice(n))] for n in range(30)}
        found.append(again(rows, write_labels(tmp_path, said), config())[name(35)].epsilon)
    assert found == sorted(found)
    assert found[0] < 0.15 < found[1] < found[2]


def test_where_people_tie_there_is_no_pair(tmp_path: Path, config: Callable[..., Terms]) -> None:
    said = {**people(20), name(3): ["tie"], name(4): ["1", "2"], name(7): ["1", "2", judged_choice(7)]}
    rows = plain_rows()
    labels = write_labels(tmp_path, said)
    after = again(rows, labels, config())
    assert name(3) not in after
    assert name(4) not in after
    drops = [drop for made in relabelled(rows, anchored(rows, labels), config()) for drop in made.unpaired]
    assert [(drop.reason, drop.about) for drop in drops] == [("tie", name(3)), ("tie", name(4))]
    assert after[name(7)].people == 3


def test_a_revision_is_chosen_only_if_preferred_to_what_it_revised(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    draft = Candidate("a99", "The draft.", "stop", "call", 0, 0)
    revised = Candidate("b99", "The revision.", "stop", "call", 0, 1, revises="a99", principle="kind")
    rival = Candidate("c99", "Another draft.", "stop", "call", 1, 0)
    rows = [*plain_rows(), row(99, [0.2, 0.4, 0.9], [draft, revised, rival])]  # ab, ac, bc
    ab, ac, bc = (couple_id(*two) for two in (("a99", "b99"), ("a99", "c99"), ("b99", "c99")))
    chosen = {pair.id: pair.chosen.id for pair in rows[-1].pairs}
    assert chosen == {ab: "b99", ac: "c99", bc: "b99"}
    labels = write_labels(tmp_path, {**people(20), ab: ["1"], ac: ["1"]})
    made = list(relabelled(rows, anchored(rows, labels), config()))[-1]
    assert {pair.id: pair.chosen.id for pair in made.pairs} == {ab: "a99", ac: "a99"}
    reason = "revision not preferred to what it revised"
    assert [(drop.about, drop.reason) for drop in made.unpaired] == [(bc, reason)]


@pytest.mark.parametrize(("choice", "chosen"), [("1", "a"), ("2", "b"), ("tie", None)])
def test_where_all_were_ranked_together_people_still_win_on_what_they_looked_at(
    tmp_path: Path, config: Callable[..., Terms], choice: str, chosen: str | None
) -> None:
    """By strength a is best, as it beats c and d, whatever is said of a against b."""
    made = [Candidate(f"{side}99", f"Text {side}.", "stop", "call", n, 0) for n, side in enumerate("abcd")]
    one = row(99, [0.9, 0.99, 0.99, 0.2, 0.2, 0.5], made)
    rows = [*plain_rows(), replace(one, ranking=standings(one.made, one.labels))]
    ab = couple_id("a99", "b99")
    labels = write_labels(tmp_path, {**people(20), ab: [choice]})
    found = list(relabelled(rows, anchored(rows, labels), config()))[-1]
    pairs = {pair.id: pair for pair in found.pairs}
    if chosen is None:
        assert (ab, "tie") in [(drop.about, drop.reason) for drop in found.unpaired]
        return
    assert (pairs[ab].chosen.id[0], pairs[ab].p_chosen, pairs[ab].label_source) == (chosen, 1.0, "human")
    others = [pair for pair in found.pairs if pair.id != ab]
    assert others
    told = anchored(rows, labels).couples
    for pair in others:
        assert pair.label_source == "ai"
        assert pair.epsilon == 1 - told[pair.id].share(pair) != pytest.approx(1 - pair.p_chosen)


def test_people_may_choose_a_revision_whatever_the_judge_says_of_it_and_only_where_they_looked(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    """Of ranked candidates too: people say b, by strength it is a, and c, which b revised, is preferred to b."""
    made = [Candidate(f"{side}99", f"Text {side}.", "stop", "call", n, 0) for n, side in enumerate("abcd")]
    made[1] = replace(made[1], round=1, revises="c99")
    one = row(99, [0.9, 0.99, 0.99, 0.05, 0.01, 0.5], made)
    rows = [*plain_rows(), replace(one, ranking=standings(one.made, one.labels))]
    ab = couple_id("a99", "b99")
    labels = write_labels(tmp_path, {**people(20), ab: ["2"]})
    found = list(relabelled(rows, anchored(rows, labels), config()))[-1]
    chosen = {pair.id: (pair.chosen.id, pair.label_source) for pair in found.pairs}
    assert chosen[ab] == ("b99", "human")
    assert [name for name, (candidate, _) in chosen.items() if candidate == "b99"] == [ab]
    reasons = {drop.about: drop.reason for drop in found.unpaired}
    assert reasons[couple_id("b99", "d99")] == "revision not preferred to what it revised"


def test_a_couple_without_any_verdict_gets_a_label_from_people_and_from_nobody_else(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    rows = plain_rows()
    for n in (0, 39):
        label = Label(f"a{n}", f"b{n}", None, (), None)
        rows[n] = replace(rows[n], judgements=(), labels=(label,), pairs=())
    labels = write_labels(tmp_path, {**people(20), name(0): ["2"]})
    after = again(rows, labels, config())
    assert (after[name(0)].chosen.id, after[name(0)].label_source, after[name(0)].ai_p_chosen) == ("b0", "human", None)
    assert name(39) not in after


def test_a_pair_below_the_margin_after_anchoring_is_dropped(tmp_path: Path, config: Callable[..., Terms]) -> None:
    after = again(plain_rows(), write_labels(tmp_path, people(20)), config(min_margin=0.95))
    assert set(after) == {name(n) for n in range(20)}


def test_only_labels_of_this_runs_couples_count_and_none_is_refused(tmp_path: Path) -> None:
    rows = plain_rows()
    strangers = {f"stranger {n}": ["1"] for n in range(50)}
    labels = write_labels(tmp_path, {**strangers, name(30): ["none"]})
    with pytest.raises(InputError, match="labels 0 couples of this run: label at least 1 before") as caught:
        anchored(rows, labels)
    assert "\n" not in str(caught.value)
    found = anchored(rows, write_labels(tmp_path, {**people(FEWEST_LABELS), **strangers}))
    assert (len(found.couples), found.labelled, found.people) == (PROMPTS, FEWEST_LABELS, 1)
    assert found.weights


def test_fewer_labels_than_an_anchor_needs_win_and_leave_every_other_label_alone(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    rows = plain_rows()
    before = {pair.id: pair for made in rows for pair in made.pairs}
    labels = write_labels(tmp_path, people(FEWEST_LABELS - 1))
    assert not anchored(rows, labels).weights
    after = again(rows, labels, config())
    assert (after[name(5)].chosen, after[name(5)].label_source) == (before[name(5)].rejected, "human")
    assert all(after[name(n)] == before[name(n)] for n in range(FEWEST_LABELS - 1, PROMPTS))


def test_the_order_of_rows_and_labels_changes_nothing(tmp_path: Path, config: Callable[..., Terms]) -> None:
    rows, said = plain_rows(), people(25)
    one = again(rows, write_labels(tmp_path, said), config())
    turned = again(rows[::-1], write_labels(tmp_path, dict(reversed(said.items()))), config())
    assert {key: turned[key] for key in one} == one


def test_how_often_people_are_wrong_is_what_those_who_labelled_together_show(tmp_path: Path) -> None:
    """Of ten answers, the pairs of four differ by half in two items, and those of two not at all in one."""
    together = {name(1): ["1", "1", "1", "2"], name(2): ["2", "2"], name(4): ["1", "2", "2", "2"]}
    said = anchored(plain_rows(), write_labels(tmp_path, {**people(20), **together})).couples
    differing = (4 * 1 / 2 + 4 * 1 / 2 + 0 + 1) / (10 + 2)
    error = (1 - (1 - 2 * differing) ** 0.5) / 2
    assert 2 * error * (1 - error) == pytest.approx(differing)
    assert said[name(3)].wrong == pytest.approx(error)
    assert said[name(2)].wrong == pytest.approx(error / 2)
    assert said[name(1)].wrong == said[name(4)].wrong == pytest.approx((1 + error) / 4)
    assert said[name(1)].merged == Merged("1", 4, 3)
    assert said[name(30)].wrong is None


def test_no_label_of_people_is_wrong_more_often_than_right_however_they_differ(tmp_path: Path) -> None:
    """Ten couples that two people saw, and they differ on all of them: one alone is no better than a lot."""
    differ = {name(n): ["1", "2"] for n in range(10)}
    said = anchored(plain_rows(), write_labels(tmp_path, {**people(20), **differ})).couples
    assert {one.wrong for one in said.values() if one.by_people} == {0.5}


def test_a_tie_that_nobody_chose_is_wrong_with_a_chance_of_one_half_at_most(tmp_path: Path) -> None:
    split = {name(1): ["1", "2"], name(2): ["1", "1"]}
    said = anchored(plain_rows(), write_labels(tmp_path, {**people(20), **split})).couples
    assert said[name(1)].merged == Merged("tie", 2, 0)
    assert said[name(1)].wrong == 0.5


def test_two_that_agree_once_are_not_taken_for_infallible_and_two_that_differ_tell_nothing() -> None:
    def error(differing: float) -> Any:
        return pytest.approx((1 - (1 - 2 * differing) ** 0.5) / 2)

    assert error_rate(np.array([[0, 1, 0], [0, 0, 1]])) is None
    assert error_rate(np.array([[0, 2, 0]])) == error(1 / 4)
    assert error_rate(np.array([[0, 9, 0], [0, 2, 1]])) == error((3 * 2 / 3 + 1) / 14)
    assert error_rate(np.array([[0, 1, 1]])) == error_rate(np.array([[1, 1, 1]])) == 0.5


Word = tuple[str, str, float]  # a principle, by whom, and the chance that a follows it better


def heard_of(number: int, words: Sequence[Word]) -> Row:
    """One couple of which ``words`` are said, with the label that they give."""
    made = Candidates(Prompt(f"p{number}", (Message("user", "Why?"),)), couple(number))
    judgements = []
    for principle, by, p_a in words:
        turned = None if by == "check" else Verdict(from_half(0.5 - p_a), "call")
        who: Any = {"by": by, "judge": "" if by == "check" else "M"}
        judgements.append(
            Judgement(f"a{number}", f"b{number}", principle, forward=Verdict(p_a, "call"), backward=turned, **who)
        )
    labels = (label(f"a{number}", f"b{number}", judgements, CONSTITUTION),)
    built = build_pairs(made, labels, "all", 0.0)
    return Row(made, tuple(judgements), labels, built.pairs, built.drops)


AGAINST = 0.02  # what the model under the lowest principle says where others say a


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        ([("law", "check", 1.0), ("kind", "model", AGAINST)], False),
        ([("law", "model", 0.7), ("kind", "model", AGAINST)], False),
        ([("first", "model", 0.7), ("kind", "model", AGAINST)], False),
        ([("law", "check", 1.0)], False),
        ([("kind", "check", 1.0)], False),
        ([("law", "check", 0.5), ("kind", "model", AGAINST)], True),
        ([("kind", "model", AGAINST)], True),
        ([("law", "model", 0.7)], True),
    ],
)
def test_only_what_a_model_decided_on_the_last_level_heard_is_anchored(
    tmp_path: Path, config: Callable[..., Terms], words: list[Word], moved: bool
) -> None:
    """People always side with the judge under the lowest principle, so anchoring would turn the others round."""
    labelled = [heard_of(n, [("kind", "model", SURE if n % 2 else 1 - SURE)]) for n in range(30)]
    rows = [*labelled, *(heard_of(n, words) for n in range(30, 50))]
    labels = write_labels(tmp_path, {name(n): [judged_choice(n)] for n in range(30)})
    after = again(rows, labels, config())
    for one in rows[30:]:
        (before,) = one.pairs
        pair = after[before.id]
        assert (pair.chosen, pair.decided_by, pair.label_source) == (before.chosen, before.decided_by, "ai")
        assert (pair.ai_p_chosen, pair.epsilon is None) == (before.p_chosen, not moved)
        assert (pair.p_chosen == before.p_chosen) is not moved


def test_what_was_heard_of_another_couple_of_the_prompt_says_nothing_of_this_one() -> None:
    """The judge goes on to a lower level only where the one above is a tie."""
    (label,), heard = (one := heard_of(1, [("law", "model", 0.7)])).labels, one.judgements
    below = replace(heard[0], a="a2", b="b2", principle="kind")
    assert movable(label, heard, CONSTITUTION)
    assert movable(label, [*heard, below], CONSTITUTION)
    assert not movable(label, [*heard, replace(below, a=label.a, b=label.b)], CONSTITUTION)


def test_people_overrule_a_hard_principle_where_they_looked_and_no_principle_is_credited(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    rows = [*plain_rows(), heard_of(50, [("law", "check", 1.0), ("kind", "model", AGAINST)])]
    after = again(rows, write_labels(tmp_path, {**people(20), name(50): ["2"]}), config())
    assert (after[name(50)].chosen.id, after[name(50)].decided_by, after[name(50)].p_chosen) == ("b50", (), 1.0)
    assert after[name(50)].ai_p_chosen == 0.0


def test_what_nobody_compared_or_only_a_check_decided_has_no_known_chance_of_being_wrong_in_a_ranking(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    made = [Candidate(f"{side}99", f"Text {side}.", "stop", "call", n, 0) for n, side in enumerate("abc")]
    one = row(99, [0.9, 0.8, 0.7], made)
    one = replace(one, labels=one.labels[::2], judgements=one.judgements[::2])  # a and c were never compared
    rows = [*plain_rows(), replace(one, ranking=standings(one.made, one.labels))]
    after = again(rows, write_labels(tmp_path, people(20)), config())
    ab, ac = couple_id("a99", "b99"), couple_id("a99", "c99")
    assert after[ac].epsilon is None
    assert after[ab].epsilon is not None
    assert after[ac].ai_p_chosen is not None


@pytest.mark.parametrize("choice", ["1", "2", "tie"])
def test_peoples_label_is_not_lost_where_the_ranking_calls_it_a_tie_or_too_close(
    tmp_path: Path, config: Callable[..., Terms], choice: str
) -> None:
    """All four win and lose alike, so all strengths are equal and every margin is nothing."""
    made = [Candidate(f"{side}99", f"Text {side}.", "stop", "call", n, 0) for n, side in enumerate("abcd")]
    one = row(99, [0.5] * 6, made)
    rows = [*plain_rows(), replace(one, ranking=standings(one.made, one.labels))]
    couples = [couple_id(f"{x}99", f"{y}99") for x, y in ("ab", "cd")]
    said = {**people(20), couples[0]: [choice], couples[1]: [choice]}
    labels, terms = write_labels(tmp_path, said), config(min_margin=0.9)
    found = list(relabelled(rows, anchored(rows, labels), terms))[-1]
    chosen = {pair.id: (pair.chosen.id, pair.p_chosen, pair.label_source) for pair in found.pairs}
    if choice == "tie":
        reasons = {drop.about: drop.reason for drop in found.unpaired}
        assert chosen == {}
        assert [reasons[couple] for couple in couples] == ["tie", "tie"]
        return
    sides = ("a99", "c99") if choice == "1" else ("b99", "d99")
    assert chosen == {couple: (side, 1.0, "human") for couple, side in zip(couples, sides, strict=True)}


def graded_rows(seed: int, count: int = 400) -> tuple[list[Row], dict[str, Sequence[str]]]:
    """A judge whose sureness means something, and what people would say of each couple."""
    rng = np.random.default_rng(seed)
    rows, truth = [], {}
    for n in range(count):
        strength = rng.normal(0, 4)
        p_a = from_half(float(np.tanh(strength / 2)) / 2)
        rows.append(row(n, [p_a], couple(n)))
        truth[name(n)] = ["1" if rng.random() < p_a else "2"]
    return rows, truth


def drawn(truth: dict[str, Sequence[str]], count: int, seed: int) -> dict[str, Sequence[str]]:
    chosen = np.random.default_rng(seed).permutation(sorted(truth))[:count].tolist()
    return {one: truth[one] for one in chosen}


def unseen(rows: Sequence[Row], found: Heard, terms: Terms) -> dict[str, str]:
    """What is exported of couples that nobody labelled, by couple, and which of the two is chosen."""
    pairs = [pair for made in relabelled(rows, found, terms) for pair in made.pairs if pair.label_source == "ai"]
    return {pair.id: "1" if pair.chosen.id < pair.rejected.id else "2" for pair in pairs}


def test_promised_agreement_is_kept_on_what_nobody_looked_at(tmp_path: Path, config: Callable[..., Terms]) -> None:
    """In 40 draws the promise may be broken in some 2; more than 6 would come about once in 300 such tests."""
    terms, broken, shares = config(), 0, []
    for seed in range(40):
        rows, truth = graded_rows(seed)
        try:
            found = promising(rows, write_labels(tmp_path, drawn(truth, 120, seed)), 0.8, terms)
        except InputError:  # where the labels do not show it nothing is promised, and nothing exported
            continue
        chosen = unseen(rows, found, terms)
        right = np.mean([truth[couple][0] == choice for couple, choice in chosen.items()])
        broken += int(right < 0.8)
        shares.append(len(chosen) / 280)
    assert broken <= 6
    assert len(shares) > 20
    assert 0.3 < np.mean(shares) < 0.95


def test_pairs_below_the_promise_are_dropped_with_their_reason_and_peoples_are_kept(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    rows, truth = graded_rows(1)
    said = drawn(truth, 120, 1)
    found = promising(rows, write_labels(tmp_path, said), 0.8, config())
    assert found.promised
    assert (found.promised.agreement, found.promised.delta) == (0.8, 0.05)
    made = list(relabelled(rows, found, config()))
    pairs = {pair.id: pair for one in made for pair in one.pairs}
    drops = {drop.about: drop for one in made for drop in one.unpaired}
    assert said.keys() <= pairs.keys()
    assert {drop.reason for drop in drops.values()} == {BELOW}
    assert 0 < len(drops) < 280
    for couple, told in found.couples.items():
        sure = max(told.p_a, 1 - told.p_a)
        assert (couple in drops) is (couple not in said and sure < found.promised.threshold)
        if couple in pairs and couple not in said:
            assert pairs[couple].p_chosen == sure


def test_the_labels_that_set_the_threshold_are_not_those_that_fit_the_chances(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    rows, truth = graded_rows(1)
    said = drawn(truth, 120, 1)
    labels = write_labels(tmp_path, said)
    one, again = (promising(rows, labels, 0.8, config()) for _ in range(2))
    assert one == again
    whole = anchored(rows, labels)
    assert one.weights != whole.weights
    split = np.random.default_rng(0).permutation(sorted(said))
    half = anchored(rows, write_labels(tmp_path, {couple: said[couple] for couple in split[:60].tolist()}))
    assert half.weights == one.weights


def test_a_hard_principles_pair_is_exported_under_a_promise_only_where_people_are_shown_to_agree(
    tmp_path: Path, config: Callable[..., Terms]
) -> None:
    """People side with the model, whatever the hard principle says, and look at one couple of two."""
    rows = [heard_of(n, [("kind", "model", SURE if n % 2 else 1 - SURE)]) for n in range(120)]
    rows += [heard_of(n, [("law", "check", 1.0), ("kind", "model", AGAINST)]) for n in range(120, 160)]
    truth = {name(n): [judged_choice(n) if n < 120 else "2"] for n in range(160)}
    said = drawn(truth, 80, 0)
    found = promising(rows, write_labels(tmp_path, said), 0.8, config())
    assert unseen(rows, found, config()) == {name(n): judged_choice(n) for n in range(120) if name(n) not in said}


def test_what_cannot_be_promised_is_refused_with_what_to_do(tmp_path: Path, config: Callable[..., Terms]) -> None:
    rows, truth = graded_rows(3)
    for count, agreement, fact in (
        (
            120,
            0.999,
            "of 60 pairs held back to test it, people agree with [0-9]+: label more couples, or ask for a lower",
        ),
        (19, 0.8, "labels 19 couples of this run: label at least 20 before promising agreement"),
        (120, 1.0, "--agreement 1: is no share that can be promised"),
        (120, float("nan"), "--agreement nan: is no share that can be promised"),
    ):
        labels = write_labels(tmp_path, drawn(truth, count, 3))
        with pytest.raises(InputError, match=fact) as caught:
            promising(rows, labels, agreement, config())
        assert "\n" not in str(caught.value)


def test_labels_that_were_drawn_unevenly_promise_nothing(tmp_path: Path, config: Callable[..., Terms]) -> None:
    rows, truth = graded_rows(4)
    lines = [
        f"{one},ann,{said[0]},{0.5 if n % 2 else 0.25}" for n, (one, said) in enumerate(drawn(truth, 60, 4).items())
    ]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["item,annotator,choice,probability", *lines]) + "\n")
    with pytest.raises(InputError, match="needs labels of items that had all the same chance"):
        promising(rows, labels, 0.8, config())
