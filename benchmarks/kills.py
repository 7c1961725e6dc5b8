"""`kill -9` at random moments of a run: what is sent again, and whether anything is lost.

A chain is one run, killed again and again and then carried to its end. Two thirds of the kills come while calls
are out, one sixth at any moment of the start, and one sixth just after the run folder appeared.

    python benchmarks/kills.py [--batch] [--rounds 200] [--seed 0] [--jobs 2]
"""

import argparse
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from harness import (
    Bars,
    Provider,
    Table,
    begin,
    call_identity,
    calls,
    exported,
    provider,
    recorded,
    recorded_calls,
    rows_of,
    sent,
    solon,
    write_run,
)

IN_FLIGHT = 16
LATENCY = 0.03  # seconds
STARTING = 1.2  # seconds in which an early kill is drawn, from the process's start
WORKING = 1.0  # seconds in which a kill among the calls is drawn, from the first call's arrival
MOST_UNRECORDED = 1.0  # seconds from a reply's leaving the server to its being durable here
BATCHES = {"batch": {"seconds": 0.3, "shuffled": True}}


@dataclass(slots=True)
class Chain:
    """What was seen of one run over all its sessions."""

    kills: int = 0
    amid_calls: int = 0  # kills of sessions that had sent something
    ends: Counter[str] = field(default_factory=Counter)  # sessions that ended otherwise than they should
    calls: int = 0  # different ones
    again: int = 0  # requests that the server had seen before
    unexcused: int = 0  # of them: more often than kills struck while they were out
    most_lost: int = 0  # calls whose reply one kill cost
    oldest: float = 0.0  # seconds at most between a reply's leaving the server and a kill that cost it
    vanished: int = 0  # replies that were on record before a kill and are not, or differ, afterwards
    unsound: int = 0  # journals that fail SQLite's own check
    doubled: int = 0  # rows
    lines: int = 0  # of batches, carried out
    paid_twice: int = 0  # lines of batches carried out more than once
    differs: bool = False  # the export from an uninterrupted run's


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a session when it is over."""

    entries: list[Table]  # of the server's log
    killed_at: float  # by the server's clock


class Killer:
    """Carries chains out against one provider, which sees nothing else."""

    def __init__(self, server: Provider, folder: Path, prompts: int, batch: bool, whole: dict[str, bytes]) -> None:
        self.server = server
        self.folder = folder
        self.batch = batch
        self.whole = whole
        self.config = write_run(folder, server.url, changes(batch), prompts=prompts)

    def chain(self, number: int, chance: random.Random, most: int) -> Chain:
        """One run, killed ``most`` times if it lives that long."""
        run, seen = self.folder / f"run-{number}", Chain()
        since, sessions = self.server.mark(), []
        lost: Counter[str] = Counter()
        while True:
            begun = self.server.mark()
            before = recorded(run)
            process = begin("run", self.config, "--out", run, cwd=self.folder)
            if seen.kills < most:
                self.await_moment(process, run, chance)
                before |= recorded(run)  # on record now, so for ever
                process.kill()
            killed_at = time.monotonic() - self.server.started
            stderr = process.communicate()[1]
            self.server.settle(begun)
            seen.vanished += sum(recorded(run).get(key) != reply for key, reply in before.items())
            seen.unsound += not is_sound(run)
            if process.returncode != -signal.SIGKILL:
                break
            seen.kills += 1
            session = Session(list(self.server.entries(begun)), killed_at)
            sessions.append(session)
            self.count_lost(session, recorded_calls(run), seen, lost)
        if process.returncode != 0:
            seen.ends[f"exit code {process.returncode}: {stderr.strip()[-300:]}"] += 1
        self.score(run, list(self.server.entries(since)), lost, seen)
        return seen

    def await_moment(self, process: subprocess.Popen[str], run: Path, chance: random.Random) -> None:
        """Sleeps to the random moment of the kill, or to the process's end."""
        kind, share = chance.random(), chance.random()
        mark = self.server.mark()
        if kind < 1 / 6:
            seconds = share * STARTING
        elif kind < 2 / 6:
            wait_for(run.exists, process)
            seconds = share * 0.05
        else:
            wait_for(lambda: self.server.mark() > mark, process)
            seconds = share * WORKING
        until = time.monotonic() + seconds
        wait_for(lambda: time.monotonic() >= until, process)

    def count_lost(self, session: Session, kept: dict[str, str], seen: Chain, lost: Counter[str]) -> None:
        """Which calls were out at the kill: begun at the server, and not acknowledged as durable."""
        ends = {entry["number"]: entry for entry in calls(session.entries, "end")}
        begun = list(calls(session.entries))
        seen.amid_calls += bool(session.entries)
        names = [call_identity(entry["body"]) for entry in begun]
        gone = [(name, ends[entry["number"]]) for name, entry in zip(names, begun, strict=True) if name not in kept]
        lost.update(name for name, _ in gone)
        seen.most_lost = max(seen.most_lost, len(gone))
        waits = [session.killed_at - end["at"] for _, end in gone if end["status"] is not None]
        seen.oldest = max([seen.oldest, *waits])

    def score(self, run: Path, entries: list[Table], lost: Counter[str], seen: Chain) -> None:
        counts = sent(entries)
        rows = Counter(entry["custom_id"] for entry in entries if entry["event"] == "row")
        prompts = [prompt for (prompt,) in rows_of(run, "SELECT prompt FROM rows")]
        seen.calls = len(counts) + len(rows)
        seen.again = counts.total() - len(counts)
        seen.unexcused = sum(max(0, count - 1 - lost[name]) for name, count in counts.items())
        seen.lines = rows.total()
        seen.paid_twice = rows.total() - len(rows)
        seen.doubled = len(prompts) - len(set(prompts))
        seen.differs = not seen.ends and exported(run, self.folder) != self.whole


