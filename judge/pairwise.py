"""One pair under one principle, asked of a judge model in both orders."""

import asyncio
from dataclasses import dataclass, replace

from constitution.principle import Principle
from generator.candidates import Candidate
from generator.chat import CallFailure, ChatModel, ChatRequest, Outcome
from generator.prompts import Prompt
from judge.asking import Asking, after_reasoning, in_words, rationale_request, verdict_request
from judge.parsing import REASONING
from judge.reading import read_verdict, without_logprobs
from judge.verdict import Judgement, NoVerdict, OneVerdict, Verdict


@dataclass(frozen=True, slots=True)
class Juror:
    """One of the judges, and how much its word counts beside the others'."""

    model: ChatModel
    name: str = ""
    weight: float = 1.0  # above 0


async def judge_pairwise(
    prompt: Prompt, one: Candidate, other: Candidate, principle: Principle, juror: Juror, asking: Asking
) -> Judgement:
    """The judgement, which is the same whichever of the two candidates is named first."""
    a, b = sorted((one, other), key=lambda candidate: candidate.id)

    async def ask(first: Candidate, second: Candidate) -> OneVerdict:
        return await ask_one_order(verdict_request(prompt, first.text, second.text, principle, asking), juror, asking)

    async with asyncio.TaskGroup() as group:
        forward = group.create_task(ask(a, b))
        backward = group.create_task(ask(b, a))
    return Judgement(a.id, b.id, principle.id, "model", forward.result(), backward.result(), juror.name, juror.weight)


async def ask_one_order(request: ChatRequest, juror: Juror, asking: Asking) -> OneVerdict:
    """The label at once, or after the judge's own reasoning, which then clamps it."""
    if not asking.reasons:
        return await ask_label(request, juror.model, asking)
    rationale = await juror.model.reply(rationale_request(request, asking))
    argued = spoken(rationale)
    if isinstance(rationale, CallFailure) or not argued:
        return read_verdict(rationale, asking.labels)  # no verdict, for the rationale's own reason
    verdict = await ask_label(after_reasoning(request, argued, asking), juror.model, asking)
    if isinstance(verdict, NoVerdict):
        return replace(verdict, rationale=rationale.key)
    return replace(clamped(verdict, asking.clamp), rationale=rationale.key)


def spoken(outcome: Outcome) -> str:
    """What the judge said aloud; empty where it failed, refused or said nothing."""
    if isinstance(outcome, CallFailure) or outcome.finish in ("refusal", "content_filter"):
        return ""
    aloud = REASONING.sub("", outcome.text).strip()
    return "" if aloud.startswith("<think") else aloud


async def ask_label(request: ChatRequest, judge: ChatModel, asking: Asking) -> OneVerdict:
    outcome = await judge.reply(request)
    if without_logprobs(outcome, asking.labels):
        outcome = await judge.reply(in_words(request, asking))
    return read_verdict(outcome, asking.labels)


def clamped(verdict: Verdict, most: float) -> Verdict:
    """The verdict with its chance kept within [1 - most, most].

    Reasoning leaves a judge nearly certain of what it argued for, right or wrong. Source: Bai et al. 2022,
    "Constitutional AI", arXiv:2212.08073, which clamps to 40-60 per cent. Where a slot is preferred, the
    chances of a tie and of both being bad shrink alike, so that none of them is the likeliest of a sudden.
    """
    p_first = min(max(verdict.p_first, 1 - most), most)
    if p_first == verdict.p_first or verdict.preference not in ("first", "second"):
        return replace(verdict, p_first=p_first)
    left = (most - 0.5) / abs(verdict.p_first - 0.5)
    return replace(verdict, p_first=p_first, tie=verdict.tie * left, both_bad=verdict.both_bad * left)
