"""What a run will take, reckoned from a few of its prompts that were carried out."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from constitution.identity import unit_interval
from generator.prompts import Prompt
from judge.verdict import OneVerdict
from solon.budget import NANO, amount_of
from solon.journal import Journal
from solon.pipeline import Row
from solon.prices import Price, price_of

NORMAL_95 = 1.959964
STUDENT_95 = {1: 12.706, 2: 4.303}  # where the expansion below is not good enough


def pilot_prompts(prompts: Sequence[Prompt], count: int, seed: int) -> frozenset[str]:
    """The ids of ``count`` prompts, drawn by the seed, so that the same ones are drawn again."""
    drawn = sorted(prompts, key=lambda prompt: unit_interval("pilot", seed, prompt.id))
    return frozenset(prompt.id for prompt in drawn[:count])


@dataclass(frozen=True, slots=True)
class Interval:
    """A sum over all prompts, from a sample of them, with its 95 % interval."""

    about: float
    low: float
    high: float | None  # None where one value tells nothing of the spread


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a few prompts took, and what all of them will by that."""

    prompts: int  # in the pilot
    calls: Interval
    tokens: Interval
    usd: Interval
    incomplete: int  # prompts of them in which a call failed: all figures are too low by those
    spent_usd: float  # by the pilot, and paid for the run too: its replies are kept


def pilot_of(rows: Sequence[Row], total: int, journal: Journal, prices: Mapping[str, Price]) -> Pilot:
    """Scales what the rows' calls took to ``total`` prompts.

    A call that two rows share counts for both of them, so the figures are a little high where prompts repeat.
    """
    calls: list[float] = []
    tokens: list[float] = []
    costs: list[float] = []
    for row in rows:
        spent = journal.receipts(set(calls_of(row)))
        amounts = [amount_of(r.usage, price_of(prices, model), r.batch) for model, r in spent]
        calls.append(len(amounts))
        tokens.append(sum(amount.tokens for amount in amounts))
        costs.append(sum(amount.nanodollars for amount in amounts) / NANO)
    incomplete = sum(not row.complete for row in rows)
    return Pilot(len(rows), scaled(calls, total), scaled(tokens, total), scaled(costs, total), incomplete, sum(costs))


def calls_of(row: Row) -> Iterator[str]:
    """The journal's keys of every reply that the row is made of."""
    yield from (candidate.call for candidate in row.made.candidates)
    yield from (critiqued.critique.call for critiqued in row.made.critiques)
    for judgement in (*row.judgements, *(planted.judgement for planted in row.planted)):
        for verdict in (judgement.forward, judgement.backward):
            yield from (call for call in calls_behind(verdict) if call)
    marks = (*row.grades, *(mark for planted in row.planted for mark in planted.marks))
    yield from (mark.said.call for mark in marks)


def calls_behind(verdict: OneVerdict | None) -> tuple[str, ...]:
    return (verdict.rationale, verdict.call) if verdict else ()


def scaled(values: Sequence[float], total: int) -> Interval:
    """The sum over ``total`` of which ``values`` are a random part, with Student's t.

    Source: the usual estimator of a total from a simple random sample without replacement, with the
    finite population correction.
    """
    if not values:
        return Interval(0.0, 0.0, 0.0)
    about = statistics.fmean(values) * total
    if len(values) < 2:
        return Interval(about, sum(values), about if total == 1 else None)
    left_out = max(0.0, 1 - len(values) / total)
    spread = student_95(len(values) - 1) * total * statistics.stdev(values) / sqrt(len(values)) * sqrt(left_out)
    return Interval(about, max(sum(values), about - spread), about + spread)


def student_95(freedom: int) -> float:
    """The two-sided 95 % point of Student's t; source: Abramowitz and Stegun, 26.7.5."""
    z = NORMAL_95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return STUDENT_95.get(freedom, z + first / freedom + second / freedom**2 + third / freedom**3)
