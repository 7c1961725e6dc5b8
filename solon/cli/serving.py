"""The verb that serves: serve."""

from importlib import import_module

from constitution.errors import InputError
from solon.web.asked import ServeAsked


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
