"""Where a policy gets more of the reward that it is trained on and less of what the reward stands for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A policy on its way from the base: a training's step, or a round."""

    at: int  # the step or the round, from 0
    kl: float  # nats per completion from the base
    reward: float  # that it is trained on
    judged: float | None = None  # what a judge says that it is not trained on: a win rate; None where none was asked
    name: str = ""

    @property
    def root_kl(self) -> float:
        """Gao et al. 2022 find reward to be a simple function of this distance."""
        return math.sqrt(max(0.0, self.kl))


def overoptimised(points: Sequence[Point], tolerance: float = 0.0) -> Point | None:
    """The first point that has a higher reward and a lower judgement than an earlier one; None where there is none.

    Args:
        points: in the order of training; those without a judgement say nothing.
        tolerance: how much lower a judgement must be to count, which is what noise may take.

    Source: Gao, Schulman and Hilton 2022, "Scaling Laws for Reward Model Overoptimization".
    """
    heard = [(point, point.judged) for point in points if point.judged is not None]
    for place, (point, judged) in enumerate(heard):
        if any(before.reward < point.reward and best - judged > tolerance for before, best in heard[:place]):
            return point
    return None
