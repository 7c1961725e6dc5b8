"""Labels turned into preference pairs, by a named policy. Ties, twins and small margins become drops."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Literal

from constitution.identity import short_id
from generator.candidates import Candidate, Candidates, Drop
from generator.prompts import Prompt
from judge.label import Label
from judge.verdict import from_half

PairPolicy = Literal["best-vs-worst", "all", "adjacent", "revision-vs-draft"]
LabelSource = Literal["ai", "human", "adjudicated"]
Couple = tuple[Candidate, Candidate]
ROUNDING = 1e-9  # a margin this close to the minimum has reached it


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Two candidates of one prompt and the AI label that orders them."""

    id: str
    prompt: Prompt
    chosen: Candidate
    rejected: Candidate
    p_chosen: float  # in (0.5, 1]
    margin: float  # 2·p_chosen - 1
    decided_by: tuple[str, ...]  # ids of the principles that decided, sorted
    orders_agree: bool | None  # whether the judge model said the same in both orders
    label_source: LabelSource = "ai"
    epsilon: float | None = None  # chance that the label is wrong, as people show it; None where none of theirs tells
    people: int = 0  # who looked at the pair
    people_agree: int = 0  # of them, who chose as the label does
    human_strength: float | None = None  # how much better these say it is, from 1 (slightly) to 4 (by far), on average
    ai_p_chosen: float | None = None  # what the judges alone say of ``chosen``, whoever decided


