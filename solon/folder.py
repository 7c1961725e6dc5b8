"""The run folder: what lies where, and which run a folder belongs to."""

import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomlkit

from constitution.errors import InputError
from constitution.files import find, load
from constitution.principle import Constitution
from solon.config import RunConfig
from solon.config_file import load_config
from solon.database import Database
from trainer.settings import Method

RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of a run. ``beside`` is the folder that the configuration's relative paths start from."""

    path: Path
    config: RunConfig
    beside: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def principles_file(self) -> Path:
        """The principles as the last run used them, byte for byte."""
        return self.path / "principles.toml"

    @property
    def id_file(self) -> Path:
        """What the run goes by in a database that runs share; a run in files needs none."""
        return self.path / "run.id"

    @property
    def id(self) -> str:
        """The same wherever the folder lies and whatever it is called; a copy of it is the same run.

        Raises:
            InputError: nothing says so by now, and all would be paid for again.
        """
        if self.config.storage.database_env is None:
            return self.config.name
        with suppress(OSError, UnicodeDecodeError):
            if found := self.id_file.read_text(encoding="utf-8").strip():
                return found
        fact = "cannot be read, and says which run of the database this is"
        raise InputError(str(self.id_file), fact, "put it back, or begin anew in another folder")

    @property
    def journal(self) -> Database:
        """Where the run's calls and rows are; in a shared PostgreSQL database, a schema of its own.

        Raises:
            InputError: the variable is not set, or the run has begun somewhere else and would be paid for again.
        """
        self._require_same_storage()
        return self._database("journal.db", f"run {self.id}")

    @property
    def review(self) -> Database:
        """Where people's labels are; in PostgreSQL, those of all runs together, by ``id``."""
        return self._database("review.db", "review")

    def _database(self, file: str, schema: str) -> Database:
        variable = self.config.storage.database_env
        if variable is None:
            return Database.file(self.path / file)
        return Database.of_variable(variable, schema, f"{self.path}: storage.database_env")

    def _require_same_storage(self) -> None:
        file, now = self.path / "journal.db", self.config.storage.database_env
        if now and file.is_file():
            raise InputError(str(file), "this run has begun in the file, not in PostgreSQL", "remove [storage]")
        if now is None and not file.is_file() and self.config_file.is_file():
            before = load_config(self.config_file).storage.database_env
            if before:
                remedy = f'give [storage] database_env = "{before}" again'
                raise InputError(str(self.path), "this run has begun in PostgreSQL, not in a file", remedy)

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def models(self) -> Path:
        """Where what the run's data trained goes, a folder a method."""
        return self.path / "models"

    def model(self, method: Method) -> Path:
        return self.models / method

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.md"

    def source_principles(self) -> Path:
        """The principle file that the configuration names, which people edit."""
        return find(self.config.constitution, self.beside)

    def principles(self) -> Constitution:
        """The principles that the last run used, under the name of the file they came from."""
        used = load(self.principles_file)
        return Constitution(
            Path(self.config.constitution).stem, used.title, used.version, used.description, used.principles
        )


def new_folder(config_file: Path, out: Path | None) -> RunFolder:
    """The folder for the run that ``config_file`` describes; nothing is made yet."""
    config = load_config(config_file)
    return RunFolder(out or RUNS / config.name, config, config_file.resolve().parent)


def open_folder(run: Path) -> RunFolder:
    """The folder of a run that has begun, given the folder or the run.toml it was begun with.

    Given a run.toml, its present settings hold, for what comes after the labels.

    Raises:
        InputError: there is no such run, or it cannot be read.
    """
    if run.is_file():
        folder = new_folder(run, None)
        if not folder.config_file.is_file():
            raise InputError(str(folder.path), f"no run of {run} has begun there", f"solon run {run}")
        return folder
    saved = run / "config.toml"
    if not saved.is_file():
        raise InputError(str(run), "is not a run folder", "name one that `solon run` made, or its run.toml")
    return RunFolder(run, load_config(saved), beside_of(run))


def beside_of(run: Path) -> Path:
    """What the run folder says that its relative paths start from; itself where it says nothing.

    Raises:
        InputError: it says what is no path.
    """
    origin = run / "origin"
    try:
        told = origin.read_text(encoding="utf-8").strip() if origin.exists() else str(run)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(str(origin), f"cannot be read ({why})", "write the folder of the run.toml into it") from None
    if "\0" in told:
        raise InputError(str(origin), "is no path", "write the folder of the run.toml into it")
    return Path(told)


def save_config(folder: RunFolder) -> None:
    """The resolved configuration, every default written out, and where its relative paths start."""
    write_whole(folder.config_file, tomlkit.dumps(without_none(asdict(folder.config))))
    write_whole(folder.path / "origin", f"{folder.beside}\n")


def name_run(folder: RunFolder) -> None:
    """Gives a run that begins in a database its id there. For whoever holds the folder."""
    if folder.config.storage.database_env and not folder.id_file.exists() and not folder.config_file.exists():
        write_whole(folder.id_file, f"{folder.path.resolve().name}-{secrets.token_hex(8)}\n")


def make_folder(path: Path) -> None:
    """Makes it, and what it lies in, unless it is there. Raises InputError where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be made a folder ({error.strerror})", "name another one") from None


def write_whole(path: Path, text: str) -> None:
    """Writes the file at once: a kill or a power cut leaves the old one or the new one, never half of it."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def without_none(table: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: a key that is not set is left out, in a table of an array too."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return without_none(value)
        return [plain(one) for one in value] if isinstance(value, list | tuple) else value

    return {key: plain(value) for key, value in table.items() if value is not None}
