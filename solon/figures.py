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
    orders_disagree: int = 0  # pairs whose judge model did not say the same in both orders
    drops: Counter[str] = field(default_factory=Counter)
    no_verdicts: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)  # kinds of manipulation to candidates that show them
    incomplete: int = 0  # rows in which a call failed; the next run tries them again

    def add(self, row: Row) -> None:
        self.rows += 1
        self.pairs += len(row.pairs)
        self.candidates += len(row.made.candidates)
        self.orders_disagree += sum(pair.orders_agree is False for pair in row.pairs)
        self.drops.update(drop.reason for drop in row.drops)
        self.no_verdicts.update(verdict.reason for verdict in row.no_verdicts)
        self.flags.update(flagged.flag for flagged in row.flags)
        self.incomplete += not row.complete


class KeptCount:
    """How often drafts, revisions, chosen and rejected completions keep each principle that has a check."""

    def __init__(self, constitution: Constitution) -> None:
        self.constitution = constitution
        self.counts: Counter[tuple[str, str, bool]] = Counter()

    def add(self, row: Row) -> None:
        prompt = row.made.prompt
        checks = [(p.id, p.check) for p in self.constitution.applying_to(prompt.tags) if p.check]
        for principle, check in checks:
            kept = {c.id: check.kept(prompt.text, c.text) for c in row.made.candidates}
            for candidate in row.made.candidates:
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
class Figures:
    tally: Tally
    position: Position  # how much the judge model's verdicts hang on the order shown
    kept: tuple[Kept, ...]
    example: PreferencePair | None  # a chosen revision where there is one, by the widest margin, then by id
    canaries: CanariesTold = field(default_factory=lambda: CanaryCount().told())
    repeated: tuple[RepeatedText, ...] = ()  # texts chosen for suspiciously many prompts

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the judge's labels are to be doubted, and what to do; none where nothing speaks against them."""
        found = (self.position.warning, self.canaries.warning, *(text.warning for text in self.repeated[:3]))
        return tuple(warning for warning in found if warning)


class FigureCount:
    """Figures in the making; the order in which rows are added does not matter."""

    def __init__(self, constitution: Constitution) -> None:
        self.tally = Tally()
        self.position = PositionCount()
        self.kept = KeptCount(constitution)
        self.canaries = CanaryCount()
        self.chosen = ChosenCount()
        self.example: PreferencePair | None = None

    def add(self, row: Row) -> None:
        self.tally.add(row)
        self.kept.add(row)
        for judgement in row.judgements:
            self.position.add(judgement)
        for planted in row.planted:
            self.canaries.add(planted.canary, planted.judgement)
        for pair in row.pairs:
            self.chosen.add(row.made.prompt.id, pair.chosen.text)
        self.example = min((*row.pairs, *([self.example] if self.example else [])), key=tellingness, default=None)

    def told(self) -> Figures:
        return Figures(
            self.tally,
            self.position.told(),
            self.kept.shares(),
            self.example,
            self.canaries.told(),
            self.chosen.told(),
        )


def figures(rows: Iterable[Row], constitution: Constitution) -> Figures:
    count = FigureCount(constitution)
    for row in rows:
        count.add(row)
    return count.told()


def tellingness(pair: PreferencePair) -> tuple[bool, float, str]:
    return not pair.chosen.is_revision, -pair.margin, pair.id
