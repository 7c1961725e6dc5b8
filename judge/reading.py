"""A judge's reply read as a verdict: from log-probs where there are any, else from the text."""

import math
import re
from collections.abc import Callable, Sequence

from generator.chat import CallFailure, ChatReply, Outcome, TokenLogprob
from judge.asking import LABELS
from judge.parsing import REASONING, Said, parse_verdict
from judge.verdict import NoVerdict, OneVerdict, Preference, Verdict, from_half

LABEL = re.compile(r"[\s\"'*(\[]*([1-4])[\s\"'*)\].:]*")
LEAST_LABEL_MASS = 0.01  # below it, all labels are noise in the tail of the distribution
MEANS: dict[str, Preference] = {"1": "first", "2": "second", "3": "tie", "4": "both bad"}
AMOUNTS_TO: dict[Preference, tuple[float, float, float]] = {  # p_first, tie, both_bad
    "first": (1.0, 0.0, 0.0),
    "second": (0.0, 0.0, 0.0),
    "tie": (0.5, 1.0, 0.0),
    "both bad": (0.5, 0.0, 1.0),
}


def read_verdict(outcome: Outcome, labels: Sequence[str] = LABELS) -> OneVerdict:
    """What one call says. Whatever is not plainly a verdict is none, with its reason."""
    if isinstance(outcome, CallFailure):
        return NoVerdict("error", outcome.key, f"{outcome.reason}: {outcome.detail}", outcome.reason)
    if outcome.finish in ("refusal", "content_filter"):
        return NoVerdict("refusal", outcome.key, outcome.text[:200])
    return read_logprobs(outcome, labels) if outcome.first_token else read_text(outcome, labels)


def without_logprobs(outcome: Outcome, labels: Sequence[str] = LABELS) -> bool:
    """Whether a verdict in words must be asked for."""
    return wants_words(outcome, lambda reply: read_verdict(reply, labels))


def wants_words(outcome: Outcome, read: Callable[[ChatReply], object]) -> bool:
    """Whether to ask again in words: no log-probs of a label came, and no label either. ``read`` reads a reply."""
    if isinstance(outcome, CallFailure):
        return outcome.reason in ("unsupported", "empty")
    if outcome.finish in ("refusal", "content_filter"):
        return False
    # Where the first token opens a train of thought, log-probs say nothing of the verdict.
    telling = bool(outcome.first_token) and not outcome.text.lstrip().startswith("<think")
    return not telling and isinstance(read(outcome), NoVerdict)


def read_logprobs(reply: ChatReply, labels: Sequence[str] = LABELS) -> OneVerdict:
    """The labels' probabilities at the first token, renormalised; other tokens count as neither.

    A label that is not among the tokens given is at most as likely as the least likely of them, and as
    what these leave over; it is taken as that, so that a verdict is never more certain than the
    log-probs show.
    """
    given = [label_probability(reply.first_token, label) for label in labels]
    mass = math.fsum(given)
    if mass < LEAST_LABEL_MASS:
        return NoVerdict("low label mass", reply.key, f"the labels hold {mass:.4f} of the probability")
    shown = [math.exp(token.logprob) for token in reply.first_token]
    floor = max(0.0, min(min(shown), 1 - math.fsum(shown)))
    chances = [chance or floor for chance in given]
    whole = math.fsum(chances)
    one, two, *rest = chances
    tie, both_bad = (chance / whole for chance in rest or (0.0, 0.0))
    p_first = from_half((one - two) / whole / 2)
    return Verdict(p_first, reply.key, None if reply.held else min(mass, 1.0), tie, both_bad)


def label_probability(tokens: Sequence[TokenLogprob], label: str) -> float:
    return math.fsum(math.exp(token.logprob) for token in tokens if token.token.strip() == label)


def read_text(reply: ChatReply, labels: Sequence[str] = LABELS) -> OneVerdict:
    """The label that is the whole of the text, after any reasoning, or what the text plainly says in words.

    Of a reply that was cut off only a whole label counts: what would have followed may say otherwise.
    """
    match = LABEL.fullmatch(REASONING.sub("", reply.text))
    if match and match[1] in labels:
        return verdict_of(MEANS[match[1]], reply.key)
    if reply.finish == "length":
        return NoVerdict("truncated", reply.key, reply.text[:200])
    if match:
        return NoVerdict("unreadable", reply.key, reply.text[:200])
    said = parse_verdict(reply.text)
    if isinstance(said, Said):
        return verdict_of(said.outcome, reply.key)
    return NoVerdict(said.reason, reply.key, reply.text[:200])


def verdict_of(said: Preference, call: str) -> Verdict:
    p_first, tie, both_bad = AMOUNTS_TO[said]
    return Verdict(p_first, call, tie=tie, both_bad=both_bad)
