"""What can be said of a run before it is paid for: counted from its settings, or measured on a few prompts."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

from constitution.identity import unit_interval
from constitution.principle import Constitution
from generator.chat import Usage
from generator.models.calling import CHARACTERS_PER_TOKEN
from generator.prompts import Prompt
from judge.asking import VERDICT_TOKENS
from judge.judging import model_sees
from solon.budget import NANO, amount_of
from solon.config import RunConfig
from solon.journal import Journal
from solon.pipeline import Row
from solon.prices import Price, price_of

GIVE_LOGPROBS = frozenset({"scripted", "llamacpp", "vllm", "transformers"})  # backends; of others it is not known
NORMAL_95 = 1.959964
STUDENT_95 = {1: 12.706, 2: 4.303}  # where the expansion below is not good enough


@dataclass(frozen=True, slots=True)
class Load:
    """What one role's model gets to do, at most."""

    calls: int
    prompt_tokens: int  # about
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most that a run can send; revisions that turn out unnecessary make it less."""

    prompts: int
    principles: int
    checked: int  # principles that code decides
    policy: Load
    critic: Load
    judge: Load

    @property
    def loads(self) -> dict[str, Load]:
        return {"policy": self.policy, "critic": self.critic, "judge": self.judge}


def estimate(config: RunConfig, constitution: Constitution, prompts: Sequence[Prompt]) -> Estimate:
    """Calls counted exactly at their most; prompt tokens guessed from lengths."""
    shape, critic = config.candidates, config.critic_model
    judged = sum(1 for p in constitution.principles if not p.check)
    asked = min(judged, 1) if config.judge.principles == "one" else judged
    drafts = len(prompts) * shape.completions
    chains = drafts * shape.rounds
    verdicts = 2 * asked * sum(couples_seen(config, prompt) for prompt in prompts)
    said = VERDICT_TOKENS if config.judge.backend in GIVE_LOGPROBS else config.judge.verdict_tokens
    length = sum(len(m.content) for prompt in prompts for m in prompt.messages) // CHARACTERS_PER_TOKEN
    shown, written = length // max(1, len(prompts)), config.policy.max_tokens
    return Estimate(
        prompts=len(prompts),
        principles=len(constitution.principles),
        checked=len(constitution.principles) - judged,
        policy=Load(
            drafts + chains,
            drafts * shown + chains * (shown + written + critic.max_tokens),
            (drafts + chains) * written,
        ),
        critic=Load(chains, chains * (shown + written), chains * critic.max_tokens),
        judge=Load(verdicts, verdicts * (shown + 2 * written + 100), verdicts * said),
    )


def most_usd(config: RunConfig, most: Estimate, prices: Mapping[str, Price]) -> float:
    """What the run costs at its most, by the prices given; a model without a price costs nothing here."""
    total = 0
    for role, load in most.loads.items():
        section = config.critic_model if role == "critic" else config.policy if role == "policy" else config.judge
        usage = Usage(load.prompt_tokens, load.completion_tokens)
        total += amount_of(usage, prices.get(section.model), section.batch).nanodollars
    return total / NANO


def couples_seen(config: RunConfig, prompt: Prompt) -> int:
    """How many couples of the prompt's candidates a judge model can be asked about, by the draws to come."""
    shape = config.candidates
    places = [(sample, number) for sample in range(shape.completions) for number in range(1 + shape.rounds)]
    needed = [
        (one, other)
        for one, other in combinations(places, 2)
        if config.pairs.policy != "revision-vs-draft" or (one[0] == other[0] and abs(one[1] - other[1]) == 1)
    ]
    return sum(model_sees(config.seed, config.judge.share, prompt.id, (*one, *other)) for one, other in needed)


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
    for judgement in row.judgements:
        yield from (verdict.call for verdict in (judgement.forward, judgement.backward) if verdict and verdict.call)


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
