"""The lead's figures, kept until they are out of date and made again beside the service, never in front of anybody.

A request gets what is there, and a thread that waits for a child process sees to the next.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Thread
from typing import TypeAlias

from constitution.errors import SolonError
from solon.review.drawing import RoundTold
from solon.review.lead.apart import DRAW, REFUSED, TOLD, Draw
from solon.review.lead.desk import Desk, Drawn, desk
from solon.review.lead.figures import FIGURES, MEASURED, Asked, Measured
from solon.review.storage.store import Store
from solon.web.door.faults import log

EVERY = 30.0  # seconds between two beginnings
LONGEST = 900.0  # seconds that a child may take

NEEDED = ("numpy", "pyarrow", "scipy")  # by the child
FAILED = "The figures could not be made, and are tried again: whoever runs the service finds the reason in its output."
MISSING = "The figures need packages that are not installed: pip install 'solon[audit]', and start the service again."

Work: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known now. ``measured`` is of the time ``at``; ``current`` says whether it is of the present state."""

    measured: Measured | None
    at: float | None
    current: bool
    working: bool
    fault: str


@dataclass(frozen=True, slots=True)
class Page:
    """The audit as a page. Without a text it is being made, or has failed."""

    state: object  # what it was made of
    text: str = ""
    failed: bool = False


@dataclass(slots=True)
class Kept:
    """Of one run."""

    state: object = None  # what ``measured`` was made of
    wanted: object = None  # what the last attempt was made of
    measured: Measured | None = None
    at: float | None = None
    begun: float | None = None
    working: bool = False
    fault: str = ""
    drawn: Drawn | None = None
    page: Page | None = None


def figures_apart(asked: Asked) -> Measured:
    return MEASURED.validate_json(apart("figures", FIGURES.dump_json(asked)))


def page_apart(audit: bytes) -> str:
    return apart("page", audit).decode()


def round_apart(wanted: Draw) -> RoundTold:
    return TOLD.validate_json(apart("draw", DRAW.dump_json(wanted)))


def apart(what: str, given: bytes) -> bytes:
    """
    Raises:
        SolonError: the child says that the input is to blame.
        subprocess.SubprocessError: it failed, or took too long.
    """
    # -P: a module that lies in the folder that the service was started in is none of ours.
    command = [sys.executable, "-P", "-m", "solon.review.lead.apart", what]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, timeout=LONGEST, check=False)
    if done.returncode == REFUSED and done.stdout:
        raise SolonError(done.stdout.decode())
    done.check_returncode()
    return done.stdout


def in_a_thread(work: Work) -> None:
    Thread(target=work, daemon=True).start()


@dataclass(slots=True)
class Measuring:
    """Of all runs. Safe from many threads."""

    compute: Callable[[Asked], Measured] = figures_apart
    page_of: Callable[[bytes], str] = page_apart
    draw: Callable[[Draw], RoundTold] = round_apart
    start: Callable[[Work], None] = in_a_thread
    _runs: dict[Path, Kept] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)  # of what is kept; nothing is read or made while it is held

    def figures(self, folder: Path, state: object, ask: Callable[[], Asked], now: float) -> Figures:
        """What is there now; makes it anew where ``state`` is another one and the last beginning is long enough ago.

        Args:
            ask: gathers what the figures are made of; called only where they are made anew, in front of nobody.
        """
        kept = self._kept(folder)
        with self._lock:
            rested = kept.begun is None or not 0 <= now - kept.begun < EVERY
            begins = not kept.working and state != kept.wanted and rested
            if begins:
                kept.begun, kept.wanted, kept.working = now, state, True
        if begins:
            self.start(partial(self._measure, kept, state, ask, now))
        with self._lock:
            return Figures(kept.measured, kept.at, state == kept.state, kept.working, kept.fault)

    def look(self, folder: Path, store: Store) -> Desk:
        """The store as it is now; what was drawn is read again only after a new round."""
        kept = self._kept(folder)
        seen = desk(store, kept.drawn)
        kept.drawn = seen.drawn
        return seen

    def page(self, folder: Path) -> Page | None:
        """The audit's page, made once for the figures that are there; None where none are. One that failed is told
        once, and made anew for whoever asks again."""
        kept = self._kept(folder)
        with self._lock:
            if kept.measured is None or kept.measured.audit is None:
                return None
            begins = kept.page is None or kept.page.state != kept.state
            if begins:
                kept.page = Page(kept.state)
                work = partial(self._make_page, kept, kept.page, kept.measured.audit)
        if begins:
            self.start(work)
        with self._lock:
            page = kept.page
            if page and page.failed:
                kept.page = None
            return page

    def _kept(self, folder: Path) -> Kept:
        with self._lock:
            return self._runs.setdefault(folder, Kept())

    def _measure(self, kept: Kept, state: object, ask: Callable[[], Asked], now: float) -> None:
        found, fault = None, FAILED
        try:
            if all(map(find_spec, NEEDED)):
                found, fault = self.compute(ask()), ""
            else:
                fault = MISSING
        except Exception as error:  # whatever it is: the next attempt may go well
            log(error)
        finally:
            with self._lock:
                kept.working, kept.fault = False, fault
                if found:
                    kept.measured, kept.state, kept.at = found, state, now
                else:
                    kept.wanted = None  # to be tried again

    def _make_page(self, kept: Kept, begun: Page, audit: object) -> None:
        made = Page(begun.state, failed=True)
        try:
            made = Page(begun.state, self.page_of(json.dumps(audit).encode()))
        except Exception as error:
            log(error)
        finally:
            with self._lock:
                if kept.page is begun:
                    kept.page = made
