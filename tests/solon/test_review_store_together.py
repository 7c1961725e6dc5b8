"""Many annotators at once, in threads and in killed processes: nothing lost, doubled, or beyond the overlap."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Barrier
from typing import TypeVar

import pytest

import solon
from judge.review.records import Task
from solon.database import Database
from solon.review.errors import LeaseLost
from solon.review.records import NewTask, Round, Said
from solon.review.storage.leasing import LEASE
from solon.review.storage.store import Store

T = TypeVar("T")

NOW = 1_000.0
PEOPLE = [f"person {n}" for n in range(20)]
ROUND = Round(3, "mixed", 1, 0.0, 0.5, 0.0, 1)

# Labels whatever it gets, and tells each label once the store has acknowledged it.
CHILD = """
import os, sys, time
from sqlalchemy import make_url
from solon.database import Database
from solon.review.records import Said
from solon.review.storage.store import Store

store = Store.open(Database(make_url(os.environ["ADDRESS"]), os.environ["SCHEMA"]), "run")
while leased := store.next(sys.argv[1], 1000.0):
    store.save(sys.argv[1], leased.item, Said("1"), key=leased.item, now=1000.0)
    print(leased.item, flush=True)
    time.sleep(0.01)  # SQLite does not queue processes: without a pause one of them might do it all
"""


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    with Store.open(database, "run") as opened:
        yield opened


def fill(store: Store, items: int, overlap: int) -> None:
    tasks = [Task(f"item{n:03}", "prompt", "", (), ("One.", "Two."), False, ()) for n in range(items)]
    store.add_round(ROUND, [], [NewTask("worth", n / 1000, overlap, task) for n, task in enumerate(tasks)], NOW)


def all_at_once(work: Callable[[str], T], people: list[str] = PEOPLE) -> list[T]:
    """What ``work`` gives for each person, all of them begun at the same moment."""
    start = Barrier(len(people))

    def begin(name: str) -> T:
        start.wait()
        return work(name)

    with ThreadPoolExecutor(len(people)) as threads:
        return list(threads.map(begin, people))


def check_sums(store: Store) -> None:
    """All counts are those of the labels, and no item has more than it wants or two of one person."""
    labels = store.labels()
    assert len({(one.item, one.annotator) for one in labels}) == len(labels)
    counts = Counter(one.item for one in labels)
    tasks = store.tasks()
    assert all(one.labels == counts[one.item] <= one.task.overlap for one in tasks)
    totals = store.totals()
    assert totals.labels == len(labels)
    assert totals.open == sum(one.labels < one.task.overlap for one in tasks)


def test_twenty_who_ask_at_once_get_exactly_the_places_there_are(store: Store) -> None:
    fill(store, 5, overlap=2)
    for turn in range(4):  # each time what was leased before has run out
        now = NOW + turn * (LEASE + 1)
        leased = all_at_once(lambda name, now=now: store.next(name, now))  # type: ignore[misc]
        assert Counter(one.item for one in leased if one) == {f"item{n:03}": 2 for n in range(5)}


def test_of_twenty_late_saves_at_once_as_many_are_taken_as_were_wanted(store: Store) -> None:
    fill(store, 4, overlap=3)
    for item in range(4):
        now = NOW + item * 200 * LEASE
        for turn, name in enumerate(PEOPLE):  # each lease has run out when the next person asks
            leased = store.next(name, now + turn * (LEASE + 1))
            assert leased
            assert leased.item == f"item{item:03}"

        def save(name: str, item: str = f"item{item:03}", late: float = now + 100 * LEASE) -> bool:
            try:
                store.save(name, item, Said("1"), key=item, now=late)
            except LeaseLost:
                return False
            return True

        assert sum(all_at_once(save)) == 3
        check_sums(store)


def test_many_tabs_of_one_person_hold_one_item_and_give_one_label(store: Store) -> None:
    fill(store, 9, overlap=2)
    leased = all_at_once(lambda _: store.next("ann", NOW))
    assert {one.item for one in leased if one} == {"item000"}
    saved = all_at_once(lambda _: store.save("ann", "item000", Said("1"), key="one", now=NOW))
    assert saved == saved[:1] * len(saved)
    all_at_once(lambda key: store.save("ann", "item000", Said("2"), key=key, now=NOW))
    assert [one.item for one in store.labels()] == ["item000"]
    undone = all_at_once(lambda _: store.undo("ann", key="undo", now=NOW))
    assert undone == undone[:1] * len(undone)
    check_sums(store)


def test_a_busy_day_of_twenty_loses_and_doubles_nothing(store: Store) -> None:
    fill(store, 12, overlap=2)

    def day(name: str) -> set[str]:
        """Labels, skips and takes back by the dice; the items whose label holds, as the store acknowledged it."""
        dice, mine, said, now = Random(name), list[str](), set[str](), NOW
        for turn in range(12):
            now += dice.choice((1.0, LEASE / 2, LEASE + 1))  # everybody's clock goes its own way
            leased, act = store.next(name, now), dice.random()
            if act < 0.2 and mine:
                store.undo(name, key=f"undo {turn}", now=now)
                said.discard(mine.pop())
            elif leased is not None and act < 0.4:
                store.skip(name, leased.item, "", key=f"skip {turn}", now=now)
                mine.append(leased.item)
            elif leased is not None:
                with suppress(LeaseLost):
                    store.save(
                        name, leased.item, Said("1"), key=f"save {turn}", now=now + dice.choice((0.0, 2 * LEASE))
                    )
                    mine.append(leased.item)
                    said.add(leased.item)
        return said

    held = all_at_once(day)
    check_sums(store)
    acknowledged = {(item, name) for name, mine in zip(PEOPLE, held, strict=True) for item in mine}
    assert acknowledged == {(one.item, one.annotator) for one in store.labels()}


@pytest.fixture
def begin(database: Database, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts an annotator as a process of its own."""
    begun: list[subprocess.Popen[str]] = []
    root = Path(solon.__file__).parents[1]
    address = database.url.render_as_string(hide_password=False)
    place = {"ADDRESS": address, "SCHEMA": database.schema, "PYTHONPATH": str(root)}

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, name]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **place}))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def line_of(child: subprocess.Popen[str]) -> str:
    """The next item that the child tells, in full; nothing at the end."""
    assert child.stdout
    line = child.stdout.readline()
    return line.strip() if line.endswith("\n") else ""


def test_what_processes_acknowledged_before_they_were_killed_is_there(
    store: Store, begin: Callable[[str], subprocess.Popen[str]]
) -> None:
    fill(store, 1000, overlap=1)
    told: list[tuple[str, str]] = []
    children = {name: begin(name) for name in ("ann", "bob")}
    first = {name: [line_of(child) for _ in range(8)] for name, child in children.items()}
    for child in children.values():
        child.kill()
    for name, child in children.items():
        told += [(line, name) for line in (*first[name], *iter(lambda child=child: line_of(child), ""))]  # type: ignore[misc]
    labels = {(one.item, one.annotator) for one in store.labels()}
    assert labels.issuperset(told)
    assert len(labels) <= len(told) + 2  # what was under way at each of the two deaths
    check_sums(store)
    for name in ("ann", "bob"):
        leased = store.next(name, NOW)
        assert leased
        assert leased.item not in {item for item, _ in labels}
