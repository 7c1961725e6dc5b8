"""One process per run folder. The operating system's lock decides; the file beside it only says who."""

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

from filelock import FileLock, Timeout

from constitution.errors import InputError, StorageError

LOCK = "run.lock"
HOLDER = "run.lock.json"


@dataclass(frozen=True, slots=True)
class Holder:
    pid: int
    host: str
    user: str
    command: str
    since: str  # ISO 8601, UTC

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host} since {self.since} ({self.command})"


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keeps every other ``hold`` on the folder out, in this process too, until left or killed.

    Raises:
        InputError: another one holds it. Nobody waits longer than a look at the lock may take.
        StorageError: the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, thread_local=False)
    owner = os.getpid()
    try:
        with _storage_errors(folder):
            _acquire(lock)
    except Timeout:
        fact = f"in use by {_holder(folder / HOLDER) or 'another process'}"
        raise InputError(str(folder), fact, "wait for it, stop it, or give this run another name") from None
    try:
        with _storage_errors(folder):
            _announce(folder / HOLDER)
        yield
    finally:
        if os.getpid() == owner:  # a child forked inside must not let go of what its parent holds
            (folder / HOLDER).unlink(missing_ok=True)
            lock.release()


def _acquire(lock: FileLock) -> None:
    """Raises Timeout. Whoever only looks whether it is held has a share of it for a moment, which keeps nobody out."""
    for _ in range(5):
        try:
            lock.acquire(timeout=0)
            return
        except Timeout:
            time.sleep(0.02)
    lock.acquire(timeout=0)


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        remedy = "make the folder writable, make room, or choose another"
        raise StorageError(f"{folder}: cannot be locked ({error.strerror}): {remedy}") from error


def _announce(path: Path) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = Holder(os.getpid(), socket.gethostname(), _user(), shlex.join(sys.argv), since)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(holder)), encoding="ascii")
    draft.replace(path)


def _user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "an unnamed user"


def _holder(path: Path) -> Holder | None:
    """Who holds the lock. A new holder gets half a second to replace what a killed one left."""
    for _ in range(25):
        holder = _read(path)
        if holder is not None and _alive(holder):
            break
        time.sleep(0.02)
    return holder


def _read(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _alive(holder: Holder) -> bool:
    """False only where the process is known to be gone."""
    if holder.host != socket.gethostname() or os.name != "posix":
        return True
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
