"""Prediction-powered estimates on Arena and XSTest: do the intervals hold, and how much narrower are they?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from sets import Judged, of_arena, of_xstest
from tables import Proof, Row, figure, judged, share

from judge.audit.powered import Pool, accuracies, draws
from judge.audit.ppi import PpiEstimate, estimate_mean
from judge.audit.reliability import outcomes
from judge.audit.table import Bools, Floats, Ints, choices

DRAWS = 1000
LOWEST, HIGHEST = 0.93, 0.97
MOST_USELESS = 1.02
STRATA = 18  # as many as XSTest has

Estimator: TypeAlias = Callable[[Ints, int], PpiEstimate | None]  # from labelled items and a seed


@dataclass(frozen=True, slots=True)
class Found:
    """What many draws of the labels gave."""

    covered: float
    covered_alone: float  # by the labels' own interval
    ratios: tuple[float, ...]
    width: float


def estimates() -> tuple[Proof, ...]:
    return powered(), useless()


def powered() -> Proof:
    rows = []
    for of, what, n, most in (
        (of_arena(), "win rate", 500, 0.88),
        (of_xstest(), "refusal rate", 100, 0.65),
        (of_xstest(), "refusal rate", 200, 0.65),
    ):
        y = outcomes(of.human)
        found = over_draws(y, n, by(y, of.averaged.p_one, of.averaged.known))
        rows += both_bars(f"{of.name}, {what}", str(n), found, most)
    for n in (100, 200):
        of = of_xstest()
        pool = Pool(of.averaged, of.judges, of.human, of.material.stratum, None)
        found = over_draws(outcomes(of.human), n, of_pool(pool))
        rows += both_bars("XSTest, refusal rate, within kinds of prompt where that is narrower", str(n), found, 0.65)
    for of, n in ((of_arena(), 500), (of_xstest(), 200)):
        for judge, found in accuracies_of(of, n).items():
            rows.append(Row(cells(f"{of.name}, accuracy of {judge}", str(n), found), COVERAGE, in_bar(found)))
    said_of_all = (
        f"{DRAWS:,} random draws of the labels, of which all others are hidden; covered is how often the 95 % interval "
        "holds what all labels say. The width is the mean ratio to the interval of the labels alone."
    )
    return Proof("Prediction-powered estimates", said_of_all, COLUMNS, tuple(rows))


COLUMNS = ("what", "labels", "covered", "covered by labels alone", "width, of labels alone", "mean width")
COVERAGE = f"{share(LOWEST, 0)} to {share(HIGHEST, 0)}"


def both_bars(what: str, n: str, found: Found, most: float) -> list[Row]:
    narrow = float(np.mean(found.ratios)) <= most
    told = cells(what, n, found)
    return [Row(told, f"covered {COVERAGE}", in_bar(found)), Row(told, f"width ≤ {most}", judged(narrow))]


def cells(what: str, n: str, found: Found) -> tuple[str, ...]:
    narrower = figure(float(np.mean(found.ratios)))
    return what, n, share(found.covered), share(found.covered_alone), narrower, figure(found.width)


def in_bar(found: Found) -> str:
    return judged(LOWEST <= found.covered <= HIGHEST)


def useless() -> Proof:
    """Predictors and strata that are noise, by the path of the audit, which may take the strata."""
    rows = []
    for of, n in ((of_arena(), 50), (of_arena(), 500), (of_xstest(), 50), (of_xstest(), 200)):
        rng, y = np.random.default_rng(0), outcomes(of.human)
        noise = replace(of.averaged, p_one=rng.random(of.averaged.p_one.shape))
        pool = Pool(noise, of.judges, of.human, rng.integers(0, STRATA, len(y)), None)
        found = over_draws(y, n, of_pool(pool))
        widest = max(found.ratios)
        row = (of.name, str(n), figure(widest), figure(float(np.mean(found.ratios))), share(found.covered))
        rows.append(Row(row, f"widest ≤ {MOST_USELESS}", judged(widest <= MOST_USELESS)))
        rows.append(Row(row, f"covered {COVERAGE}", in_bar(found)))
    columns = ("set", "labels", "widest, of labels alone", "mean", "covered")
    said = f"As many random predictors as there are judges, in {STRATA} random strata; {DRAWS:,} draws."
    return Proof("Predictors that know nothing", said, columns, tuple(rows))


def by(y: Floats, predictions: Floats, known: Bools) -> Estimator:
    return lambda labelled, seed: estimate_mean(y[labelled], labelled, predictions, known, seed=seed)


def of_pool(pool: Pool) -> Estimator:
    """By the path of the audit, which takes the strata where they make the interval narrower."""
    return lambda labelled, seed: pool.win_rate(outcomes(pool.human[labelled]), labelled, seed)[0]


def accuracies_of(of: Judged, n: int) -> dict[str, Found]:
    """Each judge's agreement with people, by the path of the audit."""
    known, said = of.averaged.known, choices(of.averaged.p_one, of.averaged.known)
    drawn = list(enumerate(draws(len(of.human), n, DRAWS, 0)))
    pool = Pool(of.averaged, of.judges, of.human, None, None)
    found = [accuracies(pool, labelled, seed) for seed, labelled in drawn]
    truth = [float((said == of.human[:, None])[known[:, judge], judge].mean()) for judge in range(len(of.judges))]
    return {name: gathered([one[name] for one in found], truth[judge]) for judge, name in enumerate(of.judges)}


def over_draws(truth: Floats, n: int, estimator: Estimator, times: int = DRAWS) -> Found:
    found = [estimator(labelled, seed) for seed, labelled in enumerate(draws(len(truth), n, times, 0))]
    return gathered([one for one in found if one], float(truth.mean()))


def gathered(found: Sequence[PpiEstimate], truth: float) -> Found:
    def covered(intervals: Sequence[tuple[float, float]]) -> float:
        return float(np.mean([low <= truth <= high for low, high in intervals]))

    return Found(
        covered([one.interval for one in found]),
        covered([one.human_only.interval for one in found]),
        tuple(one.width_ratio for one in found),
        float(np.mean([one.interval[1] - one.interval[0] for one in found])),
    )
