"""What `solon serve` is asked for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServeAsked:
    """What the command line says."""

    place: Path
    host: str
    port: int
    database_env: str | None
    allow_hosts: tuple[str, ...]
    behind_tls: bool
