"""The versions of a principle file: kept beside it, one JSON object a line, in the order in which they were saved."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from solon.web.door.faults import Fault
from solon.web.principles.file import PrincipleText


@dataclass(frozen=True, slots=True)
class SavedVersion:
    at: str  # ISO 8601, UTC
    by: str  # who saved it; empty where it was found on the disk
    note: str
    sha256: str  # of the file's bytes
    text: str


def versions(now: PrincipleText) -> tuple[SavedVersion, ...]:
    """The oldest first; the last one is what is on the disk, kept or only found there."""
    kept = read(history_file(now.path))
    return kept if is_last(now, kept) else (*kept, found(now))


def unkept(now: PrincipleText) -> tuple[SavedVersion, ...]:
    """What is on the disk, where nobody saved it here: it goes into the history before it is replaced."""
    return () if is_last(now, read(history_file(now.path))) else (found(now),)


def is_last(now: PrincipleText, kept: tuple[SavedVersion, ...]) -> bool:
    return bool(kept) and kept[-1].sha256 == now.sha256


def history_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.history")


def read(file: Path) -> tuple[SavedVersion, ...]:
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError:
        return ()
    return tuple(version for line in lines if (version := version_of(line)))


def version_of(line: bytes) -> SavedVersion | None:
    """None for half a line, which a full disk or a kill may have left."""
    try:
        data: Any = json.loads(line)
        version = SavedVersion(**data)
    except (ValueError, TypeError, RecursionError):
        return None
    return version if all(isinstance(value, str) for value in asdict(version).values()) else None


def found(now: PrincipleText) -> SavedVersion:
    """What somebody wrote without this service."""
    return SavedVersion(when(now.at), "", "", now.sha256, now.text)


def when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def new_version(content: bytes, by: str, note: str, at: float) -> SavedVersion:
    return SavedVersion(when(at), by, note, sha256(content).hexdigest(), content.decode())


@contextmanager
def keeping(path: Path) -> Iterator["Keeper"]:
    """Keeps everybody else who saves this file out, in other processes too.

    Raises:
        Fault: the history cannot be written.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(history_file(path), flags, 0o644)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield Keeper(path, handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Keeper:
    path: Path
    handle: int

    def add(self, *new: SavedVersion) -> None:
        """Returns once they are on the disk."""
        size = os.fstat(self.handle).st_size
        torn = size > 0 and os.pread(self.handle, 1, size - 1) != b"\n"
        lines = [json.dumps(asdict(version)).encode() + b"\n" for version in new]
        try:
            with os.fdopen(os.dup(self.handle), "ab") as file:
                file.write(b"".join([b"\n" if torn else b"", *lines]))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self.path, error) from None


def unwritable(path: Path, error: OSError) -> Fault:
    name = history_file(path).name
    return Fault(400, f"{name} cannot be written ({error.strerror})", "make room, or mend the folder's rights")
