"""All judgements of one prompt's candidates: who is asked about which couple, under which principles."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from constitution.draw import draw
from constitution.identity import unit_interval
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates
from judge.asking import Asking
from judge.checked import judge_by_check
from judge.grades import Graded, Scale
from judge.label import Label, label
from judge.pairs import Couple, PairPolicy, Standing, couples_to_judge
from judge.pairwise import Juror, judge_pairwise
from judge.verdict import Judgement

Mode = Literal["pairwise", "pointwise", "ranked"]
Tournament = Literal["all", "adaptive"]


@dataclass(frozen=True, slots=True)
class Cascade:
    """A cheap judge that is asked first. Its word is final where both its orders agree and it is sure enough."""

    juror: Juror
    sure: float  # the chance, in [0.5, 1], from which it counts as sure

    def settles(self, judgement: Judgement) -> bool:
        p_a = judgement.p_a
        return bool(judgement.orders_agree) and p_a is not None and max(p_a, 1 - p_a) >= self.sure


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges, and under which principles a couple is put before a model."""

    jurors: tuple[Juror, ...]  # at least one; each judges whatever a model judges
    principles: Literal["one", "all"]  # of those that no check decides; checks are always heard
    policy: PairPolicy
    asking: Asking
    mode: Mode = "pairwise"
    share: float = 1.0  # of the couples that a model sees, in [0, 1]; checks see all of them
    first: Cascade | None = None
    scale: Scale = "yes-no"  # of grades
    tournament: Tournament = "all"  # of a ranking: every couple, or in rounds those that tell most
    comparisons: int | None = None  # the most that an adaptive tournament asks about


@dataclass(frozen=True, slots=True)
class Mark:
    """One judge's grade of one candidate under one principle, or why there is none."""

    candidate: str
    principle: str
    judge: str
    said: Graded


@dataclass(frozen=True, slots=True)
class Judged:
    """What judging one prompt's candidates came to, in an order that no call's arrival decides."""

    judgements: tuple[Judgement, ...]
    labels: tuple[Label, ...]
    grades: tuple[Mark, ...] = ()
    ranking: tuple[Standing, ...] = ()  # strongest first, where all were ranked together


async def judge_pairs(made: Candidates, constitution: Constitution, judging: Judging) -> Judged:
    """Every judgement that the pair policy needs, and the label of every couple judged."""
    couples = couples_to_judge(made.candidates, judging.policy)
    judgements = await judge_couples(made, couples, constitution, judging)
    return Judged(judgements, label_all(judgements, constitution))


async def judge_couples(
    made: Candidates, couples: Iterable[Couple], constitution: Constitution, judging: Judging
) -> tuple[Judgement, ...]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(judge_couple(made, couple, principles_for(made, couple, constitution, judging), judging))
            for couple in couples
        ]
    judgements = chain.from_iterable(task.result() for task in tasks)
    return tuple(sorted(judgements, key=Judgement.place))


def principles_for(made: Candidates, couple: Couple, constitution: Constitution, judging: Judging) -> list[Principle]:
    """Every principle with a check; of the others all or one, where a model sees the couple.

    The one is drawn for this couple, or for the prompt where its candidates are ranked: one order needs one measure.
    """
    applying = constitution.applying_to(made.prompt.tags)
    checked = [p for p in applying if p.check]
    unchecked = [p for p in applying if not p.check]
    seed, places = judging.asking.seed, [] if judging.mode == "ranked" else places_of(*couple)
    if not model_sees(seed, judging.share, made.prompt.id, places):
        return checked
    if unchecked and judging.principles == "one":
        unchecked = [draw(unchecked, seed, made.prompt.id, *places)]
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
    """The couple under each principle. The first one goes ahead: it leaves the pair in the judge's prefix cache."""
    checked = [judge_by_check(made.prompt, *couple, p.id, p.check) for p in principles if p.check]
    asked = [p for p in principles if not p.check]
    asking = replace(judging.asking, shared=len(asked) > 1)

    async def ask(principle: Principle) -> list[Judgement]:
        return await ask_judges(made, couple, principle, replace(judging, asking=asking))

    ahead = [await ask(p) for p in asked[:1]]
    async with asyncio.TaskGroup() as group:
        rest = [group.create_task(ask(p)) for p in asked[1:]]
    return [*checked, *chain.from_iterable([*ahead, *(task.result() for task in rest)])]


async def ask_judges(made: Candidates, couple: Couple, principle: Principle, judging: Judging) -> list[Judgement]:
    """Every judge's word on the couple under one principle; of a cascade only the first's where that settles it."""

    async def ask(juror: Juror) -> Judgement:
        return await judge_pairwise(made.prompt, *couple, principle, juror, judging.asking)

    unsure: list[Judgement] = []
    if judging.first:
        cheap = await ask(judging.first.juror)
        if judging.first.settles(cheap):
            return [replace(cheap, alone=True)]
        unsure = [replace(cheap, heard=False)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(juror)) for juror in judging.jurors]
    return unsure + [task.result() for task in tasks]


def label_all(judgements: Sequence[Judgement], constitution: Constitution) -> tuple[Label, ...]:
    """One label for each couple that was judged, in the order of their ids."""
    couples: dict[tuple[str, str], list[Judgement]] = {}
    for judgement in judgements:
        couples.setdefault((judgement.a, judgement.b), []).append(judgement)
    return tuple(label(*couple, couples[couple], constitution) for couple in sorted(couples))
