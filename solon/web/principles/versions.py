"""What each version of a principle file changed. A text is parsed once: that of a long file takes a good while."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from constitution.errors import InputError
from constitution.files import parse_constitution
from solon.continuity import wordings
from solon.web.principles.changes import Changes, changes
from solon.web.principles.history import SavedVersion

MOST_KNOWN = 200  # texts
Wordings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VersionTold:
    """A version in the list; the newest number is what is on the disk."""

    number: int
    at: str
    by: str  # empty where it was found on the disk
    note: str
    sha256: str
    principles: int | None  # how many; None where the text is not sound
    changes: Changes | None  # against the last sound version before it


@dataclass(slots=True)
class Known:
    """The wordings of the texts that were asked for last. Safe from many threads."""

    _found: OrderedDict[tuple[str, int], Wordings | None] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, version: SavedVersion, few_shot: int) -> Wordings | None:
        """None where the text is not sound."""
        key = version.sha256, few_shot
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        found = read(version.text, few_shot)
        with self._lock:
            self._found[key] = found
            while len(self._found) > MOST_KNOWN:
                self._found.popitem(last=False)
        return found


KNOWN = Known()  # a text says the same to everybody


def read(text: str, few_shot: int) -> Wordings | None:
    try:
        return wordings(parse_constitution(text, name="principles", place="principles"), few_shot)
    except InputError:
        return None


def told(versions: Sequence[SavedVersion], number: int, few_shot: int, known: Known = KNOWN) -> VersionTold:
    """The version of that number, from 1. Reads it and those before it, back to a sound one."""
    version = versions[number - 1]
    now = known.of(version, few_shot)
    earlier = (known.of(one, few_shot) for one in reversed(versions[: number - 1])) if now is not None else iter(())
    before = next((one for one in earlier if one is not None), None)
    changed = changes(before, now) if before is not None and now is not None else None
    count = len(now) if now is not None else None
    return VersionTold(number, version.at, version.by, version.note, version.sha256, count, changed)
