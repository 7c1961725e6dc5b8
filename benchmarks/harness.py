"""What the proofs share: a fake provider and `solon` as child processes, a run's files, the server's log.

Whatever a proof says about calls it takes from the log, which is the server's word, not the client's.
"""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import tomlkit

from constitution.identity import full_hash
from generator.chat import sampling_seed

ROOT = Path(__file__).resolve().parents[1]
MAIN = "\nfrom solon.cli import main\nmain()\n"
CALLS = ("/v1/chat/completions", "/v1/messages")
PRINCIPLES = """
[constitution]
title = "Proof"

[[principle]]
id = "short"
rule = "At most 60 words."
check = { name = "max_words", words = 60 }

[[principle]]
id = "direct"
rule = "The first sentence answers."

[[principle]]
id = "plain"
rule = "It uses everyday words."
"""

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finished:
    """A child process that has ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    cpu: float  # seconds of a core; right only where no other child of this process ended meanwhile


@dataclass(slots=True)
class Provider:
    """A fake provider in a process of its own. ``started`` is its clock's zero on this process's monotonic clock."""

    url: str
    log: Path
    process: subprocess.Popen[str]
    started: float

    @property
    def openai(self) -> str:
        return f"{self.url}/v1"

    def entries(self, since: int = 0) -> Iterator[Table]:
        """The log's records from the byte ``since`` on, in the order in which they were written."""
        with self.log.open("rb") as file:
            file.seek(since)
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def mark(self) -> int:
        """The log's length in bytes, for ``since``."""
        return self.log.stat().st_size

    def settle(self, since: int = 0, within: float = 5.0) -> None:
        """Waits until every request that began since has ended."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            kinds = Counter(entry["event"] for entry in self.entries(since))
            if kinds["begin"] == kinds["end"]:
                return
            time.sleep(0.01)


@contextmanager
def provider(
    folder: Path,
    *,
    name: str = "provider",
    latency: float = 0.0,
    faults: Mapping[str, Any] | None = None,
    key: str = "",
) -> Iterator[Provider]:
    """`solon fake-provider` on a free port, until the block is left.

    Args:
        faults: what the faults file says; `{"fault": [{"kind": "hang"}], "batch": {"seconds": 0.2}}`, say.
        key: the one good API key; any will do if empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    args = ["fake-provider", "--port", "0", "--latency", str(latency), "--log", str(log)]
    if faults:
        (folder / f"{name}-faults.toml").write_text(tomlkit.dumps(faults))
        args += ["--faults", str(folder / f"{name}-faults.toml")]
    process = begin(*args, *(["--key-env", "GOOD_KEY"] if key else []), cwd=folder, GOOD_KEY=key)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said.startswith("listening on "):
            raise SystemExit(f"the fake provider did not start: {said}{process.communicate()[1]}")
        url = said.split()[-1]
        yield Provider(url, log, process, clock_zero(url, key, log))
    finally:
        process.terminate()
        process.communicate()


def clock_zero(url: str, key: str, log: Path) -> float:
    """When the server's clock began, by this one: from one request that is no model call."""
    request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})
    before = time.monotonic()
    urllib.request.urlopen(request, timeout=10).read()
    after = time.monotonic()
    while not (lines := log.read_bytes().splitlines())[-1].startswith(b'{"event":"end"'):
        time.sleep(0.01)  # it is written when the answer is out
    entries = (json.loads(line) for line in reversed(lines))
    at: float = next(entry["at"] for entry in entries if entry["event"] == "begin")
    return (before + after) / 2 - at


