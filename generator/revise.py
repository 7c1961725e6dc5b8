"""Revisions: a candidate rewritten without the fault that a critique found."""

from constitution.principle import Principle
from constitution.requests import revision_request
from generator.candidates import Candidate, Critique
from generator.chat import ChatRequest, Message
from generator.critique import critique_call
from generator.prompts import Prompt
from generator.sampling import Sampling


def revision_call(
    prompt: Prompt,
    candidate: Candidate,
    critique: Critique,
    principle: Principle,
    sampling: Sampling,
    seed: int,
) -> ChatRequest:
    """Continues the conversation of the critique, so that a prefix cache holds all of it but the end."""
    criticised = critique_call(prompt, candidate, principle, sampling, seed)
    messages = (
        *criticised.messages,
        Message("assistant", critique.text),
        Message("user", revision_request(principle)),
    )
    return ChatRequest(messages, sampling.temperature, sampling.max_tokens, seed=seed, shared=criticised.shared)
