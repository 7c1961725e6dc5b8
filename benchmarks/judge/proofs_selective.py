"""Selective labelling: how often agreement of 80 % was promised and held, and on how many items."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sets import Judged, decided_arena, of_arena, of_pandalm, of_xstest, shared_llmbar
from tables import Proof, Row, judged, share

from judge.audit.anchor import anchored_on
from judge.audit.audit import Settings, selection_of
from judge.audit.blend import Ground, ground, signed
from judge.audit.reliability import deviation
from judge.audit.selective import Selection, select
from judge.audit.table import NONE, Bools, Floats, Ints, choices

ALPHA = 0.2
SPLITS = 200
LEAST_HELD = 0.95
COUNTS = (100, 200, 500)
SETS = (shared_llmbar, of_arena, decided_arena, of_xstest, of_pandalm)
FEWEST_LEFT = 100  # items, on which a promise can be seen to hold


@dataclass(frozen=True, slots=True)
class Draw:
    """One split: the share of the rest that was accepted, and the agreement on it; None where nothing was."""

    coverage: float
    agreement: float | None

    @property
    def held(self) -> bool:
        return self.agreement is None or self.agreement >= 1 - ALPHA


Chances: TypeAlias = Callable[[Ints], Floats]  # from the items to fit on, (fitted,), to chances of all, (items,)


def selective() -> tuple[Proof, ...]:
    return anchored(), alone()


def anchored() -> Proof:
    """By the path of the audit; that it is, is checked on one split of each."""
    rows = []
    for of in (one() for one in SETS):
        before = ground(signed(of.averaged))
        for n in counts(of):
            require_as_audit(of, before, n)
            draws = [split(of, anchors(of, before), n, seed) for seed in range(SPLITS)]
            rows.append(row(of.name, "anchored", n, draws))
    said = (
        f"Agreement of {share(1 - ALPHA, 0)} promised for the accepted items of the rest, with chance 95 %; {SPLITS} "
        "random splits. Of the labels, one half fits the anchor and the other half sets the threshold. Where nothing "
        "can be promised, nothing is accepted and nothing broken. A tie of people is a disagreement with every "
        "preference."
    )
    return Proof("Selective labelling: anchored", said, COLUMNS, tuple(rows))


COLUMNS = ("set", "judge", "labels", "held", "held where promised", "accepted, of the rest", "agreement on them")


def alone() -> Proof:
    """Single judges: nothing to be fitted, so all labels set the threshold."""
    rows = []
    for of in (one() for one in SETS):
        n = counts(of)[-1]
        for judge, name in enumerate(of.judges):
            own = of.averaged.p_one[:, judge]
            rows.append(row(of.name, name, n, [split(of, own, n, seed) for seed in range(SPLITS)]))
    return Proof("Selective labelling: single judges", "As above; all labels set the threshold.", COLUMNS, tuple(rows))


def counts(of: Judged) -> list[int]:
    return [n for n in COUNTS if n + FEWEST_LEFT <= len(of.human)]


def anchors(of: Judged, before: Ground) -> Chances:
    return lambda fitted: anchored_on(before, of.judges, of.human, fitted).p_one(of.averaged)


def split(of: Judged, chances: Chances | Floats, n: int, seed: int) -> Draw:
    """``n`` random labels, the first half of them to fit on where there is something to fit."""
    drawn = np.random.default_rng(seed).permutation(len(of.human))
    given, rest = drawn[:n], drawn[n:]
    p = chances(given[: n // 2]) if callable(chances) else chances
    sure, right = believed(of, p)
    found = selected(sure, right, given[n // 2 :] if callable(chances) else given, rest)
    accepted = rest[:0] if found.threshold is None else rest[sure[rest] >= found.threshold]
    return Draw(len(accepted) / len(rest), float(right[accepted].mean()) if len(accepted) else None)


def believed(of: Judged, p: Floats) -> tuple[Floats, Bools]:
    """How sure the chances are, and whether people choose what they prefer."""
    said = choices(p, np.asarray(of.averaged.known.any(axis=1)))
    return 0.5 + np.abs(deviation(p)), said == of.human


def selected(sure: Floats, right: Bools, held: Ints, rest: Ints) -> Selection:
    return select(sure[held], right[held], sure[rest], alpha=ALPHA, promise="rest")


def require_as_audit(of: Judged, before: Ground, n: int) -> None:
    """Raises where the audit itself, given the same labels, selects otherwise."""
    shown = np.full(len(of.human), NONE, dtype=np.int64)
    given = np.random.default_rng(1).permutation(len(of.human))[:n]
    shown[given] = of.human[given]
    labelled = np.random.default_rng(0).permutation(np.flatnonzero(shown != NONE))
    sure, right = believed(of, anchors(of, before)(labelled[: n // 2]))
    found = selection_of(of.averaged, of.judges, shown, Settings(alpha=ALPHA))
    if found != selected(sure, right, labelled[n // 2 :], np.flatnonzero(shown == NONE)):
        raise AssertionError(f"{of.name}: the audit selects in another way than this proof")


def row(name: str, judge: str, n: int, draws: list[Draw]) -> Row:
    held = float(np.mean([draw.held for draw in draws]))
    promised = [draw for draw in draws if draw.agreement is not None]
    agreement = float(np.mean([draw.agreement for draw in promised])) if promised else None
    kept = f"{sum(draw.held for draw in promised)} of {len(promised)}"
    coverage = float(np.mean([draw.coverage for draw in draws]))
    cells = (name, judge, str(n), share(held), kept, share(coverage), share(agreement))
    return Row(cells, f"≥ {share(LEAST_HELD, 0)}", judged(held >= LEAST_HELD))
