"""What can be said of a run before anything is paid for."""

from dataclasses import dataclass
from itertools import combinations

from constitution.principle import Constitution
from generator.prompts import Prompt
from judge.asking import VERDICT_TOKENS
from judge.judging import model_sees
from solon.config import RunConfig

CHARACTERS_PER_TOKEN = 4  # a rule of thumb for English; a real count needs the model's tokenizer


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most that a run can send; revisions that turn out unnecessary make it less."""

    prompts: int
    principles: int
    checked: int  # principles that code decides
    generation_calls: int
    judge_calls: int
    completion_tokens: int
    prompt_tokens: int  # about


def estimate(config: RunConfig, constitution: Constitution, prompts: tuple[Prompt, ...]) -> Estimate:
    """Calls counted exactly at their most; prompt tokens guessed from lengths."""
    shape, critic = config.candidates, config.critic_model
    judged = sum(1 for p in constitution.principles if not p.check)
    asked = min(judged, 1) if config.judge.principles == "one" else judged
    drafts = len(prompts) * shape.completions
    chains = drafts * shape.rounds
    judge_calls = 2 * asked * sum(couples_seen(config, prompt) for prompt in prompts)
    per_completion = config.policy.max_tokens
    length = sum(len(m.content) for prompt in prompts for m in prompt.messages) // CHARACTERS_PER_TOKEN
    shown = length // max(1, len(prompts))
    return Estimate(
        prompts=len(prompts),
        principles=len(constitution.principles),
        checked=len(constitution.principles) - judged,
        generation_calls=drafts + 2 * chains,
        judge_calls=judge_calls,
        completion_tokens=drafts * per_completion
        + chains * (per_completion + critic.max_tokens)
        + judge_calls * VERDICT_TOKENS,
        prompt_tokens=drafts * shown
        + chains * 2 * (shown + per_completion)
        + judge_calls * (shown + 2 * per_completion + 100),
    )


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
