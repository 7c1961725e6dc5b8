"""Rows become completions to imitate, completions that are good or bad, and rankings; what is unfit is counted."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from generator.chat import Message
from trainer.formats.examples import demonstrations, marked, rankings, sifted
from trainer.pairs.rows import TrainingRow


def row(chosen: str, rejected: str, prompt_id: str = "q", **more: Any) -> TrainingRow:
    """A pair of two completions, each of which is named as it reads."""
    made = TrainingRow(
        prompt=(Message("user", f"{prompt_id}?"),), chosen=(Message("assistant", chosen),),
        rejected=(Message("assistant", rejected),), pair_id=f"{chosen}>{rejected}", prompt_id=prompt_id,
        chosen_id=chosen, rejected_id=rejected, revised=False, p_chosen=0.75, margin=0.5, orders_agree=None,
        label_source="ai", decided_by=(), verdicts="[]", epsilon=None, ai_p_chosen=0.75, people=0, people_agree=0,
        human_strength=None, flags=(), same_family=False,
    )  # fmt: skip
    return replace(made, **more)


def test_a_completion_is_imitated_once_however_often_it_was_chosen() -> None:
    rows = [row("a", "b", revised=True), row("a", "c", revised=True), row("c", "b"), row("a", "b", "other")]
    assert [(one.completion, one.prompt_id, one.pair_id) for one in demonstrations(rows, "chosen")] == [
        ("a", "q", "a>b"), ("c", "q", "c>b"), ("a", "other", "a>b")
    ]  # fmt: skip
    assert [(one.completion, one.revised) for one in demonstrations(rows, "revisions")] == [("a", True)]


def test_a_completion_is_good_where_it_was_chosen_more_often_than_rejected() -> None:
    rows = [row("a", "b"), row("a", "c"), row("b", "c")]
    assert [(one.completion, one.chosen, one.rejected, one.label) for one in marked(rows)] == [
        ("a", 2, 0, True), ("b", 1, 1, False), ("c", 0, 2, False)
    ]  # fmt: skip


def test_what_was_chosen_as_often_as_rejected_is_left_out_and_counted() -> None:
    found = sifted([row("a", "b"), row("b", "c")], ("marked",), "chosen", lambda prompt, texts: "")
    assert [one.completion for one in found.side.marked] == ["a", "c"]
    assert found.dropped == {"marked": {"as often chosen as rejected": 1}}
    assert not found.side.pairs


def test_every_kind_is_sifted_by_itself_and_what_falls_is_counted_by_reason() -> None:
    def fault(prompt: object, texts: Sequence[str]) -> str:
        return "long" if any(len(text) > 1 for text in texts) else "same" if len(set(texts)) < len(texts) else ""

    rows = [row("a", "bb"), row("c", "d"), row("eee", "f")]
    found = sifted(rows, ("pairs", "demonstrations", "marked"), "chosen", fault)
    assert [one.pair_id for one in found.side.pairs] == ["c>d"]
    assert [one.completion for one in found.side.demonstrations] == ["a", "c"]  # though what it beat is too long
    assert [one.completion for one in found.side.marked] == ["a", "c", "d", "f"]
    assert found.dropped == {"pairs": {"long": 2}, "demonstrations": {"long": 1}, "marked": {"long": 2}}


@given(st.permutations("abcd"), st.randoms())
def test_all_pairs_of_an_order_give_it_back_whatever_their_order(order: list[str], random: Random) -> None:
    pairs = [row(one, other) for place, one in enumerate(order) for other in order[place + 1 :]]
    random.shuffle(pairs)
    [found] = rankings(pairs)
    assert found.completions == found.completion_ids == tuple(order)
    assert found.chances == (0.75,) * 3


def test_neighbours_are_enough_for_a_ranking_and_a_circle_or_a_gap_gives_none() -> None:
    [found] = rankings([row("a", "b"), row("b", "c", p_chosen=0.9)])
    assert (found.completions, found.chances) == (("a", "b", "c"), (0.75, 0.9))
    assert not list(rankings([row("a", "b"), row("b", "c"), row("c", "a")]))
    assert not list(rankings([row("a", "b"), row("a", "c")]))  # b beside c is open


def test_each_prompt_is_ranked_by_itself() -> None:
    found = rankings([row("a", "b"), row("b", "c"), row("b", "a", "r"), row("x", "y", "s"), row("x", "z", "s")])
    assert [(one.prompt_id, one.completions) for one in found] == [("q", ("a", "b", "c")), ("r", ("b", "a"))]
