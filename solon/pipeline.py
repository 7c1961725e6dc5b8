"""One prompt's way from text to preference pairs, and the row that keeps all of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter

from constitution.identity import canonical_json
from constitution.principle import Constitution
from generator.candidates import Candidates, Drop
from generator.chat import UNSETTLED
from generator.gather import Generation, gather_candidates
from generator.prompts import Prompt
from judge.judging import Judging, judge_candidates, label_all
from judge.label import Label
from judge.pairs import PreferencePair, build_pairs
from judge.verdict import Judgement, NoVerdict


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything but the prompt that a row depends on."""

    constitution: Constitution
    generation: Generation
    judging: Judging
    min_margin: float


@dataclass(frozen=True, slots=True)
class Row:
    """The whole history of one prompt: nothing that decided its pairs is missing."""

    made: Candidates
    judgements: tuple[Judgement, ...]
    labels: tuple[Label, ...]
    pairs: tuple[PreferencePair, ...]
    unpaired: tuple[Drop, ...]

    @property
    def drops(self) -> tuple[Drop, ...]:
        return self.made.drops + self.unpaired

    @property
    def no_verdicts(self) -> Iterator[NoVerdict]:
        for judgement in self.judgements:
            for verdict in (judgement.forward, judgement.backward):
                if isinstance(verdict, NoVerdict):
                    yield verdict

    @property
    def complete(self) -> bool:
        """Whether running the prompt again would change nothing: no call failed in a way that may pass or be mended."""
        reasons = {drop.reason for drop in self.drops} | {verdict.failure for verdict in self.no_verdicts}
        return reasons.isdisjoint(UNSETTLED)


ROW = TypeAdapter(Row)


async def process(prompt: Prompt, recipe: Recipe) -> Row:
    """The row of ``prompt``. Depends on nothing but the arguments and the models' replies."""
    made = await gather_candidates(prompt, recipe.constitution, recipe.generation)
    judgements = await judge_candidates(made, recipe.constitution, recipe.judging)
    labels = label_all(judgements, recipe.constitution)
    built = build_pairs(made, labels, recipe.judging.policy, recipe.min_margin)
    return Row(made, judgements, labels, built.pairs, built.drops)


def dump_row(row: Row) -> bytes:
    return canonical_json(ROW.dump_python(row))


def load_row(body: bytes) -> Row:
    return ROW.validate_python(json.loads(body))
