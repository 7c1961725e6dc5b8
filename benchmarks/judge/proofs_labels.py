"""Anchored labels on LLMBar with 25 labels, and chances calibrated with 100."""

import numpy as np
from sets import SUBSETS, Judged, of_arena, of_llmbar, of_pandalm, of_xstest, shared_llmbar
from tables import Proof, Row, figure, judged, share

from judge.audit.anchored import evaluate_anchor
from judge.audit.calibration import fit_calibrator
from judge.audit.estimate import Estimate
from judge.audit.reliability import outcomes, reliability_curve
from judge.audit.table import NONE, Floats

FEW, MANY = 25, 100  # labels
SPLITS, SPLITS_OF_ONE = 100, 40
TIMES = 5  # 100 splits by themselves differ by half a point from 100 others
LEAST_ADVERSARIAL = 0.93
MOST_BELOW = 0.01
MOST_ECE = 0.06


def labels() -> tuple[Proof, ...]:
    return anchoring(), calibrated_together(), calibrated_alone()


def anchoring() -> Proof:
    rows = []
    for subset in SUBSETS:
        of = of_llmbar(subset)
        found = [evaluate_anchor(of.averaged, of.human, FEW, splits=SPLITS, seed=seed) for seed in range(TIMES)]
        reached = [one.accuracy.value for one in found]
        by_labels, of_rest, majority, covered = (
            float(np.mean([getattr(one, name).value for one in found]))
            for name in ("best_single", "oracle_single", "majority", "coverage")
        )
        best, anchored = best_by_single_verdicts(of), float(np.mean(reached))
        cells = (
            f"{subset} ({len(of.human)} items, {used(of)} judges)",
            f"{anchored:.4f} ({min(reached):.4f} to {max(reached):.4f})",
            *(figure(value) for value in (by_labels, of_rest, best, majority)),
            share(covered),
        )
        bar, least = bar_of(subset, best)
        rows.append(Row(cells, bar, judged(anchored >= least)))
    said = (
        f"{FEW} labels, every judge and prompt style, {SPLITS} random splits, {TIMES} times; mean agreement with "
        "people on the items left over, and the least and greatest of those times. An item on which a judge prefers "
        "neither completion, as when its two orders contradict each other, counts half. The best single judge is "
        "picked in three ways: by the same labels, by the items left over in each split (which nobody can), and by "
        "its single verdicts on all items, the mean of both orders, as upstream counts: a missing verdict is wrong. "
        "The last is the bar: it is the best that anybody could have known of a judge beforehand."
    )
    best_by = ("best by these labels", "best of the rest", "best by single verdicts")
    columns = ("LLMBar", "anchored", *best_by, "majority", "covered")
    return Proof(f"Anchored with {FEW} labels", said, columns, tuple(rows))


def bar_of(subset: str, best: float) -> tuple[str, float]:
    if subset == "GPTInst":
        return f"≥ {LEAST_ADVERSARIAL}", LEAST_ADVERSARIAL
    return f"≥ best by single verdicts - 0.01 = {best - MOST_BELOW:.4f}", best - MOST_BELOW


def best_by_single_verdicts(of: Judged) -> float:
    """Upstream's accuracy of the best judge: of all its verdicts in both orders, missing ones wrong."""
    verdicts = of.material.verdicts
    right = verdicts.choice == of.human[verdicts.item]
    asked = np.bincount(verdicts.judge, minlength=len(of.judges))
    return float((np.bincount(verdicts.judge, right, len(of.judges)) / np.maximum(asked, 1)).max())


def calibrated_together() -> Proof:
    rows = []
    for of in (shared_llmbar(), of_arena(), of_xstest(), of_pandalm()):
        found = evaluate_anchor(of.averaged, of.human, MANY, splits=SPLITS, seed=0)
        ece = found.ece.value
        cells = (
            of.name,
            str(used(of)),
            interval(found.accuracy),
            interval(found.ece),
            figure(found.ece_by_chance.value),
        )
        rows.append(Row(cells, f"≤ {MOST_ECE}", judged(ece <= MOST_ECE)))
    said = (
        f"The anchored chance, fitted to {MANY} labels, on the items left over; {SPLITS} random splits. Perfectly "
        "calibrated chances would show the ECE of the last figure, by luck. On LLMBar the judges are those asked on "
        "all three sets; by itself each set is too small to leave enough items over."
    )
    columns = ("set", "judges", "agreement", "ECE", "ECE by luck")
    return Proof(f"Anchored with {MANY} labels: calibration", said, columns, tuple(rows))


def calibrated_alone() -> Proof:
    rows = []
    for of in (shared_llmbar(), of_arena(), of_xstest(), of_pandalm()):
        for judge, name in enumerate(of.judges):
            before, after, luck, maps = over_splits(of, judge)
            cells = (of.name, name, figure(before), figure(after), figure(luck), maps)
            rows.append(Row(cells, f"≤ {MOST_ECE}", judged(after <= MOST_ECE)))
    said = f"The map is fitted to {MANY} labels, the ECE is of the items left over; means of {SPLITS_OF_ONE} splits."
    columns = ("set", "judge", "ECE before", "after", "by luck", "maps chosen")
    return Proof(f"One judge calibrated with {MANY} labels", said, columns, tuple(rows))


def over_splits(of: Judged, judge: int) -> tuple[float, float, float, str]:
    """The mean ECE as stated, calibrated and by luck, and how often each map was chosen."""
    asked = np.flatnonzero(of.averaged.known[:, judge] & (of.human != NONE))
    p, y = of.averaged.p_one[asked, judge], outcomes(of.human[asked])
    rng, rows, chosen = np.random.default_rng(0), [], list[str]()
    for split in range(SPLITS_OF_ONE):
        drawn = rng.permutation(len(p))
        given, rest = drawn[:MANY], drawn[MANY:]
        fitted = fit_calibrator(p[given], y[given], split)
        mapped = fitted.map.apply(p[rest])
        chosen.append(fitted.name)
        lucky = (rng.random(len(rest)) < mapped).astype(np.float64)
        rows.append((distance(p[rest], y[rest]), distance(mapped, y[rest]), distance(mapped, lucky)))
    before, after, luck = (float(mean) for mean in np.mean(rows, axis=0))
    return before, after, luck, ", ".join(f"{name} {chosen.count(name)}" for name in sorted(set(chosen)))


def distance(p: Floats, y: Floats) -> float:
    """The expected calibration error."""
    return sum(part.n * abs(part.confidence - part.agreement) for part in reliability_curve(p, y)) / len(p)


def used(of: Judged) -> int:
    return int(of.averaged.known.any(axis=0).sum())


def interval(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
