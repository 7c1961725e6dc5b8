"""The judge shown what no sound judge prefers, in the midst of its work."""

import asyncio
from dataclasses import dataclass, replace

from constitution.draw import draw
from constitution.principle import Constitution, Principle
from generator.candidates import Candidates
from judge.canaries import Canary, canary_couples
from judge.grading import compared, marks_of
from judge.judging import Judging, Mark
from judge.pairwise import Juror, judge_pairwise
from judge.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Planted:
    canary: Canary
    judgement: Judgement
    marks: tuple[Mark, ...] = ()  # the two grades behind it, where candidates are graded


async def judge_canaries(
    made: Candidates, constitution: Constitution, judging: Judging, share: float
) -> tuple[Planted, ...]:
    """Each judge's word on each canary, under one principle that a model judges; on ``share`` of all prompts.

    It is asked as in the run: where completions are graded, the planted one gets a grade too.
    """
    unchecked = [p for p in constitution.applying_to(made.prompt.tags) if not p.check]
    if not unchecked:
        return ()
    seed = judging.asking.seed
    principle = draw(unchecked, seed, "canary", made.prompt.id)
    canaries = canary_couples(made, seed, share)
    jurors = (*((judging.first.juror,) if judging.first else ()), *judging.jurors)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(plant(made, canary, principle, juror, judging)) for canary in canaries for juror in jurors
        ]
    return tuple(task.result() for task in tasks)


async def plant(made: Candidates, canary: Canary, principle: Principle, juror: Juror, judging: Judging) -> Planted:
    couple = canary.real, canary.planted
    if judging.mode != "pointwise":
        return Planted(canary, await judge_pairwise(made.prompt, *couple, principle, juror, judging.asking))
    marks = await marks_of(made, couple, [principle], replace(judging, jurors=(juror,)))
    (judgement,) = compared(couple, [principle], [juror], marks)
    return Planted(canary, judgement, tuple(marks[key] for key in sorted(marks)))
