"""All judgements of one prompt's candidates: checks at once, models in both orders."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from constitution.draw import draw
from constitution.identity import unit_interval
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates
from generator.chat import ChatModel
from judge.asking import Asking
from judge.checked import judge_by_check
from judge.label import Label, label
from judge.pairs import Couple, PairPolicy, couples_to_judge
from judge.pairwise import judge_pairwise
from judge.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges, and under which principles a couple is put before a model."""

    judge: ChatModel
    principles: Literal["one", "all"]  # of those that no check decides; checks are always heard
    policy: PairPolicy
    seed: int
    share: float = 1.0  # of the couples that a model sees, in [0, 1]; checks see all of them
    verdict_tokens: int = 2048  # for a verdict in words, where the judge gives no log-probs


async def judge_candidates(made: Candidates, constitution: Constitution, judging: Judging) -> tuple[Judgement, ...]:
    """Every judgement that the pair policy needs, in an order that no call's arrival decides."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(judge_couple(made, couple, principles_for(made, couple, constitution, judging), judging))
            for couple in couples_to_judge(made.candidates, judging.policy)
        ]
    judgements = [judgement for task in tasks for judgement in task.result()]
    return tuple(sorted(judgements, key=lambda j: (j.a, j.b, j.principle)))


def principles_for(made: Candidates, couple: Couple, constitution: Constitution, judging: Judging) -> list[Principle]:
    """Every principle with a check; of the others all or one, drawn for this couple, where a model sees it."""
    applying = constitution.applying_to(made.prompt.tags)
    checked = [p for p in applying if p.check]
    unchecked = [p for p in applying if not p.check]
    places = places_of(*couple)
    if not model_sees(judging.seed, judging.share, made.prompt.id, places):
        return checked
    if unchecked and judging.principles == "one":
        unchecked = [draw(unchecked, judging.seed, made.prompt.id, *places)]
    return checked + unchecked


def model_sees(seed: int, share: float, prompt: str, places: Sequence[int]) -> bool:
    """Whether the couple at ``places`` (see ``places_of``) is among the share that a model is asked about."""
    return unit_interval("seen", seed, prompt, *places) < share


def places_of(one: Candidate, other: Candidate) -> list[int]:
    """What a draw for a couple hangs on: their places, not their texts, so that an edit moves no other draw."""
    (first, second) = sorted(((one.sample, one.round), (other.sample, other.round)))
    return [*first, *second]


async def judge_couple(
    made: Candidates, couple: Couple, principles: Sequence[Principle], judging: Judging
) -> list[Judgement]:
    """The couple under each principle. The judge's first call goes ahead: it leaves the pair in its prefix cache."""
    checked = [judge_by_check(made.prompt, *couple, p.id, p.check) for p in principles if p.check]
    asked = [p for p in principles if not p.check]
    asking = Asking(judging.seed, judging.verdict_tokens, shared=len(asked) > 1)

    async def ask(principle: Principle) -> Judgement:
        return await judge_pairwise(made.prompt, *couple, principle, judging.judge, asking)

    ahead = [await ask(p) for p in asked[:1]]
    async with asyncio.TaskGroup() as group:
        rest = [group.create_task(ask(p)) for p in asked[1:]]
    return checked + ahead + [task.result() for task in rest]


def label_all(judgements: tuple[Judgement, ...], constitution: Constitution) -> tuple[Label, ...]:
    """One label for each couple that was judged, in the order of their ids."""
    couples = sorted({(j.a, j.b) for j in judgements})
    return tuple(label(a, b, [j for j in judgements if (j.a, j.b) == (a, b)], constitution) for a, b in couples)
