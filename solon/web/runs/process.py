"""Starting a run in a process of its own, and pausing one. The process outlives the server that started it."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Protocol

from solon.folder import make_folder
from solon.run_lock import LOCK, Holder
from solon.web.door.faults import Fault
from solon.web.runs.standing import LOG, PAUSE, holder_of, mark_of, standing
from solon.web.served import Served

ASKED = "it was asked to pause already, and finishes its calls in flight"


class Child(Protocol):
    """What is used of ``subprocess.Popen``."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...


def command(served: Served, accept_changes: bool) -> tuple[str, ...]:
    """``solon run``; nothing of it comes from a request but whether changes are accepted."""
    source = (str(served.config_file), "--out", str(served.folder.path)) if served.config_file else ()
    accept = ("--accept-changes",) if accept_changes else ()
    # -P: what lies in the folder that the server was started in is no module
    return (sys.executable, "-P", "-m", "solon", "run", *(source or (str(served.folder.path),)), *accept)


def spawn(words: tuple[str, ...], log: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, so that what ends the server's terminal does not end the run."""
    handle = begin_log(log)
    try:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True)
    finally:
        os.close(handle)


def begin_log(log: Path) -> int:
    """Empties it, unless a process that another server has just started writes there: its words are not for us to take.

    Whoever gets the handle, and all who have it from them, hold the log's lock until the last one closes it.
    """
    try:
        handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Fault(400, f"{log.name} cannot be written ({error.strerror})", "make the run's folder writable") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
    except BlockingIOError:
        pass  # the run's own lock decides which of the two goes on; both say so here
    return handle


@dataclass(slots=True)
class Children:
    """The processes that this server started and that have not ended, by run folder. Safe from many threads."""

    begin: Callable[[tuple[str, ...], Path], Child] = spawn
    _alive: dict[Path, Child] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def runs(self, folder: Path) -> bool:
        """Whether one is alive there: it may not have taken the run's lock yet."""
        child = self._alive.get(folder)
        return child is not None and child.poll() is None

    def start(self, served: Served, accept_changes: bool) -> None:
        """Starts the run, or goes on with it.

        Raises:
            Fault: somebody is at work in its folder.
            InputError: the folder cannot be made or written.
        """
        folder = served.folder.path
        with self._lock:
            now = standing(served.folder)
            if now.holder:
                raise Fault(409, f"the run is in use by {now.holder}", "wait for it, or pause it first")
            if self.runs(folder):
                raise Fault(409, "the run is starting already", "wait a moment")
            make_folder(folder)
            child = self.begin(command(served, accept_changes), folder / LOG)
            self._alive[folder] = child
            Thread(target=child.wait, name=f"waits for {child.pid}", daemon=True).start()


def pause(folder: Path) -> None:
    """Asks the run in ``folder`` to finish its calls in flight and stop. Start goes on from there.

    Raises:
        Fault: nobody runs there, it is elsewhere or someone else's, or it was asked before.
    """
    holder = holder_of(folder)
    now = "nothing runs here" if holder is None else f"{holder} is at work here"
    if holder is None or holder.host != socket.gethostname():
        raise Fault(409, now, "pause it on its own machine" if holder else "start it first")
    with process_of(holder) as process:
        if not (has_open(process.pid, folder / LOCK) and is_ours(process.pid)):
            raise Fault(409, f"process {holder.pid} is not known to be the run", "pause it where it was started")
        if is_asked(folder / PAUSE, holder):
            raise Fault(409, ASKED, "wait for it")
        process.interrupt()


@dataclass(frozen=True, slots=True)
class Process:
    """One process for certain: its number may pass to another, its handle cannot."""

    pid: int
    handle: int | None  # None where the system has no such handles

    def interrupt(self) -> None:
        try:
            if self.handle is None:
                os.kill(self.pid, signal.SIGINT)
            else:
                signal.pidfd_send_signal(self.handle, signal.SIGINT)
        except ProcessLookupError:
            raise gone() from None
        except PermissionError:
            raise Fault(409, "the run belongs to another user of this machine", "pause it where it runs") from None


@contextmanager
def process_of(holder: Holder) -> Iterator[Process]:
    if not hasattr(os, "pidfd_open"):
        yield Process(holder.pid, None)
        return
    try:
        handle = os.pidfd_open(holder.pid)
    except OSError:
        raise gone() from None
    try:
        yield Process(holder.pid, handle)
    finally:
        os.close(handle)


def gone() -> Fault:
    return Fault(409, "the run has just ended", "look again")


def has_open(pid: int, lock: Path) -> bool:
    """Whether the process has the lock's file open; where the system does not tell, its word in the folder counts."""
    files = Path(f"/proc/{pid}/fd")
    if not Path("/proc/self/fd").is_dir():
        return True
    try:
        wanted = lock.stat()
        return any(is_same(file, wanted) for file in files.iterdir())
    except OSError:
        return False


def is_same(file: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(file.stat(), wanted)
    except OSError:
        return False  # closed since


def is_ours(pid: int) -> bool:
    """Whether the process is Solon's and carries out a run."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        said = subprocess.run(("ps", "-o", "command=", "-p", str(pid)), capture_output=True, check=False)
        words = said.stdout.split()
    return any(b"solon" in word for word in words) and b"run" in words


def is_asked(mark: Path, holder: Holder) -> bool:
    """Notes that this holder is asked to pause; True where it was noted before."""
    try:
        handle = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Fault(400, f"{mark.name} cannot be written ({error.strerror})", "make the folder writable") from None
    with os.fdopen(handle, "r+", encoding="utf-8", errors="replace") as file:
        fcntl.flock(handle, fcntl.LOCK_EX)  # of two who ask at once, one is the first
        if file.read() == mark_of(holder):
            return True
        file.seek(0)
        file.truncate()
        file.write(mark_of(holder))
    return False
