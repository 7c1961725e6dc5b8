"""How far the labelling has come, and when it will be done at this pace."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from judge.review.records import HumanLabel, Kind

HOUR = 3600.0
FEWEST_SECONDS = 60.0  # that a pace is taken from


@dataclass(frozen=True, slots=True)
class Slot:
    """An item that was drawn, and how many people are to label it."""

    item: str
    kind: Kind
    round: int
    overlap: int


@dataclass(frozen=True, slots=True)
class Part:
    """The items of one round and kind. Of known items nobody says how many labels are wanted: everybody gets them."""

    round: int
    kind: Kind
    items: int
    labelled: int  # items with a label
    wanted: int | None
    labels: int


@dataclass(frozen=True, slots=True)
class Progress:
    """``wanted`` and ``labels`` count labels of items that are not known; no item has more than are wanted of it."""

    items: int
    labelled: int
    wanted: int
    labels: int
    parts: tuple[Part, ...]
    per_hour: float  # labels, known items' too, in the last hour; 0 where nobody labels
    hours_left: float | None  # at this pace; None where nobody labels
    last: float | None  # when the last label came


def progress(slots: Sequence[Slot], labels: Sequence[HumanLabel], now: float) -> Progress:
    """Of the labels that count."""
    had = Counter(label.item for label in labels)
    parts = tuple(
        part([slot for slot in slots if (slot.round, slot.kind) == key], had)
        for key in sorted({(slot.round, slot.kind) for slot in slots})
    )
    open_ones = [one for one in parts if one.wanted is not None]
    wanted, done = sum(one.wanted or 0 for one in open_ones), sum(one.labels for one in open_ones)
    pace = per_hour([label.at for label in labels], now)
    useful = per_hour([label.at for label in labels if label.kind != "gold"], now)
    return Progress(
        sum(one.items for one in open_ones),
        sum(one.labelled for one in open_ones),
        wanted,
        done,
        parts,
        pace,
        (wanted - done) / useful if useful else None,
        max((label.at for label in labels), default=None),
    )


def part(slots: Sequence[Slot], had: Counter[str]) -> Part:
    known = slots[0].kind == "gold"
    return Part(
        slots[0].round,
        slots[0].kind,
        len(slots),
        sum(had[slot.item] > 0 for slot in slots),
        None if known else sum(slot.overlap for slot in slots),
        sum(had[slot.item] if known else min(had[slot.item], slot.overlap) for slot in slots),
    )


def per_hour(times: Iterable[float], now: float) -> float:
    """Over the last hour, or over the time since the first label where that is shorter."""
    before = sorted(at for at in times if at <= now)
    recent = [at for at in before if at > now - HOUR]
    return len(recent) * HOUR / max(FEWEST_SECONDS, min(HOUR, now - before[0])) if recent else 0.0
