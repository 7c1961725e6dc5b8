"""A training in words."""

from collections.abc import Mapping
from typing import Any

from trainer.ancestry import Record


def counted(record: Record) -> str:
    """What was trained on, and what of it was left out and why."""
    kind = "prompts" if record.get("prompts_sha256") else "rows"
    without = ", ".join(f"{count} {why}" for why, count in record["dropped"].items() if count)
    return f"{record['rows']} {kind}{f' (without {without})' if without else ''}"


def figures_told(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in figures.items())


def course_told(steps: list[dict[str, Any]]) -> str:
    """Where it began and where it ended; what samples its own completions is after the reward, not the loss."""
    told = [step["figures"] for step in steps]
    for name in ("reward", "loss"):
        if values := [figures[name] for figures in told if name in figures]:
            return f", {name} {values[0]:.3g} to {values[-1]:.3g}"
    return ""
