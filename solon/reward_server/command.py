"""``solon serve-reward``: opens the reward, says where it can be asked, and answers until it is stopped."""

import logging
import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path

from constitution.errors import InputError
from generator.prompts import Prompt
from solon.folder import RunFolder, open_folder
from solon.inputs import read_prompts
from solon.rewarding import CONSTITUTION, MODEL, JudgeReward, asks_judge, open_reward
from solon.run_lock import hold

JUDGED_AT_ONCE = 16  # questions of up to 64 completions; the judge's own door decides how many calls these make
BACKLOG = 4096  # connections that may wait to be taken: a rollout's completions end together
PATIENCE = 1  # seconds that requests under way have at the end


def serve(run: Path, reward: str, host: str, port: int, key_env: str | None) -> None:
    """Returns on Ctrl-C or SIGTERM.

    Raises:
        InputError: the run, the reward, the key or the port cannot be had.
    """
    require_extra()
    folder = open_folder(run)
    key = key_in(key_env) if key_env else None
    name = reward if reward in (CONSTITUTION, MODEL) else str(Path(reward).expanduser().resolve())
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    with hold(folder.path) if asks_judge(folder, name) else nullcontext():
        serve_opened(folder, name, (host, port), key)


def serve_opened(folder: RunFolder, name: str, address: tuple[str, int], key: str | None) -> None:
    import uvicorn

    from solon.reward_server.app import Desk, create_app
    from solon.reward_server.reading import Known
    from solon.web.serve import listen

    prompts = prompts_of(folder, name)
    with open_reward(folder, name) as opened, listen(*address) as listening:
        desk = Desk(opened, Known(prompts), key, JUDGED_AT_ONCE if isinstance(opened, JudgeReward) else 1)
        more_files()
        listening.listen(BACKLOG)
        config = uvicorn.Config(
            create_app(desk),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
            lifespan="off",
            ws="none",
        )
        tell(opened.name, address[0], listening.getsockname()[1], key)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listening])
        print("stopped", flush=True)


def prompts_of(folder: RunFolder, name: str) -> Iterable[Prompt]:
    """The run's prompts, for their tags. A reward model has no use for these: without the files it goes on."""
    files, place = folder.config.prompts.files, f"run {folder.config.name!r}"
    if name == CONSTITUTION:
        return read_prompts(files, folder.beside, place)
    with suppress(InputError):
        return read_prompts(files, folder.beside, place)
    return ()


def tell(name: str, host: str, port: int, key: str | None) -> None:
    from solon.web.serve import is_loopback, url_of

    print(f"listening on {url_of(host, port)}/get_reward", f"reward: {name}", sep="\n")
    if key is None and not is_loopback(host):
        print(f"warning: {host} can be reached from other machines, and whoever does may ask: add --key-env VARIABLE")
    sys.stdout.flush()


def key_in(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"--key-env {variable}", "the variable is not set", "put the key into it that callers send")
    return key


def more_files() -> None:
    """Every connection is a file: takes as many as this process may have."""
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def require_extra() -> None:
    try:
        for package in ("fastapi", "uvicorn"):
            import_module(package)
    except ImportError as missing:
        raise InputError("serve-reward", f"{missing.name} is not installed", "pip install 'solon[serve]'") from None
