"""Where a run stands, found from what lies in its folder and from who holds its lock.

Nothing is remembered: a run that was begun on the command line, or under a server that is gone, shows just the same.
"""

import fcntl
import os
import shlex
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from solon.folder import RunFolder
from solon.run_lock import HOLDER, LOCK, Holder
from solon.text import printable

State = Literal["not begun", "running", "paused", "done", "stopped by limit", "failed"]
LOG = "web-run.log"
PAUSE = "run.lock.pause"  # who was asked to pause: asked twice, a run stops where it stands
TAIL = 16_384  # bytes of the log's end
Count = Annotated[int, Field(ge=0, le=2**53)]


@dataclass(frozen=True, slots=True)
class Standing:
    state: State
    holder: Holder | None  # who works in the folder now, a run or another verb
    pausing: bool = False  # the run was asked to pause, and finishes its calls in flight
    fault: str = ""  # why it failed, in one line

    @property
    def verb(self) -> str:
        """What the holder does, as the command line calls it."""
        return verb_of(self.holder) if self.holder else ""


def standing(folder: RunFolder) -> Standing:
    holder = holder_of(folder.path)
    if holder and verb_of(holder) == "run":
        return Standing("running", holder, pausing=was_asked_to_pause(folder.path, holder))
    if fault := last_fault(folder):
        return Standing("failed", holder, fault=fault)
    if not folder.config_file.is_file():
        return Standing("not begun", holder)
    summary = summary_of(folder)
    if summary is None or not (summary.finished or summary.limit):
        return Standing("paused", holder)
    if summary.limit:
        return Standing("stopped by limit", holder)
    if 0 < summary.rows == summary.incomplete:
        return Standing("failed", holder, fault="calls failed for every prompt; start tries them again")
    return Standing("done", holder)


@dataclass(frozen=True, slots=True)
class InAll:
    """What all sessions took."""

    calls_sent: Count
    prompt_tokens: Count
    completion_tokens: Count
    cost_usd: FiniteFloat | None
    seconds: FiniteFloat | None


@dataclass(frozen=True, slots=True)
class Ended:
    """What a page shows of ``summary.json``."""

    finished: bool
    limit: str
    rows: Count
    incomplete: Count
    candidates: Count
    pairs: Count
    orders_disagree: Count
    drops: dict[str, Count]
    no_verdicts: dict[str, Count]
    in_all: InAll
    flags: dict[str, Count] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


ENDED = TypeAdapter(Ended)
HELD_BY = TypeAdapter(Holder)


def summary_of(folder: RunFolder) -> Ended | None:
    """What the last session wrote at its end; None where it did not come to one, or it is no summary of a run."""
    if touched(folder.summary) < touched(folder.config_file):  # which every session writes at its beginning
        return None
    try:
        return ENDED.validate_json(folder.summary.read_bytes())
    except (OSError, ValidationError):
        return None


def last_fault(folder: RunFolder) -> str:
    """The line that the last session started here ended with, where that is an error and nothing came after it."""
    if touched(folder.path / LOG) < max(touched(folder.config_file), touched(folder.summary)):
        return ""
    lines = log_tail(folder.path)
    last = lines[-1] if lines else ""
    if last.startswith("error: "):
        return last.removeprefix("error: ")
    broken = any(line.startswith("Traceback (most recent call last)") for line in lines)
    return f"a fault of Solon's: {last}" if broken else ""


def log_tail(folder: Path) -> tuple[str, ...]:
    """The last lines of what the run said, as far as it was started here; without what would move a cursor."""
    try:
        with (folder / LOG).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - TAIL))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    lines = text.splitlines()[1 if size > TAIL else 0 :]  # the first may be half a line
    return tuple(printable(line)[:2000] for line in lines if line.strip())


def holder_of(folder: Path) -> Holder | None:
    """Who holds the folder's lock, which a run that begins just now is not kept from."""
    try:
        holder = HELD_BY.validate_json((folder / HOLDER).read_bytes())
    except (OSError, ValidationError):
        return None
    return holder if may_live(holder) and is_locked(folder / LOCK) else None


def is_locked(path: Path) -> bool:
    """Asks for a share of the lock, and lets go of it at once; ``hold`` tries again where it meets that."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def may_live(holder: Holder) -> bool:
    """False only where the process is known to be gone."""
    if holder.host != socket.gethostname():
        return True
    try:
        os.kill(holder.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def verb_of(holder: Holder) -> str:
    try:
        return shlex.split(holder.command)[1]
    except (ValueError, IndexError):
        return ""


def was_asked_to_pause(folder: Path, holder: Holder) -> bool:
    try:
        return (folder / PAUSE).read_text(encoding="utf-8") == mark_of(holder)
    except (OSError, UnicodeDecodeError):
        return False


def mark_of(holder: Holder) -> str:
    return f"{holder.pid} {holder.host} {holder.since}\n"


def touched(path: Path) -> float:
    """When the file was last written; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns / 1e9
    except OSError:
        return 0.0
