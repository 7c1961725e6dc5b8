"""A round of the review: what it brings before people, from a run's rows into the store."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from constitution.errors import InputError
from constitution.identity import unit_interval
from constitution.principle import Constitution
from judge.label import Label
from judge.pairs import couple_id
from judge.review.draw import Before, Drawn, Policy, draw, stratum_of
from judge.review.records import Kind
from judge.review.worth import REASONS, Couple, worth
from solon.folder import RunFolder
from solon.journal import Journal
from solon.pipeline import Row
from solon.review.gold import Known, read_gold
from solon.review.labels import labels_csv
from solon.review.opened import begun_review, open_review
from solon.review.records import NewTask, Pooled, Retired, Round
from solon.review.storage.store import Store
from solon.review.tasks import couples_of, showable, task_of
from solon.run import stored_rows

FEWEST_LABELS = 10  # couples, below which the judges' own labels say what to ask next


@dataclass(frozen=True, slots=True)
class DrawAsked:
    """How a round is asked for."""

    n: int
    policy: Policy = "mixed"
    overlap: int = 1  # labels wanted of an item that is drawn for overlap
    overlap_share: float = 1.0  # of the items
    audit_share: float = 0.5
    gold: Path | None = None
    gold_share: float = 0.05  # of what each annotator sees
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RoundTold:
    """A round in figures."""

    round: int  # its number, from 1
    asked: int
    drawn: Mapping[Kind, int]
    reasons: Mapping[str, int]  # of those drawn for their worth; a couple may have several, or none that stands out
    strata: Mapping[str, int]  # of all drawn: the prompt's source and how sure the label is
    couples: int  # of the run that can be shown
    left: int  # of these, not drawn so far
    by_labels: int  # couples labelled by people that decided what is worth asking; 0: the judges' own labels did
    new: int = 0  # couples that no round before could choose from, where one did
    needed: int = 0  # of the new ones, to be drawn at random for an even sample of the whole run


@dataclass(frozen=True, slots=True)
class Pool:
    """What a round draws from."""

    rows: Mapping[str, Row]  # by the couple's id
    couples: Sequence[Couple]
    before: Before
    by_labels: int


def draw_round(
    folder: RunFolder, journal: Journal, store: Store, asked: DrawAsked, *, now: float | None = None
) -> RoundTold:
    """Draws among the couples as the run has them now, and puts the round into the store.

    Raises:
        InputError: there is nothing to draw, or the gold file is not to be used.
    """
    constitution, now = folder.principles(), time.time() if now is None else now
    pool = pool_of(list(stored_rows(journal)), store, constitution)
    store.retire(pool.rows.keys(), now)
    known = new_gold(asked.gold, pool, constitution)
    names = {one.task.item for one in known}
    couples = [couple for couple in pool.couples if couple.item not in names]
    drawn = draw(couples, asked.n, asked.policy, audit_share=asked.audit_share, seed=asked.seed, before=pool.before)
    if not (drawn.tasks or known):
        fact = "every couple was drawn already" if couples else "holds no couple that could be labelled"
        raise InputError(str(folder.path), fact, "carry out more of the run first")
    tasks = [*new_tasks(drawn, pool.rows, constitution, asked), *turned(drawn, store)]
    tasks += [gold_task(one, asked.seed) for one in known]
    share = asked.gold_share if known else 0.0
    noted = Round(asked.n, asked.policy, asked.overlap, asked.overlap_share, asked.audit_share, share, asked.seed)
    number = store.add_round(noted, pooled(couples, drawn), tasks, now)
    return told(number, asked, (couples, drawn, pool), len(known))


def retire_gone(folder: RunFolder, rows: Iterable[Row]) -> Retired:
    """People are no longer given couples that the run no longer has, and get those again that came back.

    Args:
        rows: all of the run's; read only where something was drawn.
    """
    found = begun_review(folder)
    if found is None:
        return Retired(0, 0)
    with found as begun:
        drawn = bool(begun.rounds())
    if not drawn:
        return Retired(0, 0)
    here = {couple_id(label.a, label.b) for row in rows for label in showable(row)}
    with open_review(folder) as store:
        return store.retire(here, time.time())


def pool_of(rows: Sequence[Row], store: Store, constitution: Constitution) -> Pool:
    """The run's couples, apart from what serves to check annotators."""
    kinds = {task.item: task.task.kind for task in store.tasks()}
    chances, by_labels = learnt(rows, store, constitution)
    couples = [couple for couple in couples_of(rows, chances) if kinds.get(couple.item) != "gold"]
    before = Before({one.item: one.probability for one in store.pool()}, kinds)
    found = {couple_id(label.a, label.b): row for row in rows for label in showable(row)}
    return Pool(found, couples, before, by_labels)


