"""Which runs lie below the place that is served. Nothing of a request comes in here."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from constitution.errors import InputError
from solon.config import RunConfig
from solon.config_file import load_config
from solon.folder import RUNS, RunFolder, open_folder

UNREADABLE = (InputError, OSError, ValueError, RecursionError)  # whatever somebody puts there hides no other run
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
RUN_FILE = "run.toml"


@dataclass(frozen=True, slots=True)
class Found:
    """A run, begun or not."""

    name: str
    folder: RunFolder
    config_file: Path | None


def root_of(place: Path) -> Path:
    """The folder that is served, where the accounts are too. Raises InputError where there is no such place."""
    if not place.exists():
        raise InputError(str(place), "is not there", "name a run folder, a run.toml, or a folder of these")
    return place.resolve() if place.is_dir() else place.resolve().parent


def runs_of(place: Path) -> tuple[Found, ...]:
    """The runs of a run folder (itself), of a run.toml (its own), or of a folder, by name, each name once.

    A run.toml's run is where ``solon run`` makes it from here; that of one in a folder, from there. A file that cannot
    be read as a run is passed over: somebody may be writing it. Of two runs with one name that which is in ``runs/`` is
    served, so that no new folder can take a name away.
    """
    place, runs = place.resolve(), place.resolve() / RUNS
    if place.is_file():
        return tuple(unbegun([place], RUNS.resolve()))
    if is_run(place):
        return tuple(begun([place]))
    folders = [one for parent in (runs, place) for one in inside(parent) if is_run(one)]
    files = [one for one in (place / RUN_FILE, *(one / RUN_FILE for one in inside(place))) if os.path.isfile(one)]
    found: dict[str, Found] = {}
    for one in (*begun(folders), *unbegun(files, runs)):
        found.setdefault(one.name, one)
    return tuple(found[name] for name in sorted(found))


def inside(folder: Path) -> list[Path]:
    """In the order of their names; nothing where there is no such folder, or where one may not look."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def is_run(folder: Path) -> bool:
    return os.path.isfile(folder / "config.toml")  # False, too, where one may not look


def begun(folders: Iterable[Path]) -> Iterable[Found]:
    for path in folders:
        try:
            folder = opened(path)
        except UNREADABLE:
            continue
        name = path.name if NAME.fullmatch(path.name) else folder.config.name
        yield Found(name, folder, started_from(folder))


def unbegun(files: Iterable[Path], runs: Path) -> Iterable[Found]:
    """Of run.toml files, whose runs lie, or would lie, in ``runs``."""
    for file in files:
        try:
            config = loaded(file)
            path = runs / config.name
            folder = opened(path) if is_run(path) else RunFolder(path, config, file.parent)
        except UNREADABLE:
            continue
        yield Found(config.name, folder, file)


def started_from(folder: RunFolder) -> Path | None:
    """The run.toml beside which the run says it began, if it still is this run's."""
    file = folder.beside / RUN_FILE
    try:
        return file if os.path.isfile(file) and loaded(file).name == folder.config.name else None
    except UNREADABLE:
        return None


def loaded(file: Path) -> RunConfig:
    return _loaded(file, stamp(file))


def opened(path: Path) -> RunFolder:
    return _opened(path, stamp(path / "config.toml"), stamp(path / "origin"))


def stamp(file: Path) -> tuple[int, int] | None:
    """What changes when a file does. A service looks at all runs every few seconds, and reads what has changed."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4096)
def _loaded(file: Path, _: object) -> RunConfig:
    return load_config(file)


@lru_cache(maxsize=4096)
def _opened(path: Path, *_: object) -> RunFolder:
    return open_folder(path)
