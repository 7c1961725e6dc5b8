"""Every proof on recorded verdicts of real judges: tables for docs/judging.md; exit code 1 where a bar is missed.

    python benchmarks/judge/prove.py [metrics] [parser] [labels] [selective] [estimates] [budget] [order] [speed]

All of them if none is named. The verdicts are read from ../shared/data; without it there is nothing to prove with.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence

from proofs_budget import budget
from proofs_estimates import estimates
from proofs_labels import labels
from proofs_metrics import metrics
from proofs_order import order
from proofs_parser import parser
from proofs_selective import selective
from recorded import DATA
from speed import speed
from tables import Proof

PROOFS: Mapping[str, Callable[[], Proof | tuple[Proof, ...]]] = {
    "metrics": metrics,
    "parser": parser,
    "labels": labels,
    "selective": selective,
    "estimates": estimates,
    "budget": budget,
    "order": order,
    "speed": speed,
}


def main(asked: Sequence[str]) -> int:
    if unknown := [name for name in asked if name not in PROOFS]:
        print(f"no such proof: {', '.join(unknown)}; there are {', '.join(PROOFS)}", file=sys.stderr)
        return 2
    if not DATA.is_dir():
        print("the recorded verdicts (../shared/data) are not here, so nothing was proved")
        return 0
    missed, started = 0, time.monotonic()
    for name in asked or PROOFS:
        found = PROOFS[name]()
        for proof in (found,) if isinstance(found, Proof) else found:
            print(proof.markdown(), flush=True)
            missed += proof.missed
        print(f"{name}: {time.monotonic() - started:.0f} s since the start", file=sys.stderr)
    print(f"{missed} bars missed" if missed else "Every bar is reached.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
