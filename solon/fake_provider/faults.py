"""The faults file: what goes wrong, how often, and which requests it strikes."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, TypeAdapter

from constitution.checks import STRICT
from constitution.errors import InputError
from constitution.identity import unit_interval
from constitution.tables import read_table

ErrorKind = Literal[
    "rate-limit", "quota", "credit", "auth", "forbidden", "unknown-model", "overflow", "bad-request", "too-large",
    "server-error", "bad-gateway", "unavailable", "overloaded",
]  # fmt: skip
WireKind = Literal["reset", "drip", "hang", "slow", "truncated", "invalid", "wrong-shape"]
ReplyKind = Literal["empty", "null", "length", "window", "filter", "refusal", "surrogate", "nul", "bidi", "huge"]
Kind = Literal[ErrorKind, WireKind, ReplyKind]
Fate = Literal["missing", "doubled", "failed", "expired", "forged"]  # of a batch's row

REPLY_KINDS: frozenset[str] = frozenset(get_args(ReplyKind))  # these change what is said, so only model calls have them
CALLS = frozenset({"POST /v1/chat/completions", "POST /v1/messages"})
ROW = "batch row"  # stands where a request has its method and path

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to go wrong. Without ``share`` and ``first`` it strikes every request that it concerns."""

    __pydantic_config__ = STRICT
    kind: Kind
    share: Share | None = None  # of the requests that it concerns, drawn by hash
    first: Annotated[int, Field(ge=1)] | None = None  # instead: that many, from the first on
    model: str | None = None  # only calls of this model
    on: str | None = None  # a method and a path, as in "GET /v1/batches/*"; the model calls if not given
    retry_after: str | None = None  # sent as it stands here
    header: Literal["retry-after", "retry-after-ms"] = "retry-after"
    seconds: Seconds = 5.0  # drip: for the whole body; slow: on top of the latency
    bytes: Annotated[int, Field(ge=1)] = 10_000_000  # huge: the body's length

    def __post_init__(self) -> None:
        if self.share is not None and self.first is not None:
            raise ValueError("say share or first, not both")
        if self.on and self.kind in REPLY_KINDS and not any(fnmatchcase(call, self.on) for call in CALLS):
            raise ValueError(f"{self.kind} changes what a model says, and on = {self.on!r} is no model call")

    def concerns(self, target: str, model: object) -> bool:
        if self.model is not None and self.model != model:
            return False
        if target == ROW:
            return self.on is None and self.kind in REPLY_KINDS
        return target in CALLS if self.on is None else fnmatchcase(target, self.on)


@dataclass(frozen=True, slots=True)
class BatchFaults:
    """How long a batch takes, and what its results are like. Shares are of the rows, drawn by hash."""

    __pydantic_config__ = STRICT
    seconds: Seconds = 0.5
    shuffled: bool = False  # results in another order than the rows
    missing: Share = 0.0  # no result at all
    doubled: Share = 0.0  # the same result twice
    failed: Share = 0.0  # a server error for a result
    expired: Share = 0.0  # not done in time
    forged: Share = 0.0  # a result under a custom_id that was never sent
    whole: Literal["failed", "expired"] | None = None  # the batch as a whole: no row is done

    def __post_init__(self) -> None:
        if sum(self.shares.values()) > 1:
            raise ValueError(f"the shares {', '.join(self.shares)} come to more than 1")

    @property
    def shares(self) -> dict[Fate, float]:
        return {"missing": self.missing, "doubled": self.doubled, "failed": self.failed, "expired": self.expired,
                "forged": self.forged}  # fmt: skip

    def fate(self, seed: int, batch: int, custom_id: str) -> Fate | None:
        """What happens to a row; a row sent again in another batch is drawn anew."""
        chance = unit_interval("row", seed, batch, custom_id)
        for fate, share in self.shares.items():
            if chance < share:
                return fate
            chance -= share
        return None


@dataclass(frozen=True, slots=True)
class Faults:
    __pydantic_config__ = STRICT
    seed: int = 0
    fault: tuple[Fault, ...] = ()
    batch: BatchFaults = field(default_factory=BatchFaults)


FAULTS = TypeAdapter(Faults)


def load_faults(path: Path) -> Faults:
    """The faults that the file at ``path`` asks for.

    Raises:
        InputError: the file cannot be read, or a key is unknown or wrong; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "name a faults file, in TOML") from None
    return read_table(text, FAULTS, str(path))


class Strikes:
    """Which fault strikes which request: of several the first in the file. It counts, for ``first``."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.seen = [0] * len(faults.fault)

    def draw(self, number: int | str, target: str, model: object) -> Fault | None:
        """The fault for request ``number``; a request sent again has another number, so it is drawn anew."""
        struck = None
        for index, fault in enumerate(self.faults.fault):
            if fault.concerns(target, model):
                self.seen[index] += 1
                if struck is None and self.strikes(index, fault, number):
                    struck = fault
        return struck

    def strikes(self, index: int, fault: Fault, number: int | str) -> bool:
        if fault.first is not None:
            return self.seen[index] <= fault.first
        return fault.share is None or unit_interval("fault", self.faults.seed, index, number) < fault.share
