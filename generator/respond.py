"""Drafts: what the policy says to a prompt, sampled."""

from generator.chat import ChatRequest
from generator.prompts import Prompt
from generator.sampling import Sampling


def draft_request(prompt: Prompt, sample: int, sampling: Sampling, seed: int) -> ChatRequest:
    """The call for draft number ``sample`` (from 0) of ``prompt``."""
    return ChatRequest(prompt.messages, sampling.temperature, sampling.max_tokens, sample=sample, seed=seed)
