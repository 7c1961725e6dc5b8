"""What a run came to, in figures: counted from its rows alone."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from constitution.principle import Constitution
from judge.audit.position import Position, position
from judge.verdict import Judgement
from solon.folder import RunFolder, write_whole
from solon.journal import Journal
from solon.models import Meter
from solon.pipeline import Row
from solon.run import Outcome, stored_rows


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
    incomplete: int = 0  # rows in which a call failed; the next run tries them again

    def add(self, row: Row) -> None:
        self.rows += 1
        self.pairs += len(row.pairs)
        self.candidates += len(row.made.candidates)
        self.orders_disagree += sum(pair.orders_agree is False for pair in row.pairs)
        self.drops.update(drop.reason for drop in row.drops)
        self.no_verdicts.update(verdict.reason for verdict in row.no_verdicts)
        self.incomplete += not row.complete


def tally(rows: Iterable[Row]) -> Tally:
    counts = Tally()
    for row in rows:
        counts.add(row)
    return counts


def judge_position(rows: Iterable[Row]) -> Position:
    """How much the judge model's verdicts hang on the order shown, over all rows."""

    def by_model() -> Iterator[Judgement]:
        for row in rows:
            yield from (judgement for judgement in row.judgements if judgement.by == "model")

    return position(by_model())


def kept_shares(rows: Iterable[Row], constitution: Constitution) -> tuple[Kept, ...]:
    """For each principle with a check, how often drafts, revisions, chosen and rejected completions keep it."""
    counts: Counter[tuple[str, str, bool]] = Counter()
    for row in rows:
        prompt = row.made.prompt
        groups = {
            "drafts": [c for c in row.made.candidates if not c.is_revision],
            "revisions": [c for c in row.made.candidates if c.is_revision],
            "chosen": [pair.chosen for pair in row.pairs],
            "rejected": [pair.rejected for pair in row.pairs],
        }
        checks = [(p.id, p.check) for p in constitution.applying_to(prompt.tags) if p.check]
        for (principle, check), (group, members) in product(checks, groups.items()):
            counts.update((principle, group, check.kept(prompt.text, member.text)) for member in members)

    def share(principle: str, group: str) -> float | None:
        kept, broken = counts[principle, group, True], counts[principle, group, False]
        return kept / (kept + broken) if kept + broken else None

    checked = [principle.id for principle in constitution.principles if principle.check]
    return tuple(Kept(p, *(share(p, g) for g in ("drafts", "revisions", "chosen", "rejected"))) for p in checked)


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run went, as ``--json`` gives it and as a person reads it."""

    data: dict[str, Any]
    text: str


def summarise(folder: RunFolder, journal: Journal, outcome: Outcome, cost_usd: float | None) -> Summary:
    """Counts the run's rows and writes ``summary.json`` into its folder."""
    counts, judge = tally(stored_rows(journal)), judge_position(stored_rows(journal))
    meter = outcome.meter
    data = {
        "run": str(folder.path),
        "finished": not outcome.interrupted,
        "rows": counts.rows,
        "incomplete": counts.incomplete,
        "candidates": counts.candidates,
        "pairs": counts.pairs,
        "orders_disagree": counts.orders_disagree,
        "drops": dict(counts.drops.most_common()),
        "no_verdicts": dict(counts.no_verdicts.most_common()),
        "failures": dict(meter.failures.most_common()),
        "calls_sent": meter.sent,
        "calls_reused": meter.reused,
        "tokens": {
            "prompt": meter.prompt_tokens,
            "completion": meter.completion_tokens,
            "cached": meter.cached_tokens,
        },
        "cost_usd": cost_usd,
        "seconds": round(outcome.seconds, 2),
        "in_all": add_up(journal, meter, outcome.seconds),
        "judge": {**asdict(judge), "warning": judge.warning},
    }
    write_whole(folder.summary, json.dumps(data, indent=2) + "\n")
    return Summary(data, told(data))


def add_up(journal: Journal, meter: Meter, seconds: float) -> dict[str, float]:
    """What the run took over all its sessions, this one included; kept in the journal."""
    before = json.loads(journal.note("in_all") or "{}")
    now = {
        "calls_sent": meter.sent,
        "prompt_tokens": meter.prompt_tokens,
        "completion_tokens": meter.completion_tokens,
        "seconds": round(seconds, 2) if meter.sent else 0.0,
    }
    total: dict[str, float] = {name: before.get(name, 0) + value for name, value in now.items()}
    journal.set_note("in_all", json.dumps(total))
    return total


def told(data: dict[str, Any]) -> str:
    tokens = data["tokens"]
    lines = [
        f"{data['rows']} prompts, {data['candidates']} candidates, {data['pairs']} preference pairs"
        f" ({data['orders_disagree']} where the judge's two orders disagree)",
        *(f"  dropped {count}: {reason}" for reason, count in data["drops"].items()),
        *(f"  no verdict {count}: {reason}" for reason, count in data["no_verdicts"].items()),
        f"{data['calls_sent']} calls sent, {data['calls_reused']} reused; {tokens['prompt']:,} tokens read"
        f" ({tokens['cached']:,} from a cache), {tokens['completion']:,} written; {data['seconds']:.0f} s",
    ]
    if data["judge"]["warning"]:
        lines.append(data["judge"]["warning"])
    if data["incomplete"]:
        lines.append(f"{data['incomplete']} rows have failed calls ({data['failures']}): run again to try them again")
    if not data["finished"]:
        lines.append("interrupted: run again to go on; nothing that was received is lost")
    return "\n".join([*lines, f"everything is in {data['run']}, the report in {data['run']}/report.md"])
