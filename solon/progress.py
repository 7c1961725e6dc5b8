"""What a person sees while a run works: a live line on a terminal, plain lines elsewhere. All of it on stderr."""

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

PLAIN_EVERY = 10.0  # seconds between two plain lines
RECENT = 6  # plain lines that the time left is reckoned from


class Reporter(Protocol):
    """Told how far some work is; ``facts`` is a short text that goes with it."""

    def at(self, done: int, facts: str) -> None: ...

    def expect(self, total: int) -> None:
        """Told how much there is in all, where that was not known exactly before."""
        ...

    def note(self, text: str) -> None: ...

    def abandon(self) -> None:
        """Leaves the terminal usable where the process ends at once."""
        ...


class PlainReporter:
    """A line every ten seconds and one at the end: for logs and pipes."""

    def __init__(self, title: str, total: int, done: int) -> None:
        self.title, self.total = title, total
        self.lines = deque([(time.monotonic(), done)], maxlen=RECENT)  # when, and how much was done by then

    def at(self, done: int, facts: str) -> None:
        now = time.monotonic()
        if now - self.lines[-1][0] >= PLAIN_EVERY or (done >= self.total and done > self.lines[-1][1]):
            began, before = self.lines[0]
            self.lines.append((now, done))
            left = (now - began) / (done - before) * (self.total - done) if done > before else 0.0
            until = f", about {left:.0f} s left" if left else ""
            self.note(f"{self.title}: {done}/{self.total}{until}{', ' + facts if facts else ''}")

    def expect(self, total: int) -> None:
        self.total = total

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def abandon(self) -> None:
        """Nothing to put right."""


class LiveReporter:
    """One line that renews itself, with a bar, the time left and the facts."""

    def __init__(self, progress: Progress, title: str, total: int, done: int) -> None:
        self.progress = progress
        self.task = progress.add_task(title, total=total, completed=done, facts="")

    def at(self, done: int, facts: str) -> None:
        self.progress.update(self.task, completed=done, facts=facts)

    def expect(self, total: int) -> None:
        self.progress.update(self.task, total=total)

    def note(self, text: str) -> None:
        self.progress.console.print(text, highlight=False, markup=False)

    def abandon(self) -> None:
        self.progress.console.show_cursor(True)


@contextmanager
def showing(title: str, total: int, done: int = 0) -> Iterator[Reporter]:
    """A reporter that suits where stderr goes; ``done`` of ``total`` were done before."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainReporter(title, total, done)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]{task.fields[facts]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield LiveReporter(progress, title, total, done)
