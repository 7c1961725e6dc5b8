"""What stops a run on this machine: another process, a full disk, Ctrl-C. Parts d to f of `stops.py`."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harness import (
    Bars,
    Provider,
    Table,
    begin,
    calls,
    exported,
    is_one_line,
    provider,
    recorded,
    recorded_calls,
    rows_of,
    sent,
    solon,
    write_run,
)

AT_ONCE = 0.1  # seconds in which word of Ctrl-C reaches everybody
RACERS = 8
IN_FLIGHT = 16

RACE = f"""
import os, sys
import aiohttp, openai, solon.cli.actions, solon.cli.verbs
ready, go = os.pipe()
for number in range({RACERS}):
    if os.fork() == 0:
        os.close(go)
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"racer-{{number}}.{{name}}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        os.read(ready, 1)  # returns in all of them when the last writer is gone
        break
else:
    os.close(go)
    print(*sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range({RACERS})))
    sys.exit()
"""
SMALL_FILES = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"


def race(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """Eight processes are let loose on one run folder at the same moment, again and again."""
    codes: Counter[str] = Counter()
    wordy = differing = twice = 0
    with provider(folder, latency=0.2) as server:
        config = write_run(folder, server.url, {"limits": {"in_flight": 64}}, prompts=6)
        solon("run", config, "--out", "whole", cwd=folder)
        whole = exported(folder / "whole", folder)
        for number in range(rounds):
            mark, run = server.mark(), folder / f"run-{number}"
            codes[solon("run", config, "--out", run, cwd=folder, before=RACE).stdout.strip()] += 1
            errors = [(folder / f"racer-{racer}.err").read_text() for racer in range(RACERS)]
            turned_away = [error for error in errors if error.startswith("error: ")]
            wordy += len(turned_away) != RACERS - 1 or any(error.count("\n") != 1 for error in turned_away)
            counts = sent(server.entries(mark))
            twice += counts.total() - len(counts)
            differing += exported(run, folder) != whole
    expected = " ".join(["0", *["2"] * (RACERS - 1)])
    bars.hold(f"{rounds} races of {RACERS}: exit codes {dict(codes)}", codes == {expected: rounds})
    bars.hold(f"{wordy} races in which somebody was not turned away with one line", wordy == 0)
    bars.hold(f"{twice} calls sent twice, {differing} exports that differ", twice == differing == 0)


def full_disk(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """Files that may not grow on, then (as root) a small file system; then room."""
    with provider(folder, latency=0.05) as server:
        config = write_run(folder, server.url, {"limits": {"in_flight": IN_FLIGHT}}, prompts=40)
        solon("run", config, "--out", "whole", cwd=folder)
        whole = exported(folder / "whole", folder)
        for size in (200_000, 600_000, 1_200_000):
            fill_up(f"files of {size:,} bytes at most", server, config, folder / f"run-{size}", whole, bars,
                    SMALL_FILES.format(size=size))  # fmt: skip
        with small_disk(folder / "disk") as grow:
            if grow is None:
                print("no small file system: mounting one is not allowed here")
            else:
                fill_up("a disk of 1 MB", server, config, folder / "disk/run", whole, bars, grow=grow)


def fill_up(
    name: str, server: Provider, config: Path, run: Path, whole: dict[str, bytes], bars: Bars, before: str = "",
    grow: Callable[[], object] = lambda: None,
) -> None:  # fmt: skip
    """One run into the full disk, and on from there."""
    mark, folder = server.mark(), config.parent
    said = solon("run", config, "--out", run, cwd=folder, before=before)
    server.settle(mark)
    entries = list(server.entries(mark))
    kept, counts = recorded_calls(run), sent(entries)
    sound = rows_of(run, "PRAGMA integrity_check") == [("ok",)]
    ends = {entry["number"]: entry for entry in calls(entries, "end")}
    last_kept = max((e["at"] for e in ends.values() if sent_as(e) in kept), default=0.0)
    after = sum(entry["at"] > last_kept for entry in calls(entries))
    grow()
    again = solon("run", config, "--out", run, cwd=folder)
    repeated = sent(server.entries(mark)) - counts
    excused = all(name not in kept for name in counts & repeated)
    bars.hold(
        f"{name}: exit code {said.code}, {len(kept)} of {counts.total()} calls on record, {after} begun after the last "
        f"of them had left the server; the journal is {'sound' if sound else 'broken'}",
        said.code == 4 and is_one_line(said) and sound and after <= IN_FLIGHT,
    )
    bars.hold(f"{name}: with room, exit code {again.code} and nothing on record sent again", again.code == 0
              and excused and exported(run, folder) == whole)  # fmt: skip


def sent_as(entry: Table) -> str:
    """The call that one record of the log is about."""
    return next(iter(sent([{**entry, "event": "begin"}])))


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], object] | None]:
    """A file system of 1 MB at ``folder``, and what makes it bigger; None where it cannot be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield partial(subprocess.run, ["mount", "-o", "remount,size=64m", str(folder)], check=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def interrupts(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """Ctrl-C once, at random moments, and the run again; then twice."""
    limits = {"limits": {"in_flight": IN_FLIGHT}}
    with provider(folder, latency=0.3) as server:
        config = write_run(folder, server.url, limits, prompts=10)
        for number in range(5):
            mark, run = server.mark(), folder / f"run-{number}"
            process = begin("run", config, "--out", run, "--json", cwd=folder)
            while server.mark() == mark and process.poll() is None:
                time.sleep(0.005)
            time.sleep(0.2 + 1.3 * chance.random())
            process.send_signal(signal.SIGINT)
            at = time.monotonic() - server.started + AT_ONCE
            stdout = process.communicate()[0]
            entries = list(server.entries(mark))
            asked, late = len(list(calls(entries))), sum(entry["at"] > at for entry in calls(entries))
            kept = len(recorded(run))
            again = solon("run", config, "--out", run, cwd=folder)
            twice = sum(count - 1 for count in sent(server.entries(mark)).values())
            bars.hold(
                f"Ctrl-C: exit code {process.returncode}, {kept} of {asked} calls on record, {late} begun after it; "
                f"then {again.code}, {twice} sent twice",
                process.returncode == 130 and kept == asked == json.loads(stdout)["calls_sent"] and late == 0
                and again.code == twice == 0,
            )  # fmt: skip
    with provider(folder / "slow", latency=60.0) as server:
        process = begin("run", write_run(folder / "slow", server.url, limits, prompts=10), cwd=folder / "slow")
        while not any(calls(server.entries())) and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        process.stderr.readline()  # it says that a second one stops it
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(60)
        seconds = time.monotonic() - began
        process.communicate()
        bars.hold(f"the second Ctrl-C: exit code {process.returncode} in {seconds:.2f} s",
                  process.returncode == 130 and seconds < 1)  # fmt: skip
