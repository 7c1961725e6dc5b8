"""A run as the service knows it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from constitution.errors import InputError
from solon.folder import RunFolder
from solon.review.storage.store import Store


@dataclass(frozen=True, slots=True)
class Served:
    """A run, begun or not."""

    name: str  # in addresses, and in what its members are members of
    folder: RunFolder  # where nothing may be yet
    config_file: Path | None  # the run.toml that it can be started from
    open_store: Callable[[], Store]

    @property
    def begun(self) -> bool:
        return (self.folder.path / "config.toml").is_file()

    @property
    def store(self) -> Store:
        """Its review. Raises InputError where the run has not begun, Fault where the review cannot be opened."""
        if not self.begun:
            raise InputError(self.name, "the run has not begun", "start it first")
        return self.open_store()
