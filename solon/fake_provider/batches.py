"""A batch of either service: its rows, how far it is, and the results that it hands out."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from constitution.identity import short_id, unit_interval
from generator.chat import Usage
from solon.fake_provider.asked import Answer, Json
from solon.fake_provider.faults import Fate, Faults

End = Literal["succeeded", "errored", "expired", "canceled"]
Status = Literal["validating", "in_progress", "finalizing", "completed", "expired", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Row:
    custom_id: str
    body: Json


@dataclass(frozen=True, slots=True)
class Result:
    """How a row ended. ``fate`` is what the faults file does to it, ``answer`` what the model's endpoint said."""

    custom_id: str
    end: End
    answer: Answer | None = None
    fate: Fate | None = None


@dataclass(slots=True)
class Batch:
    """A batch under way. Times are whole seconds since the epoch."""

    id: str
    number: int  # of the request that made it
    rows: tuple[Row, ...]
    created_at: float
    status: Status = "validating"
    input_file: str = ""
    metadata: Json | None = None
    errors: list[Json] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)  # one a row, in the order of the rows
    output_file: str | None = None
    error_file: str | None = None
    cancelled_at: float | None = None  # when somebody asked for it
    reached: dict[str, float] = field(default_factory=dict)  # status to the time of it

    def reach(self, status: Status, now: float) -> None:
        self.status = status
        self.reached[status] = now

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "expired", "failed", "cancelled")

    @property
    def counts(self) -> Counter[End]:
        return Counter(result.end for result in self.results)

    @property
    def usage(self) -> Usage:
        spent = [result.answer.usage for result in self.results if result.answer and result.answer.usage]
        return Usage(sum(u.prompt for u in spent), sum(u.completion for u in spent), sum(u.cached for u in spent))

    @property
    def last_status(self) -> Status:
        if self.cancelled_at is not None:
            return "cancelled"
        return "expired" if self.counts["expired"] else "completed"


def handed_out(batch: Batch, faults: Faults) -> list[Result]:
    """The results as the service lists them, with what the faults file does to the list."""
    listed: list[Result] = []
    for result in batch.results:
        if result.fate == "missing":
            continue
        if result.fate == "forged":
            listed.append(Result(short_id("forged", result.custom_id), result.end, result.answer))
        else:
            listed += [result] * (2 if result.fate == "doubled" else 1)
    if faults.batch.shuffled:
        listed.sort(key=lambda result: unit_interval("shuffled", faults.seed, batch.number, result.custom_id))
    return listed


def lines(values: Iterable[Json]) -> bytes:
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values).encode()


def page(ids: Sequence[str], after: str | None, limit: int) -> tuple[list[str], bool]:
    """Up to ``limit`` of ``ids`` behind ``after``, and whether there are more."""
    begin = ids.index(after) + 1 if after in ids else 0
    return list(ids[begin : begin + limit]), begin + limit < len(ids)
