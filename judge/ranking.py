"""All of a prompt's candidates put in order: compared two at a time, and fitted together."""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from constitution.principle import Constitution
from generator.candidates import Candidates
from judge.judging import Judged, Judging, judge_couples, label_all
from judge.label import Label
from judge.pairs import Couple, Standing, related, twins
from judge.strength import Comparison, fit
from judge.tournament import next_round
from judge.verdict import Judgement, from_half


async def judge_ranked(made: Candidates, constitution: Constitution, judging: Judging) -> Judged:
    """The judgements of the couples that were compared, their labels, and every candidate's strength.

    An adaptive tournament begins with each revision against what it revised: these couples must be judged
    themselves, whatever the others tell of them.
    """
    judgements: tuple[Judgement, ...] = ()
    asked: list[Couple] = []
    couples = list(opening(made, judging)) or next_couples(made, asked, (), judging)
    while couples:
        asked += couples
        judgements += await judge_couples(made, couples, constitution, judging)
        couples = next_couples(made, asked, label_all(judgements, constitution), judging)
    labels = label_all(judgements, constitution)
    return Judged(tuple(sorted(judgements, key=Judgement.place)), labels, ranking=standings(made, labels))


def opening(made: Candidates, judging: Judging) -> Iterator[Couple]:
    for couple in combinations(made.candidates, 2):
        if not twins(*couple) and (judging.tournament == "all" or related(*couple)):
            yield couple


def next_couples(made: Candidates, asked: list[Couple], labels: tuple[Label, ...], judging: Judging) -> list[Couple]:
    """What an adaptive tournament asks next."""
    if judging.tournament == "all":
        return []
    by_id = {candidate.id: candidate for candidate in made.candidates}
    said = {(label.a, label.b): label.p_a for label in labels}
    named = [(min(one.id, other.id), max(one.id, other.id)) for one, other in asked]
    players = stand_ins(made)
    games = games_of({couple: said.get(couple) for couple in named}, players)
    drawn = next_round(players.values(), games, judging.asking.seed, judging.comparisons)
    return [(by_id[a], by_id[b]) for a, b in drawn]


def stand_ins(made: Candidates) -> dict[str, str]:
    """For each candidate the first that has its text, by its place: several with one text are one player."""
    first: dict[str, str] = {}
    ordered = sorted(made.candidates, key=lambda candidate: (candidate.sample, candidate.round))
    return {candidate.id: first.setdefault(candidate.text.strip(), candidate.id) for candidate in ordered}


def games_of(said: Mapping[tuple[str, str], float | None], players: Mapping[str, str]) -> list[Comparison]:
    """What was said of couples of candidates, as said of their players: each couple of these once, by the mean."""
    found: dict[tuple[str, str], list[float]] = {}
    for (a, b), p_a in said.items():
        one, other = players[a], players[b]
        leads = found.setdefault((min(one, other), max(one, other)), [])
        if p_a is not None:
            leads.append(p_a - 0.5 if one < other else 0.5 - p_a)
    return [
        Comparison(*couple, from_half(math.fsum(leads) / len(leads)) if leads else None)
        for couple, leads in found.items()
    ]


def standings(made: Candidates, labels: tuple[Label, ...]) -> tuple[Standing, ...]:
    """Strongest first; none where no label says anything.

    Only the largest group is ranked whose members labels connect: of two that no chain of labels joins,
    nothing says which is better.
    """
    players = stand_ins(made)
    games = games_of({(label.a, label.b): label.p_a for label in labels}, players)
    games = [game for game in games if game.p_a is not None]
    group = largest_group(games)
    strengths = fit(group, [game for game in games if game.a in group])
    ranked = [(name, player) for name, player in players.items() if player in group]
    ranked.sort(key=lambda entry: (-strengths.of(entry[1]), entry[0]))
    return tuple(Standing(name, strengths.of(player), strengths.error(player)) for name, player in ranked)


def largest_group(games: Iterable[Comparison]) -> set[str]:
    groups: list[set[str]] = []
    for game in games:
        joined = [group for group in groups if not group.isdisjoint((game.a, game.b))]
        groups = [group for group in groups if group not in joined] + [{game.a, game.b}.union(*joined)]
    return max(groups, key=lambda group: (len(group), min(group)), default=set())
