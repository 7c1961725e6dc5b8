"""Critiques: where a candidate breaks a principle.

The candidate stays an assistant's turn of the conversation, so its text is never part of a request.
"""

from constitution.principle import Principle
from constitution.requests import NO_VIOLATION, critique_request
from generator.candidates import Candidate, Critique
from generator.chat import ChatReply, ChatRequest, Message
from generator.prompts import Prompt
from generator.sampling import Sampling


def critique_call(
    prompt: Prompt, candidate: Candidate, principle: Principle, sampling: Sampling, seed: int
) -> ChatRequest:
    messages = (
        *prompt.messages,
        Message("assistant", candidate.text),
        Message("user", critique_request(principle)),
    )
    length = sum(len(message.content) for message in messages)  # the revision goes on from here
    return ChatRequest(messages, sampling.temperature, sampling.max_tokens, seed=seed, shared=length)


def unusable(reply: ChatReply) -> str | None:
    """Why ``reply`` is no critique; None where it is one."""
    if reply.finish in ("refusal", "content_filter"):
        return "critic refused"
    return None if reply.text.strip() else "empty critique"


def read_critique(reply: ChatReply, principle: Principle) -> Critique:
    """The critique in ``reply``. Only one that opens with the agreed words finds no violation.

    A principle with a check is criticised only after its check found a fault, whatever the critic says.
    """
    opening = reply.text.strip().strip("\"'*").casefold()
    cleared = principle.check is None and opening.startswith(NO_VIOLATION.rstrip(".").casefold())
    return Critique(principle.id, reply.text, violated=not cleared, call=reply.key)
