"""What stops a run: refusals, silence, the budget, another process, a full disk, Ctrl-C. It stops soon, and can go on.

Parts: a refusals, b silence, c budget, d eight processes at one folder, e a full disk, f Ctrl-C.

    python benchmarks/stops.py [--only abcdef] [--rounds 50] [--seed 0]
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness import (
    Bars,
)
from stops_here import full_disk, interrupts, race
from stops_there import budget, refusals, silence

Part = Callable[[Path, Bars, int, random.Random], None]
PARTS: dict[str, Part] = {
    "a": refusals, "b": silence, "c": budget, "d": race, "e": full_disk, "f": interrupts,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="abcdef", help="the letters of the parts to run")
    parser.add_argument("--rounds", type=int, default=50, help="races for one folder")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    bars = Bars()
    for letter in args.only:
        part, began = PARTS[letter], time.monotonic()
        print(f"{letter}: {(part.__doc__ or '').strip()}", flush=True)
        with tempfile.TemporaryDirectory(prefix="stops-") as folder:
            part(Path(folder), bars, args.rounds, random.Random(f"{args.seed} {letter}"))
        print(f"{letter}: {time.monotonic() - began:.0f} s", flush=True)
    bars.end()


if __name__ == "__main__":
    main()
