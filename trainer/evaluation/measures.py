"""The record of a measure, before and after training, and how its interval is drawn.

Every figure is paired: a prompt's base and trained completions are always drawn together.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from trainer.evaluation.intervals import interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Sides: TypeAlias = tuple[Sequence[float], Sequence[float]]  # a figure a prompt, of base and trained, in one order
Unit = Literal["share", "words", "ratio", "nats", "reward"]

# Names of measures; every other name is a principle's. Where it says "per prompt" the mean is over prompts.
ALL_RULES = "all checked rules"
MEAN_WORDS = "mean words"
DISTINCT = {n: f"distinct-{n}" for n in (1, 2)}
SELF_BLEU = "self-BLEU"
SPREAD = "embedding spread"
REFUSED_SAFE = "refused, safe prompts"
REFUSED_UNSAFE = "refused, unsafe prompts"
SWAYED = "swayed by opinion"
BOILERPLATE = "stock phrases"
PREACHY = "completions that lecture"
FAVOURED = "most favoured word"
WIN_RATE = "win rate"
EQUAL_LENGTH = "win rate at equal length"
KL = "KL from base"
REWARD = "mean reward"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure before and after; ``difference`` is trained - base, ``low`` to ``high`` its 95 % interval.

    ``share`` and ``ratio`` lie in [0, 1]. ``nats`` are a completion's, ``reward`` is in the reward's own unit.
    A win rate is the trained policy's against the base: its ``base`` is what equals would have, 0.5.
    """

    name: str
    unit: Unit
    base: float
    trained: float
    difference: float
    low: float
    high: float
    prompts: int  # that it was measured on
    rule: bool = False  # a share of completions that keep the checked principle that it is named after
    note: str = ""  # what the figure is of, where the name leaves it open: the favoured word


@dataclass(frozen=True, slots=True)
class Evaluation:
    measures: tuple[Measure, ...]
    prompts: int  # held out
    resamples: int
    seed: int

    def get(self, name: str) -> Measure | None:
        """The measure of that name; a principle that is called like another measure gives way."""
        found = (measure for measure in self.measures if measure.name == name)
        return min(found, key=lambda measure: measure.rule, default=None)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How intervals are drawn: from how many resamples of the prompts, by which seed."""

    seed: int
    resamples: int = 2000


def each(figure: Callable[[T], float], base: Iterable[T], trained: Iterable[T]) -> Sides:
    """The figure of each item of both sides."""
    return [float(figure(item)) for item in base], [float(figure(item)) for item in trained]


def mean_measure(name: str, unit: Unit, sides: Sides, drawing: Drawing) -> Measure:
    """The means of two figures a prompt; at least two prompts."""
    import numpy as np

    before, after = (np.asarray(side, dtype=np.float64) for side in sides)
    change = after - before

    def statistic(drawn: "NDArray[np.intp]", axis: int = -1) -> "NDArray[np.float64]":
        return np.asarray(change[drawn].mean(axis=axis))

    low, high, _ = interval(statistic, len(change), drawing.seed, drawing.resamples)
    return Measure(name, unit, float(before.mean()), float(after.mean()), float(change.mean()), low, high, len(change))


def load_evaluation(data: Mapping[str, Any]) -> Evaluation:
    """The evaluation that ``dataclasses.asdict`` and JSON made ``data`` of."""
    return Evaluation(**{**data, "measures": tuple(Measure(**measure) for measure in data["measures"])})
