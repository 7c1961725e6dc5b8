"""A run's labels made again with people's: theirs where they looked, and everywhere else chances anchored on theirs.

What a principle above others decided, or code by itself, no person's taste overturns: such labels stay as they are.
Nor does anything move where people labelled too few couples to anchor on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np

from constitution.errors import InputError
from constitution.principle import Constitution
from generator.candidates import Drop
from judge.audit.agreement import pairwise_shares
from judge.audit.anchor import fit_anchor
from judge.audit.audit import FEWEST_TO_SELECT, judged
from judge.audit.selective import Promise, select
from judge.audit.table import NONE, Ints, Material, average, human_choice, unevenly_drawn
from judge.label import Label, Spoken, rank
from judge.pairs import Contest, PreferencePair, build_pairs, couple_id
from judge.ranking import standings
from judge.review.merge import Merged
from judge.verdict import Judgement
from solon.auditing.own import LABEL, material_of, name_of
from solon.auditing.shares import by_chance
from solon.auditing.voices import Voices, voices
from solon.config import RunConfig
from solon.export import Promised
from solon.pipeline import Row

FEWEST_LABELS = 10  # couples, below which nothing can be anchored on them
BELOW = "below the promised agreement"


@dataclass(frozen=True, slots=True)
class Said:
    """What judges and people say of a couple ``a < b`` together."""

    p_a: float  # anchored on people's labels, where there is an anchor
    merged: Merged | None = None  # people's label: 1 for a, 2 for b
    wrong: float | None = None  # chance that people's choice is wrong, at most 0.5; None where nothing tells

    @property
    def by_people(self) -> bool:
        return self.merged is not None

    def share(self, pair: PreferencePair) -> float:
        """The anchored chance that people prefer what the pair chose."""
        return self.p_a if pair.chosen.id < pair.rejected.id else 1 - self.p_a


@dataclass(frozen=True, slots=True)
class Heard:
    """What people's labels make of a run."""

    couples: Mapping[str, Said]  # by the couple's id, every couple that was judged
    weights: Mapping[str, float]  # the anchor's, by the judge's name in the run's table of verdicts; empty without one
    people: int  # who labelled a couple of the run
    promised: Promised | None = None

    @property
    def labelled(self) -> int:
        """Couples."""
        return sum(said.by_people for said in self.couples.values())


@dataclass(frozen=True, slots=True)
class Terms:
    """What of the run decides how labels become pairs."""

    config: RunConfig
    constitution: Constitution


def anchored(rows: Sequence[Row], labels: Path) -> Heard:
    """The run anchored on all labels, if there are enough of them.

    Raises:
        InputError: the labels cannot be read, or none is of this run.
    """
    material = judged(material_of(rows, labels))
    asked = fitted_on(material)
    require_labels(labels, len(asked), 1, "exporting with labels")
    return heard(material, asked if len(asked) >= FEWEST_LABELS else None, voices(labels))


