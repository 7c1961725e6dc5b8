"""What training changed: the same prompts before and after, with intervals. Pure: it runs no model.

Every figure is paired: a prompt's base and trained completions are always drawn together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from constitution.checks import words
from constitution.principle import Constitution
from generator.prompts import Prompt
from trainer.intervals import interval, occurrences, ratio

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALL_RULES = "all checked rules"
MEAN_WORDS = "mean words"
FEW_WORDS = 8  # below this a completion hardly says anything
SHRUNK = 0.25  # of the base's words, or less
REPETITIVE = 0.7  # of the base's share of distinct n-grams, or less


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure before and after; ``difference`` is trained - base, ``low`` to ``high`` its 95 % interval.

    ``share`` and ``ratio`` lie in [0, 1]; ``share`` measures are named by principle.
    """

    name: str
    unit: Literal["share", "words", "ratio"]
    base: float
    trained: float
    difference: float
    low: float
    high: float
    prompts: int  # that it was measured on


@dataclass(frozen=True, slots=True)
class Evaluation:
    measures: tuple[Measure, ...]
    prompts: int
    resamples: int
    seed: int

    def get(self, name: str) -> Measure | None:
        return next((measure for measure in self.measures if measure.name == name), None)


def compare(
    prompts: Sequence[Prompt],
    base: Sequence[str],
    trained: Sequence[str],
    constitution: Constitution,
    *,
    seed: int,
    resamples: int = 2000,
) -> Evaluation:
    """What the trained policy does differently on ``prompts``; the completions stand in their order.

    First the share of completions that keep each checked principle, on the prompts that it applies to,
    then the share that keep all of theirs, mean words, distinct-1 and distinct-2. A principle that
    applies to fewer than two prompts is left out: one prompt gives no interval.

    Raises:
        ValueError: fewer than two prompts, or not one completion of each kind for every prompt.
    """
    if not len(prompts) == len(base) == len(trained):
        raise ValueError("every prompt needs one base and one trained completion")
    if len(prompts) < 2:
        raise ValueError("an interval needs at least two prompts")
    measures = [
        mean_measure(name, "share", before, after, seed, resamples)
        for name, before, after in rule_values(prompts, base, trained, constitution)
        if len(before) > 1
    ]
    lengths = [[float(len(words(text))) for text in texts] for texts in (base, trained)]
    measures.append(mean_measure(MEAN_WORDS, "words", lengths[0], lengths[1], seed, resamples))
    measures += [distinct_measure(n, base, trained, seed, resamples) for n in (1, 2)]
    return Evaluation(tuple(measures), len(prompts), resamples, seed)


def rule_values(
    prompts: Sequence[Prompt], base: Sequence[str], trained: Sequence[str], constitution: Constitution
) -> list[tuple[str, list[float], list[float]]]:
    """For each checked principle, then for all: 1 where a completion keeps it and 0 where not."""
    sides: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for side, completions in zip(sides, (base, trained), strict=True):
        for prompt, completion in zip(prompts, completions, strict=True):
            kept = {
                p.id: float(p.check.kept(prompt.text, completion))
                for p in constitution.applying_to(prompt.tags)
                if p.check is not None
            }
            for name, value in kept.items():
                side.setdefault(name, []).append(value)
            if kept:
                side.setdefault(ALL_RULES, []).append(min(kept.values()))
    names = sorted(sides[0], key=lambda name: (name == ALL_RULES, name))
    return [(name, sides[0][name], sides[1][name]) for name in names]


def mean_measure(
    name: str,
    unit: Literal["share", "words"],
    base: Sequence[float],
    trained: Sequence[float],
    seed: int,
    resamples: int,
) -> Measure:
    import numpy as np

    before, after = np.asarray(base), np.asarray(trained)
    change = after - before

    def statistic(drawn: "NDArray[np.intp]", axis: int = -1) -> "NDArray[np.float64]":
        return np.asarray(change[drawn].mean(axis=axis))

    low, high, _ = interval(statistic, len(change), seed, resamples)
    return Measure(name, unit, float(before.mean()), float(after.mean()), float(change.mean()), low, high, len(change))


def distinct_measure(n: int, base: Sequence[str], trained: Sequence[str], seed: int, resamples: int) -> Measure:
    """Distinct n-grams of words over all n-grams, all completions pooled; it falls as texts get longer.

    A prompt drawn twice counts once, else its copy would pass for repetition. What is left of the
    resampling's bias (fewer completions repeat less) is taken out: the interval is moved so that the
    resamples' mean lies on the difference.
    """
    import numpy as np

    sides = [occurrences(n, texts) for texts in (base, trained)]
    before, after = (ratio(np.ones((1, len(base))), *side)[0] for side in sides)

    def statistic(drawn: "NDArray[np.intp]", axis: int = -1) -> "NDArray[np.float64]":
        rows = np.atleast_2d(drawn)
        present = np.zeros(rows.shape, dtype=np.float64)
        np.put_along_axis(present, rows, 1.0, axis=-1)
        change = ratio(present, *sides[1]) - ratio(present, *sides[0])
        return np.asarray(change if drawn.ndim > 1 else change[0])

    low, high, middle = interval(statistic, len(base), seed, resamples)
    difference, shift = float(after - before), float(after - before) - middle
    return Measure(
        f"distinct-{n}", "ratio", float(before), float(after), difference, low + shift, high + shift, len(base)
    )


def collapse_warnings(evaluation: Evaluation) -> tuple[str, ...]:
    """What training broke, a sentence each: little left to read, repetition, a rule kept less often."""
    return (*short_warnings(evaluation), *repetition_warnings(evaluation), *rule_warnings(evaluation))


def short_warnings(evaluation: Evaluation) -> list[str]:
    length = evaluation.get(MEAN_WORDS)
    if length is None or length.trained >= length.base:
        return []
    if length.trained >= FEW_WORDS and length.trained >= SHRUNK * length.base:
        return []
    return [
        f"Completions fell from {length.base:.0f} to {length.trained:.0f} words on average: read some, "
        "they may say nothing any more. A principle that asks for enough words holds against it."
    ]


def repetition_warnings(evaluation: Evaluation) -> list[str]:
    found = [m for m in evaluation.measures if m.unit == "ratio" and m.high < 0]
    return [
        f"Completions repeat themselves or each other: {m.name} fell from {m.base:.2f} to {m.trained:.2f}."
        for m in found
        if m.trained <= REPETITIVE * m.base
    ]


def rule_warnings(evaluation: Evaluation) -> list[str]:
    found = [m for m in evaluation.measures if m.unit == "share" and m.name != ALL_RULES and m.high < 0]
    return [
        f"Principle {m.name!r} is kept less often than before: {m.base:.0%} fell to {m.trained:.0%} "
        f"of completions (95 % interval of the difference: {m.low:+.0%} to {m.high:+.0%})."
        for m in found
    ]


def load_evaluation(data: Mapping[str, Any]) -> Evaluation:
    """The evaluation that ``dataclasses.asdict`` and JSON made ``data`` of."""
    return Evaluation(**{**data, "measures": tuple(Measure(**measure) for measure in data["measures"])})