@dataclass(frozen=True, slots=True)
class Pairs:
    pairs: tuple[PreferencePair, ...]
    drops: tuple[Drop, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """A candidate's place among all of its prompt's: its strength on the log-odds scale, with mean zero."""

    candidate: str
    strength: float
    error: float  # standard error


@dataclass(frozen=True, slots=True)
class Contest:
    """The candidates of one prompt and the labels between them."""

    candidates: tuple[Candidate, ...]
    labels: Mapping[tuple[str, str], Label]  # by the two ids, sorted
    strengths: Mapping[str, float]  # by id, where all were ranked together
    settled: Collection[tuple[str, str]] = ()  # the couples that people decided: their own label holds

    def label(self, one: Candidate, other: Candidate) -> Label | None:
        """The couple's label; where all were ranked together its chance follows from their strengths."""
        a, b = min(one.id, other.id), max(one.id, other.id)
        direct = self.labels.get((a, b))
        if a in self.strengths and b in self.strengths and (a, b) not in self.settled:
            return self.ranked(a, b, direct)
        return direct

    def ranked(self, a: str, b: str, direct: Label | None) -> Label:
        p_a = from_half(math.tanh((self.strengths[a] - self.strengths[b]) / 2) / 2)
        if direct and direct.p_a is not None:
            return replace(direct, p_a=p_a)
        decided_by = sorted({name for label in self.labels.values() for name in label.decided_by})
        return Label(a, b, p_a, tuple(decided_by), None)

    def revised_by(self, candidate: Candidate) -> Candidate | None:
        """What ``candidate`` revises; None for a draft."""
        return next((c for c in self.candidates if c.id == candidate.revises), None)

    def may_be_chosen(self, candidate: Candidate) -> bool:
        """A draft may; a revision only where the judge prefers it to what it revised."""
        revised = self.revised_by(candidate)
        if revised is None:
            return True
        label = self.labels.get((min(candidate.id, revised.id), max(candidate.id, revised.id)))
        return label is not None and label.preferred == candidate.id

    def ranking(self) -> list[Candidate]:
        """Best first, by strength or by mean preference over the others; equals in the order of sample and round."""

        def mean_preference(candidate: Candidate) -> float:
            labels = [self.label(candidate, other) for other in self.candidates if other is not candidate]
            shares = [share for label in labels if label and (share := label.share(candidate.id)) is not None]
            return math.fsum(shares) / len(shares) if shares else 0.5

        def height(candidate: Candidate) -> float:
            return self.strengths.get(candidate.id, 0.0) if self.strengths else mean_preference(candidate)

        return sorted(self.candidates, key=lambda c: (-height(c), c.sample, c.round))


def couple_id(one: str, other: str) -> str:
    """The name of two candidates together, whichever is named first, and of the pair that they may become."""
    return short_id("pair", *sorted((one, other)))


def related(one: Candidate, other: Candidate) -> bool:
    """Whether one of the two revises the other."""
    return one.revises == other.id or other.revises == one.id


def couples_to_judge(candidates: Sequence[Candidate], policy: PairPolicy) -> Iterator[Couple]:
    """The couples whose labels ``policy`` needs; twins have nothing to compare."""
    for one, other in combinations(candidates, 2):
        if not twins(one, other) and (policy != "revision-vs-draft" or related(one, other)):
            yield one, other


def twins(one: Candidate, other: Candidate) -> bool:
    return one.text.strip() == other.text.strip()


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8; a lone surrogate cannot, and no dataset file holds it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def build_pairs(
    made: Candidates,
    labels: Sequence[Label],
    policy: PairPolicy,
    min_margin: float,
    standings: Sequence[Standing] = (),
    *,
    settled: Collection[tuple[str, str]] = (),
) -> Pairs:
    """The preference pairs of one prompt under ``policy``, and a drop for each couple that gives none.

    * ``all``: every couple.
    * ``adjacent``: neighbours in the ranking by mean preference.
    * ``best-vs-worst``: the two ends of that ranking.
    * ``revision-vs-draft``: each revision with what it revised; either may be chosen.

    Args:
        settled: couples ``(a, b)``, ``a < b``, that people decided: their own label holds whatever ``standings`` say,
            and whatever the judge says of a revision beside what it revised.
    """
    strengths = {standing.candidate: standing.strength for standing in standings}
    contest = Contest(made.candidates, {(label.a, label.b): label for label in labels}, strengths, settled)
    couples = list(couples_of(contest, policy))
    if not couples:
        chooses = policy == "best-vs-worst" and len(made.candidates) > 1
        reason = "no better candidate may be chosen" if chooses else "nothing to compare"
        return Pairs((), (Drop("pairs", reason, made.prompt.id),))
    built = [build_pair(made.prompt, contest, one, other, min_margin) for one, other in couples]
    return Pairs(
        tuple(b for b in built if isinstance(b, PreferencePair)),
        tuple(b for b in built if isinstance(b, Drop)),
    )


def couples_of(contest: Contest, policy: PairPolicy) -> Iterator[Couple]:
    match policy:
        case "all":
            yield from combinations(contest.candidates, 2)
        case "revision-vs-draft":
            yield from (couple for couple in combinations(contest.candidates, 2) if related(*couple))
        case "adjacent":
            yield from pairwise(contest.ranking())
        case "best-vs-worst":
            ranking = contest.ranking()
            best = next(filter(contest.may_be_chosen, ranking), None)
            if best and best is not ranking[-1]:
                yield best, ranking[-1]


def build_pair(
    prompt: Prompt, contest: Contest, one: Candidate, other: Candidate, min_margin: float
) -> PreferencePair | Drop:
    name = couple_id(one.id, other.id)
    label = contest.label(one, other)
    if twins(one, other):
        return Drop("pairs", "identical completions", name)
    if label is None or label.p_a is None:
        return Drop("pairs", "no verdict", name)
    if label.both_bad:
        return Drop("pairs", "both bad", name)
    if label.preferred is None:
        return Drop("pairs", "tie", name)
    if label.margin < min_margin - ROUNDING:
        return Drop("pairs", "margin below minimum", name, f"{label.margin:.3f} < {min_margin}")
    if not (is_unicode(one.text) and is_unicode(other.text)):
        return Drop("pairs", "not valid Unicode", name)
    chosen, rejected = (one, other) if label.preferred == one.id else (other, one)
    by_people = (label.a, label.b) in contest.settled  # who judged the revision themselves
    if not by_people and not contest.may_be_chosen(chosen):
        return Drop("pairs", "revision not preferred to what it revised", name)
    p_chosen = max(label.p_a, 1 - label.p_a)
    return PreferencePair(
        name, prompt, chosen, rejected, p_chosen, label.margin, label.decided_by, label.orders_agree,
        ai_p_chosen=p_chosen,
    )  # fmt: skip
