"""A run's labels made again with people's: theirs where they looked, and everywhere else chances anchored on theirs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from constitution.errors import InputError
from generator.candidates import Drop
from judge.audit.anchor import fit_anchor
from judge.audit.audit import judged
from judge.audit.table import NONE, TIE, average, human_choice
from judge.label import Label
from judge.pairs import Contest, Pairs, PreferencePair, build_pairs, couple_id
from judge.ranking import standings
from solon.auditing.own import material_of
from solon.config import RunConfig
from solon.pipeline import Row

FEWEST_LABELS = 10  # couples, below which nothing can be anchored on them


@dataclass(frozen=True, slots=True)
class Said:
    """What judges and people say of a couple ``a < b`` together."""

    p_a: float  # anchored on people's labels
    choice: int  # people's: 1 for a, 2 for b, TIE, or NONE
    people: int  # who looked
    dissent: float  # share of them that chose otherwise

    @property
    def label(self) -> float:
        """People's choice where there is one; it wins over any judge's."""
        return {1: 1.0, 2: 0.0, TIE: 0.5}.get(self.choice, self.p_a)


def anchored(rows: Sequence[Row], labels: Path) -> dict[str, Said]:
    """By the couple's id, for every couple that was judged.

    Raises:
        InputError: the labels cannot be read, or are too few.
    """
    material = judged(material_of(rows, labels))
    averaged, human = average(material), human_choice(material)
    asked = np.flatnonzero(human != NONE)
    if len(asked) < FEWEST_LABELS:
        fact = f"labels {len(asked)} couples of this run"
        raise InputError(str(labels), fact, f"label at least {FEWEST_LABELS} before exporting with labels")
    p_a = fit_anchor(averaged, material.verdicts.judges, human, asked).p_one(averaged)
    answers = material.labels
    spoken = answers.choice != NONE
    people = np.bincount(answers.item[spoken], minlength=len(human))
    otherwise = spoken & (answers.choice != human[answers.item])
    dissent = np.bincount(answers.item[otherwise], minlength=len(human)) / np.maximum(people, 1)
    return {
        name: Said(float(p_a[i]), int(human[i]), int(people[i]), float(dissent[i]))
        for i, name in enumerate(material.items)
    }


def relabelled(rows: Iterable[Row], said: Mapping[str, Said], config: RunConfig) -> Iterator[Row]:
    """Each row with its labels and pairs made again; the judgements stay as they are."""
    for row in rows:
        labels = tuple(relabel(label, said) for label in row.labels)
        ranking = standings(row.made, labels) if row.ranking else ()
        built = build_pairs(row.made, labels, config.pairs.policy, config.pairs.min_margin, ranking)
        built = settled(built, said, Contest(row.made.candidates, {(one.a, one.b): one for one in labels}, {}))
        before = {couple_id(label.a, label.b): label for label in row.labels}
        pairs = tuple(described(pair, said.get(pair.id), before.get(pair.id)) for pair in built.pairs)
        yield replace(row, labels=labels, pairs=pairs, unpaired=built.drops, ranking=ranking)


def relabel(label: Label, said: Mapping[str, Said]) -> Label:
    """A couple without any verdict gets a label only from people."""
    found = said[couple_id(label.a, label.b)]
    if found.choice != NONE:
        return replace(label, p_a=found.label, both_bad=False)
    return label if label.p_a is None else replace(label, p_a=found.p_a)


def settled(built: Pairs, said: Mapping[str, Said], contest: Contest) -> Pairs:
    """The pairs as people order them: where all candidates were ranked together, their strengths may say otherwise."""
    found = [ordered(pair, said.get(pair.id), contest) for pair in built.pairs]
    pairs = tuple(one for one in found if isinstance(one, PreferencePair))
    return Pairs(pairs, built.drops + tuple(one for one in found if isinstance(one, Drop)))


def ordered(pair: PreferencePair, said: Said | None, contest: Contest) -> PreferencePair | Drop:
    if said is None or said.choice == NONE:
        return pair
    if said.choice == TIE:
        return Drop("pairs", "tie", pair.id)
    chosen, rejected = sorted((pair.chosen, pair.rejected), key=lambda one: one.id, reverse=said.choice == 2)
    if not contest.may_be_chosen(chosen):
        return Drop("pairs", "revision not preferred to what it revised", pair.id)
    return replace(pair, chosen=chosen, rejected=rejected, p_chosen=1.0, margin=1.0)


def described(pair: PreferencePair, said: Said | None, before: Label | None) -> PreferencePair:
    """The pair with what became of its label; a couple that was only ranked has no verdict of its own."""
    by_people = said is not None and said.choice != NONE
    return replace(
        pair,
        label_source="human" if by_people else "ai",
        epsilon=said.dissent if said and by_people else 1 - pair.p_chosen,
        people=said.people if said else 0,
        ai_p_chosen=before.share(pair.chosen.id) if before else None,
    )
