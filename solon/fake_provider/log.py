"""The log: every request as the server saw it, so that a run can be scored by what really arrived."""

import hashlib
import json
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from constitution.errors import InputError


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the log.

    A request has a "begin" when it was read and an "end" when its answer was sent to its last byte, or
    when the client left before that (then without a status). A batch's row has one "row" when it was done.
    """

    event: Literal["begin", "end", "row"]
    number: int  # of the request, from 1; a row has that of the request that brought it
    at: float  # seconds since the server started
    method: str
    path: str
    body: Any  # as JSON; None where it was none
    credential: str | None  # the beginning of the key's SHA-256
    fault: str | None = None
    status: int | None = None
    usage: dict[str, int] | None = None  # tokens billed; None where nothing is
    in_flight: int = 0  # requests begun and not ended, with this one at its begin and without it at its end
    batch: str | None = None
    custom_id: str | None = None


NAMES = tuple(field.name for field in fields(Record))
OF_ROWS = ("batch", "custom_id")


class Log:
    """Writes records to a file, a line at once and straight to the system, and keeps them where asked to.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: Path | None, keep: bool) -> None:
        self.kept: list[Record] | None = [] if keep else None
        try:
            self.file = path.open("ab", buffering=0) if path else None
        except OSError as error:
            raise InputError(str(path), f"cannot be written ({error})", "name a file to log to") from None

    def write(self, record: Record) -> None:
        if self.kept is not None:
            self.kept.append(record)
        if self.file:
            self.file.write(line(record))

    def close(self) -> None:
        if self.file:
            self.file.close()


def line(record: Record) -> bytes:
    names = NAMES if record.event == "row" else (name for name in NAMES if name not in OF_ROWS)
    return json.dumps({name: getattr(record, name) for name in names}, separators=(",", ":")).encode() + b"\n"


@lru_cache(maxsize=256)
def fingerprint(key: str) -> str:
    """Tells keys apart without giving them away: the first 8 hex digits of the SHA-256."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:8]
