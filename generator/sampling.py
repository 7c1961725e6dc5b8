"""How a model samples."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float  # 0 is greedy
    max_tokens: int
