"""People's labels of a run as the table that ``solon audit`` and ``solon export`` read, like anybody's file of labels.

A row is one person's word on one item. A decision over people's words is a row too, by "adjudication: NAME", with "yes"
in ``decided``: it stands for the item's label, and the words below it still tell how far people agree. An item of the
pool that nobody labelled has a row without choice, for its chance to be drawn: an estimate needs it.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, TypeAlias

from constitution.identity import unit_interval
from judge.pairs import couple_id
from judge.review.cells import to_cell
from judge.review.records import Choice, HumanLabel, Kind
from solon.review.records import Decision, Edit, Pooled, StoredTask

COLUMNS = (
    "item", "annotator", "choice", "probability", "said", "strength", "side", "kind", "decided", "source", "seconds",
    "guidelines", "at", "rationale", "flag",
)  # fmt: skip
ADJUDICATION = "adjudication: "
DIGITS = 12  # of a chance: a rest of rounding makes nothing uncertain
Origin: TypeAlias = Kind | Literal["edit", ""]


class Reviewed(Protocol):
    """What of a store the labels are made from."""

    def labels(self) -> tuple[HumanLabel, ...]: ...
    def decisions(self) -> tuple[Decision, ...]: ...
    def edits(self) -> tuple[Edit, ...]: ...
    def tasks(self) -> tuple[StoredTask, ...]: ...
    def pool(self) -> tuple[Pooled, ...]: ...
    def dropped(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Word:
    """A row in which somebody chose."""

    item: str
    annotator: str
    choice: Choice
    kind: Origin
    strength: int | None = None
    side: int | None = None  # the item's own completion that stood on the left
    decided: bool = False
    source: str = ""  # where it was imported from
    seconds: float | None = None
    guidelines: int | None = None
    at: float = 0.0
    rationale: str = ""
    flag: str = ""


def labels_csv(store: Reviewed, without: Collection[str] = ()) -> str:
    """The table, the same for the same store: sorted by item and annotator, a decision after the words that it is over.

    Gold items are not in it, nor is what dropped annotators said, or those in ``without``.
    """
    gone = store.dropped() | set(without)
    tasks = store.tasks()
    kinds = {task.item: task.task.kind for task in tasks}
    words = sorted(words_of(store, kinds, gone), key=lambda one: (one.item, one.decided, one.annotator))
    anyhow = {word.item for word in words if word.kind == "edit"}  # whoever edits has labelled already
    asked = [task for task in tasks if task.task.kind != "gold" and not task.gone and task.item not in anyhow]
    chances = chances_of(store.pool(), asked, {word.item for word in words}) | dict.fromkeys(anyhow, 1.0)
    early = too_early(asked, {word.item for word in words})
    words = [replace(one, kind="worth") if one.kind == "audit" and one.item in early else one for one in words]
    silent = chances.keys() - {word.item for word in words}
    rows = [(word.item, cells(word, chances.get(word.item) or 1.0)) for word in words]
    rows += [(item, blank(item, chances[item])) for item in silent if chances[item] and kinds.get(item) != "gold"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row for _, row in sorted(rows, key=lambda one: one[0]))
    return out.getvalue()


def people_of(store: Reviewed, without: Collection[str] = ()) -> tuple[str, ...]:
    """Whose words are in the table, a name for each word."""
    kinds = {task.item: task.task.kind for task in store.tasks()}
    return tuple(word.annotator for word in words_of(store, kinds, store.dropped() | set(without)))


def words_of(store: Reviewed, kinds: Mapping[str, Kind], gone: Collection[str]) -> Iterator[Word]:
    """Everybody's current labels, what their edits imply where they said nothing themselves, and the decisions."""
    labels = store.labels()
    own = {(label.item, label.annotator) for label in labels}
    for label in labels:
        if label.annotator not in gone and label.kind != "gold":
            yield word(label, kinds.get(label.item, label.kind))
    for said in implied([edit for edit in store.edits() if edit.annotator not in gone]):
        if (said.item, said.annotator) not in own:
            yield said
    for decision in store.decisions():
        if (kind := kinds.get(decision.item, "worth")) != "gold" and decision.by not in gone:
            yield decided(decision, kind)


