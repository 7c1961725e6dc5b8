"""What can be said of a run before anything is paid for."""

from dataclasses import dataclass

from constitution.principle import Constitution
from generator.prompts import Prompt
from judge.asking import VERDICT_TOKENS
from judge.pairs import PairPolicy
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
    couples = couple_count(shape.completions, shape.rounds, config.pairs.policy)
    drafts = len(prompts) * shape.completions
    chains = drafts * shape.rounds
    judge_calls = round(len(prompts) * couples * asked * 2 * config.judge.share)
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


def couple_count(completions: int, rounds: int, policy: PairPolicy) -> int:
    if policy == "revision-vs-draft":
        return completions * rounds
    candidates = completions * (1 + rounds)
    return candidates * (candidates - 1) // 2
