import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from generator.models.guard import Guard

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)",
]
# Starts a child and a grandchild in a group of their own, has the guard watch the group, and waits to be killed.
HOLDER = """
import subprocess, sys, time
from generator.models.guard import Guard

guard = Guard(grace=0.2)
sleep = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleep!r}])"
child = subprocess.Popen([sys.executable, "-c", nested], start_new_session=True)
guard.watch(-child.pid)
time.sleep(600)
"""


def soon(true: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if true():
            return True
        time.sleep(0.02)
    return False


def is_gone(pid: int) -> bool:
    """Also where nobody has collected its status yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def started(command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it is up
    return process


def end(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def test_what_is_watched_ends_with_the_process_that_used_it_also_when_that_is_killed() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    grandchild = int(holder.stdout.readline())
    assert not is_gone(grandchild)
    holder.kill()
    holder.wait()
    holder.stdout.close()  # the grandchild has it too, so its end would be long in coming
    assert soon(lambda: is_gone(grandchild))


def test_what_will_not_end_when_it_is_asked_to_is_ended() -> None:
    deaf = started(DEAF)
    guard = Guard(grace=0.1)
    guard.watch(deaf.pid)
    assert guard.process.stdin is not None
    guard.process.stdin.close()  # what the kernel does when this process dies
    assert deaf.wait(20) == -signal.SIGKILL
    guard.process.wait(20)
    end(deaf)


def test_a_guard_that_is_dismissed_ends_nothing() -> None:
    sleeper = started(SLEEP)
    guard = Guard(grace=0.1)
    guard.watch(sleeper.pid)
    guard.dismiss()
    assert guard.process.returncode == -signal.SIGKILL
    assert sleeper.poll() is None
    end(sleeper)


def test_what_has_ended_already_does_not_keep_the_guard_from_the_rest() -> None:
    gone, sleeper = started(SLEEP), started(SLEEP)
    end(gone)
    guard = Guard(grace=0.1)
    guard.watch(gone.pid)
    guard.watch(sleeper.pid)
    assert guard.process.stdin is not None
    guard.process.stdin.close()
    assert sleeper.wait(20) == -signal.SIGTERM
    guard.process.wait(20)
    end(sleeper)


def test_ctrl_c_does_not_reach_the_guard() -> None:
    guard = Guard()
    assert os.getpgid(guard.process.pid) != os.getpgid(0)
    guard.dismiss()
