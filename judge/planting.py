"""The judge shown what no sound judge prefers, in the midst of its work."""

import asyncio
from dataclasses import dataclass

from constitution.draw import draw
from constitution.principle import Constitution
from generator.candidates import Candidates
from judge.canaries import Canary, canary_couples
from judge.judging import Judging
from judge.pairwise import judge_pairwise
from judge.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Planted:
    canary: Canary
    judgement: Judgement


async def judge_canaries(
    made: Candidates, constitution: Constitution, judging: Judging, share: float
) -> tuple[Planted, ...]:
    """Each judge's word on each canary, under one principle that a model judges; on ``share`` of all prompts."""
    unchecked = [p for p in constitution.applying_to(made.prompt.tags) if not p.check]
    if not unchecked:
        return ()
    seed = judging.asking.seed
    principle = draw(unchecked, seed, "canary", made.prompt.id)
    canaries = canary_couples(made, seed, share)
    jurors = (*((judging.first.juror,) if judging.first else ()), *judging.jurors)
    async with asyncio.TaskGroup() as group:
        tasks = [
            (
                canary,
                group.create_task(
                    judge_pairwise(made.prompt, canary.real, canary.planted, principle, juror, judging.asking)
                ),
            )
            for canary in canaries
            for juror in jurors
        ]
    return tuple(Planted(canary, task.result()) for canary, task in tasks)
