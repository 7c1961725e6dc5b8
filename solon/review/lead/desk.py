"""What the lead sees of a run's review, gathered from its store: the state of the work, and single items in dispute."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judge.pairs import couple_id
from judge.review.people import Known
from judge.review.records import Choice, HumanLabel, Side, Task, shown_choice
from judge.review.sides import side
from judge.verdict import Judgement, NoVerdict, OneVerdict
from solon.pipeline import Row
from solon.review.errors import Unknown
from solon.review.lead.disputes import Dispute, disputes
from solon.review.lead.progress import Progress, Slot, progress
from solon.review.records import Annotator, Decision, Edit, Guidelines, StoredRound, StoredTask
from solon.review.storage.store import Store


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn, as far as figures need it: it changes with a new round only."""

    rounds: int
    slots: tuple[Slot, ...]
    right: Mapping[str, Choice]  # of the items whose label is known
    words: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Desk:
    """One look at the store."""

    drawn: Drawn
    labels: tuple[HumanLabel, ...]
    annotators: tuple[Annotator, ...]
    decisions: tuple[Decision, ...]
    rounds: tuple[StoredRound, ...]
    guidelines: Guidelines

    @property
    def dropped(self) -> frozenset[str]:
        return frozenset(one.name for one in self.annotators if one.dropped)

    @property
    def kept(self) -> tuple[HumanLabel, ...]:
        """The labels of everybody who is not dropped."""
        return tuple(label for label in self.labels if label.annotator not in self.dropped)

    @property
    def state(self) -> int:
        """Another one wherever the figures may be others. It means nothing outside this process."""
        return hash((self.labels, self.annotators, self.decisions, len(self.rounds)))

    def known(self) -> Known:
        skips = {one.name: one.skips for one in self.annotators if one.skips}
        return Known(self.drawn.right, self.drawn.words, skips, self.dropped)

    def progress(self, now: float) -> Progress:
        return progress(self.drawn.slots, self.kept, now)

    def disputes(self) -> tuple[Dispute, ...]:
        return disputes(self.labels, {one.item: one.choice for one in self.decisions}, self.dropped)

    def by_version(self) -> Mapping[int, int]:
        """How many labels were made under each version of the guidelines."""
        return dict(sorted(Counter(label.guidelines for label in self.labels).items()))


def desk(store: Store, before: Drawn | None = None) -> Desk:
    """Each part is read by itself: labels may arrive between two of them.

    Args:
        before: what an earlier look found drawn; reading all items again takes longest.
    """
    rounds = store.rounds()
    drawn = before if before and before.rounds == len(rounds) else drawn_of(store.tasks(), len(rounds))
    return Desk(drawn, store.labels(), store.annotators(), store.decisions(), rounds, store.guidelines())


def drawn_of(tasks: Sequence[StoredTask], rounds: int) -> Drawn:
    return Drawn(
        rounds,
        tuple(Slot(one.item, one.task.kind, one.round, one.task.overlap) for one in tasks if not one.gone),
        {one.item: one.task.known for one in tasks if one.task.known},
        {one.item: words(one.task.body) for one in tasks},
    )


def words(task: Task) -> int:
    """What must be read at least to label: of two versions of one text, one and what differs, which may be little."""
    one, other = (len(text.split()) for text in task.completions)
    return min(one, other) if task.related else one + other


