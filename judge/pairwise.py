"""One pair under one principle, asked of a judge model in both orders."""

import asyncio

from constitution.principle import Principle
from generator.candidates import Candidate
from generator.chat import ChatModel
from generator.prompts import Prompt
from judge.asking import Asking, in_words, verdict_request
from judge.reading import read_verdict, without_logprobs
from judge.verdict import Judgement, OneVerdict


async def judge_pairwise(
    prompt: Prompt, one: Candidate, other: Candidate, principle: Principle, judge: ChatModel, asking: Asking
) -> Judgement:
    """The judgement, which is the same whichever of the two candidates is named first."""
    a, b = sorted((one, other), key=lambda candidate: candidate.id)

    async def ask(first: Candidate, second: Candidate) -> OneVerdict:
        request = verdict_request(prompt, first.text, second.text, principle, asking)
        outcome = await judge.reply(request)
        if without_logprobs(outcome):
            outcome = await judge.reply(in_words(request, asking))
        return read_verdict(outcome)

    async with asyncio.TaskGroup() as group:
        forward = group.create_task(ask(a, b))
        backward = group.create_task(ask(b, a))
    return Judgement(a.id, b.id, principle.id, "model", forward.result(), backward.result())
