"""May the judge stand in for a person? It may where it agrees with the other people about as well as each of them.

Source: Calderon, Reichart and Dror 2025, "The Alternative Annotator Test for LLM-as-a-Judge".
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import stdtr
from scipy.stats import false_discovery_control

from judge.audit.table import NONE, Floats, Ints

EXPERTS, SKILLED, CROWD = 0.2, 0.15, 0.1  # epsilon: the dearer the people, the more a judge may fall behind them
SIGNIFICANCE = 0.05
FEWEST_ANNOTATORS, FEWEST_ITEMS = 3, 30


@dataclass(frozen=True, slots=True)
class AgainstAnnotator:
    """The judge against one person, by agreement with all others.

    Attributes:
        annotator: column of the answers.
        items: where this person, another one and the judge have answered.
        judge: share of items on which the judge agrees with the others at least as well as this person.
        person: share of items on which this person does at least as well as the judge.
        p_value: of the hypothesis that the judge falls behind by epsilon or more.
        beaten: that this is rejected, after Benjamini and Yekutieli's correction for several people.
    """

    annotator: int
    items: int
    judge: float
    person: float
    p_value: float
    beaten: bool


@dataclass(frozen=True, slots=True)
class Alternative:
    """The test's outcome.

    Attributes:
        winning_rate: share of people beaten.
        advantage: chance that the judge is at least as good as a person picked at random.
        may_replace: that at least half are beaten.
        no_verdict: items that people answered and the judge did not, which count neither for nor against it.
    """

    rows: tuple[AgainstAnnotator, ...]
    winning_rate: float
    advantage: float
    may_replace: bool
    epsilon: float
    no_verdict: int


@dataclass(frozen=True, slots=True)
class NotTested:
    reason: str


def alternative_test(answers: Ints, judge: Ints, epsilon: float = SKILLED) -> Alternative | NotTested:
    """The alternative annotator test.

    Args:
        answers: (items, annotators) choices, NONE where not asked.
        judge: (items,) choices, NONE without a verdict.
        epsilon: how far the judge may fall behind a person and still be preferred, being cheaper.
    """
    said = (answers != NONE).any(axis=1)
    compared = {
        j: both for j in range(answers.shape[1]) if len((both := _compared(answers, judge, j))[0]) >= FEWEST_ITEMS
    }
    if len(compared) < FEWEST_ANNOTATORS:
        return NotTested(
            f"The test needs {FEWEST_ANNOTATORS} people who each answered {FEWEST_ITEMS} items that another person "
            f"and the judge answered too; there are {len(compared)}."
        )
    p_values = np.array([_behind(theirs - ours, epsilon) for ours, theirs in compared.values()])
    beaten = false_discovery_control(p_values, method="by") <= SIGNIFICANCE
    rows = tuple(
        AgainstAnnotator(j, len(ours), float(ours.mean()), float(theirs.mean()), float(p), bool(b))
        for (j, (ours, theirs)), p, b in zip(compared.items(), p_values, beaten, strict=True)
    )
    winning_rate = float(beaten.mean())
    advantage = sum(row.judge for row in rows) / len(rows)
    return Alternative(rows, winning_rate, advantage, winning_rate >= 0.5, epsilon, int((said & (judge == NONE)).sum()))


def _compared(answers: Ints, judge: Ints, j: int) -> tuple[Floats, Floats]:
    """Per item, 1 where the judge agrees with the others at least as well as person j, and 1 where j does."""
    others = np.delete(answers, j, axis=1)
    asked = (answers[:, j] != NONE) & (judge != NONE) & (others != NONE).any(axis=1)
    ours = (others == judge[:, None])[asked].sum(axis=1)
    theirs = (others == answers[:, [j]])[asked].sum(axis=1)
    return (ours >= theirs).astype(np.float64), (theirs >= ours).astype(np.float64)


def _behind(differences: Floats, epsilon: float) -> float:
    """One-sided paired t-test: how likely so small a mean difference is where the true one is epsilon."""
    n, short = len(differences), float(differences.mean()) - epsilon
    error = float(differences.std(ddof=1)) / sqrt(n)
    if error == 0.0:
        return 0.0 if short < 0 else 1.0
    return float(stdtr(n - 1, short / error))
