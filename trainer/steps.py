"""A training's steps, as every trainer tells them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from trainer.settings import Method


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer step, or one step of sampling and training; ``step`` counts from 1.

    ``figures`` are means over what the step saw, by name: ``loss`` always, others by method.
    """

    step: int
    steps: int
    figures: Mapping[str, float]


OnStep = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What a training is given beside a policy and its settings."""

    rows: Path  # the folder of an export
    output: Path  # a folder that is empty or not there
    seed: int  # decides the order of rows and every draw
    on_step: OnStep


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to."""

    method: Method
    output: Path
    rows: int  # trained on; of a method that samples its own completions: prompts
    dropped: Mapping[str, int]  # rows left out, by reason
    seconds: float
    tokens: int  # that went through the model in training: every epoch counts, padding does not
    steps: tuple[Step, ...]
    figures: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))  # measured when it was done
