"""One prompt's way from text to preference pairs, and the row that keeps all of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from constitution.identity import canonical_json
from constitution.principle import Constitution
from generator.candidates import Candidate, Candidates, Drop
from generator.chat import UNSETTLED
from generator.gather import Generation, gather_candidates
from generator.prompts import Prompt
from judge.fencing import Flag, neutralise
from judge.judging import Judging, Mark
from judge.label import Label
from judge.modes import judge_candidates
from judge.pairs import PreferencePair, Standing, build_pairs
from judge.planting import Planted, judge_canaries
from judge.verdict import Judgement, NoVerdict


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything but the prompt that a row depends on."""

    constitution: Constitution
    generation: Generation
    judging: Judging
    min_margin: float
    canaries: float = 0.0  # share of the prompts on which the judge is shown planted completions too
    edits: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)  # by people, by the prompt's id


@dataclass(frozen=True, slots=True)
class Flagged:
    """A candidate whose text speaks to the judge, or looks like a part of the judge's prompt."""

    candidate: str
    flag: Flag


@dataclass(frozen=True, slots=True)
class Row:
    """The whole history of one prompt: nothing that decided its pairs is missing."""

    made: Candidates
    judgements: tuple[Judgement, ...]
    labels: tuple[Label, ...]
    pairs: tuple[PreferencePair, ...]
    unpaired: tuple[Drop, ...]
    grades: tuple[Mark, ...] = ()
    ranking: tuple[Standing, ...] = ()  # strongest first, where all candidates were ranked together
    flags: tuple[Flagged, ...] = ()
    planted: tuple[Planted, ...] = ()

    @property
    def drops(self) -> tuple[Drop, ...]:
        return self.made.drops + self.unpaired

    @property
    def no_verdicts(self) -> Iterator[NoVerdict]:
        """Every single one, a failed grade once however many comparisons lack it."""
        compared = (j for j in (*self.judgements, *(p.judgement for p in self.planted)) if j.by != "grades")
        marks = (*self.grades, *(mark for planted in self.planted for mark in planted.marks))
        said = [*(v for j in compared for v in (j.forward, j.backward)), *(mark.said for mark in marks)]
        yield from (verdict for verdict in said if isinstance(verdict, NoVerdict))

    @property
    def complete(self) -> bool:
        """Whether running the prompt again would change nothing: no call failed in a way that may pass or be mended."""
        reasons = {drop.reason for drop in self.drops} | {verdict.failure for verdict in self.no_verdicts}
        return reasons.isdisjoint(UNSETTLED)


ROW = TypeAdapter(Row)


async def process(prompt: Prompt, recipe: Recipe) -> Row:
    """The row of ``prompt``. Depends on nothing but the arguments and the models' replies."""
    generated = await gather_candidates(prompt, recipe.constitution, recipe.generation)
    made = replace(generated, candidates=generated.candidates + recipe.edits.get(prompt.id, ()))
    judged = await judge_candidates(made, recipe.constitution, recipe.judging)
    planted = await judge_canaries(made, recipe.constitution, recipe.judging, recipe.canaries)
    built = build_pairs(made, judged.labels, recipe.judging.policy, recipe.min_margin, judged.ranking)
    return Row(
        made,
        judged.judgements,
        judged.labels,
        built.pairs,
        built.drops,
        judged.grades,
        judged.ranking,
        flags_of(made.candidates),
        planted,
    )


def flags_of(candidates: Sequence[Candidate]) -> tuple[Flagged, ...]:
    return tuple(Flagged(c.id, flag) for c in candidates for flag in neutralise(c.text).flags)


def dump_row(row: Row) -> bytes:
    return canonical_json(ROW.dump_python(row))


def load_row(body: bytes) -> Row:
    return ROW.validate_python(json.loads(body))
