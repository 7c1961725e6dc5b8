"""``solon fake-provider``: serves until it is told to stop."""

import asyncio
import os
import signal
from pathlib import Path

from constitution.errors import InputError
from solon.fake_provider.faults import load_faults
from solon.fake_provider.server import NO_FAULTS, serving


def serve(port: int, latency: float, faults: Path | None, log: Path | None, key_env: str | None) -> None:
    """Says where it listens, and returns on SIGTERM or Ctrl-C."""
    asked_for = load_faults(faults) if faults else NO_FAULTS
    key = key_in(key_env) if key_env else None

    async def until_stopped() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with serving(asked_for, latency=latency, log=log, key=key, port=port, keep=False) as provider:
            print(f"listening on {provider.url}", flush=True)
            await stopped.wait()

    asyncio.run(until_stopped())


def key_in(variable: str) -> str:
    key = os.environ.get(variable)
    if not key:
        raise InputError(f"--key-env {variable}", "the variable is not set", "put the one good key into it")
    return key
