"""Runs that are killed or interrupted: what was paid for stays, and the end is the same."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from solon.database import Database
from solon.journal import Journal
from solon.run import stored_rows

Cli = Callable[..., subprocess.CompletedProcess[str]]
Begin = Callable[..., subprocess.Popen[str]]
WriteRun = Callable[..., Path]

IN_FLIGHT = 8
PACE = {"policy": {"model": "counted", "latency": 0.004}, "judge": {"model": "counted", "latency": 0.004}}
CONFIG = {**PACE, "limits": {"in_flight": IN_FLIGHT}, "judge": {**PACE["judge"], "principles": "all"}}

COUNTED = """
import os
from generator.chat import call_key
from generator.models.rambler import SCRIPTS, ramble
answered = os.open(os.environ["ANSWERED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def counted(request):
    os.write(answered, (call_key("", request) + "\\n").encode())
    return ramble(request)
SCRIPTS["counted"] = counted
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def recorded(folder: Path) -> int:
    """Calls in the folder's journal, which must be sound."""
    if not (folder / "journal.db").exists() or (folder / "journal.db").stat().st_size == 0:
        return 0
    with Journal.open(Database.file(folder / "journal.db")) as journal:
        assert sum(1 for _ in stored_rows(journal)) == len(journal.recipes())
        return len(journal.call("", limit=1_000_000))


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until ``happened``, or until the process has ended."""
    until = time.monotonic() + 30
    while not happened() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.001)


def kill_at(process: subprocess.Popen[str], folder: Path, since: str, seconds: float) -> None:
    """Kills the process so many seconds after its start, or after its folder is there."""
    wait_for(lambda: since == "start" or folder.exists(), process)
    time.sleep(seconds)
    process.kill()


def test_a_run_killed_at_any_moment_goes_on_to_the_same_end_and_pays_for_nothing_twice(
    cli: Cli, begin: Begin, write_run: WriteRun, tmp_path: Path
) -> None:
    config = write_run(CONFIG, prompts=40)
    log = tmp_path / "whole.log"
    began = time.monotonic()
    whole = begin("run", config, "--out", "whole", "--json", script=COUNTED, ANSWERED=str(log))
    wait_for((tmp_path / "whole").exists, whole)
    starting = time.monotonic() - began
    assert whole.wait() == 0
    working = time.monotonic() - began - starting
    calls = len(log.read_text().split())
    assert cli("export", "whole").returncode == 0
    expected = contents(tmp_path / "whole/export")

    chance = random.Random(20240607)
    # Seconds from the start of the process, or from the moment when its folder appears: spread over the
    # whole of it, and crowded where the folder is being set up.
    moments = [("start", starting * n / 3) for n in range(3)]
    moments += [("folder", 0.012 * n / 6) for n in range(6)]
    moments += [("folder", working * (n + chance.random()) / 14) for n in range(14)]
    chance.shuffle(moments)
    kills = folders = 0
    while moments:
        folder, log = tmp_path / f"killed-{folders}", tmp_path / f"{folders}.log"
        killed, ended = 0, False
        while not ended:
            before = recorded(folder)
            process = begin("run", config, "--out", folder, "--json", script=COUNTED, ANSWERED=str(log))
            if moments:
                kill_at(process, folder, *moments.pop())
            stdout, stderr = process.communicate(timeout=60)
            ended = process.returncode != -signal.SIGKILL
            killed += not ended
        assert process.returncode == 0, stderr
        assert json.loads(stdout)["calls_sent"] == calls - before
        assert recorded(folder) == calls
        answered = log.read_text().split()
        assert len(set(answered)) == calls
        assert len(answered) - calls <= killed * IN_FLIGHT
        assert cli("export", folder).returncode == 0
        assert contents(folder / "export") == expected
        kills, folders = kills + killed, folders + 1
    assert kills >= 20


def test_an_export_killed_at_any_moment_is_made_whole_by_the_next(
    cli: Cli, begin: Begin, write_run: WriteRun, tmp_path: Path
) -> None:
    config = write_run(prompts=20)
    assert cli("run", config).returncode == 0
    assert cli("export", config, "--out", "whole").returncode == 0
    expected = contents(tmp_path / "whole")
    for number in range(6):
        out = tmp_path / f"killed-{number // 2}"  # the second kill of each meets what the first left
        process = begin("export", config, "--out", out)
        wait_for(lambda: out.exists() and any(out.iterdir()), process)  # noqa: B023
        time.sleep(0.004 * number)
        process.kill()
        process.wait()
        if number % 2:
            left = set(os.listdir(out))
            assert ("lock.json" not in left) or contents(out)["lock.json"] == expected["lock.json"]
            said = cli("export", config, "--out", out)
            assert said.returncode == 0, said.stderr
            assert contents(out) == expected


def test_an_export_that_was_cut_short_is_taken_for_no_export_by_training(
    cli: Cli, write_run: WriteRun, tmp_path: Path
) -> None:
    config = write_run()
    assert cli("run", config).returncode == 0
    assert cli("export", config).returncode == 0
    (tmp_path / "runs/demo/export/lock.json").unlink()
    said = cli("train", "dpo", "runs/demo")
    assert said.returncode == 2
    assert "solon export" in said.stderr


def test_the_first_interrupt_finishes_what_is_in_flight_and_the_run_can_go_on(
    cli: Cli, begin: Begin, write_run: WriteRun, tmp_path: Path
) -> None:
    config = write_run(CONFIG, prompts=20)
    assert cli("run", config, "--out", "whole", script=COUNTED, ANSWERED=str(tmp_path / "whole.log")).returncode == 0
    log = tmp_path / "answered.log"
    process = begin("run", config, "--json", script=COUNTED, ANSWERED=str(log))
    wait_for(lambda: log.exists() and log.read_text().count("\n") > 30, process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "calls in flight; Ctrl-C again stops now" in stderr
    assert "Traceback" not in stderr
    summary = json.loads(stdout)
    assert summary["finished"] is False
    assert summary["rows"] < 20
    assert recorded(tmp_path / "runs/demo") == summary["calls_sent"]
    assert (tmp_path / "runs/demo/report.md").exists()

    again = cli("run", config, "--json", script=COUNTED, ANSWERED=str(log))
    assert again.returncode == 0
    answered = log.read_text().split()
    assert len(answered) == len(set(answered)) == json.loads(again.stdout)["calls_sent"] + summary["calls_sent"]
    for name in ("whole", "runs/demo"):
        assert cli("export", name).returncode == 0
    assert contents(tmp_path / "whole/export") == contents(tmp_path / "runs/demo/export")


def test_the_second_interrupt_stops_at_once(begin: Begin, cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    slow = write_run({"policy": {"latency": 60.0}})
    process = begin("run", slow)
    assert process.stderr is not None
    wait_for((tmp_path / "runs/demo/origin").exists, process)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again stops now" in process.stderr.readline()
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert time.monotonic() - began < 5
    assert not (tmp_path / "runs/demo/summary.json").exists()
    assert recorded(tmp_path / "runs/demo") == 0
    assert cli("run", write_run({})).returncode == 0


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_an_interrupt_at_any_moment_ends_with_130_or_after_the_work_with_0(
    begin: Begin, write_run: WriteRun, tmp_path: Path, share: float
) -> None:
    config = write_run(CONFIG, prompts=20)
    ready = tmp_path / "answered.log"  # is there as soon as `main` is about to be called
    process = begin("run", config, script=COUNTED, ANSWERED=str(ready))
    wait_for(ready.exists, process)
    time.sleep(0.05 + 0.5 * share)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode in (0, 130), stderr
    assert "Traceback" not in stderr