def begin(*args: object, cwd: Path, before: str = "", **variables: str) -> subprocess.Popen[str]:
    """Starts `solon` in ``cwd``, after the Python code ``before``."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", before + MAIN, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **variables},
    )


def solon(*args: object, cwd: Path, before: str = "", within: float = 600.0, **variables: str) -> Finished:
    """Runs `solon` to its end; one that takes longer than ``within`` seconds is killed (code -9)."""
    began, used = time.monotonic(), cpu_of_children()
    process = begin(*args, cwd=cwd, before=before, **variables)
    try:
        stdout, stderr = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
    return Finished(process.returncode, stdout, stderr, time.monotonic() - began, cpu_of_children() - used)


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kill(process: subprocess.Popen[str]) -> bool:
    """`kill -9`, and whether it struck a living process."""
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def is_one_line(said: Finished) -> bool:
    """Whether there is one message, beside the line that shows how far the run got."""
    lines = [line for line in (said.stderr + said.stdout).splitlines() if line.startswith(("error:", "stopped:"))]
    return len(lines) == 1 and "Traceback" not in said.stderr


def endpoint(url: str, model: str, backend: str = "openai", **more: Any) -> Table:
    """A model's section of run.toml. ``url`` is the provider's, as it stands."""
    return {"backend": backend, "model": model, "base_url": f"{url}/v1" if backend == "openai" else url, **more}


def write_run(folder: Path, url: str, changes: Mapping[str, Any] | None = None, *, prompts: int) -> Path:
    """A run of four stages (drafts, critiques, revisions, verdicts by a judge model) at the provider at ``url``.

    ``changes`` go over it, section by section; None takes a key away. Returns the run.toml.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain: Table = {
        "name": "proof",
        "constitution": "principles.toml",
        "prompts": {"files": ["prompts.jsonl"]},
        "policy": endpoint(url, "rambler", max_tokens=160),
        "judge": endpoint(url, "judge-longer"),
        "export": {"test_share": 0.25},
    }
    (folder / "run.toml").write_text(tomlkit.dumps(merged(plain, changes or {})))
    (folder / "principles.toml").write_text(PRINCIPLES)
    lines = [{"id": f"prompt-{n}", "prompt": f"Why does the thing number {n} matter so much?"} for n in range(prompts)]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "run.toml"


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Table:
    both = {**base, **changes}
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping):
            both[name] = merged(base[name], value)
    return {name: value for name, value in both.items() if value is not None}


def call_identity(body: Mapping[str, Any]) -> str:
    """Names what was asked: equal for two requests that ask the same, whatever else they carry."""
    return full_hash(
        [body.get(name) for name in ("model", "messages", "temperature", "max_tokens", "seed", "metadata")]
    )


def sent(entries: Iterable[Table]) -> Counter[str]:
    """How often the server was asked each call."""
    return Counter(call_identity(entry["body"]) for entry in calls(entries))


def calls(entries: Iterable[Table], event: str = "begin") -> Iterator[Table]:
    """The records of model calls, without batches and lists of models."""
    return (entry for entry in entries if entry["event"] == event and entry["path"] in CALLS)


def billed(entries: Iterable[Table]) -> Counter[str]:
    """All usage that the server charged for, of calls and of batch rows: prompt, completion, cached, stored."""
    total: Counter[str] = Counter()
    for entry in entries:
        if entry["event"] in ("end", "row") and entry["usage"]:
            total.update(entry["usage"])
    return total


def recorded(run: Path) -> dict[str, bytes]:
    """The replies in a run's journal, by key; none where it has no journal yet. Opens it for reading only."""
    return {key: bytes(reply) for key, reply in rows_of(run, "SELECT key, reply FROM calls")}


def recorded_calls(run: Path) -> dict[str, str]:
    """The same calls as the server knows them (``call_identity``): to the journal's key. OpenAI's form only."""
    found = {}
    for key, model, raw in rows_of(run, "SELECT key, model, request FROM calls"):
        asked = json.loads(raw)
        found[call_identity({**asked, "model": model, "seed": sampling_seed(key)})] = key
    return found


def rows_of(run: Path, query: str) -> list[Any]:
    """What ``query`` finds in the run's journal; nothing where there is no table yet."""
    path = run / "journal.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return connection.execute(query).fetchall() if tables else []
    finally:
        connection.close()


def contents(folder: Path) -> dict[str, bytes]:
    """An export's files, byte for byte."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def exported(run: Path, cwd: Path) -> dict[str, bytes]:
    """The export of a run that is finished; the process ends where there is none."""
    said = solon("export", run, cwd=cwd)
    if said.code != 0:
        raise SystemExit(f"{run} cannot be exported: {said.stderr}")
    return contents(run / "export")


@dataclass(slots=True)
class Bars:
    """What a proof must reach, told line by line."""

    missed: list[str] = field(default_factory=list)

    def hold(self, claim: str, holds: bool) -> None:
        print(f"{'holds ' if holds else 'MISSED'}  {claim}", flush=True)
        if not holds:
            self.missed.append(claim)

    def end(self) -> NoReturn:
        """Ends the process: 0 where every bar is reached, else 1."""
        print(f"{len(self.missed)} bars missed" if self.missed else "every bar is reached", flush=True)
        sys.exit(1 if self.missed else 0)
