"""The whole audit of 27,000 items and four judges as a child process: time, memory, and the same bytes again."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from recorded import Recorded, Table, synthetic, write
from tables import Proof, Row, judged

ROOT = Path(__file__).resolve().parents[2]
ITEMS, JUDGES = 27_000, 4
MOST_SECONDS, MOST_MB = 30, 1000
FIGURES = ("accuracy", "position", "calibration", "anchored", "selective", "ppi", "budget", "by_judge", "strata")
COMMAND = ["--verdicts", "V.csv", "--labels", "L.csv", "--anchor", "200", "--splits", "100", "--json"]
# The peak is the child's own: what getrusage tells begins with the memory of the process that it was forked from.
MAIN = """
import atexit, sys

def tell():
    with open("/proc/self/status") as status:
        peak = next(line for line in status if line.startswith("VmHWM"))
    with open("peak", "w") as file:
        file.write(peak.split()[1])

atexit.register(tell)
from solon.cli import main
main()
"""


@dataclass(frozen=True, slots=True)
class Ran:
    seconds: float
    megabytes: float
    sha256: str


def speed() -> Proof:
    """Three runs: two of the same files, which differ in the hash seed, and one with their rows in disorder."""
    made = synthetic(ITEMS, JUDGES)
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        write(made, Path(first))
        write(disordered(made), Path(second))
        runs = {
            "first run": audit(Path(first), 1),
            "second run": audit(Path(first), 2),
            "rows of both files in disorder": audit(Path(second), 3),
        }
    rows = []
    expected = runs["first run"].sha256
    for name, ran in runs.items():
        rows += [
            Row((name, "seconds", f"{ran.seconds:.1f}"), f"< {MOST_SECONDS}", judged(ran.seconds < MOST_SECONDS)),
            Row((name, "peak memory, MB", f"{ran.megabytes:.0f}"), f"< {MOST_MB:,}", judged(ran.megabytes < MOST_MB)),
            Row((name, "SHA-256 of the JSON", ran.sha256[:16]), "as the first run's", judged(ran.sha256 == expected)),
        ]
    said = f"`solon audit {' '.join(COMMAND)}`: {ITEMS:,} items, {JUDGES} judges, two orders, six strata."
    return Proof("Time and memory", said, ("run", "figure", "seen"), tuple(rows))


def audit(folder: Path, hash_seed: int) -> Ran:
    """Of the whole process, its start and its reading included."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)}
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", MAIN, "audit", *COMMAND], cwd=folder, env=environment, capture_output=True, check=False
    )
    seconds = time.monotonic() - began
    if ended.returncode:
        raise RuntimeError(f"solon audit ended with {ended.returncode}: {ended.stderr.decode()[-2000:]}")
    require_figures(json.loads(ended.stdout))
    kilobytes = int((folder / "peak").read_text())
    return Ran(seconds, kilobytes * 1024 / 1e6, hashlib.sha256(ended.stdout).hexdigest())


def require_figures(told: Mapping[str, object]) -> None:
    """Raises where the audit is quick because it leaves something out."""
    if missing := [name for name in FIGURES if not told.get(name)]:
        raise RuntimeError(f"solon audit told nothing of {', '.join(missing)}")


def disordered(made: Recorded) -> Recorded:
    assert made.labels
    return Recorded(*(shuffled(table, seed) for seed, table in enumerate((made.verdicts, made.labels))))


def shuffled(table: Table, seed: int) -> Table:
    rows: Sequence[int] = np.random.default_rng(seed).permutation(len(table["item"])).tolist()
    return {name: [column[row] for row in rows] for name, column in table.items()}
