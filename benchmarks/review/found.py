"""What the database holds after the load, beside what the annotators were told."""

import resource
from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa
from annotators import Crowd
from serving import OVERLAP, Site

from judge.review.records import shown_choice
from solon.review.opened import open_review
from solon.review.storage.tables import ACTS, CURRENT

SLOWEST = 0.300  # seconds at the 99th percentile


@dataclass(slots=True)
class Bars:
    missed: int = 0

    def hold(self, claim: str, holds: bool) -> None:
        print(f"{'holds ' if holds else 'MISSED'}  {claim}", flush=True)
        self.missed += not holds

    def told(self) -> int:
        print("every bar is reached" if not self.missed else f"{self.missed} bars missed", flush=True)
        return int(self.missed > 0)


def verify(site: Site, crowd: Crowd, bars: Bars) -> None:
    print_figures(site, crowd)
    with open_review(site.folder) as store:
        current = {(one.annotator, one.item): one for one in store.labels()}
        labels = store.labels()
        keys = current_keys(site)
        overlaps = {task.item: task.task.overlap for task in store.tasks()}
    kept = [one for one in crowd.labels if one.key not in crowd.undone]
    lost = [one for one in kept if (one.annotator, one.item) not in current or one.key not in keys]
    other = [
        one
        for one in kept
        if (said := current.get((one.annotator, one.item))) and shown_choice(said.choice, said.side) != one.choice
    ]
    by_item = Counter(one.item for one in labels)
    beyond = [item for item, count in by_item.items() if count > overlaps[item]]
    bars.hold(
        f"{len(kept):,} acknowledged labels, {len(lost)} of them lost, {len(other)} kept otherwise",
        not lost and not other,
    )
    bars.hold(f"{len(beyond)} items beyond the overlap of {OVERLAP}, of {len(by_item):,} labelled", not beyond)
    doubled = len(labels) - len(current)
    bars.hold(f"{doubled} labels doubled: {len(labels):,} rows for as many (annotator, item)", not doubled)
    unknown = [one for one in keys if one not in {label.key for label in crowd.labels}]
    bars.hold(f"{len(unknown)} labels in the database whose save nobody saw acknowledged", not unknown)
    bars.hold(f"the server was killed {site.kills} times", site.kills >= 1)
    bars.hold(f"no reply was a 5xx: {dict(sorted(crowd.statuses.items()))}", not any(s >= 500 for s in crowd.statuses))
    for what in ("label", "next"):
        slow = percentile(crowd.seconds[what], 99)
        bars.hold(f"99th percentile of {what}: {slow * 1000:.0f} ms (at most {SLOWEST * 1000:.0f})", slow <= SLOWEST)


def current_keys(site: Site) -> set[str]:
    """The idempotency keys of the labels that count, read from the table itself."""
    engine = site.folder.review.engine(read_only=True)
    labels = (ACTS.c.run == site.folder.id) & (ACTS.c.act == "label") & CURRENT
    try:
        with engine.connect() as connection:
            return set(connection.scalars(sa.select(ACTS.c.key).where(labels)))
    finally:
        engine.dispose()


def print_figures(site: Site, crowd: Crowd) -> None:
    print(f"{len(site.people)} annotators, {len(crowd.labels):,} labels acknowledged, {crowd.skipped} skips, "
          f"{len(crowd.undone)} undone; {crowd.broken} requests cut off and sent again")  # fmt: skip
    for what, seconds in sorted(crowd.seconds.items()):
        at = [percentile(seconds, share) * 1000 for share in (50, 95, 99, 100)]
        print(f"  {what}: {len(seconds):,} answered; ms at 50/95/99/100 %: {'/'.join(f'{one:.0f}' for one in at)}")
    print(f"  a save until acknowledged, retries and restarts in it: 99 % {percentile(crowd.waited, 99):.2f} s, "
          f"longest {max(crowd.waited):.2f} s; a killed server answered again after "
          f"{max(site.starts):.1f} s at most")  # fmt: skip
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"  largest server process {children.ru_maxrss / 1024:.0f} MB")


def percentile(seconds: list[float], share: float) -> float:
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]
