"""What a judge said about two candidates under one principle."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from generator.chat import FailureReason

Slot = Literal[1, 2]
Preference = Literal["first", "second", "tie", "both bad"]

NoVerdictReason = Literal[
    "error",  # the call failed
    "refusal",  # the judge would not say
    "truncated",  # the reply was cut off before the verdict
    "unreadable",  # the reply names no label
    "both named",  # the reply prefers each of the two
    "low label mass",  # the labels are too unlikely for their ratio to mean anything
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One order's verdict. ``p_first`` is the chance, in [0, 1], that the slot shown first is preferred.

    The chances of a tie and of both being bad, where the judge may say so, count half for either slot.
    """

    p_first: float
    call: str  # the journal's key; empty where no single call decided
    label_mass: float | None = None  # probability of all labels together, where log-probs were given
    tie: float = 0.0
    both_bad: float = 0.0
    rationale: str = ""  # the key of the call that reasoned first, where one did

    @property
    def slot(self) -> Slot | None:
        """The preferred slot; none at exactly one half."""
        return None if self.p_first == 0.5 else 1 if self.p_first > 0.5 else 2

    @property
    def slot_preferred(self) -> Literal[0, 1, 2]:
        """The slot that the likeliest outcome prefers; 0 for a tie and for both bad."""
        preference = self.preference
        return 1 if preference == "first" else 2 if preference == "second" else 0

    @property
    def preference(self) -> Preference:
        """The likeliest of the four outcomes; a slot only where it beats the other, a tie before both bad."""
        halves = (self.tie + self.both_bad) / 2
        best = max(self.p_first, 1 - self.p_first) - halves
        if self.both_bad > max(self.tie, best):
            return "both bad"
        if self.slot is None or self.tie > best:
            return "tie"
        return "first" if self.slot == 1 else "second"


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """An order without a verdict: a type of its own, never a tie and never a number."""

    reason: NoVerdictReason
    call: str
    detail: str = ""
    failure: FailureReason | None = None  # of the call, where it failed
    rationale: str = ""  # the key of the call that reasoned first, where one did


OneVerdict: TypeAlias = Verdict | NoVerdict


def from_half(deviation: float) -> float:
    """One half plus ``deviation``, in steps of 2^-53: mirrored deviations give exactly mirrored chances."""
    return 0.5 + round(deviation * 2**53) / 2**53


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judge says under one principle of an unordered pair of candidates ``a`` and ``b``, with ``a < b``.

    A judge model that compares is asked in both orders. A check and a comparison of grades see no order
    and fill only ``forward``.
    """

    a: str
    b: str
    principle: str
    by: Literal["model", "check", "grades"]
    forward: OneVerdict  # a shown first
    backward: OneVerdict | None  # b shown first
    judge: str = ""  # the model's name; empty for a check
    weight: float = 1.0  # of this judge among several
    heard: bool = True  # whether the label listens: a cascade's first judge that was unsure is only recorded
    alone: bool = False  # whether a cascade's first judge settled it, so that no other was asked

    def place(self) -> tuple[str, str, str, str]:
        """Where it stands among a prompt's judgements, whenever it came."""
        return self.a, self.b, self.principle, self.judge

    @property
    def p_a(self) -> float | None:
        """The chance that ``a`` follows the principle better, orders averaged; None without both verdicts.

        One half where every order calls it a tie or both bad, whichever way the rest of its chances leans.
        """
        if not isinstance(self.forward, Verdict):
            return None
        if self.backward is None:
            return self.forward.p_first
        if not isinstance(self.backward, Verdict):
            return None
        if self.forward.slot_preferred == self.backward.slot_preferred == 0:
            return 0.5
        return from_half((self.forward.p_first - self.backward.p_first) / 2)

    @property
    def orders_agree(self) -> bool | None:
        """Whether both orders prefer the same candidate; None where only one order says anything."""
        if not isinstance(self.forward, Verdict) or not isinstance(self.backward, Verdict):
            return None
        return (self.forward.slot_preferred, self.backward.slot_preferred) in {(1, 2), (2, 1), (0, 0)}

    @property
    def both_bad(self) -> bool:
        """Whether every order says that neither candidate is any good."""
        asked = (self.forward,) if self.backward is None else (self.forward, self.backward)
        return all(isinstance(v, Verdict) and v.preference == "both bad" for v in asked)
