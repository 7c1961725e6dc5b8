"""A simulated study: do people's labels do more good where the drawing policy sends them than at random?

    python benchmarks/review/study.py [repetitions]

Recorded verdicts of real judges beside human labels are treated as a run. People are pretended to label n items that a
policy draws; their labels win there, the anchor is refitted on them for all other items, and the whole is held against
the human labels of all items. Exit code 1 where a bar is missed. The verdicts are read from ../shared/data; without
it there is nothing to study.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "judge"))

import numpy as np
from recorded import DATA
from runs import RUNS, Studied
from scipy.special import stdtrit
from tables import Proof, Row, judged, share

from judge.audit.anchor import anchored_on
from judge.audit.levels import estimate_drawn
from judge.audit.table import Floats, Ints
from judge.review.draw import Before, Policy, draw

REPETITIONS = 200
SMALL, MORE = 200, 3  # items up to which a run is tried so many times as often: luck weighs more there, and it is cheap
BUDGETS = (0.1, 0.2, 0.4)  # of the items
FEWEST = 10  # labels, below which nothing is anchored
ENOUGH = 36  # labels from which an interval must hold: half of them are drawn at random
WORKERS = 2
LEAST, MOST = 0.93, 0.97  # of intervals of 95 %
ROUNDING = 1e-9
WORSE = 0.003  # accuracy by which fitting on all labels may fall behind: less is luck
CHANCE = 1.96  # standard errors


@dataclass(frozen=True, slots=True)
class Way:
    """A policy as people use it."""

    name: str
    policy: Policy
    rounds: int = 1


RANDOM = Way("random", "random")
WAYS = (RANDOM, Way("uncertain", "uncertain"), Way("mixed, one round", "mixed"), Way("mixed, two rounds", "mixed", 2))
BARRED = WAYS[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One run at one budget."""

    run: str
    n: int
    items: int
    before: float  # accuracy of the run's own label, without a person
    barred: bool  # whether a policy has something to go by: a label better than chance, and not always as sure
    accuracy: dict[str, Floats]  # (repetitions,) after merging, by way
    covered: dict[str, float]  # share of the intervals that hold what is so, by way
    width: dict[str, float]  # their mean
    off: dict[str, float]  # the estimates' mean, less what is so
    refits: dict[str, float]  # mean accuracy after merging with the anchor fitted otherwise, less that of BARRED


def main(asked: Sequence[str]) -> int:
    if not DATA.is_dir():
        print("the recorded verdicts (../shared/data) are not here, so nothing was studied")
        return 0
    repetitions, began = int(asked[0]) if asked else REPETITIONS, time.monotonic()
    names, shares, times = zip(*((name, part, repetitions) for name in RUNS for part in BUDGETS), strict=True)
    with ProcessPoolExecutor(WORKERS) as pool:
        cells = [cell for cell in pool.map(study, names, shares, times) if cell]
    proofs = (gains(cells), coverage(cells), refits(cells))
    for proof in proofs:
        print(proof.markdown(), flush=True)
    missed = sum(proof.missed for proof in proofs)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"{missed} bars missed" if missed else "Every bar is reached.")
    return 1 if missed else 0


@cache
def run_named(name: str) -> Studied:
    return RUNS[name]()


def study(name: str, part: float, repetitions: int) -> Cell | None:
    """None where the budget is too small to be one."""
    run = run_named(name)
    n, ways = round(part * run.items), [way.name for way in WAYS]
    if n < FEWEST:
        return None
    repetitions *= MORE if run.items <= SMALL else 1
    accuracy = {way: np.empty(repetitions) for way in ways}
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
    other = np.empty((repetitions, 2))
    for seed in range(repetitions):
        for way in WAYS:
            labelled, audit, chances = drawn(run, way, n, seed)
            accuracy[way.name][seed] = merged(run, labelled, labelled)
            if way is BARRED:
                other[seed] = merged(run, labelled, audit), merged(run, labelled, None)
            if way.policy != "uncertain":
                found[way.name] += estimated(run, labelled, chances, seed)
    measured = {way: np.array(rows) for way, rows in found.items() if rows}
    truth = float(run.right.mean())
    refitted = other.mean(axis=0) - accuracy[BARRED.name].mean()
    return Cell(
        name, n, run.items, float(run.agreement(run.p).mean()), run.tells, accuracy,
        {way: covers(rows, truth) for way, rows in measured.items()},
        {way: float((rows[:, 2] - rows[:, 1]).mean()) for way, rows in measured.items()},
        {way: float(rows[:, 0].mean()) - truth for way, rows in measured.items()},
        {"audit only": float(refitted[0]), "no anchor": float(refitted[1])},
    )  # fmt: skip


def covers(rows: Floats, truth: float) -> float:
    return float(((rows[:, 1] <= truth + ROUNDING) & (rows[:, 2] >= truth - ROUNDING)).mean())


