"""The principle file that a run's config names: read, and written anew only by whoever knows what is in it now."""

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from constitution.files import find, shipped_folder
from solon.config_file import load_config
from solon.web.door.faults import Fault
from solon.web.served import Served

MOST = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class PrincipleText:
    """What is on the disk."""

    path: Path  # links followed
    text: str
    sha256: str  # of the bytes
    read_only: str  # why it cannot be written; empty where it can
    at: float  # Unix time when it was last written

    @property
    def name(self) -> str:
        return self.path.stem


def principle_text(served: Served, root: Path) -> PrincipleText:
    """The file that the config names, wherever it is; a request has no say in that.

    Raises:
        InputError: there is no such file.
        Fault: it cannot be read.
    """
    named = named_file(served)
    path = named.resolve()
    try:
        with path.open("rb") as file:
            content, at = file.read(MOST + 1), os.fstat(file.fileno()).st_mtime
    except OSError as error:
        raise Fault(
            400, f"the file {named.name} cannot be read ({error.strerror})", "make it readable for the server"
        ) from None
    why = cannot_be_shown(content) or cannot_be_written(named, path, root.resolve())
    text = "" if len(content) > MOST else content.decode("utf-8", errors="replace")
    return PrincipleText(path, text, sha256(content).hexdigest(), why, at)


def named_file(served: Served) -> Path:
    """By the run.toml as it is now, where there is one: the next session will go by it."""
    if served.config_file is None:
        return served.folder.source_principles()
    return find(load_config(served.config_file).constitution, served.config_file.resolve().parent)


def cannot_be_shown(content: bytes) -> str:
    if len(content) > MOST:
        return "it is longer than 1 MiB"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    return ""


def cannot_be_written(named: Path, path: Path, root: Path) -> str:
    if path.parent == shipped_folder().resolve():
        return "it is shipped with Solon; copy it beside run.toml, and name the copy there"
    if not path.is_relative_to(root):
        via = "the config names a link that leads out of" if named.is_symlink() else "it lies outside"
        remedy = "serve the folder that holds both run.toml and the run: `solon serve .` there"
        return f"{via} the folder that is served; {remedy}"
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return "the server may not write it, or the folder that it is in"
    return ""


def encoded(text: str, now: str) -> bytes:
    """The text with the line ends that the file has: a browser knows only one kind."""
    ends = "\r\n" in now and "\r" not in text
    return (text.replace("\n", "\r\n") if ends else text).encode()


def write_bytes(path: Path, content: bytes) -> None:
    """At once and whole, on the disk when it returns; owner and rights stay as they are.

    Raises:
        Fault: it cannot be written.
    """
    was = path.stat()
    draft = ""
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            with contextlib.suppress(PermissionError):  # only root can give a file away
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        flush_folder(path.parent)
    except OSError as error:
        if draft:
            Path(draft).unlink(missing_ok=True)
        raise Fault(
            400, f"the file {path.name} cannot be written ({error.strerror})", "make room, or mend its rights"
        ) from None


def flush_folder(folder: Path) -> None:
    """Returns once the names of its files are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
