"""A prompt's candidates graded one by one, and the grades compared."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

from constitution.draw import draw
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates
from judge.checked import judge_by_check
from judge.grades import preference_of
from judge.judging import Judged, Judging, Mark, label_all, model_sees
from judge.pairs import Couple, couples_to_judge
from judge.pairwise import Juror
from judge.pointwise import judge_pointwise
from judge.verdict import Judgement


async def judge_graded(made: Candidates, constitution: Constitution, judging: Judging) -> Judged:
    """Every candidate's grade by every judge under each principle, and what follows for the couples."""
    couples = list(couples_to_judge(made.candidates, judging.policy))
    applying = constitution.applying_to(made.prompt.tags)
    asked = principles_asked(made, [p for p in applying if not p.check], judging)
    needed = [c for c in made.candidates if any(c in couple for couple in couples)]
    marks = await marks_of(made, needed, asked, judging)
    judgements = [
        *(judge_by_check(made.prompt, *couple, p.id, p.check) for couple in couples for p in applying if p.check),
        *(judgement for couple in couples for judgement in compared(couple, asked, judging.jurors, marks)),
    ]
    ordered = tuple(sorted(judgements, key=Judgement.place))
    return Judged(ordered, label_all(ordered, constitution), tuple(marks[key] for key in sorted(marks)))


def principles_asked(made: Candidates, unchecked: Sequence[Principle], judging: Judging) -> Sequence[Principle]:
    """All of them, or one drawn for the prompt: grades under different principles cannot be compared."""
    seed = judging.asking.seed
    if not unchecked or not model_sees(seed, judging.share, made.prompt.id, ()):
        return []
    return [draw(unchecked, seed, made.prompt.id)] if judging.principles == "one" else unchecked


Key = tuple[str, str, str]  # candidate, principle, judge


async def marks_of(
    made: Candidates, needed: Sequence[Candidate], asked: Sequence[Principle], judging: Judging
) -> dict[Key, Mark]:
    """One candidate's calls go out together, its first principle ahead: it leaves the text in the prefix cache."""
    asking = replace(judging.asking, shared=len(asked) > 1)

    async def grade(candidate: Candidate, principle: Principle, juror: Juror) -> Mark:
        said = await judge_pointwise(made.prompt, candidate, principle, juror.model, asking, judging.scale)
        return Mark(candidate.id, principle.id, juror.name, said)

    async def grade_all(candidate: Candidate, juror: Juror) -> list[Mark]:
        ahead = [await grade(candidate, p, juror) for p in asked[:1]]
        async with asyncio.TaskGroup() as group:
            rest = [group.create_task(grade(candidate, p, juror)) for p in asked[1:]]
        return ahead + [task.result() for task in rest]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(grade_all(candidate, juror)) for candidate in needed for juror in judging.jurors]
    return {(mark.candidate, mark.principle, mark.judge): mark for task in tasks for mark in task.result()}


def compared(
    couple: Couple, asked: Sequence[Principle], jurors: Sequence[Juror], marks: dict[Key, Mark]
) -> Iterator[Judgement]:
    a, b = sorted(candidate.id for candidate in couple)
    for principle in asked:
        for juror in jurors:
            verdict = preference_of(*(marks[name, principle.id, juror.name].said for name in (a, b)))
            yield Judgement(a, b, principle.id, "grades", verdict, None, juror.name, juror.weight)