def drawn(run: Studied, way: Way, n: int, seed: int) -> tuple[Ints, Ints, Floats]:
    """The items labelled, those of kind audit, and everyone's chance; a further round follows the labels so far."""
    before, p = Before(), None
    for number in range(way.rounds):
        more = n * (number + 1) // way.rounds - n * number // way.rounds
        found = draw(run.couples(p), more, way.policy, seed=seed, before=before)
        kinds = {one.item: one.kind for one in found.tasks} | dict.fromkeys(found.turned, "audit")
        before = Before(found.pool, {**before.kinds, **kinds})
        labelled = np.array(sorted(map(int, before.kinds)))
        if number + 1 < way.rounds:
            p = anchored_on(run.ground, run.judges, run.human, labelled).p_one(run.averaged)
    audit = np.array(sorted(int(item) for item, kind in before.kinds.items() if kind == "audit"), dtype=np.int64)
    return labelled, audit, np.array([before.chances[name] for name in run.names])


def merged(run: Studied, labelled: Ints, fitted: Ints | None) -> float:
    """Accuracy over all items: people's label where they looked, elsewhere the anchored one, or the run's own."""
    p = run.p if fitted is None else anchored_on(run.ground, run.judges, run.human, fitted).p_one(run.averaged)
    right = run.agreement(p)
    right[labelled] = 1.0
    return float(right.mean())


def estimated(run: Studied, labelled: Ints, chances: Floats, seed: int) -> list[tuple[float, float, float]]:
    """How often the run's label is right, and its interval."""
    right = run.right[labelled]
    one = estimate_drawn(right, labelled, run.predictions, run.known, probabilities=chances, seed=seed)
    return [(one.estimate, *one.interval)] if one else []


def gains(cells: Sequence[Cell]) -> Proof:
    return Proof(
        "Label accuracy after merging, at equal budget",
        "Share of all items whose label is people's, a tie on either side counting half. Random is an accuracy, the "
        "others are what they have over it, in points, with a 95 % interval, paired over repetitions: it covers the "
        "luck of the draw on this very set, not what other sets would show. Two rounds: half of the labels first, and "
        "the rest drawn by the chances anchored on these. A run whose own label is not surely better than a coin, or "
        "which calls 95 % of its couples equally sure, gives a policy nothing to go by and has no bar.",
        ("run", "items", "labels", "own label", *(way.name for way in WAYS)),
        tuple(gain_row(cell) for cell in cells),
    )


def gain_row(cell: Cell) -> Row:
    base = cell.accuracy[RANDOM.name]
    told = {way.name: interval(cell.accuracy[way.name] - base) for way in WAYS[1:]}
    texts = [f"{100 * mean:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})" for mean, low, high in told.values()]
    cells = (cell.run, str(cell.items), str(cell.n), share(cell.before), share(float(base.mean())), *texts)
    return Row(cells, "two rounds > 0", judged(told[BARRED.name][1] > 0)) if cell.barred else Row(cells)


def coverage(cells: Sequence[Cell]) -> Proof:
    return Proof(
        "Intervals of how often the run's own label is right",
        "From the drawn labels and everyone's chance to be drawn. Covered: the share of the 95 % "
        "intervals, one a repetition, that hold the truth, and in all cells together. A cell misses its bar where "
        f"chance does not explain that it is below {LEAST:.0%}; above {MOST:.0%} an interval is wider than it need be, "
        "as where the strata that are drawn from differ.",
        ("run", "labels", *(f"{way.name}: covered, mean width, off" for way in WAYS if way.policy != "uncertain")),
        (*map(coverage_row, cells), coverage_of_all(cells)),
    )


def coverage_row(cell: Cell) -> Row:
    texts = [
        f"{share(cell.covered[way])}, {100 * cell.width[way]:.1f}, {100 * cell.off[way]:+.1f}" for way in cell.covered
    ]
    slack = CHANCE * (LEAST * (1 - LEAST) / len(cell.accuracy[RANDOM.name])) ** 0.5
    holds = all(one >= LEAST - slack for one in cell.covered.values())
    if cell.n < ENOUGH:
        return Row((cell.run, str(cell.n), *texts))
    return Row((cell.run, str(cell.n), *texts), f"≥ {LEAST:.0%} but for chance", judged(holds))


def coverage_of_all(cells: Sequence[Cell]) -> Row:
    enough = [cell for cell in cells if cell.n >= ENOUGH]
    means = {way: float(np.mean([cell.covered[way] for cell in enough])) for way in cells[0].covered}
    holds = min(means.values()) >= LEAST and means[BARRED.name] <= MOST
    return Row(
        (f"all with at least {ENOUGH} labels", "", *map(share, means.values())),
        f"≥ {LEAST:.0%}, two rounds ≤ {MOST:.0%}",
        judged(holds),
    )


def refits(cells: Sequence[Cell]) -> Proof:
    return Proof(
        "What the anchor is fitted on",
        f"{BARRED.name}: mean accuracy after merging, in points, less that with the anchor fitted on all labels alike, "
        "as Solon does it. Labels drawn for their worth could bias that anchor; then the audit share alone would do "
        "better.",
        ("run", "labels", *cells[0].refits),
        tuple(map(refit_row, cells)),
    )


def refit_row(cell: Cell) -> Row:
    texts = (cell.run, str(cell.n), *(f"{100 * gain:+.2f}" for gain in cell.refits.values()))
    if not cell.barred:
        return Row(texts)
    return Row(texts, f"audit only ≤ +{100 * WORSE:.1f}", judged(cell.refits["audit only"] <= WORSE))


def interval(values: Floats) -> tuple[float, float, float]:
    """The mean with its 95 % interval over the repetitions."""
    mean, half = float(values.mean()), float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / len(values) ** 0.5)
    return mean, mean - half, mean + half


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
