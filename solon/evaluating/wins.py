"""Which of two policies' completions is preferred, by principles and a judge that did not make the labels.

Judged as a run judges: every couple in both orders, checks by code. Calls go through the run's own journal, prices
and budget, so none is paid for twice.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from constitution.checks import words
from constitution.errors import SolonError
from generator.candidates import Candidate, Candidates, candidate_id
from generator.models.door import Closed
from generator.prompts import Prompt
from judge.asking import Asking
from judge.audit.position import Position, position
from judge.judging import Judged, Judging
from judge.modes import judge_candidates
from judge.verdict import NoVerdict
from solon.engines.local import run_prompts
from solon.evaluating.referee import Referee
from solon.journal import Journal
from solon.models import Gate, Meter
from solon.progress import showing
from solon.recipes import judging_of
from solon.run import first_cause
from solon.supply import Supply, places
from trainer.evaluation.wins import Win

ORDERS = 2


@dataclass(frozen=True, slots=True)
class Heard:
    """One verdict for each prompt, in their order, and what is to be said of the judge."""

    wins: tuple[Win, ...]
    no_verdicts: dict[str, int]  # by reason; of single verdicts
    warnings: tuple[str, ...]


def judged_wins(referee: Referee, prompts: Sequence[Prompt], base: Sequence[str], trained: Sequence[str]) -> Heard:
    """The chance that the trained policy's completion is preferred, for each prompt; completions in their order."""
    couples = {
        prompt.id: Candidates(prompt, (drafted(prompt, 0, before), drafted(prompt, 1, after)))
        for prompt, before, after in zip(prompts, base, trained, strict=True)
    }
    judged = asked_of_judge(referee, couples) if referee.judge else asyncio.run(all_checked(referee, couples))
    wins = tuple(win_of(couples[prompt.id], judged[prompt.id]) for prompt in prompts)
    judgements = [judgement for one in judged.values() for judgement in one.judgements]
    marks = [mark.said for one in judged.values() for mark in one.grades]
    orders = [order for judgement in judgements for order in (judgement.forward, judgement.backward)]
    silent = Counter(said.reason for said in (*orders, *marks) if isinstance(said, NoVerdict))
    return Heard(wins, dict(sorted(silent.items())), doubted(position(judgements)))


def doubted(seen: Position) -> tuple[str, ...]:
    """That the judge cannot judge, where its verdicts hang on the order shown."""
    warning = seen.warning
    return (warning.replace("[judge]", "[evaluate.judge]"),) if warning else ()


def drafted(prompt: Prompt, place: int, text: str) -> Candidate:
    """A completion as the judge's code takes it. Its id sorts by content alone: which policy wrote it is not in it."""
    return Candidate(candidate_id(prompt, 0, 0, text), text, "stop", "", place, 0)


def win_of(couple: Candidates, judged: Judged) -> Win:
    before, after = couple.candidates
    said = next((label for label in judged.labels), None)
    twins = before.text.strip() == after.text.strip()
    chance = 0.5 if twins else said.share(after.id) if said else None
    return Win(couple.prompt.id, chance, len(words(before.text)), len(words(after.text)))


async def all_checked(referee: Referee, couples: Mapping[str, Candidates]) -> dict[str, Judged]:
    checking = Judging((), "all", "all", Asking(referee.folder.config.seed))
    return {name: await judge_candidates(couple, referee.constitution, checking) for name, couple in couples.items()}


def asked_of_judge(referee: Referee, couples: Mapping[str, Candidates]) -> dict[str, Judged]:
    with Journal.open(referee.folder.journal) as journal:
        return asyncio.run(all_judged(referee, journal, couples))


async def all_judged(referee: Referee, journal: Journal, couples: Mapping[str, Candidates]) -> dict[str, Judged]:
    """Every couple judged, by the prompt's id. An error that stops it is raised after what was in flight is kept."""
    config, gate = referee.config, Gate()
    judged: dict[str, Judged] = {}
    async with Supply(referee.folder, journal, gate, Meter()) as supply:
        judging = replace(judging_of(config, supply), policy="all")
        most = places(config.judge, config.limits.in_flight)
        workers = len(couples) if config.judge.batch else max(1, most // ORDERS)
        with showing("judging", len(couples)) as reporter:

            async def work(prompt: Prompt) -> None:
                judged[prompt.id] = await judge_candidates(couples[prompt.id], referee.constitution, judging)
                reporter.at(len(judged), "")

            try:
                await run_prompts([couple.prompt for couple in couples.values()], work, workers)
            except* Closed:
                pass  # the error that shut the gate stands beside it
            except* SolonError as group:
                raise first_cause(group) from None
            finally:
                gate.shut_down()
                await gate.settled()
    return judged