@dataclass(frozen=True, slots=True)
class Given:
    """A label as the adjudicator sees it: sides are the adjudicator's own."""

    annotator: str
    choice: Choice
    strength: int | None
    rationale: str
    flag: str
    seconds: float
    guidelines: int
    dropped: bool


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A completion as an annotator would have it."""

    annotator: str
    completion: Side  # as shown: 1 is left
    text: str


@dataclass(frozen=True, slots=True)
class Looked:
    """An item in dispute as annotators saw it, the sides drawn for this adjudicator, and what was said of it."""

    task: Task
    side: Side
    labels: tuple[Given, ...]  # by name
    decision: Decision | None  # its choice as shown
    edits: tuple[Rewritten, ...]
    known: Choice | None = (
        None  # as shown: the label of an item that checks annotators; a decision changes nothing of it
    )

    @property
    def left_and_right(self) -> tuple[str, str]:
        one, other = self.task.completions
        return (one, other) if self.side == 1 else (other, one)


def look(store: Store, item: str, adjudicator: str) -> Looked:
    """
    Raises:
        Unknown: the item was never drawn.
    """
    task = next((one for one in store.tasks([item]) if one.item == item), None)
    if task is None:
        raise Unknown(item)
    first, dropped = side_for(item, adjudicator), store.dropped()
    labels = sorted((one for one in store.labels() if one.item == item), key=lambda one: one.annotator)
    made = next((one for one in reversed(store.decisions()) if one.item == item), None)
    return Looked(
        task.task.body,
        first,
        tuple(given(label, first, label.annotator in dropped) for label in labels),
        made and Decision(item, shown_choice(made.choice, first), made.by, made.rationale, made.at),
        tuple(rewritten(edit, task, first) for edit in store.edits() if edit.item == item),
        task.task.known and shown_choice(task.task.known, first),
    )


def side_for(item: str, adjudicator: str) -> Side:
    """Drawn as for annotators, so that an adjudicator who leans to one side leans to no completion."""
    return side(0, item, adjudicator)


def rewritten(edit: Edit, task: StoredTask, first: Side) -> Rewritten:
    number: Side = 1 if edit.revises == task.task.candidates[0] else 2
    return Rewritten(edit.annotator, 1 if number == first else 2, edit.text)


def given(label: HumanLabel, first: Side, dropped: bool) -> Given:
    return Given(
        label.annotator, shown_choice(label.choice, first), label.strength, label.rationale, label.flag,
        label.seconds, label.guidelines, dropped,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one judge, or a check, says under one principle."""

    judge: str  # "" for a check
    principle: str
    p_left: float | None  # None: no verdict
    orders_agree: bool | None
    heard: bool  # False where a cheaper judge was too unsure
    left_first: str  # what it said in each order, in words; "" where it was not asked
    right_first: str


@dataclass(frozen=True, slots=True)
class AiLabel:
    """The run's own label of an item."""

    p_left: float | None
    decided_by: tuple[str, ...]
    spoken: tuple[Spoken, ...]


def ai_label(rows: Sequence[Row], item: str, first: Side) -> AiLabel | None:
    """None where the run says nothing of it, as of an item that was brought in from a file."""
    for row in rows:
        for label in row.labels:
            if couple_id(label.a, label.b) == item:
                said = [one for one in row.judgements if (one.a, one.b) == (label.a, label.b)]
                return AiLabel(on_left(label.p_a, first), label.decided_by, tuple(spoken(one, first) for one in said))
    return None


def spoken(one: Judgement, first: Side) -> Spoken:
    by = "" if one.by == "check" else one.judge or "the judge"
    orders = [in_words(one.forward, 1, first), in_words(one.backward, 2, first)]
    left_first, right_first = (orders if first == 1 else orders[::-1]) if one.backward else ("", "")
    return Spoken(by, one.principle, on_left(one.p_a, first), one.orders_agree, one.heard, left_first, right_first)


def in_words(verdict: OneVerdict | None, shown_first: Side, left: Side) -> str:
    """
    Args:
        shown_first: the completion in the judge's first slot.
        left: the completion that this adjudicator has on the left.
    """
    if verdict is None:
        return ""
    if isinstance(verdict, NoVerdict):
        return f"no verdict: {verdict.reason}"
    if verdict.slot_preferred == 0:
        return verdict.preference
    chance = verdict.p_first if verdict.slot_preferred == 1 else 1 - verdict.p_first
    where = "first" if (verdict.slot_preferred == 1) == (shown_first == left) else "second"
    return f"{where}, {100 * chance:.0f} %"


def on_left(p_one: float | None, first: Side) -> float | None:
    return None if p_one is None else p_one if first == 1 else 1 - p_one
