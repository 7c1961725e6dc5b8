"""From a run's rows to what people are shown, and to what a label of theirs would be worth."""

import json
from dataclasses import replace

import pytest

from constitution.principle import Constitution, Example, Principle
from generator.candidates import Candidate, Candidates
from generator.chat import Message
from generator.prompts import Prompt
from judge.label import Label
from judge.pairs import PreferencePair, couple_id
from judge.review.records import Guide, Turn
from judge.verdict import Judgement, Verdict
from solon.pipeline import Flagged, Row
from solon.review.gold import of_trial
from solon.review.tasks import MOST_ALIKE, couples_of, task_of

EXAMPLE = Example("Why?", "Since.", "No.")
CONSTITUTION = Constitution(
    "c", "C", "1", "",
    (
        Principle("light", "Be light.", weight=0.5), Principle("heavy", "Be heavy.", weight=2.0),
        Principle("first", "Be first.", priority=3), Principle("law", "Be lawful.", hard=True, examples=(EXAMPLE,)),
        Principle("other", "Elsewhere.", applies_to=("code",)),
    ),
)  # fmt: skip


def row(number: int = 0, p_a: float | None = 0.9, texts: tuple[str, str] = ("one", "other")) -> Row:
    prompt = Prompt(f"p{number}", (Message("system", "Be good."), Message("user", f"Why {number}?")), source="asked")
    one, other = (
        Candidate(f"{name}{number}", text, "stop", "call", n, 0)
        for n, (name, text) in enumerate(zip("ab", texts, strict=True))
    )
    label = Label(one.id, other.id, p_a, ("heavy",), None)
    return Row(Candidates(prompt, (one, other)), (), (label,), (), ())


def said(p_a: float, judge: str = "M", principle: str = "heavy") -> Judgement:
    return Judgement("a0", "b0", principle, "model", Verdict(p_a, "call"), Verdict(1 - p_a, "call"), judge)


def test_people_see_the_prompts_turns_both_texts_and_the_principles_that_apply_the_weightiest_first() -> None:
    one = row()
    task = task_of(one, one.labels[0], CONSTITUTION)
    assert (task.item, task.prompt_id, task.source) == (couple_id("b0", "a0"), "p0", "asked")
    assert task.prompt == (Turn("system", "Be good."), Turn("user", "Why 0?"))
    assert task.completions == ("one", "other")
    assert not task.related
    assert [guide.id for guide in task.guides] == ["law", "first", "heavy", "light"]
    assert task.guides[0] == Guide("law", "Be lawful.", "", (EXAMPLE,))


def test_completion_1_is_the_candidate_whose_id_sorts_first() -> None:
    one = row()
    draft, revision = one.made.candidates[1], replace(one.made.candidates[0], revises="b0", round=1)
    turned = replace(one, made=replace(one.made, candidates=(draft, revision)))
    task = task_of(turned, turned.labels[0], CONSTITUTION)
    assert task.completions == ("one", "other")


def test_texts_are_related_by_what_they_have_in_common_wherever_they_are_from() -> None:
    """An item whose label is known has a Diff where any other would have one, so that it tells nothing."""
    texts = ("The tide comes twice a day.", "The tide comes and goes twice a day.")
    one = row(texts=texts)
    line = json.dumps({"prompt": "Why?", "completion_1": texts[0], "completion_2": texts[1], "choice": 1})
    assert task_of(one, one.labels[0], CONSTITUTION).related
    assert of_trial(line, "a file:1", CONSTITUTION).task.related


def test_a_couple_tells_what_the_run_says_of_it_and_one_without_a_verdict_is_a_couple_too() -> None:
    sure, none = couples_of([row(0, 0.9), row(1, None)])
    assert (sure.item, sure.prompt, sure.stratum, sure.p) == (couple_id("a0", "b0"), "p0", "asked", 0.9)
    assert sure.margin == pytest.approx(0.8)
    assert (none.p, none.margin) == (None, 0.0)
    (learnt,) = couples_of([row(0, 0.9)], {sure.item: 0.5})
    assert (learnt.p, learnt.margin) == (0.5, 0.0)
    (still,) = couples_of([row(1, None)], {none.item: 0.5})
    assert still.p is None


def test_only_verdicts_that_decided_the_label_can_disagree() -> None:
    split = replace(row(), judgements=(said(1.0), said(0.0, "N")))
    assert couples_of([split])[0].disagreement == pytest.approx(1.0)
    overruled = replace(row(), judgements=(said(1.0), said(0.0, principle="light")))
    assert couples_of([overruled])[0].disagreement == 0.0
    unheard = replace(row(), judgements=(said(1.0), replace(said(0.0, "N"), heard=False)))
    assert couples_of([unheard])[0].disagreement == 0.0


def test_a_win_of_a_flagged_text_is_suspicious_and_its_loss_is_not() -> None:
    flagged = replace(row(), flags=(Flagged("a0", "instructs the judge"),))
    assert couples_of([flagged])[0].suspicious
    lost = replace(flagged, labels=(replace(flagged.labels[0], p_a=0.1),))
    assert not couples_of([lost])[0].suspicious


def with_pair(one: Row) -> Row:
    chosen, rejected = one.made.candidates
    return replace(one, pairs=(PreferencePair("pair", one.made.prompt, chosen, rejected, 0.9, 0.8, (), None),))


def test_a_text_chosen_for_many_prompts_is_suspicious_but_only_so_many_couples_are_asked_about_it() -> None:
    trick = "This completion speaks of everything, whatever was asked, and says nothing at all."
    plain = [with_pair(row(n, texts=(f"something about the matter number {n}", "no"))) for n in range(10)]
    alike = [with_pair(row(n, texts=(trick, "no"))) for n in range(10, 30)]
    found = couples_of([*plain, *alike])
    assert [one.suspicious for one in found] == [False] * 10 + [True] * 20
    many = couples_of([with_pair(row(n, texts=(trick, "no"))) for n in range(MOST_ALIKE + 50)])
    assert sum(one.suspicious for one in many) == MOST_ALIKE


def test_a_couple_with_half_a_character_cannot_be_shown() -> None:
    assert couples_of([row(texts=("one \ud800", "other"))]) == ()
