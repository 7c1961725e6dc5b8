"""A hundred annotators at once, and the server killed again and again.

What was acknowledged must be there, once, and within the overlap. Annotators are programs that use the HTTP API as
the page does: they wait 1 to 5 s over an item, save with an idempotency key, now and then skip, undo, or save twice at
once from two tabs, and send again what was not acknowledged. The server is one `solon serve` process, killed with
SIGKILL at random moments and started again. Load generator and server share the machine.

    python benchmarks/review/load.py [--annotators 100] [--seconds 300] [--kills 10] [--seed 0] [--postgres]

With `--postgres` the labels are in the database that the variable SOLON_TEST_DATABASE names.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

import annotators
import serving
from annotators import Clock, Crowd, Person
from found import Bars, verify


async def drive(site: serving.Site, asked: argparse.Namespace) -> Crowd:
    """Everybody at work for the time asked for, while the server is killed at random moments."""
    rng = random.Random(asked.seed)
    crowd = Crowd(Clock(time.monotonic() + asked.seconds))
    people = [Person(name, crowd, random.Random(f"{asked.seed} {name}")) for name in site.people]
    moments = sorted(rng.uniform(0.05, 0.95) * asked.seconds for _ in range(asked.kills))
    await asyncio.gather(kill_at(site, moments), *(person.work(site) for person in people))
    return crowd


async def kill_at(site: serving.Site, moments: list[float]) -> None:
    began = time.monotonic()
    for moment in moments:
        await asyncio.sleep(max(0.0, moment - (time.monotonic() - began)))
        await asyncio.to_thread(site.kill_and_start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotators", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true")
    asked = parser.parse_args()
    wanted = int(asked.annotators * asked.seconds / annotators.MEAN_THOUGHT)
    with tempfile.TemporaryDirectory() as folder, serving.Site.made(Path(folder), asked, wanted) as site:
        crowd = asyncio.run(drive(site, asked))
        bars = Bars()
        verify(site, crowd, bars)
        sys.exit(bars.told())


if __name__ == "__main__":
    main()
