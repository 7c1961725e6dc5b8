"""A small process that ends others when this one is gone, however it went.

A model's engine runs in processes of its own, and nothing tells them when the process that uses them is
killed: they would keep the memory of the graphics card. The guard reads a pipe whose other end only this
process holds. The kernel closes it when this process dies, even of SIGKILL; then the guard ends what it
was told to. (Linux's parent-death signal would do for a child of ours, but not for that child's
children, and not where a library starts the child.)
"""

import subprocess
import sys

GRACE = 10.0  # seconds between asking a process to end and ending it

# Runs in a bare interpreter, so that it starts at once and takes little memory. A negative number is a group.
SCRIPT = """
import os, signal, sys, time

def send(number, which):
    try:
        os.killpg(-number, which) if number < 0 else os.kill(number, which)
    except (ProcessLookupError, PermissionError):
        return False
    return True

numbers = [int(line) for line in sys.stdin]
left = [number for number in numbers if send(number, signal.SIGTERM)]
end = time.monotonic() + float(sys.argv[1])
while left and time.monotonic() < end:
    time.sleep(0.05)
    left = [number for number in left if send(number, 0)]
for number in left:
    send(number, signal.SIGKILL)
"""


class Guard:
    """Ends the processes named to it once this process has died.

    Args:
        grace: seconds that they get to end by themselves.
    """

    def __init__(self, grace: float = GRACE) -> None:
        command = [sys.executable, "-I", "-S", "-c", SCRIPT, f"{grace:g}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,  # Ctrl-C is for this process alone
        )  # fmt: skip

    def watch(self, number: int) -> None:
        """Adds a process by its id, or a whole group of them by its negative."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def dismiss(self) -> None:
        """Ends the guard, and nothing else."""
        self.process.kill()
        self.process.communicate()
