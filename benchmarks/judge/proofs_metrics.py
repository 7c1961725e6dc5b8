"""Figures that others published or computed from the same verdicts, reproduced."""

from collections.abc import Mapping

import numpy as np
from recorded import DATA, csv_rows
from sets import all_llmbar, pandalm_material
from tables import MISSED, Proof, Row, figure, judged

from judge.audit.agreement import accuracy, cohen_kappa, human_human
from judge.audit.table import NONE, Ints, human_choice

KAPPAS = {("annotator1", "annotator2"): 0.852, ("annotator1", "annotator3"): 0.879, ("annotator2", "annotator3"): 0.862}
ALPHA = 0.864
NEAR = 1e-3


def metrics() -> Proof:
    exact, published = llmbar_statistics()
    people = human_human(pandalm_material(), 0)
    found = {(pair.one, pair.other): pair.kappa for pair in people.pairs}
    rows = [Row(("LLMBar's statistics, to the count", f"{exact} of {published}"), "138 of 138", judged(exact == 138))]
    known = {f"PandaLM, Cohen's κ, {' and '.join(pair)}": (found.get(pair), kappa) for pair, kappa in KAPPAS.items()}
    known["PandaLM, Krippendorff's α of three people"] = people.alpha, ALPHA
    for name, (estimate, bar) in known.items():
        value = None if estimate is None else estimate.value
        met = MISSED if value is None else judged(abs(value - bar) <= NEAR)
        rows.append(Row((name, figure(value, 4)), f"{bar} ± 0.001", met))
    return Proof("Metrics", "", ("figure", "Solon"), tuple(rows))


def llmbar_statistics() -> tuple[int, int]:
    """How many of the published rows are reproduced in every figure, and how many there are."""
    material, rows = all_llmbar(), csv_rows(DATA / "llmbar/published_statistics.csv")
    said, human = both_orders(), human_choice(material)
    exact = 0
    for row in rows:
        among = material.stratum == material.strata.index(row["set"])
        judge = material.verdicts.judges.index(f"{row['judge']}/{row['strategy']}")
        exact += is_published(said[among, judge], human[among], row)
    return exact, len(rows)


def both_orders() -> Ints:
    """Every verdict, (items, judges, 2 orders)."""
    verdicts = all_llmbar().verdicts
    said = np.full((len(all_llmbar().items), len(verdicts.judges), 2), NONE, dtype=np.int64)
    said[verdicts.item, verdicts.judge, verdicts.order - 1] = verdicts.choice
    return said


def is_published(said: Ints, label: Ints, row: Mapping[str, str]) -> bool:
    """As upstream counts: a missing verdict is never correct, two missing ones are equal.

    Its kappa knows "completion 1" and anything else, so there a missing verdict counts as completion 2.
    """
    straight, swapped = said.T
    both = np.where(straight == swapped, straight, NONE)
    counted = {
        "n": len(label),
        "correct_noswap": hits(straight, label),
        "correct_swap": hits(swapped, label),
        "correct_both": hits(both, label),
        "equal": hits(straight, swapped) + int(((straight == NONE) & (swapped == NONE)).sum()),
    }
    kappa = cohen_kappa(np.where(straight == NONE, 2, straight), np.where(swapped == NONE, 2, swapped), 0)
    near = kappa is not None and abs(kappa.value - float(row["kappa_agreement"])) < 1e-12
    return near and counted == {name: int(row[name]) for name in counted}


def hits(choice: Ints, label: Ints) -> int:
    found = accuracy(choice, label)
    return 0 if found is None else round(found.value * found.n)
