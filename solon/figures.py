"""A run in figures, counted from its rows alone and in one pass over them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from constitution.principle import Constitution
from judge.alarm import ChosenCount, RepeatedText
from judge.audit.position import Position, PositionCount
from judge.canaries import CanariesTold, CanaryCount
from judge.pairs import PreferencePair
from solon.pipeline import Row

GROUPS = ("drafts", "revisions", "chosen", "rejected")


@dataclass(frozen=True, slots=True)
class Kept:
    """Shares in [0, 1] of completions that keep a checked principle; None where there are none of the kind."""

    principle: str
    drafts: float | None
    revisions: float | None
    chosen: float | None
    rejected: float | None


@dataclass(slots=True)
class Tally:
    """Counts over rows, one row at a time."""

    rows: int = 0
    pairs: int = 0
    candidates: int = 0
    edits: int = 0  # of the candidates, those that people wrote
    orders_disagree: int = 0  # pairs whose judge model did not say the same in both orders
    drops: Counter[str] = field(default_factory=Counter)
    no_verdicts: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)  # kinds of manipulation to candidates that show them
    settled: int = 0  # judgements that a cascade's first judge settled alone
    passed_on: int = 0  # and that it passed on to the others
    incomplete: int = 0  # rows in which a call failed; the next run tries them again

    def add(self, row: Row) -> None:
        self.rows += 1
        self.pairs += len(row.pairs)
        self.candidates += len(row.made.candidates)
        self.edits += sum(bool(candidate.author) for candidate in row.made.candidates)
        self.orders_disagree += sum(pair.orders_agree is False for pair in row.pairs)
        self.drops.update(drop.reason for drop in row.drops)
        self.no_verdicts.update(verdict.reason for verdict in row.no_verdicts)
        self.flags.update(flagged.flag for flagged in row.flags)
        self.settled += sum(judgement.alone for judgement in row.judgements)
        self.passed_on += sum(not judgement.heard for judgement in row.judgements)
        self.incomplete += not row.complete


class KeptCount:
    """How often drafts, revisions, chosen and rejected completions keep each principle that has a check.

    What people wrote is no revision: it says nothing of the policy.
    """

    def __init__(self, constitution: Constitution) -> None:
        self.constitution = constitution
        self.counts: Counter[tuple[str, str, bool]] = Counter()

    def add(self, row: Row) -> None:
        prompt = row.made.prompt
        checks = [(p.id, p.check) for p in self.constitution.applying_to(prompt.tags) if p.check]
        for principle, check in checks:
            kept = {c.id: check.kept(prompt.text, c.text) for c in row.made.candidates}
            for candidate in (one for one in row.made.candidates if not one.author):
                self.counts[principle, "revisions" if candidate.is_revision else "drafts", kept[candidate.id]] += 1
            for pair in row.pairs:
                self.counts[principle, "chosen", kept[pair.chosen.id]] += 1
                self.counts[principle, "rejected", kept[pair.rejected.id]] += 1

    def shares(self) -> tuple[Kept, ...]:
        checked = [principle.id for principle in self.constitution.principles if principle.check]
        return tuple(Kept(p, *(self.share(p, group) for group in GROUPS)) for p in checked)

    def share(self, principle: str, group: str) -> float | None:
        kept, broken = self.counts[principle, group, True], self.counts[principle, group, False]
        return kept / (kept + broken) if kept + broken else None


@dataclass(frozen=True, slots=True)
class Seen:
    """One judge: how much its verdicts hang on the order shown, and how it took what was planted."""

    position: Position
    canaries: CanariesTold

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(warning for warning in (self.position.warning, self.canaries.warning) if warning)


class SeenCount:
    """What is seen of every judge, by its name."""

    def __init__(self) -> None:
        self.positions: dict[str, PositionCount] = {}
        self.canaries: dict[str, CanaryCount] = {}

    def add(self, row: Row) -> None:
        for judgement in row.judgements:
            self.positions.setdefault(judgement.judge, PositionCount()).add(judgement)
        for planted in row.planted:
            counted = self.canaries.setdefault(planted.judgement.judge, CanaryCount())
            counted.add(planted.canary, planted.judgement)

    def told(self) -> tuple[Seen, ...]:
        """By name where there are several, else of the one without its name; checks are no judge."""
        names = sorted((self.positions.keys() | self.canaries.keys()) - {""})
        if len(names) < 2:
            return (self.seen(names[0] if names else "", ""),)
        return tuple(self.seen(name, name) for name in names)

    def seen(self, name: str, called: str) -> Seen:
        position, canaries = self.positions.get(name, PositionCount()), self.canaries.get(name, CanaryCount())
        return Seen(position.told(called), canaries.told(called))


@dataclass(frozen=True, slots=True)
class Figures:
    tally: Tally
    judges: tuple[Seen, ...]  # by name
    kept: tuple[Kept, ...]
    example: PreferencePair | None  # a chosen revision where there is one, by the widest margin, then by id
    repeated: tuple[RepeatedText, ...] = ()  # texts chosen for suspiciously many prompts

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the judge's labels are to be doubted, and what to do; none where nothing speaks against them."""
        return (*(w for judge in self.judges for w in judge.warnings), *(text.warning for text in self.repeated[:3]))


class FigureCount:
    """Figures in the making; the order in which rows are added does not matter."""

    def __init__(self, constitution: Constitution) -> None:
        self.tally = Tally()
        self.seen = SeenCount()
        self.kept = KeptCount(constitution)
        self.chosen = ChosenCount()
        self.example: PreferencePair | None = None

    def add(self, row: Row) -> None:
        self.tally.add(row)
        self.kept.add(row)
        self.seen.add(row)
        for pair in row.pairs:
            self.chosen.add(row.made.prompt.id, pair.chosen.text)
        self.example = min((*row.pairs, *([self.example] if self.example else [])), key=tellingness, default=None)

    def told(self) -> Figures:
        return Figures(
            self.tally,
            self.seen.told(),
            self.kept.shares(),
            self.example,
            self.chosen.told(),
        )


def figures(rows: Iterable[Row], constitution: Constitution) -> Figures:
    count = FigureCount(constitution)
    for row in rows:
        count.add(row)
    return count.told()


def tellingness(pair: PreferencePair) -> tuple[bool, float, str]:
    return not pair.chosen.is_revision, -pair.margin, pair.id
