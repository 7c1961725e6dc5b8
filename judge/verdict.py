"""What a judge said about two candidates under one principle."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from generator.chat import FailureReason

Slot = Literal[1, 2]

NoVerdictReason = Literal[
    "error",  # the call failed
    "refusal",  # the judge would not say
    "truncated",  # the reply was cut off before the verdict
    "unreadable",  # the reply names no label, or more than one
    "low label mass",  # the labels are too unlikely for their ratio to mean anything
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One order's verdict. ``p_first`` is the chance, in [0, 1], that the slot shown first is preferred."""

    p_first: float
    call: str  # the journal's key; empty where a check decided
    label_mass: float | None = None  # probability of both labels together, where log-probs were given

    @property
    def slot(self) -> Slot | None:
        """The preferred slot; none at exactly one half."""
        return None if self.p_first == 0.5 else 1 if self.p_first > 0.5 else 2


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """An order without a verdict: a type of its own, never a tie and never a number."""

    reason: NoVerdictReason
    call: str
    detail: str = ""
    failure: FailureReason | None = None  # of the call, where it failed


OneVerdict: TypeAlias = Verdict | NoVerdict


def from_half(deviation: float) -> float:
    """One half plus ``deviation``, in steps of 2^-53: mirrored deviations give exactly mirrored chances."""
    return 0.5 + round(deviation * 2**53) / 2**53


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one principle says of an unordered pair of candidates ``a`` and ``b``, with ``a < b``.

    A judge model is asked in both orders. A check, which sees no order, fills only ``forward``.
    """

    a: str
    b: str
    principle: str
    by: Literal["model", "check"]
    forward: OneVerdict  # a shown first
    backward: OneVerdict | None  # b shown first

    @property
    def p_a(self) -> float | None:
        """The chance that ``a`` follows the principle better, orders averaged; None without both verdicts."""
        if not isinstance(self.forward, Verdict):
            return None
        if self.backward is None:
            return self.forward.p_first
        if not isinstance(self.backward, Verdict):
            return None
        return from_half((self.forward.p_first - self.backward.p_first) / 2)

    @property
    def orders_agree(self) -> bool | None:
        """Whether both orders prefer the same candidate; None where only one order says anything."""
        if not isinstance(self.forward, Verdict) or not isinstance(self.backward, Verdict):
            return None
        first, second = self.forward.slot, self.backward.slot
        return (first, second) in {(1, 2), (2, 1), (None, None)}
