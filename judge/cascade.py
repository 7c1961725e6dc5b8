"""Whether a cheap judge may be believed where it is consistent and sure: tried on comparisons that people decided."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from constitution.identity import short_id
from constitution.principle import Constitution
from generator.candidates import Candidate, Candidates
from generator.prompts import Prompt
from judge.judging import Cascade, Judging, judge_couples
from judge.verdict import Judgement

FEWEST = 10  # settled trials below which the cascade goes on, but unproven


@dataclass(frozen=True, slots=True)
class Trial:
    """Two completions of one prompt, and which of them people prefer."""

    prompt: Prompt
    completions: tuple[str, str]
    choice: Literal[1, 2, "tie"]


@dataclass(frozen=True, slots=True)
class Trust:
    """How the cheap judge did on the trials that it would have settled alone."""

    trials: int
    settled: int  # judgements, under one principle or several
    right: int  # of those; one that prefers where people see a tie is not right
    least: float  # share of them that must be right

    @property
    def earned(self) -> bool:
        """False only where the trials speak against it: without a settled one there is nothing to believe or doubt."""
        return self.right >= self.least * self.settled

    def told(self) -> str:
        found = f"its first judge, where consistent and sure, is right in {self.right} of {self.settled} judgements"
        if self.earned:
            doubt = "; too few to tell anything: give it more trials" if self.settled < FEWEST else ""
            return f"cascade: {found} of {self.trials} labelled trials{doubt}"
        return f"cascade: OFF: {found}, and {self.least:.0%} are asked for; the other judges judge everything"


async def try_out(trials: Sequence[Trial], constitution: Constitution, judging: Judging, least: float) -> Trust:
    """Has the cascade's first judge decide each trial as it would in the run, and counts how often it is right."""
    assert judging.first
    alone = replace(judging, jurors=(judging.first.juror,), first=None, mode="pairwise", share=1.0)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(judge_trial(trial, constitution, alone)) for trial in trials]
    outcomes = [
        right_choice(trial, judgement)
        for trial, task in zip(trials, tasks, strict=True)
        for judgement in settled(task.result(), judging.first)
    ]
    return Trust(len(trials), len(outcomes), sum(outcomes), least)


async def judge_trial(trial: Trial, constitution: Constitution, judging: Judging) -> tuple[Judgement, ...]:
    one, other = candidates(trial)
    return await judge_couples(Candidates(trial.prompt, (one, other)), [(one, other)], constitution, judging)


def candidates(trial: Trial) -> tuple[Candidate, Candidate]:
    one, other = (
        Candidate(short_id("trial", trial.prompt.id, number, text), text, "stop", "", sample=number, round=0)
        for number, text in enumerate(trial.completions)
    )
    return one, other


def settled(judgements: Iterable[Judgement], cascade: Cascade) -> Iterable[Judgement]:
    return (judgement for judgement in judgements if judgement.by == "model" and cascade.settles(judgement))


def right_choice(trial: Trial, judgement: Judgement) -> bool:
    if trial.choice == "tie" or judgement.p_a is None:
        return False
    preferred = judgement.a if judgement.p_a > 0.5 else judgement.b
    return preferred == candidates(trial)[trial.choice - 1].id
