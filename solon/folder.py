"""The run folder: what lies where, and which run a folder belongs to."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomlkit

from constitution.errors import InputError
from constitution.files import find, load
from constitution.principle import Constitution
from solon.config import RunConfig
from solon.config_file import load_config

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
    def journal(self) -> Path:
        return self.path / "journal.db"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def policy(self) -> Path:
        return self.path / "policy"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

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
        InputError: there is no such run.
    """
    if run.is_file():
        folder = new_folder(run, None)
        if not folder.journal.is_file():
            raise InputError(str(folder.path), f"no run of {run} has begun there", f"solon run {run}")
        return folder
    saved = run / "config.toml"
    if not saved.is_file():
        raise InputError(str(run), "is not a run folder", "name one that `solon run` made, or its run.toml")
    origin = run / "origin"
    beside = Path(origin.read_text(encoding="utf-8").strip()) if origin.is_file() else run
    return RunFolder(run, load_config(saved), beside)


def save_config(folder: RunFolder) -> None:
    """The resolved configuration, every default written out, and where its relative paths start."""
    write_whole(folder.config_file, tomlkit.dumps(without_none(asdict(folder.config))))
    write_whole(folder.path / "origin", f"{folder.beside}\n")


def make_folder(path: Path) -> None:
    """Makes it, and what it lies in, unless it is there. Raises InputError where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(path), f"cannot be made a folder ({error.strerror})", "name another one") from None


def write_whole(path: Path, text: str) -> None:
    """Writes the file at once: a kill leaves the old one or the new one, never half of it."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def without_none(table: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: a key that is not set is left out, in a table of an array too."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return without_none(value)
        return [plain(one) for one in value] if isinstance(value, list | tuple) else value

    return {key: plain(value) for key, value in table.items() if value is not None}
