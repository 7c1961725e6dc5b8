"""What one ``solon serve`` serves: its runs, its accounts, its clock."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from constitution.errors import SolonError
from solon.folder import RunFolder
from solon.review.storage.store import Store
from solon.web.accounts.passwords import Passwords
from solon.web.accounts.store import Accounts
from solon.web.door.ending import Ending
from solon.web.door.faults import log, out_of_order
from solon.web.lead.measuring import Measuring
from solon.web.places import Found
from solon.web.runs.hub import Hub
from solon.web.served import Served

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
COOKIE = "solon_session"
LOOKED_FOR = 5.0  # seconds for which a look at the folders holds


@dataclass(frozen=True, slots=True)
class Front:
    """How the service is reached."""

    hosts: frozenset[str] = LOOPBACK  # the names it goes by: a page of another name that leads here is no page of ours
    tls: bool = False  # whether a proxy in front of it speaks https

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; with the prefix no other name below the proxy's domain can set it."""
        return f"__Host-{COOKIE}" if self.tls else COOKIE


@dataclass(slots=True)
class Open:
    """A run's review, opened once and used by all; again where somebody has put another file in its place."""

    folder: RunFolder
    open_store: Callable[[RunFolder], Store]
    _kept: tuple[Store, object] | None = None  # and which file it is in
    _opening: Lock = field(default_factory=Lock)

    def store(self) -> Store:
        """Raises Fault where it cannot be opened."""
        try:
            return self._current() or self._opened()
        except SolonError as error:  # a matter of the installation, which no annotator can do anything about
            log(error)
            raise out_of_order() from error

    def _current(self) -> Store | None:
        kept = self._kept
        return kept[0] if kept and kept[1] == self._file() else None

    def _opened(self) -> Store:
        with self._opening:
            current = self._current()  # of somebody who was quicker
            if current:
                return current
            former, store = self._kept, self.open_store(self.folder)
            self._kept = store, self._file()
            if former:
                former[0].close()
            return store

    def _file(self) -> object:
        """What differs where the database is another one, or the file has been removed or replaced."""
        database = self.folder.review
        try:
            found = database.path.stat() if database.path else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else str(database)


@dataclass(slots=True)
class Site:
    """Safe from many threads."""

    root: Path  # the served folder, where accounts.db is
    accounts: Accounts
    clock: Callable[[], float]  # Unix time
    look: Callable[[], tuple[Found, ...]]  # what runs there are, by name, each once
    open_store: Callable[[RunFolder], Store]
    front: Front = Front()
    passwords: Passwords = field(default_factory=Passwords)
    hub: Hub = field(default_factory=Hub)
    measuring: Measuring = field(default_factory=Measuring)
    ending: Ending = field(default_factory=Ending)
    streams: Counter[str] = field(default_factory=Counter)  # of each session; for the event loop alone
    _reviews: dict[Path, Open] = field(default_factory=dict)
    _runs: Mapping[str, Served] = field(default_factory=dict)
    _looked: float | None = None  # when somebody last went to look
    _looking: Lock = field(default_factory=Lock)

    def runs(self) -> Mapping[str, Served]:
        """By name, in order; what was found is believed for some seconds, and while one looks again."""
        now = self.clock()
        if self._looked is None or not 0 <= now - self._looked < LOOKED_FOR:
            first = self._looked is None
            if self._looking.acquire(blocking=first):
                try:
                    self._runs = {one.name: self._served(one) for one in self.look()}
                except Exception as error:  # whatever lies there: those who label go on with what was found before
                    log(error)
                finally:
                    self._looked = now
                    self._looking.release()
        return self._runs

    def _served(self, found: Found) -> Served:
        review = self._reviews.setdefault(found.folder.path, Open(found.folder, self.open_store))
        review.folder = found.folder  # as it is configured now
        return Served(found.name, found.folder, found.config_file, review.store)
