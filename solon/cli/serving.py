"""The verb that serves: serve."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from constitution.errors import InputError


@dataclass(frozen=True, slots=True)
class ServeAsked:
    """What the command line says."""

    place: Path
    host: str
    port: int
    database_env: str | None
    allow_hosts: tuple[str, ...]
    behind_tls: bool


def serve(asked: ServeAsked) -> None:
    require_extra()
    from solon.web.serve import serve_until_stopped

    serve_until_stopped(asked)


def require_extra() -> None:
    try:
        for package in ("argon2", "fastapi", "uvicorn"):
            import_module(package)
    except ImportError as missing:
        raise InputError("serve", f"{missing.name} is not installed", "pip install 'solon[serve]'") from None
