"""What the service keeps of its runs between two looks: the processes it started, the counts, who watches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from constitution.errors import SolonError
from solon.journal import Journal
from solon.web.runs.feed import Feed
from solon.web.runs.live import (
    Counting,
    Counts,
    RunFacts,
    Spending,
    circumstances,
    of_summary,
    prompts_of,
    said,
    spending,
)
from solon.web.runs.process import Children
from solon.web.runs.standing import State, standing, summary_of
from solon.web.served import Served


@dataclass(slots=True)
class Hub:
    """Safe from many threads, but for ``feed``."""

    children: Children = field(default_factory=Children)
    feeds: dict[str, Feed[RunFacts]] = field(default_factory=dict)
    _counting: dict[str, Counting] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def feed(self, name: str, find: Callable[[str], Served | None]) -> Feed[RunFacts]:
        """For the event loop alone. ``find`` is asked at each look: a run's config may be another one by then."""

        def look() -> RunFacts:
            served = find(name)
            if served is None:
                raise SolonError(f"{name}: is no run any more")
            return self.facts(served)

        return self.feeds.setdefault(name, Feed(look))

    def facts(self, served: Served) -> RunFacts:
        """The run as it is now; reads at most some hundreds of rows."""
        now = standing(served.folder)
        state: State = "running" if self.children.runs(served.folder.path) else now.state
        summary = summary_of(served.folder) if state not in ("running", "not begun") else None
        if summary:
            counted, spent = of_summary(summary, prompts_of(served, summary))
        else:
            counted, spent = self._live(served)
        return RunFacts(served.name, state, counted, spent, **circumstances(served, state, now), **said(summary))

    def _live(self, served: Served) -> tuple[Counts, Spending]:
        if not served.begun:
            return Counts(), Spending()
        with self._lock:
            counting = self._counting.setdefault(served.name, Counting())
        with Journal.open(served.folder.journal, read_only=True) as journal:
            return counting.of(journal), spending(served.folder, journal)
