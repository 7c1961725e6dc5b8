"""The service under load: a scripted run with thousands of couples, its people, and `solon serve` to be killed."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from solon.folder import RunFolder, open_folder
from solon.web.accounts.passwords import hash_of
from solon.web.accounts.store import Accounts

ROOT = Path(__file__).resolve().parents[2]
OVERLAP = 2
COUPLES_A_PROMPT = 6  # of four candidates
PRINCIPLES = '[constitution]\ntitle = "Load"\n[[principle]]\nid = "direct"\nrule = "The first sentence answers."\n'
CONFIG = """
name = "load"
constitution = "principles.toml"
[prompts]
files = ["prompts.jsonl"]
[policy]
backend = "scripted"
model = "rambler"
temperature = 1.0
[judge]
backend = "scripted"
model = "rambler"
allow_same_family = true
canaries = 0.0
[candidates]
completions = 2
[pairs]
policy = "all"
"""
STORAGE = '[storage]\ndatabase_env = "SOLON_TEST_DATABASE"\n'


@dataclass(slots=True)
class Site:
    """One server process at a time, on the same port."""

    folder: RunFolder
    port: int
    people: tuple[str, ...]
    password: str
    options: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    starts: list[float] = field(default_factory=list)  # seconds until a started server answered

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def run(self) -> str:
        return self.folder.path.name

    @classmethod
    @contextmanager
    def made(cls, folder: Path, asked: Any, labels: int) -> Iterator[Self]:
        """A run with room for about so many labels, its review drawn, its people made, its server answering."""
        options = ("--database-env", "SOLON_TEST_DATABASE") if asked.postgres else ()
        run = carried_out(folder, labels // OVERLAP, asked.postgres)
        people = tuple(f"person-{number}" for number in range(asked.annotators))
        password = f"only-for-this-load-{random.Random(asked.seed).getrandbits(40)}"
        make_people(run.path, people, password, options)
        site = cls(run, free_port(), people, password, options)
        site.start()
        try:
            yield site
        finally:
            site.kill()

    def start(self) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", "solon", "serve", str(self.folder.path), "--port", str(self.port)]
        log = (self.folder.path / "serve.log").open("ab")
        self.process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log, env=environment())
        while not answers(self.url):
            if self.process.poll() is not None:
                sys.exit(f"the server ended: {(self.folder.path / 'serve.log').read_text()[-2000:]}")
            time.sleep(0.02)
        self.starts.append(time.monotonic() - began)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def kill_and_start(self) -> None:
        self.kill()
        self.kills += 1
        self.start()


def carried_out(folder: Path, items: int, postgres: bool) -> RunFolder:
    prompts = [{"prompt": f"Why does the thing number {n} matter?", "id": f"p{n}"} for n in range(items)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts[: items // 4 + 10]))
    (folder / "principles.toml").write_text(PRINCIPLES)
    (folder / "run.toml").write_text(CONFIG + (STORAGE if postgres else ""))
    out = folder / "load"
    solon("run", folder / "run.toml", "--out", out)
    solon("review", "draw", out, "--n", items, "--overlap", OVERLAP)
    return open_folder(out)


def make_people(root: Path, people: tuple[str, ...], password: str, options: tuple[str, ...]) -> None:
    from solon.web.serve import accounts_database

    accounts = Accounts.open(accounts_database(root, options[1] if options else None))
    hashed, now = hash_of(password), time.time()  # one hash for all: a hundred would take seconds
    for name in people:
        link = accounts.add(name, "annotator", ["*"], now)
        accounts.accept(link, name, hashed, now)


def solon(*arguments: object) -> None:
    command = [sys.executable, "-m", "solon", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if done.returncode:
        sys.exit(f"solon {arguments[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