def promising(rows: Sequence[Row], labels: Path, agreement: float, terms: Terms) -> Heard:
    """The run anchored on one half of the labels, with the threshold that the other half sets for ``agreement``.

    The promise is of the pairs that judges alone decide: what people looked at is theirs anyway. So the threshold is
    set on just such pairs, as they would be if nobody had labelled them. Of a review's labels only those of couples
    that chance brought before people can set it; all others are fitted to.

    Raises:
        InputError: nothing can be promised, or the labels cannot be read or are too few.
    """
    place = f"--agreement {agreement:g}"
    if not 0 < agreement < 1:
        raise InputError(place, "is no share that can be promised", "choose a number between 0 and 1, such as 0.8")
    material = judged(material_of(rows, labels))
    asked, evenly = fitted_on(material), by_chance(material)
    if not evenly.size:
        if unevenly_drawn(material):
            raise InputError(place, "needs labels of items that had all the same chance", "label couples drawn evenly")
        evenly = asked
    require_labels(labels, len(evenly), FEWEST_TO_SELECT, "promising agreement", drawn=len(evenly) < len(asked))
    order = np.random.default_rng(terms.config.seed).permutation(evenly)
    held = order[len(order) // 2 :]
    found = heard(material, np.setdiff1d(asked, held), voices(labels))
    return replace(found, promised=promise(rows, found, {material.items[i] for i in held}, (agreement, terms)))


def promise(rows: Sequence[Row], found: Heard, held: set[str], asked: tuple[float, Terms]) -> Promised:
    """The threshold set by the couples ``held``, whose labels the anchor has not seen.

    Pairs whose rejected side people are thought to prefer, as a principle above others may have it, are out of it.
    """
    agreement, terms = asked
    alone = replace(found, couples={name: Said(said.p_a) for name, said in found.couples.items()})
    pairs = [pair for row in relabelled(rows, alone, terms) for pair in row.pairs if pair.id in found.couples]
    chance = {pair.id: alone.couples[pair.id].share(pair) for pair in pairs}
    pairs = [pair for pair in pairs if chance[pair.id] > 0.5]
    tested = [pair for pair in pairs if pair.id in held]
    right = [said_by(found, pair.id) == ("1" if pair.chosen.id < pair.rejected.id else "2") for pair in tested]
    rest = np.array([chance[pair.id] for pair in pairs if not found.couples[pair.id].by_people])
    kind: Promise = "rest" if rest.size else "population"
    confidence = np.array([chance[pair.id] for pair in tested])
    chosen = select(confidence, np.array(right, dtype=np.bool_), rest, alpha=1 - agreement, promise=kind)
    if chosen.threshold is None:
        fact = f"cannot be promised: of {len(tested)} pairs held back to test it, people agree with {sum(right)}"
        raise InputError(f"--agreement {agreement:g}", fact, "label more couples, or ask for a lower --agreement")
    return Promised(agreement, chosen.threshold, chosen.delta)


def fitted_on(material: Material) -> Ints:
    """Every labelled item counts alike, however it was drawn: that hangs on what judges say, not on what people do."""
    return np.flatnonzero(human_choice(material) != NONE)


def said_by(found: Heard, couple: str) -> str | None:
    merged = found.couples[couple].merged
    return merged.choice if merged else None


def require_labels(labels: Path, count: int, fewest: int, what: str, *, drawn: bool = False) -> None:
    if count < fewest:
        fact = f"labels {count} couples of this run" + (" that chance chose" if drawn else "")
        raise InputError(str(labels), fact, f"label at least {fewest} before {what}")


def heard(material: Material, fitted: Ints | None, said: Voices) -> Heard:
    """The anchor of the items ``fitted`` on every item, beside what people said; without any the run's labels stand."""
    averaged, answers = average(material), material.labels
    p_a, weights = averaged.p_one[:, material.verdicts.judges.index(LABEL)], {}
    if fitted is not None:
        anchor = fit_anchor(averaged, material.verdicts.judges, human_choice(material), fitted)
        p_a, weights = anchor.p_one(averaged), dict(zip(anchor.judges, anchor.weights, strict=True))
    counts = np.zeros((len(material.items), 3), dtype=np.int64)
    spoken = answers.choice != NONE
    np.add.at(counts, (answers.item[spoken], answers.choice[spoken]), 1)
    error = error_rate(counts)
    found = [(name, said.merged.get(name)) for name in material.items]
    couples = {
        name: Said(p, merged, wrong(merged, error) if merged else None)
        for (name, merged), p in zip(found, p_a.tolist(), strict=True)
    }
    return Heard(couples, weights, len(frozenset().union(*(said.people.get(name, ()) for name in material.items))))


def error_rate(counts: Ints) -> float | None:
    """How often one person is wrong, by how often two who looked at the same item differ; at most one half.

    Two who err independently, each with the chance e, differ where just one of them errs: with the chance
    d = 2e(1 - e). That is turned round here, to the smaller e of the two. People who differ half the time or more
    tell nothing, as by lot: e is one half.

    d is smoothed by one answer that differs and one that does not: a few that agree do not make people infallible.
    None where nobody labelled together with another.

    Args:
        counts: (items, 3) how many chose a tie, 1 and 2.
    """
    shared = counts[counts.sum(axis=1) > 1]
    if not len(shared):
        return None
    answers = shared.sum(axis=1)
    differing = float((((1 - pairwise_shares(shared)) * answers).sum() + 1) / (answers.sum() + 2))
    return (1 - sqrt(max(0.0, 1 - 2 * differing))) / 2


def wrong(merged: Merged, error: float | None) -> float | None:
    """Of the people who looked, the share that chose otherwise, at most one half.

    A label that is more often wrong than right is none, so no more is said of a tie, say, that nobody chose.

    One voice always agrees with the choice that it made, which says nothing: it counts for what a person's voice is
    found to be wrong elsewhere. An adjudicator's is such a voice, and those that it overrules count no more.
    """
    if error is None:
        return None
    if merged.adjudicated:
        return error
    return min(0.5, (merged.people - merged.agree + error) / merged.people)


def relabelled(rows: Iterable[Row], found: Heard, terms: Terms) -> Iterator[Row]:
    """Each row with its labels and pairs made again; the judgements stay as they are."""
    for row in rows:
        said: dict[tuple[str, str], list[Judgement]] = {(label.a, label.b): [] for label in row.labels}
        for judgement in row.judgements:
            said.setdefault((judgement.a, judgement.b), []).append(judgement)
        open_to = {
            (one.a, one.b)
            for one in row.labels
            if found.weights and movable(one, said[one.a, one.b], terms.constitution)
        }
        labels = tuple(
            relabel(label, found, said[label.a, label.b], (label.a, label.b) in open_to) for label in row.labels
        )
        people = {(label.a, label.b) for label in labels if found.couples[couple_id(label.a, label.b)].by_people}
        ranking, how = standings(row.made, labels) if row.ranking else (), terms.config.pairs
        built = build_pairs(row.made, labels, how.policy, how.min_margin, ranking, settled=people)
        told = [described(pair, found, row, {couple_id(*couple) for couple in open_to}) for pair in built.pairs]
        kept = [accepted(pair, found) for pair in told]
        pairs = tuple(one for one in kept if isinstance(one, PreferencePair))
        drops = tuple(named(drop, found) for drop in built.drops) + tuple(one for one in kept if isinstance(one, Drop))
        yield replace(row, labels=labels, pairs=pairs, unpaired=drops, ranking=ranking)


def movable(label: Label, judgements: Sequence[Judgement], constitution: Constitution) -> bool:
    """Whether people's labels may move the couple's chance: the last level heard decided it, and not by checks alone.

    People's labels say how far to believe a model. They say nothing of a check, and nothing of which principle goes
    before which.
    """
    if label.p_a is None:
        return False

    def level(judgement: Judgement) -> tuple[bool, int]:
        return rank(Spoken(constitution.get(judgement.principle), judgement.weight, 0.5))

    own = [judgement for judgement in judgements if (judgement.a, judgement.b) == (label.a, label.b)]
    listened = [judgement for judgement in own if judgement.heard and judgement.p_a is not None]
    deciding = [judgement for judgement in listened if judgement.principle in label.decided_by]
    return max(map(level, listened)) == max(map(level, deciding)) and any(one.by != "check" for one in deciding)


def relabel(label: Label, found: Heard, judgements: Sequence[Judgement], movable: bool) -> Label:
    """A couple without any verdict gets a label only from people, whom no principle told what to choose."""
    said = found.couples[couple_id(label.a, label.b)]
    if said.merged:
        p_a = {"1": 1.0, "2": 0.0}.get(said.merged.choice, 0.5)
        return replace(label, p_a=p_a, decided_by=(), both_bad=said.merged.choice == "both bad")
    if not movable:
        return label
    return replace(label, p_a=said.p_a, decided_by=tuple(sorted(deciders(label, judgements, found.weights))))


def deciders(label: Label, judgements: Sequence[Judgement], weights: Mapping[str, float]) -> set[str]:
    """The principles whose verdicts are in the anchored chance."""
    own = {one.principle for one in judgements if one.p_a not in (None, 0.5) and weights.get(name_of(one))}
    return own | set(label.decided_by if weights.get(LABEL) else ())


def described(pair: PreferencePair, found: Heard, row: Row, movable: set[str]) -> PreferencePair:
    """The pair with what became of its label; a couple that was only ranked has no verdict of its own."""
    said = found.couples.get(pair.id)
    strengths = {standing.candidate: standing.strength for standing in row.ranking}
    before = Contest(row.made.candidates, {(one.a, one.b): one for one in row.labels}, strengths)
    judges = before.label(pair.chosen, pair.rejected)
    told = replace(pair, ai_p_chosen=judges.share(pair.chosen.id) if judges else None)
    if said and (merged := said.merged):
        return replace(
            told, label_source="adjudicated" if merged.adjudicated else "human", epsilon=said.wrong,
            people=merged.people, people_agree=merged.agree, human_strength=merged.strength,
        )  # fmt: skip
    return replace(told, epsilon=1 - said.share(pair) if said and pair.id in movable else None)


def named(drop: Drop, found: Heard) -> Drop:
    """A tie by people's word, as they named it."""
    both_good = drop.reason == "tie" and drop.about in found.couples and said_by(found, drop.about) == "both good"
    return replace(drop, reason="both good") if both_good else drop


def accepted(pair: PreferencePair, found: Heard) -> PreferencePair | Drop:
    """Where agreement is promised, a pair that no person looked at must be as sure as the promise needs."""
    said = found.couples.get(pair.id)
    if found.promised is None or (said and said.by_people):
        return pair
    if said and said.share(pair) >= found.promised.threshold:
        return pair
    detail = f"{said.share(pair):.3f} < {found.promised.threshold:.3f}" if said else "never compared by itself"
    return Drop("pairs", BELOW, pair.id, detail)
