"""What a training's steps tell, as rows of a plot."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from solon.auditing.text import shown
from solon.report.models import figure_names
from trainer.evaluation.measures import KL, REWARD, WIN_RATE
from trainer.evaluation.overoptimisation import Point

CURVES = 3  # beside each other
MOST = 12  # figures that are drawn
Steps = Sequence[Mapping[str, Any]]


def curve_rows(steps: Steps) -> list[dict[str, Any]]:
    """A row for each step and figure; none of what is no number there, nor of a figure that never moves."""
    moving = [name for name in figure_names(steps) if len({step["figures"].get(name) for step in steps}) > 1]
    return [
        {"figure": shown(name.replace("_", " ")), "rank": rank, "step": step["step"], "value": step["figures"][name]}
        for rank, name in enumerate(moving[:MOST])
        for step in steps
        if isfinite(step["figures"].get(name, float("nan")))
    ]


def points_of(record: Mapping[str, Any]) -> list[Point]:
    """The way of the reward over the distance from the base: of the training's steps, where they tell both.

    Else the two ends that the evaluation knows, the base and the trained policy, where it measured both.
    """
    steps = [step for step in record["training"]["steps"] if {"reward", "kl"} <= step["figures"].keys()]
    if len(steps) > 1:
        return [Point(step["step"], step["figures"]["kl"], step["figures"]["reward"]) for step in steps]
    found = {measure["name"]: measure for measure in record["measures"]}
    if KL not in found or REWARD not in found:
        return []
    judged = found.get(WIN_RATE)
    won = (judged["base"], judged["trained"]) if judged else (None, None)
    worth = found[REWARD]
    return [
        Point(0, 0.0, worth["base"], won[0], record["base"]),
        Point(1, found[KL]["trained"], worth["trained"], won[1], record["name"]),
    ]
