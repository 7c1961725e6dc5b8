"""A run in figures, as they are now: from its summary where that is up to date, else counted from its rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import Any

from constitution.errors import SolonError
from solon.budget import NANO, amount_of
from solon.config import meaning
from solon.figures import Tally
from solon.folder import RunFolder
from solon.journal import Journal
from solon.pipeline import load_row
from solon.prices import price_of
from solon.summary import is_cost_known
from solon.supply import prices_of
from solon.text import printable
from solon.web.places import loaded
from solon.web.runs.standing import Ended, Standing, State, log_tail
from solon.web.served import Served

AT_ONCE = 400  # rows read at one look: after a late start it takes some looks to catch up
FEW_LINES = 12  # of the log


@dataclass(frozen=True, slots=True)
class Counts:
    """What the rows of a run come to; ``counted`` of ``done`` rows are in the figures after it."""

    done: int = 0
    prompts: int = 0
    counted: int = 0
    candidates: int = 0
    pairs: int = 0
    orders_disagree: int = 0
    incomplete: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    no_verdicts: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spending:
    """What all sessions took."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None  # None: a model has no price
    seconds: float | None = None  # of work; None while it runs


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All that the page of a run shows."""

    name: str
    state: State
    counts: Counts
    spending: Spending
    pausing: bool = False
    busy: str = ""  # another verb that has the folder now
    holder: str = ""  # who runs it: process, user, machine
    fault: str = ""
    limit: str = ""
    warnings: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    has_report: bool = False
    changed: bool = False  # the config means something else than the run began with: a start has to accept that


class Counting:
    """The count of one run's rows, which goes on where it left off. Safe from many threads."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.counted: dict[str, str] = {}  # prompts and the recipes of their rows
        self.lock = Lock()

    def of(self, journal: Journal) -> Counts:
        with self.lock:
            recipes = journal.recipes()
            if not self.counted.items() <= recipes.items():  # a session that makes rows anew forgets the old ones
                self.tally, self.counted = Tally(), {}
            new = list(islice((prompt for prompt in recipes if prompt not in self.counted), AT_ONCE))
            try:
                for prompt, body in zip(new, journal.bodies(new), strict=True):
                    self.tally.add(load_row(body))
                    self.counted[prompt] = recipes[prompt]
            except KeyError:
                pass  # forgotten between two looks: the next one finds out
            return counts(self.tally, len(recipes), int(journal.note("prompts") or 0))


def counts(tally: Tally, done: int, prompts: int) -> Counts:
    return Counts(
        done, prompts, tally.rows, tally.candidates, tally.pairs, tally.orders_disagree, tally.incomplete,
        ordered(tally.drops), ordered(tally.no_verdicts), ordered(tally.flags),
    )  # fmt: skip


def ordered(counter: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda entry: (-entry[1], entry[0])))


def circumstances(served: Served, state: State, now: Standing) -> dict[str, Any]:
    folder = served.folder
    busy = f"solon {now.verb}" if now.holder and state != "running" else ""
    return {
        "pausing": now.pausing,
        "busy": printable(busy),
        "holder": printable(str(now.holder)) if now.holder else "",
        "fault": "" if state == "running" else now.fault,
        "log": log_tail(folder.path)[-FEW_LINES:],
        "has_report": folder.report.is_file(),
        "changed": state != "running" and is_changed(served),
    }


def is_changed(served: Served) -> bool:
    """Whether the run.toml of a run that has begun asks for something else by now."""
    if served.config_file is None or not served.begun:
        return False
    try:
        return meaning(loaded(served.config_file)) != meaning(served.folder.config)
    except SolonError:  # whoever starts the run is told
        return False


def said(summary: Ended | None) -> dict[str, Any]:
    """What the last session had to say in words."""
    if summary is None:
        return {}
    warnings, told = (tuple(map(printable, lines)) for lines in (summary.warnings, summary.told))
    return {"limit": printable(summary.limit), "warnings": warnings, "told": told}


def prompts_of(served: Served, summary: Ended) -> int:
    """How many prompts the run has, of which a finished one has a row each."""
    if summary.finished:
        return summary.rows
    with Journal.open(served.folder.journal, read_only=True) as journal:
        return int(journal.note("prompts") or summary.rows)


def of_summary(ended: Ended, prompts: int) -> tuple[Counts, Spending]:
    counted = Counts(
        ended.rows, prompts, ended.rows, ended.candidates, ended.pairs, ended.orders_disagree, ended.incomplete,
        ordered(ended.drops), ordered(ended.no_verdicts), ordered(ended.flags),
    )  # fmt: skip
    took = ended.in_all
    spent = Spending(took.calls_sent, took.prompt_tokens, took.completion_tokens, took.cost_usd, took.seconds)
    return counted, spent


def spending(folder: RunFolder, journal: Journal) -> Spending:
    spent = journal.spent()
    tokens: Counter[str] = Counter()
    for one in spent:
        tokens.update(prompt=one.receipt.usage.prompt, completion=one.receipt.usage.completion)
    try:
        prices = prices_of(folder)
        costs = [amount_of(s.receipt.usage, price_of(prices, s.model), s.receipt.batch).nanodollars for s in spent]
        cost = sum(costs) / NANO if is_cost_known(folder.config, prices) else None
    except SolonError:  # of the prices' file: whoever starts the run is told
        cost = None
    return Spending(sum(one.calls for one in spent), tokens["prompt"], tokens["completion"], cost)
