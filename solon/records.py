"""What a journal hands out, beside rows and notes."""

from dataclasses import dataclass
from typing import Literal

from generator.chat import Usage


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a reply cost, and who gave it."""

    answered_by: str  # the model, in the endpoint's words
    usage: Usage
    batch: bool = False  # whether it came at the price of a batch


@dataclass(frozen=True, slots=True)
class RecordedCall:
    key: str
    model: str
    request: bytes
    reply: bytes
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Spent:
    """All recorded calls to one model that were answered and charged alike."""

    model: str
    receipt: Receipt  # of all of them together
    calls: int


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch of calls at a model's service. ``state`` is "done" once nothing more is to be had from it."""

    name: str  # ours, and the order in which they were sent
    model: str
    created: str  # ISO 8601, UTC: before it was sent
    state: Literal["submitting", "sent", "done"]
    id: str  # the service's, empty until it has told
    keys: tuple[str, ...]  # of the calls whose replies are in it
    dearest: str = ""  # what each of its calls may cost at most (``Amount.dump``); empty where nobody counts
