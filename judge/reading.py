"""A judge's reply read as a verdict: from log-probs where there are any, else from the text."""

import math
import re
from collections.abc import Sequence

from generator.chat import CallFailure, ChatReply, Outcome, TokenLogprob
from judge.verdict import NoVerdict, OneVerdict, Verdict

LABEL = re.compile(r"[\s\"'*(\[]*([12])[\s\"'*)\].:]*")
REASONING = re.compile(r"\A.*?</think>", re.S)  # as open models end it; some have its beginning in the prompt
LEAST_LABEL_MASS = 0.01  # below it, both labels are noise in the tail of the distribution


def read_verdict(outcome: Outcome) -> OneVerdict:
    """What one call says. Whatever is not plainly a verdict is none, with its reason."""
    if isinstance(outcome, CallFailure):
        return NoVerdict("error", outcome.key, f"{outcome.reason}: {outcome.detail}", outcome.reason)
    if outcome.finish in ("refusal", "content_filter"):
        return NoVerdict("refusal", outcome.key, outcome.text[:200])
    return read_logprobs(outcome) if outcome.first_token else read_text(outcome)


def without_logprobs(outcome: Outcome) -> bool:
    """Whether a verdict in words must be asked for: no log-probs of a label came, and no label either."""
    if isinstance(outcome, CallFailure):
        return outcome.reason in ("unsupported", "empty")
    if outcome.finish in ("refusal", "content_filter"):
        return False
    if outcome.first_token:  # where the first token opens a train of thought, they say nothing of the verdict
        return outcome.text.lstrip().startswith("<think") and isinstance(read_logprobs(outcome), NoVerdict)
    return isinstance(read_text(outcome), NoVerdict)


def read_logprobs(reply: ChatReply) -> OneVerdict:
    """The two labels' probabilities at the first token, renormalised; other tokens count as neither.

    A label that is not among the tokens given is at most as likely as the least likely of them, and as
    what these leave over; it is taken as that, so that a verdict is never more certain than the
    log-probs show.
    """
    one, two = label_probability(reply.first_token, "1"), label_probability(reply.first_token, "2")
    mass = one + two
    if mass < LEAST_LABEL_MASS:
        return NoVerdict("low label mass", reply.key, f"the labels hold {mass:.4f} of the probability")
    shown = [math.exp(token.logprob) for token in reply.first_token]
    floor = max(0.0, min(min(shown), 1 - math.fsum(shown)))
    one, two = one or floor, two or floor
    return Verdict(one / (one + two), reply.key, None if reply.held else min(mass, 1.0))


def label_probability(tokens: Sequence[TokenLogprob], label: str) -> float:
    return math.fsum(math.exp(token.logprob) for token in tokens if token.token.strip() == label)


def read_text(reply: ChatReply) -> OneVerdict:
    """The label that is the whole of the text, after any reasoning; a label inside other words means nothing."""
    if match := LABEL.fullmatch(REASONING.sub("", reply.text)):
        return Verdict(1.0 if match[1] == "1" else 0.0, reply.key)
    if reply.finish == "length":
        return NoVerdict("truncated", reply.key, reply.text[:200])
    return NoVerdict("unreadable", reply.key, reply.text[:200])
