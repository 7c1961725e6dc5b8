"""One prompt's coroutine: drafts, then critiques and revisions round by round, into candidates.

Knows no verdicts: a revision is a candidate like its draft, and which is better is the judge's to say.
"""

import asyncio
from dataclasses import dataclass

from constitution.draw import draw
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates, Critiqued, Drop, candidate_id
from generator.chat import CallFailure, ChatModel, ChatReply, ChatRequest, Finish
from generator.critique import critique_call, read_critique, unusable
from generator.prompts import Prompt
from generator.respond import draft_request
from generator.revise import revision_call
from generator.sampling import Sampling

WHY_EMPTY: dict[Finish, str] = {
    "stop": "empty completion",
    "length": "no text within max_tokens",  # a reasoning model can use them all up unseen
    "content_filter": "filtered away",
    "refusal": "refused without a word",
}


@dataclass(frozen=True, slots=True)
class Generation:
    """What is generated for every prompt, and by whom."""

    policy: ChatModel
    critic: ChatModel
    policy_sampling: Sampling
    critic_sampling: Sampling
    completions: int
    rounds: int  # critique-revision rounds; 0 leaves only drafts
    seed: int


async def gather_candidates(prompt: Prompt, constitution: Constitution, generation: Generation) -> Candidates:
    """All candidates of ``prompt``; the drafts are sampled at once, each followed by its own rounds.

    A call that fails ends its chain and becomes a drop; the other chains go on.
    """
    principles = constitution.applying_to(prompt.tags)
    chains = [Chain(prompt, principles, generation, sample) for sample in range(generation.completions)]
    async with asyncio.TaskGroup() as group:
        for chain in chains:
            group.create_task(chain.follow())
    return Candidates(
        prompt,
        tuple(candidate for chain in chains for candidate in chain.candidates),
        tuple(critiqued for chain in chains for critiqued in chain.critiques),
        tuple(drop for chain in chains for drop in chain.drops),
    )


class Chain:
    """One draft and what becomes of it."""

    def __init__(self, prompt: Prompt, principles: tuple[Principle, ...], generation: Generation, sample: int) -> None:
        self.prompt = prompt
        self.principles = principles
        self.generation = generation
        self.sample = sample
        self.candidates: list[Candidate] = []
        self.critiques: list[Critiqued] = []
        self.drops: list[Drop] = []

    async def follow(self) -> None:
        """Draft, then round by round; ends early where a call fails or nothing is violated any more."""
        current = await self.draft()
        for number in range(1, self.generation.rounds + 1):
            unsettled = [p for p in self.principles if current and not self.settled(current, p)]
            if current is None or not unsettled:
                break
            principle = draw(unsettled, self.generation.seed, self.prompt.id, self.sample, number)
            current = await self.revise(current, principle, number)

    def settled(self, candidate: Candidate, principle: Principle) -> bool:
        """Whether ``candidate`` is known to keep ``principle``: by its check, or by the critic's word."""
        if principle.check:
            return principle.check.kept(self.prompt.text, candidate.text)
        return any(
            c.candidate == candidate.id and c.critique.principle == principle.id and not c.critique.violated
            for c in self.critiques
        )

    async def draft(self) -> Candidate | None:
        request = draft_request(self.prompt, self.sample, self.generation.policy_sampling, self.generation.seed)
        reply = await self.ask(self.generation.policy, request, "respond", self.prompt.id)
        if reply is None:
            return None
        return self.admit(self.candidate(reply, number=0))

    async def revise(self, current: Candidate, principle: Principle, number: int) -> Candidate | None:
        """The revision; ``current`` itself where the critic finds no fault; None where the chain ends."""
        made = self.generation
        request = critique_call(self.prompt, current, principle, made.critic_sampling, made.seed)
        reply = await self.ask(made.critic, request, "critique", current.id)
        if reply is None:
            return None
        if (reason := unusable(reply)) is not None:
            self.drops.append(Drop("critique", reason, current.id))
            return None
        critique = read_critique(reply, principle)
        self.critiques.append(Critiqued(current.id, critique))
        if not critique.violated:
            return current
        request = revision_call(self.prompt, current, critique, principle, made.policy_sampling, made.seed)
        reply = await self.ask(made.policy, request, "revise", current.id)
        return None if reply is None else self.admit(self.candidate(reply, number, current.id, principle.id))

    async def ask(self, model: ChatModel, request: ChatRequest, stage: str, about: str) -> ChatReply | None:
        outcome = await model.reply(request)
        if isinstance(outcome, CallFailure):
            self.drops.append(Drop(stage, outcome.reason, about, outcome.detail))
            return None
        return outcome

    def candidate(
        self, reply: ChatReply, number: int, revises: str | None = None, principle: str | None = None
    ) -> Candidate:
        name = candidate_id(self.prompt, self.sample, number, reply.key)
        return Candidate(name, reply.text, reply.finish, reply.key, self.sample, number, revises, principle)

    def admit(self, candidate: Candidate) -> Candidate | None:
        if not candidate.text.strip():
            stage = "revise" if candidate.is_revision else "respond"
            self.drops.append(Drop(stage, WHY_EMPTY[candidate.finish], candidate.id))
            return None
        self.candidates.append(candidate)
        return candidate