def learnt(rows: Sequence[Row], store: Store, constitution: Constitution) -> tuple[Mapping[str, float], int]:
    """The chances of completion 1 that people's labels so far give, and how many couples these are of.

    None where they are too few of couples that the run still has. A label that they may not move, since a check or a
    higher principle decided it, keeps its own.
    """
    gone, here = store.dropped(), {couple_id(label.a, label.b) for row in rows for label in row.labels}
    labelled = {one.item for one in store.labels() if one.kind != "gold" and one.annotator not in gone} & here
    if len(labelled) < FEWEST_LABELS:
        return {}, 0
    from solon.cli.auditing import require_extra

    require_extra("a further round that follows people's labels")
    from solon.auditing.relabel import anchored, movable

    with TemporaryDirectory() as place:
        labels = Path(place) / "labels.csv"
        labels.write_text(labels_csv(store), encoding="utf-8")
        heard = anchored(rows, labels)
    free = {
        couple_id(label.a, label.b)
        for row in rows
        for label in row.labels
        if movable(label, row.judgements, constitution)
    }
    return {item: said.p_a for item, said in heard.couples.items() if item in free}, heard.labelled


def new_gold(file: Path | None, pool: Pool, constitution: Constitution) -> tuple[Known, ...]:
    """The file's items, but for those that people have been asked about already."""
    if file is None:
        return ()
    return tuple(one for one in read_gold(file, pool.rows, constitution) if one.task.item not in pool.before.kinds)


def new_tasks(drawn: Drawn, rows: Mapping[str, Row], constitution: Constitution, asked: DrawAsked) -> list[NewTask]:
    tasks = []
    for one in drawn.tasks:
        row = rows[one.item]
        label = label_of(row, one.item)
        twice = unit_interval("overlap", asked.seed, one.item) < asked.overlap_share
        body = task_of(row, label, constitution)
        tasks.append(NewTask(one.kind, one.place, asked.overlap if twice else 1, body, (label.a, label.b)))
    return tasks


def turned(drawn: Drawn, store: Store) -> list[NewTask]:
    """Items there already that count as drawn at random from now on; nothing else of theirs changes."""
    there = [task.task for task in store.tasks(drawn.turned)] if drawn.turned else []
    return [NewTask("audit", task.place, task.overlap, task.body, task.candidates) for task in there]


def gold_task(one: Known, seed: int) -> NewTask:
    place = unit_interval("place", seed, one.task.item)
    return NewTask("gold", place, 1, one.task, one.candidates, one.choice)


def pooled(couples: Sequence[Couple], drawn: Drawn) -> list[Pooled]:
    return [Pooled(one.item, stratum_of(one), worth(one).score, drawn.pool[one.item]) for one in couples]


def label_of(row: Row, item: str) -> Label:
    return next(label for label in row.labels if couple_id(label.a, label.b) == item)


def growth(couples: Sequence[Couple], before: Before) -> tuple[int, int]:
    """How many couples no round before could choose from, and how many of them an even sample takes, at most."""
    if not before.chances:
        return 0, 0
    new = sum(couple.item not in before.chances for couple in couples)
    evenly = sum(before.kinds.get(item) == "audit" for item in before.chances)
    return new, ceil(new * evenly / len(before.chances))


def told(number: int, asked: DrawAsked, found: tuple[Sequence[Couple], Drawn, Pool], gold: int) -> RoundTold:
    couples, drawn, pool = found
    by_item = {couple.item: couple for couple in couples}
    kinds = Counter(one.kind for one in drawn.tasks)
    sought = Counter(
        reason for one in drawn.tasks if one.kind == "worth" for reason in worth(by_item[one.item]).reasons
    )
    strata = Counter(stratum_of(by_item[one.item]) for one in drawn.tasks)
    left = sum(couple.item not in pool.before.kinds for couple in couples) - len(drawn.tasks)
    counted: dict[Kind, int] = {"audit": kinds["audit"], "worth": kinds["worth"], "gold": gold}
    reasons = {reason: sought[reason] for reason in REASONS if sought[reason]}
    return RoundTold(
        number, asked.n, counted, reasons, dict(sorted(strata.items())), len(couples), left, pool.by_labels,
        *growth(couples, pool.before),
    )  # fmt: skip
