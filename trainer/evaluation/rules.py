"""How often completions keep the principles that code decides."""

from collections.abc import Sequence
from dataclasses import replace

from constitution.principle import Constitution
from generator.prompts import Prompt
from trainer.evaluation.measures import ALL_RULES, Drawing, Measure, mean_measure
from trainer.rewards import checked


def rule_measures(
    prompts: Sequence[Prompt],
    base: Sequence[str],
    trained: Sequence[str],
    constitution: Constitution,
    drawing: Drawing,
) -> list[Measure]:
    """The share that keep each checked principle, on the prompts that it applies to; then that keep all of theirs."""
    return [
        replace(mean_measure(name, "share", (before, after), drawing), rule=name != ALL_RULES)
        for name, before, after in rule_values(prompts, base, trained, constitution)
        if len(before) > 1
    ]


def rule_values(
    prompts: Sequence[Prompt], base: Sequence[str], trained: Sequence[str], constitution: Constitution
) -> list[tuple[str, list[float], list[float]]]:
    """For each checked principle, then for all: 1 where a completion keeps it and 0 where not."""
    sides: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for side, completions in zip(sides, (base, trained), strict=True):
        for prompt, completion in zip(prompts, completions, strict=True):
            kept = checked(constitution, prompt, completion)
            for name, value in kept.items():
                side.setdefault(name, []).append(value)
            if kept:
                side.setdefault(ALL_RULES, []).append(min(kept.values()))
    names = sorted(sides[0], key=lambda name: (name == ALL_RULES, name))
    return [(name, sides[0][name], sides[1][name]) for name in names]
