"""A run's labels made again with people's: theirs win where they looked, and the judges' are anchored on them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.candidates import Candidate, Candidates
from generator.chat import Message
from generator.prompts import Prompt
from judge.label import Label
from judge.pairs import PreferencePair, build_pairs, couple_id
from judge.ranking import standings
from judge.verdict import Judgement, Verdict, from_half
from solon.auditing.relabel import FEWEST_LABELS, Said, anchored, relabelled
from solon.config import RunConfig
from solon.config_file import load_config
from solon.pipeline import Row

WriteRun = Callable[..., Path]
PROMPTS = 40
SURE, WRONG = 0.95, 5  # what the judge says of the side that it prefers; every fifth time people prefer the other


@pytest.fixture
def config(write_run: WriteRun) -> Callable[..., RunConfig]:
    def make(policy: str = "all", min_margin: float = 0.0) -> RunConfig:
        return load_config(write_run({"pairs": {"policy": policy, "min_margin": min_margin}}))

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


def again(rows: Sequence[Row], labels: Path, config: RunConfig) -> dict[str, PreferencePair]:
    return {pair.id: pair for made in relabelled(rows, anchored(rows, labels), config) for pair in made.pairs}


def test_peoples_label_wins_and_turns_the_pair_round_and_both_labels_are_kept(
    tmp_path: Path, config: Callable[..., RunConfig]
) -> None:
    rows = plain_rows()
    before = {pair.id: pair for made in rows for pair in made.pairs}
    after = again(rows, write_labels(tmp_path, people(20)), config())
    turned, kept = after[name(5)], after[name(6)]
    assert (turned.chosen, turned.rejected) == (before[name(5)].rejected, before[name(5)].chosen)
    assert (turned.p_chosen, turned.margin, turned.label_source, turned.people) == (1.0, 1.0, "human", 1)
    assert turned.ai_p_chosen == pytest.approx(1 - SURE)
    assert kept.chosen == before[name(6)].chosen
    assert kept.ai_p_chosen == pytest.approx(SURE)
    assert turned.epsilon == kept.epsilon == 0.0


def test_a_couple_nobody_looked_at_is_anchored_on_those_that_people_did(
    tmp_path: Path, config: Callable[..., RunConfig]
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


def test_a_judge_that_people_contradict_is_believed_less(tmp_path: Path, config: Callable[..., RunConfig]) -> None:
    rows = plain_rows()
    found = []
    for right in (29, 22, 16):
        said = {name(n): [judged_choice(n) if n < right else other(judged_choice(n))] for n in range(30)}
        found.append(again(rows, write_labels(tmp_path, said), config())[name(35)].epsilon)
    assert found == sorted(found)
    assert found[0] < 0.15 < found[1] < found[2]


def test_where_people_tie_there_is_no_pair(tmp_path: Path, config: Callable[..., RunConfig]) -> None:
    said = {**people(20), name(3): ["tie"], name(4): ["1", "2"], name(7): ["1", "2", judged_choice(7)]}
    rows = plain_rows()
    labels = write_labels(tmp_path, said)
    after = again(rows, labels, config())
    assert name(3) not in after
    assert name(4) not in after
    drops = [drop for made in relabelled(rows, anchored(rows, labels), config()) for drop in made.unpaired]
    assert [(drop.reason, drop.about) for drop in drops] == [("tie", name(3)), ("tie", name(4))]
    assert after[name(7)].people == 3
    assert after[name(7)].epsilon == pytest.approx(1 / 3)


def test_a_revision_is_chosen_only_if_preferred_to_what_it_revised(
    tmp_path: Path, config: Callable[..., RunConfig]
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
    tmp_path: Path, config: Callable[..., RunConfig], choice: str, chosen: str | None
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
    assert all(pair.label_source == "ai" and 0 <= (pair.epsilon or 0) <= 0.5 for pair in others)


def test_people_cannot_choose_a_revision_that_is_worse_than_what_it_revised(
    tmp_path: Path, config: Callable[..., RunConfig]
) -> None:
    """Of ranked candidates too: people say b, by strength it is a, and c, which b revised, is preferred to b."""
    made = [Candidate(f"{side}99", f"Text {side}.", "stop", "call", n, 0) for n, side in enumerate("abcd")]
    made[1] = replace(made[1], round=1, revises="c99")
    one = row(99, [0.9, 0.99, 0.99, 0.05, 0.01, 0.5], made)
    rows = [*plain_rows(), replace(one, ranking=standings(one.made, one.labels))]
    ab = couple_id("a99", "b99")
    labels = write_labels(tmp_path, {**people(20), ab: ["2"]})
    found = list(relabelled(rows, anchored(rows, labels), config()))[-1]
    assert ab not in {pair.id for pair in found.pairs}
    reasons = {drop.about: drop.reason for drop in found.unpaired}
    assert reasons[ab] == "revision not preferred to what it revised"


def test_a_couple_without_any_verdict_gets_a_label_from_people_and_from_nobody_else(
    tmp_path: Path, config: Callable[..., RunConfig]
) -> None:
    rows = plain_rows()
    for n in (0, 39):
        label = Label(f"a{n}", f"b{n}", None, (), None)
        rows[n] = replace(rows[n], judgements=(), labels=(label,), pairs=())
    labels = write_labels(tmp_path, {**people(20), name(0): ["2"]})
    after = again(rows, labels, config())
    assert (after[name(0)].chosen.id, after[name(0)].label_source, after[name(0)].ai_p_chosen) == ("b0", "human", None)
    assert name(39) not in after


def test_a_pair_below_the_margin_after_anchoring_is_dropped(tmp_path: Path, config: Callable[..., RunConfig]) -> None:
    after = again(plain_rows(), write_labels(tmp_path, people(20)), config(min_margin=0.95))
    assert set(after) == {name(n) for n in range(20)}


def test_only_labels_of_this_runs_couples_count_and_too_few_are_refused(tmp_path: Path) -> None:
    rows = plain_rows()
    strangers = {f"stranger {n}": ["1"] for n in range(50)}
    labels = write_labels(tmp_path, {**people(FEWEST_LABELS - 1), **strangers, name(30): ["none"]})
    with pytest.raises(InputError, match=f"labels {FEWEST_LABELS - 1} couples of this run: label at least") as caught:
        anchored(rows, labels)
    assert "\n" not in str(caught.value)
    assert len(anchored(rows, write_labels(tmp_path, {**people(FEWEST_LABELS), **strangers}))) == PROMPTS


def test_the_order_of_rows_and_labels_changes_nothing(tmp_path: Path, config: Callable[..., RunConfig]) -> None:
    rows, said = plain_rows(), people(25)
    one = again(rows, write_labels(tmp_path, said), config())
    turned = again(rows[::-1], write_labels(tmp_path, dict(reversed(said.items()))), config())
    assert {key: turned[key] for key in one} == one


def test_whoever_dissents_among_people_is_the_epsilon_of_their_label(tmp_path: Path) -> None:
    said = anchored(plain_rows(), write_labels(tmp_path, {**people(20), name(1): ["1", "1", "1", "2"]}))[name(1)]
    assert (said.choice, said.people, said.dissent, said.label) == (1, 4, 0.25, 1.0)
    assert Said(0.7, -1, 0, 0.0).label == 0.7
