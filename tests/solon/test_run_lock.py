import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import solon.run_lock
from constitution.errors import InputError, StorageError
from solon.run_lock import HOLDER, hold

ROOT = Path(solon.run_lock.__file__).parents[1]

HOLD_WHEN_TOLD = """
import sys
from contextlib import ExitStack
from pathlib import Path
from constitution.errors import InputError
from solon.run_lock import hold
print("ready", flush=True)
while sys.stdin.readline():
    with ExitStack() as held:
        try:
            held.enter_context(hold(Path(sys.argv[1])))
            print("held", flush=True)
        except InputError as error:
            print(error, flush=True)
        sys.stdin.readline()
    print("let go", flush=True)
"""

FORK_WHILE_HOLDING = """
import os, sys
from pathlib import Path
from solon.run_lock import hold
with hold(Path(sys.argv[1])):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print("child left", flush=True)
        sys.stdin.readline()
"""

KILLED_WITH_A_CHILD_LEFT = """
import os, signal, sys
from pathlib import Path
from solon.run_lock import hold
with hold(Path(sys.argv[1])):
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()
"""


class Child:
    """A real process that obeys line by line."""

    def __init__(self, script: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def children(script: str, folder: Path, count: int = 1) -> Iterator[list[Child]]:
    started = [Child(script, folder) for _ in range(count)]
    try:
        yield started
    finally:
        for child in started:
            child.process.kill()
            child.process.communicate()


def test_of_eight_processes_exactly_one_wins_and_the_others_name_it(tmp_path: Path) -> None:
    with children(HOLD_WHEN_TOLD, tmp_path, 8) as racers:
        assert [racer.hear() for racer in racers] == ["ready"] * 8
        for _ in range(5):
            for racer in racers:
                racer.tell()
            said = {racer.process.pid: racer.hear() for racer in racers}
            (winner,) = [pid for pid, line in said.items() if line == "held"]
            losers = [line for line in said.values() if line != "held"]
            assert all(f"in use by process {winner} of " in line for line in losers), losers
            for racer in racers:
                racer.tell()
            assert [racer.hear() for racer in racers] == ["let go"] * 8


def test_a_killed_holder_blocks_nobody_and_its_traces_mislead_nobody(tmp_path: Path) -> None:
    with children(HOLD_WHEN_TOLD, tmp_path) as (holder,):
        assert holder.hear() == "ready"
        holder.tell()
        assert holder.hear() == "held"
        with pytest.raises(InputError, match=f"in use by process {holder.process.pid} of "), hold(tmp_path):
            pass
        holder.process.send_signal(signal.SIGKILL)
        holder.process.wait()
        assert json.loads((tmp_path / HOLDER).read_text())["pid"] == holder.process.pid
        with hold(tmp_path):
            assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()


def test_a_second_hold_in_the_same_process_is_refused(tmp_path: Path) -> None:
    def try_to_hold() -> str:
        with pytest.raises(InputError) as refusal, hold(tmp_path):
            pass
        return str(refusal.value)

    with hold(tmp_path), ThreadPoolExecutor(1) as thread:
        assert f"in use by process {os.getpid()} of " in try_to_hold()
        assert f"in use by process {os.getpid()} of " in thread.submit(try_to_hold).result()
    with hold(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_that_leaves_does_not_let_go_for_its_parent(tmp_path: Path) -> None:
    with children(FORK_WHILE_HOLDING, tmp_path) as (holder,):
        assert holder.hear() == "child left"
        with pytest.raises(InputError, match=f"process {holder.process.pid} of "), hold(tmp_path):
            pass
    with hold(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_keep_what_its_killed_parent_held(tmp_path: Path) -> None:
    with children(KILLED_WITH_A_CHILD_LEFT, tmp_path) as (holder,):
        assert holder.process.wait(10) == -signal.SIGKILL
        with hold(tmp_path):
            pass


def test_the_holder_says_who_where_what_and_since_when(tmp_path: Path) -> None:
    with hold(tmp_path):
        holder = json.loads((tmp_path / HOLDER).read_text())
        assert holder.keys() == {"pid", "host", "user", "command", "since"}
        with pytest.raises(InputError) as refusal, hold(tmp_path):
            pass
    for part in (str(tmp_path), str(holder["pid"]), holder["host"], holder["since"], "another name"):
        assert part in str(refusal.value)
    assert not (tmp_path / HOLDER).exists()


@pytest.mark.parametrize("left_behind", ["\0", '{"pid": 1}'])
def test_unreadable_traces_of_an_earlier_holder_do_no_harm(tmp_path: Path, left_behind: str) -> None:
    (tmp_path / HOLDER).write_text(left_behind)
    with hold(tmp_path):
        (tmp_path / HOLDER).write_text(left_behind)
        with pytest.raises(InputError, match="in use by another process"), hold(tmp_path):
            pass


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be locked"), hold(tmp_path / "file"):
        pass
