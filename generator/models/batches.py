"""Calls as the lines of a batch, and the lines of its results as what became of the calls.

A line belongs to the call that its ``custom_id`` names, which is the call's key, and to no other. Where a
line stands in a file means nothing. Pure, but for the protocol of those who carry batches to a service.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from generator.chat import CallFailure, ChatRequest
from generator.models.replies import UNREADABLE


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service takes in one batch."""

    requests: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Row:
    """What one line of the results says."""

    custom_id: str
    meaning: object = None  # a JSON value, equal where two lines bring the same reply
    failure: CallFailure | None = None  # where the line brings no reply


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is."""

    ended: bool
    failure: CallFailure | None = None  # why it failed as a whole, so that there are no results


@dataclass(frozen=True, slots=True)
class Matched:
    """What became of every call of a batch. Each key is in exactly one of the first three."""

    replies: dict[str, bytes]  # the line, as it came
    failures: dict[str, CallFailure]
    missing: frozenset[str]
    unknown: int = 0  # lines that name no call of this batch
    unreadable: int = 0  # lines that say nothing
    doubled: int = 0  # lines for a call that had one already


class BatchTransport(Protocol):
    """The way of one model's batches to its service and back. A failure that concerns no single call has no key."""

    @property
    def limits(self) -> Limits: ...

    def line(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        """The call as it would go out now, or why it cannot."""
        ...

    async def submit(self, name: str, lines: Sequence[bytes]) -> str | CallFailure:
        """The id of the new batch. After a failure that may pass there may be one all the same.

        Raises:
            InputError: the endpoint takes no batches.
        """
        ...

    async def find(self, name: str, since: float, count: int) -> tuple[str, ...] | CallFailure:
        """The ids of all batches that may be the one submitted under ``name``, with ``count`` lines.

        Only the results show whether one of them is. ``since`` is a time before which there was none,
        in seconds since the epoch by this machine's clock.
        """
        ...

    async def poll(self, batch: str) -> Progress | CallFailure:
        """Raises InputError where the endpoint does not know the batch."""
        ...

    async def results(self, batch: str) -> list[bytes] | CallFailure:
        """All lines of a batch that has ended, of replies and of errors, in any order."""
        ...

    def read(self, line: bytes) -> Row:
        """What a line of the results says; one that says nothing raises. What a model refuses is learned from it."""
        ...


def match(keys: Set[str], lines: Iterable[bytes], read: Callable[[bytes], Row]) -> Matched:
    """What the lines say of each of ``keys``.

    Of several lines for one key a reply counts before a failure, and the first of equal ones before the
    others. Two replies that differ are none: nothing tells which is the call's.
    """
    replies: dict[str, bytes] = {}
    failures: dict[str, CallFailure] = {}
    disputed: set[str] = set()
    unknown = unreadable = doubled = 0
    for line in lines:
        try:
            row = read(line)
        except UNREADABLE:
            unreadable += 1
            continue
        key = row.custom_id
        if key not in keys:
            unknown += 1
            continue
        doubled += key in replies or key in failures
        if row.failure is not None:
            failures.setdefault(key, row.failure)
        elif key not in replies:
            replies[key] = line
        elif read(replies[key]).meaning != row.meaning:
            disputed.add(key)
    for key in disputed:
        del replies[key]
        failures[key] = CallFailure(key, "unreadable", "the batch brought two replies that differ", charged=True)
    failures = {key: failure for key, failure in failures.items() if key not in replies}
    missing = frozenset(keys - replies.keys() - failures.keys())
    return Matched(replies, failures, missing, unknown, unreadable, doubled)


def split(lines: Mapping[str, bytes], limits: Limits) -> list[dict[str, bytes]]:
    """The lines in as few files as the limits allow, in their order. A line longer than a file stands alone."""
    files: list[dict[str, bytes]] = []
    size = 0
    for key, line in lines.items():
        needed = len(line) + 1
        if not files or len(files[-1]) >= limits.requests or size + needed > limits.bytes:
            files.append({})
            size = 0
        files[-1][key] = line
        size += needed
    return files


async def lines_of(chunks: AsyncIterator[bytes], longest: int) -> list[bytes]:
    """The lines of a body that comes in pieces; of a line longer than ``longest`` bytes only the beginning."""
    lines: list[bytes] = []
    parts: list[bytes] = []
    size = 0

    def end() -> None:
        nonlocal size
        if line := b"".join(parts)[:longest].strip():
            lines.append(line)
        parts.clear()
        size = 0

    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            parts.append(part)
            end()
        if rest and size <= longest:
            parts.append(rest)
            size += len(rest)
    end()
    return lines
