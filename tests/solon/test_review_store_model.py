"""The store beside a model of it in plain dictionaries, over long random courses of leases, labels, undos and time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from judge.review.records import Choice, HumanLabel, Task, shown_choice
from solon.database import Database
from solon.review.errors import Dropped, LeaseLost, NotYours, ReviewError, Unknown
from solon.review.records import Leased, NewTask, Round, Said, Saved
from solon.review.storage.leasing import LEASE
from solon.review.storage.store import Store

ANNOTATORS = ("ann", "bob", "eve")
ITEMS = tuple(f"item{n}" for n in range(6))
CHOICES: tuple[Choice, ...] = ("1", "2", "tie", "both good", "both bad")
RUNS = count()

people = st.sampled_from(ANNOTATORS)
items = st.sampled_from((*ITEMS, "nothing"))
choices = st.sampled_from(CHOICES)


@dataclass
class Word:
    """What somebody said of an item, as shown; no choice for a skip."""

    item: str
    annotator: str
    choice: Choice | None
    imported: bool = False


@dataclass
class Model:
    overlap: dict[str, int] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)  # current ones, oldest first
    hands: dict[str, tuple[str, float]] = field(default_factory=dict)  # the item last leased, and until when
    given: set[tuple[str, str]] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def word(self, annotator: str, item: str) -> Word | None:
        return next((w for w in self.words if (w.annotator, w.item) == (annotator, item)), None)

    def labels(self, item: str) -> int:
        return sum(w.item == item and w.choice is not None for w in self.words)

    def room(self, annotator: str, item: str, now: float) -> bool:
        held = sum(name != annotator and at == item and until > now for name, (at, until) in self.hands.items())
        return self.labels(item) + held < self.overlap[item]

    def lease(self, annotator: str, item: str, now: float) -> str:
        self.hands[annotator] = (item, now + LEASE)
        self.given.add((annotator, item))
        return item

    def next(self, annotator: str, now: float) -> str | None:
        if annotator in self.dropped:
            return None
        item, until = self.hands.get(annotator, ("", 0.0))
        if until > now:
            return item
        there = sorted(self.overlap.keys() - self.gone)
        free = [i for i in there if not self.word(annotator, i) and self.room(annotator, i, now)]
        return self.lease(annotator, free[0], now) if free else None

    def say(self, annotator: str, item: str, choice: Choice | None, now: float) -> type[ReviewError] | None:
        """The error that is due, if one is."""
        if annotator in self.dropped:
            return Dropped
        if item not in self.overlap:
            return Unknown
        if (annotator, item) not in self.given:
            return NotYours
        before = self.word(annotator, item)
        labelled = before is not None and before.choice is not None
        if choice is not None and not labelled and not self.room(annotator, item, now):
            return LeaseLost
        if before is not None:
            self.words.remove(before)
        self.words.append(Word(item, annotator, choice))
        self.back_with_a_label(item)
        self.out_of_hand(annotator, item)
        return None

    def back_with_a_label(self, item: str) -> None:
        if self.labels(item):
            self.gone.discard(item)

    def retire(self, here: set[str], now: float) -> tuple[int, int]:
        in_hand = {item for item, until in self.hands.values() if until > now}
        back = self.gone & here
        gone = {i for i in self.overlap.keys() - here - self.gone - in_hand if not self.labels(i)}
        self.gone = (self.gone - back) | gone
        return len(gone), len(back)

    def out_of_hand(self, annotator: str, item: str) -> None:
        if self.hands.get(annotator, ("", 0.0))[0] == item:
            del self.hands[annotator]

    def undo(self, annotator: str, now: float) -> tuple[str, Choice | None] | None:
        own = [w for w in self.words if w.annotator == annotator and not w.imported]
        if not own:
            return None
        self.words.remove(own[-1])
        if not self.room(annotator, own[-1].item, now):
            return None
        return self.lease(annotator, own[-1].item, now), own[-1].choice

    def take_in(self, label: HumanLabel, shown: Choice) -> None:
        before = self.word(label.annotator, label.item)
        if before is not None:
            self.words.remove(before)
        self.words.append(Word(label.item, label.annotator, shown, imported=True))
        self.back_with_a_label(label.item)
        self.given.add((label.annotator, label.item))
        self.out_of_hand(label.annotator, label.item)


class Review(RuleBasedStateMachine):
    database: Database  # set by the test

    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open(self.database, f"run {next(RUNS)}")  # one database, a run for every course
        self.model = Model()
        self.now = 1_000.0
        self.keys = count()
        self.said: list[tuple[str, str, Said, str, Saved]] = []

    def teardown(self) -> None:
        self.store.close()

    @initialize(overlaps=st.lists(st.integers(1, 3), min_size=3, max_size=3))
    def first_round(self, overlaps: list[int]) -> None:
        self.add(dict(zip(ITEMS[:3], overlaps, strict=True)))

    @rule(overlaps=st.dictionaries(st.sampled_from(ITEMS), st.integers(1, 3), max_size=4))
    def another_round(self, overlaps: dict[str, int]) -> None:
        self.add(overlaps)

    def add(self, overlaps: dict[str, int]) -> None:
        new = [NewTask("worth", ITEMS.index(i) / 10, k, task(i)) for i, k in overlaps.items()]
        self.store.add_round(Round(3, "mixed", 1, 0.0, 0.5, 0.0, 1), [], new, self.now)
        self.model.gone -= overlaps.keys()
        self.model.overlap |= {i: max(k, self.model.overlap.get(i, 0)) for i, k in overlaps.items()}

    @rule(annotator=people, late=st.sampled_from((0.0, 0.0, LEASE)))
    def ask(self, annotator: str, late: float = 0.0) -> None:
        self.now += late
        leased = self.store.next(annotator, self.now)
        assert (leased and leased.item) == self.model.next(annotator, self.now)
        assert leased is None or leased.until == self.model.hands[annotator][1]

    @rule(annotator=people, choice=choices, late=st.sampled_from((0.0, 0.0, LEASE)))
    def work(self, annotator: str, choice: Choice, late: float) -> None:
        self.ask(annotator)
        self.now += late
        if annotator in self.model.hands:
            self.label(annotator, self.model.hands[annotator][0], choice)

    @precondition(lambda self: self.model.words)
    @rule(data=st.data(), choice=st.sampled_from((*CHOICES, None)))
    def think_again(self, data: st.DataObject, choice: Choice | None) -> None:
        word = data.draw(st.sampled_from(self.model.words))
        if choice is None:
            self.skip(word.annotator, word.item)
        else:
            self.label(word.annotator, word.item, choice)

    @rule(annotator=people, item=items, choice=choices)
    def label_anything(self, annotator: str, item: str, choice: Choice) -> None:
        self.label(annotator, item, choice)

    def label(self, annotator: str, item: str, choice: Choice) -> None:
        due, said, key = self.model.say(annotator, item, choice, self.now), Said(choice), self.key()
        if due is None:
            saved = self.store.save(annotator, item, said, key=key, now=self.now)
            self.said.append((annotator, item, said, key, saved))
        else:
            with pytest.raises(due):
                self.store.save(annotator, item, said, key=key, now=self.now)

    @rule(annotator=people, item=items)
    def skip(self, annotator: str, item: str) -> None:
        if (due := self.model.say(annotator, item, None, self.now)) is None:
            self.store.skip(annotator, item, "", key=self.key(), now=self.now)
        else:
            with pytest.raises(due):
                self.store.skip(annotator, item, "", key=self.key(), now=self.now)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def say_the_same_again(self, data: st.DataObject) -> None:
        annotator, item, said, key, saved = data.draw(st.sampled_from(self.said))
        assert self.store.save(annotator, item, said, key=key, now=self.now) == saved

    @precondition(lambda self: self.model.words)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        annotator = data.draw(st.sampled_from(self.model.words)).annotator
        if annotator in self.model.dropped:
            with pytest.raises(Dropped):
                self.store.undo(annotator, key=self.key(), now=self.now)
            return
        key, due = self.key(), self.model.undo(annotator, self.now)
        undone = self.store.undo(annotator, key=key, now=self.now)
        assert told(undone) == due
        assert self.store.undo(annotator, key=key, now=self.now) == undone

    @rule(annotator=people, item=items)
    def heartbeat(self, annotator: str, item: str) -> None:
        if annotator in self.model.dropped:
            with pytest.raises(Dropped):
                self.store.heartbeat(annotator, item, self.now)
            return
        held = self.model.hands.get(annotator, ("", 0.0))[0] == item and self.model.room(annotator, item, self.now)
        due = self.now + LEASE if held else None
        assert self.store.heartbeat(annotator, item, self.now) == due
        if due is not None:
            self.model.hands[annotator] = (item, due)

    @rule(annotator=people, item=st.sampled_from(ITEMS[:3]), choice=choices)
    def take_in(self, annotator: str, item: str, choice: Choice) -> None:
        word = self.model.word(annotator, item)
        # An import may go beyond the overlap; here it does not, so that the invariant below can be asked for.
        if not self.model.room(annotator, item, self.now) or (word is not None and word.choice is not None):
            return
        words = self.key()  # the very same label a second time would be passed over
        label = HumanLabel(item, annotator, choice, None, words, 1, 1.0, self.now, 0, "worth")
        self.store.take_in([label], "tool")
        self.model.take_in(label, choice)

    @rule(here=st.sets(st.sampled_from(ITEMS)))
    def the_run_changes(self, here: set[str]) -> None:
        told = self.store.retire(here, self.now)
        assert (told.gone, told.back) == self.model.retire(here, self.now)

    @rule(annotator=people, dropped=st.booleans())
    def drop(self, annotator: str, dropped: bool) -> None:
        if annotator in {known.name for known in self.store.annotators()}:
            self.store.set_dropped(annotator, dropped, "lead", self.now)
            (self.model.dropped.add if dropped else self.model.dropped.discard)(annotator)

    @rule(seconds=st.sampled_from((1.0, 400.0, LEASE, LEASE + 1)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store.open(self.database, self.store._run)

    @invariant()
    def the_labels_are_the_models(self) -> None:
        labels = [(x.item, x.annotator, shown_choice(x.choice, x.side)) for x in self.store.labels()]
        assert labels == [(w.item, w.annotator, w.choice) for w in self.model.words if w.choice is not None]
        assert {(x.item, x.annotator) for x in self.store.skips()} == {
            (w.item, w.annotator) for w in self.model.words if w.choice is None
        }

    @invariant()
    def no_item_has_more_labels_than_it_wants(self) -> None:
        for stored in self.store.tasks():
            assert stored.labels == self.model.labels(stored.item) <= self.model.overlap[stored.item]
            assert stored.task.overlap == self.model.overlap[stored.item]
            assert stored.gone == (stored.item in self.model.gone)

    @invariant()
    def all_sums_are_what_counting_gives(self) -> None:
        totals, model = self.store.totals(), self.model
        there = {i: wanted for i, wanted in model.overlap.items() if i not in model.gone}
        open_items = {i for i, wanted in there.items() if model.labels(i) < wanted}
        labels = sum(map(model.labels, model.overlap))
        assert (totals.items, totals.open) == (len(model.overlap), len(open_items))
        assert (totals.labels, totals.wanted) == (labels, sum(there.values()))
        for name in ANNOTATORS:
            mine, progress = [w for w in model.words if w.annotator == name], self.store.progress(name)
            assert progress.done == sum(w.choice is not None for w in mine)
            assert progress.skipped == len(mine) - progress.done
            assert progress.open_for_you == len(open_items - {w.item for w in mine})

    def key(self) -> str:
        return str(next(self.keys))


def told(undone: Leased | None) -> tuple[str, Choice | None] | None:
    return None if undone is None else (undone.item, undone.saved and undone.saved.choice)


def task(item: str) -> Task:
    return Task(item, "prompt", "", (), ("One.", "Two."), False, ())


@pytest.fixture
def courses(database: Database) -> Iterator[settings]:
    Review.database = database
    phases = (Phase.generate, Phase.shrink) if database.is_file else (Phase.generate,)  # there each step takes longer
    yield settings(
        max_examples=20 if database.is_file else 5,
        stateful_step_count=35,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
        database=None,
    )
    del Review.database


def test_every_course_goes_as_in_the_model(courses: settings) -> None:
    run_state_machine_as_test(Review, settings=courses)
