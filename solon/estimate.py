"""The most that a run can send, counted from its settings before anything is paid for."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from constitution.principle import Constitution, Principle
from generator.chat import Usage
from generator.models.calling import CHARACTERS_PER_TOKEN
from generator.prompts import Prompt
from judge.asking import VERDICT_TOKENS
from judge.canaries import planted_in
from judge.judging import model_sees
from judge.pointwise import GRADE_TOKENS
from judge.tournament import default_budget
from solon.budget import NANO, amount_of
from solon.config import RunConfig
from solon.endpoints import Endpoint
from solon.prices import Price

GIVE_LOGPROBS = frozenset({"scripted", "llamacpp", "vllm", "transformers"})  # backends; of others it is not known
LAYOUT_TOKENS = 100  # of a judge's request, beside prompt and completions; about
Place = tuple[int, int]  # sample and round of a candidate to come


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
    loads: Mapping[str, Load]  # by role

    def told(self) -> dict[str, Any]:
        """As ``--json`` gives it: a role's load under its name."""
        loads = {role: asdict(load) for role, load in self.loads.items()}
        return {"prompts": self.prompts, "principles": self.principles, "checked": self.checked, **loads}


def estimate(config: RunConfig, constitution: Constitution, prompts: Sequence[Prompt], trials: int = 0) -> Estimate:
    """Calls counted exactly at their most; prompt tokens guessed from lengths.

    Args:
        trials: labelled comparisons that a cascade's first judge is tried on.
    """
    shape, critic = config.candidates, config.critic_model
    judged = sum(1 for p in constitution.principles if not p.check)
    drafts = len(prompts) * shape.completions
    chains = drafts * shape.rounds
    length = sum(len(m.content) for prompt in prompts for m in prompt.messages) // CHARACTERS_PER_TOKEN
    shown, written = length // max(1, len(prompts)), config.policy.max_tokens
    policy = Load(
        drafts + chains,
        drafts * shown + chains * (shown + written + critic.max_tokens),
        (drafts + chains) * written,
    )
    loads = {"policy": policy, "critic": Load(chains, chains * (shown + written), chains * critic.max_tokens)}
    asked = min(judged, 1) if config.judge.principles == "one" else judged
    verdicts = asked * sum(verdicts_of(config, prompt) for prompt in prompts)
    planted = sum(canary_calls(config, prompt) for prompt in prompts if judged)
    solved = solved_tokens([p for p in constitution.principles if not p.check], config.judge.few_shot)
    for role, endpoint in config.endpoints.items():
        if role not in loads:
            more = planted + (2 * asked * trials if role == "cascade" else 0)
            loads[role] = judge_load(config, endpoint, verdicts + more, shown + 2 * written + solved)
    return Estimate(len(prompts), len(constitution.principles), len(constitution.principles) - judged, loads)


def canary_calls(config: RunConfig, prompt: Prompt) -> int:
    """What the canaries beside a draft of the prompt cost one judge: both orders of each, or a grade of every text."""
    planted = planted_in(prompt.id, config.seed, config.judge.canaries)
    return planted + bool(planted) if config.judge.mode == "pointwise" else 2 * planted


def solved_tokens(judged: Sequence[Principle], few_shot: int) -> int:
    """What solved examples add to a judge's request, on average over the principles."""
    shown = [example for principle in judged for example in principle.examples[:few_shot]]
    length = sum(len(text) for example in shown for text in (example.prompt, example.better, example.worse))
    return (length // CHARACTERS_PER_TOKEN + LAYOUT_TOKENS * len(shown)) // max(1, len(judged))


def judge_load(config: RunConfig, endpoint: Endpoint, verdicts: int, read: int) -> Load:
    """So many verdicts of one judge, each after a rationale where one is asked for."""
    judge = config.judge
    bare = GRADE_TOKENS if judge.mode == "pointwise" else VERDICT_TOKENS
    said = bare if endpoint.backend in GIVE_LOGPROBS else judge.verdict_tokens
    reasons = judge.rationale_tokens if judge.reason_first else 0
    again = endpoint.backend not in GIVE_LOGPROBS  # in words, where the label alone was not to be had
    calls = 1 + bool(reasons) + again
    prompt_tokens = verdicts * (calls * (read + LAYOUT_TOKENS) + reasons)
    return Load(calls * verdicts, prompt_tokens, verdicts * (said + again * bare + reasons))


def verdicts_of(config: RunConfig, prompt: Prompt) -> int:
    """How many verdicts one judge can be asked for on the prompt, under one principle, by the draws to come."""
    judge, seed = config.judge, config.seed
    places = places_to_come(config)
    couples = [c for c in combinations(places, 2) if config.pairs.policy != "revision-vs-draft" or neighbours(*c)]
    if judge.mode == "pairwise":
        return 2 * sum(model_sees(seed, judge.share, prompt.id, (*one, *other)) for one, other in couples)
    graded = {place for couple in couples for place in couple}
    most = len(graded) if judge.mode == "pointwise" else 2 * couples_ranked(config, places)
    return most * model_sees(seed, judge.share, prompt.id, ())


def places_to_come(config: RunConfig) -> list[Place]:
    shape = config.candidates
    return [(sample, number) for sample in range(shape.completions) for number in range(1 + shape.rounds)]


def couples_ranked(config: RunConfig, places: Sequence[Place]) -> int:
    """The most couples that a ranking compares: all, or what opens an adaptive tournament and its budget."""
    couples, judge = list(combinations(places, 2)), config.judge
    if judge.tournament == "all":
        return len(couples)
    most = judge.comparisons if judge.comparisons is not None else default_budget(len(places))
    return min(len(couples), max(most, sum(neighbours(*couple) for couple in couples)))


def neighbours(one: Place, other: Place) -> bool:
    """Whether one of the two is to be the other's revision."""
    return one[0] == other[0] and abs(one[1] - other[1]) == 1


def most_usd(config: RunConfig, most: Estimate, prices: Mapping[str, Price]) -> float:
    """What the run costs at its most, by the prices given; a model without a price costs nothing here."""
    total = 0
    for role, load in most.loads.items():
        section = config.endpoints[role]
        usage = Usage(load.prompt_tokens, load.completion_tokens)
        total += amount_of(usage, prices.get(section.model), section.batch).nanodollars
    return total / NANO
