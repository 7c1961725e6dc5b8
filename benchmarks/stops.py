"""What stops a run: refusals, silence, the budget, another process, a full disk, Ctrl-C. It stops soon, and can go on.

Parts: a refusals, b silence, c budget, d eight processes at one folder, e a full disk, f Ctrl-C.

    python benchmarks/stops.py [--only abcdef] [--rounds 50] [--seed 0]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

from harness import (
    Bars,
    Finished,
    Provider,
    Table,
    begin,
    billed,
    calls,
    endpoint,
    exported,
    kill,
    provider,
    recorded,
    recorded_calls,
    rows_of,
    sent,
    solon,
    write_run,
)

SOON = 2.0  # seconds for a run that is refused, from its start to its end
AT_ONCE = 0.1  # seconds in which word of a refusal or of Ctrl-C reaches everybody
DEADLINE = 2.0
REFUSALS = {"auth": 1, "forbidden": 1, "unknown-model": 2, "quota": 3, "credit": 3}  # kind to exit code
KEYS = {"policy": "a-good-policy-key", "judge": "a-good-judge-key"}
PRICE = {"input": 3.0, "output": 5.0, "cached_input": 0.3}  # made up
CAPS: tuple[tuple[str, float], ...] = (("usd", 2.8), ("tokens", 800_000))  # between 1,000 drafts' worst case and all
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


def refusals(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """Each refusal, from the policy's endpoint or the judge's, by both APIs; then the run with the cause gone."""
    with (
        provider(folder / "policy", key=KEYS["policy"]) as policy,
        provider(folder / "judge", key=KEYS["judge"]) as judge,
    ):
        for kind, code in REFUSALS.items():
            faults = None if kind == "auth" else {"fault": [{"kind": kind}]}
            with provider(folder / kind, faults=faults, key="another-key" if kind == "auth" else "") as refusing:
                for backend in ("openai", "anthropic"):
                    for role in ("policy", "judge"):
                        place = folder / f"{kind}-{backend}-{role}"
                        servers = {"policy": policy, "judge": judge}
                        refused(place, servers, refusing, role, backend, (kind, code), bars)


def refused(
    folder: Path, good: Mapping[str, Provider], refusing: Provider, role: str, backend: str,
    expected: tuple[str, int], bars: Bars,
) -> None:  # fmt: skip
    kind, code = expected
    other = good["judge" if role == "policy" else "policy"]
    marks = refusing.mark(), other.mark()
    said = solon(
        "run",
        with_keys(folder, {**good, role: refusing}, backend),
        cwd=folder,
        POLICY_KEY=KEYS["policy"],
        JUDGE_KEY=KEYS["judge"],
    )
    asked = list(refusing.entries(marks[0]))
    ends = [refusing.started + entry["at"] for entry in calls(asked, "end")]
    late = [e for e in calls(other.entries(marks[1])) if other.started + e["at"] > ends[0] + AT_ONCE] if ends else []
    again = solon(
        "run", with_keys(folder, good, backend), cwd=folder, POLICY_KEY=KEYS["policy"], JUDGE_KEY=KEYS["judge"]
    )
    bars.hold(
        f"{kind} from the {role} ({backend}): exit code {said.code} in {said.seconds:.2f} s "
        f"({said.cpu:.2f} s of CPU), {len(ends)} request, "
        f"{len(late)} to the other after it; then {again.code}",
        said.code == code and said.seconds < SOON and is_one_line(said) and len(ends) == 1 and not late
        and again.code == 0,
    )  # fmt: skip


def with_keys(folder: Path, servers: Mapping[str, Provider], backend: str) -> Path:
    """The run with each model at a server of its own, with a key of its own."""
    models = {"policy": "rambler", "judge": "judge-longer"}
    sections = {
        role: endpoint(servers[role].url, model, backend, api_key_env=f"{role.upper()}_KEY")
        for role, model in models.items()
    }
    return write_run(folder, "", {**sections, "limits": {"in_flight": 4}}, prompts=6)


def is_one_line(said: Finished) -> bool:
    """Whether there is one message, beside the line that shows how far the run got."""
    lines = [line for line in (said.stderr + said.stdout).splitlines() if line.startswith(("error:", "stopped:"))]
    return len(lines) == 1 and "Traceback" not in said.stderr


def silence(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """An endpoint that drips its reply, or says nothing at all: alone, then a few calls among many."""
    limits = {"limits": {"deadline": DEADLINE, "in_flight": IN_FLIGHT}}
    for kind in ("drip", "hang"):
        place, fault = folder / kind, {"kind": kind, "seconds": 60.0}
        with provider(place, faults={"fault": [fault]}) as server:
            few = {**limits, "candidates": {"completions": 1, "rounds": 0}}
            said = solon("run", write_run(place, server.url, few, prompts=1), cwd=place)
            asked = list(calls(server.entries()))
            seconds = time.monotonic() - server.started - asked[0]["at"]
        bars.hold(
            f"a {kind} alone: the process ended {seconds:.2f} s after its one call (exit code {said.code})",
            seconds <= DEADLINE + 1 and len(asked) == 1 and said.code != 0,
        )
    place = folder / "among"
    faults = {"fault": [{"kind": kind, "share": 0.02, "seconds": 60.0} for kind in ("drip", "hang")]}
    with provider(place, faults=faults) as server:
        config = write_run(place, server.url, limits, prompts=30)
        said = solon("run", config, cwd=place)
        entries = list(server.entries())
    begins = {entry["number"]: entry["at"] for entry in calls(entries)}
    took = [end["at"] - begins[end["number"]] for end in calls(entries, "end") if end["fault"]]
    bars.hold(
        f"{len(took)} silent calls among {len(begins)}: the longest took {max(took):.2f} s (exit code {said.code})",
        max(took) <= DEADLINE + 1 and said.code == 0,
    )
    with provider(place / "good") as server:
        write_run(place, server.url, limits, prompts=30)
        again = solon("run", config, cwd=place)
        whole = solon("run", config, "--out", "whole", cwd=place)
        same = exported(place / "whole", place) == exported(place / "runs/proof", place)
    bars.hold("run again without silence, its export is that of a run that met none", again.code == whole.code == 0
              and same)  # fmt: skip


def budget(folder: Path, bars: Bars, rounds: int, chance: random.Random) -> None:
    """1,000 calls at once against a cap, where some connections break; then the same with a kill amid it all."""
    for name, cap in CAPS:
        for killed in (False, True):
            place = folder / f"{name}-{killed}"
            with provider(place, latency=0.3, faults={"fault": [{"kind": "reset", "share": 0.01}]}) as server:
                config = capped(place, server, {name: cap})
                if killed:
                    kill_amid(config, server, chance.randrange(100, 3000))
                said = solon("run", config, cwd=place)
                server.settle()
                tell_spent(list(server.entries()), name, cap, killed, said, bars)
                again = solon("run", capped(place, server, {name: cap * 10}), cwd=place)
            bars.hold(f"{name}: with a higher cap the run ends with exit code {again.code}", again.code == 0)


def kill_amid(config: Path, server: Provider, requests: int) -> None:
    """Begins the run, and kills it when the server has seen so many requests."""
    process = begin("run", config, cwd=config.parent)
    while sum(1 for _ in calls(server.entries())) < requests and process.poll() is None:
        time.sleep(0.05)
    kill(process)


def tell_spent(entries: list[Table], name: str, cap: float, killed: bool, said: Finished, bars: Bars) -> None:
    spent, most = spent_of(entries)[name], max(entry["in_flight"] for entry in entries)
    bars.hold(
        f"{name}{', killed once' if killed else ''}: {spent:,} of {cap:,} spent by the server's count "
        f"({float(spent) / cap:.0%}), up to {most} calls at once, exit code {said.code}, "
        f"overspend {max(Decimal(0), spent - Decimal(str(cap)))}",
        spent <= Decimal(str(cap)) and said.code == 3 and is_one_line(said),
    )


def capped(folder: Path, server: Provider, cap: Mapping[str, float]) -> Path:
    (folder / "prices.toml").write_text(
        "as_of = 2026-11-01\n"
        + "".join(
            f"\n[model.{model}]\n" + "".join(f"{name} = {dollars}\n" for name, dollars in PRICE.items())
            for model in ("rambler", "judge-longer")
        )
    )
    changes = {"candidates": {"completions": 1}, "limits": {"in_flight": 1000}, "budget": cap}
    return write_run(folder, server.url, changes, prompts=1000)


def spent_of(entries: list[Table]) -> dict[str, Decimal]:
    """What the server charged: tokens as it counts them, and dollars by the made-up prices."""
    used = billed(entries)
    parts = (
        (used["prompt"] - used["cached"], "input"),
        (used["cached"], "cached_input"),
        (used["completion"], "output"),
    )
    dollars = sum((count * Decimal(str(PRICE[name])) for count, name in parts), Decimal(0)) / 1_000_000
    return {"usd": dollars, "tokens": Decimal(used["prompt"] + used["completion"])}


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