def is_sound(run: Path) -> bool:
    return rows_of(run, "PRAGMA integrity_check") in ([], [("ok",)])


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until ``happened``, or until the process has ended; a minute at most."""
    until = time.monotonic() + 60
    while not happened() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)


def changes(batch: bool) -> dict[str, Any]:
    if not batch:
        return {"limits": {"in_flight": IN_FLIGHT}}
    return {"policy": {"batch": True}, "judge": {"batch": True}, "batch": {"poll": 0.05}}


def uninterrupted(server: Provider, folder: Path, prompts: int, batch: bool) -> dict[str, bytes]:
    config = write_run(folder, server.url, changes(batch), prompts=prompts)
    said = solon("run", config, "--out", "whole", cwd=folder)
    if said.code != 0:
        raise SystemExit(f"the uninterrupted run failed: {said.stderr}")
    return exported(folder / "whole", folder)


def carry_out(folder: Path, kills: int, seed: int, jobs: int, prompts: int, batch: bool) -> list[Chain]:
    """Chains, several at once, until ``kills`` have struck; the first chains' bars are the last ones' too."""
    faults = BATCHES if batch else None
    with ExitStack() as stack:
        first = stack.enter_context(provider(folder / "whole", latency=LATENCY, faults=faults))
        whole = uninterrupted(first, folder / "whole", prompts, batch)
        idle: SimpleQueue[Killer] = SimpleQueue()
        for job in range(jobs):
            place = folder / f"job-{job}"
            idle.put(Killer(stack.enter_context(provider(place, latency=LATENCY, faults=faults)),
                            place, prompts, batch, whole))  # fmt: skip

        def one(number: int) -> Chain:
            killer = idle.get()
            try:
                return killer.chain(number, random.Random(f"{seed} {number}"), kills)
            finally:
                idle.put(killer)

        chains: list[Chain] = []
        with ThreadPoolExecutor(jobs) as pool:
            while sum(chain.kills for chain in chains) < kills and not any(chain.ends for chain in chains):
                numbers = range(len(chains), len(chains) + jobs)
                chains += pool.map(one, numbers)
    return chains


def tell(chains: Iterable[Chain], kills: int, batch: bool) -> Bars:
    chains, bars = list(chains), Bars()
    struck, amid = sum(c.kills for c in chains), sum(c.amid_calls for c in chains)
    again, unexcused = sum(c.again for c in chains), sum(c.unexcused for c in chains)
    print(f"{len(chains)} runs, {sum(c.calls for c in chains)} different calls, {struck} kills, {amid} amid calls")
    bars.hold(f"{struck} of {kills} kills struck a living run", struck >= kills)
    wrong = sum((c.ends for c in chains), Counter[str]())
    bars.hold(f"{wrong.total()} runs did not reach their end {list(wrong) or ''}", not wrong)
    if batch:
        twice = sum(c.paid_twice for c in chains)
        lines = sum(c.lines for c in chains)
        bars.hold(f"{twice} of {lines} lines of batches were carried out twice", twice == 0 < lines)
        bars.hold(f"{again} calls outside of batches were sent again", again == 0)
    else:
        print(f"{again} calls were sent again; one kill cost {max(c.most_lost for c in chains)} replies at most")
        oldest = max(c.oldest for c in chains)
        bars.hold(f"the oldest of those replies had left the server {oldest:.3f} s before", oldest <= MOST_UNRECORDED)
        bars.hold(f"{unexcused} were sent more often than kills struck while they were out", unexcused == 0)
    for what, count in {
        "replies that were on record vanished or changed": sum(c.vanished for c in chains),
        "journals were unsound after a kill": sum(c.unsound for c in chains),
        "rows were doubled": sum(c.doubled for c in chains),
        "exports differ from the uninterrupted run's": sum(c.differs for c in chains),
    }.items():
        bars.hold(f"{count} {what}", count == 0)
    return bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", action="store_true", help="through the batch API")
    parser.add_argument("--rounds", type=int, help="kills (200; 50 with --batch)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--prompts", type=int, default=40, help="of one run")
    args = parser.parse_args()
    kills = args.rounds or (50 if args.batch else 200)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        chains = carry_out(Path(folder), kills, args.seed, args.jobs, args.prompts, args.batch)
    print(f"{time.monotonic() - began:.0f} s, seed {args.seed}")
    tell(chains, kills, args.batch).end()


if __name__ == "__main__":
    main()