def word(label: HumanLabel, kind: Kind) -> Word:
    return Word(
        label.item, label.annotator, label.choice, kind, label.strength, label.side,
        source=label.source, seconds=label.seconds, guidelines=label.guidelines, at=label.at,
        rationale=label.rationale, flag=label.flag,
    )  # fmt: skip


def decided(decision: Decision, kind: Kind) -> Word:
    name = f"{ADJUDICATION}{decision.by}"
    return Word(decision.item, name, decision.choice, kind, decided=True, at=decision.at, rationale=decision.rationale)


def implied(edits: Sequence[Edit]) -> Iterator[Word]:
    """Whoever edits a completion prefers the new one to the old: one word for each editor and couple."""
    found: dict[tuple[str, str], Word] = {}
    for edit in edits:
        if edit.revises:
            item = couple_id(edit.id, edit.revises)
            choice: Choice = "1" if edit.id < edit.revises else "2"
            found[item, edit.annotator] = Word(item, edit.annotator, choice, "edit", at=edit.at)
    yield from found.values()


def chances_of(pool: Sequence[Pooled], tasks: Sequence[StoredTask], labelled: Collection[str]) -> dict[str, float]:
    """Each pooled item's chance to have a label by now: to come with a round, times the share labelled of what did.

    What of a round is labelled first is by chance, so that share is the chance of each of them. What a round took for
    certain counts apart, since people may skip more of it; while none of that is labelled, the round's share is its
    own. A round of which nothing is labelled has given nobody a chance yet.
    """
    gains = {one.item: dict(gains_of(one)) for one in pool}
    lots = [(task.item, lot) for task in tasks for lot in gains.get(task.item, ()) if lot.round == task.round]
    drawn, done = Counter(lot for _, lot in lots), Counter(lot for item, lot in lots if item in labelled)
    whole, begun = Counter(lot.round for _, lot in lots), Counter(lot.round for item, lot in lots if item in labelled)

    def share(lot: Lot) -> float:
        if done[lot]:
            return done[lot] / drawn[lot]
        return begun[lot.round] / whole[lot.round] if whole[lot.round] else 0.0

    chances = {item: sum(gain * share(lot) for lot, gain in found.items()) for item, found in gains.items()}
    return {item: min(1.0, round(chance, DIGITS)) for item, chance in chances.items()}


def too_early(tasks: Sequence[StoredTask], labelled: Collection[str]) -> frozenset[str]:
    """Items that a later round counts as drawn evenly, while too little is labelled of what it drew itself.

    They are labelled already: all at once they would stand for couples that nobody has looked at yet.
    """
    drawn, done = Counter(task.round for task in tasks), Counter(task.round for task in tasks if task.item in labelled)
    return frozenset(
        task.item
        for task in tasks
        if task.turned and unit_interval("turned", task.item) * drawn[task.turned] >= done[task.turned]
    )


class Lot(NamedTuple):
    """What of a round is labelled alike."""

    round: int
    certain: bool  # whether the round left nothing to chance


def gains_of(one: Pooled) -> Iterator[tuple[Lot, float]]:
    """By how much each round raised the item's chance to be drawn."""
    had = 0.0
    for number, chance in one.by_round:
        yield Lot(number, round(chance, DIGITS) == 1.0), chance - had
        had = chance


def cells(word: Word, chance: float) -> tuple[str, ...]:
    return tuple(
        map(
            to_cell,
            (
                word.item, word.annotator, word.choice if word.choice in ("1", "2") else "tie", repr(chance),
                word.choice, told(word.strength), told(word.side), word.kind, "yes" if word.decided else "",
                word.source, told(word.seconds), told(word.guidelines), repr(word.at), word.rationale, word.flag,
            ),
        )
    )  # fmt: skip


def blank(item: str, chance: float) -> tuple[str, ...]:
    known = {"item": to_cell(item), "probability": repr(chance)}
    return tuple(known.get(name, "") for name in COLUMNS)


def told(number: float | None) -> str:
    return "" if number is None else repr(number)
