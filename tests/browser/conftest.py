"""A real run, a real `solon serve`, and a real Chromium driven by Playwright. Skipped where either is missing."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import tomlkit

import solon

ROOT = Path(solon.__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PASSWORD = "a pass phrase for the tests"
RULES: list[dict[str, Any]] = [
    {
        "id": "short",
        "rule": "At most 40 words.",
        "check": {"name": "max_words", "words": 40},
        "rationale": "People read on small screens.",
        "examples": [{"prompt": "How are you?", "better": "Well.", "worse": "I am, all things considered, well."}],
    },
    {"id": "direct", "rule": "The first sentence answers."},
]
CONFIG: dict[str, Any] = {
    "name": "demo",
    "constitution": "principles.toml",
    "prompts": {"files": ["prompts.jsonl"]},
    "policy": {"backend": "scripted", "model": "rambler", "max_tokens": 160},
    "judge": {"backend": "scripted", "model": "rambler", "allow_same_family": True},
    "pairs": {"policy": "all", "min_margin": 0.0},
    "export": {"test_share": 0.25},
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = "" if CHROMIUM else "Chromium is not installed: make test-review installs it"
    if not find_spec("playwright"):
        reason = reason or "playwright is not installed: make test-review installs it"
    for item in items:
        if reason and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.skip(reason=reason))


@dataclass
class Service:
    """A folder with a run in it, and the server that serves it."""

    root: Path
    port: int = 0
    link: str = ""
    process: subprocess.Popen[str] | None = None
    names: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def run(self) -> Path:
        return self.root / "runs" / "demo"

    def solon(self, *arguments: object) -> str:
        command = [sys.executable, "-m", "solon", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=environment(), timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, prompts: list[dict[str, str]], **changes: Any) -> None:
        (self.root / "run.toml").write_text(tomlkit.dumps({**CONFIG, **changes}))
        (self.root / "principles.toml").write_text(
            "# why these rules: they are for tests\n"
            + tomlkit.dumps({"constitution": {"title": "T"}, "principle": RULES})
        )
        (self.root / "prompts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts))

    def start(self) -> None:
        """Returns when it listens; on the same port as before, if it was started before."""
        command = [sys.executable, "-m", "solon", "serve", str(self.root), "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
        )
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
            if found := re.search(r"(http://\S+/invite#\S+)", line):
                self.link = found[1]
            if line.startswith("serving") and self.link == "" and self.names:
                break
            if self.link:
                break
        self.wait()

    def wait(self) -> None:
        for _ in range(200):
            try:
                urlopen(f"{self.url}/login", timeout=5).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def add(self, name: str, role: Any) -> None:
        from solon.database import Database
        from solon.web.accounts.passwords import hash_of
        from solon.web.accounts.store import Accounts

        accounts = Accounts.open(Database.file(self.root / "accounts.db"))
        token = accounts.add(name, role, ["*"], time.time())
        accounts.accept(token, name, hash_of(PASSWORD), time.time())
        accounts.engine.dispose()
        self.names.append(name)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def numbered(count: int) -> list[dict[str, str]]:
    return [{"prompt": f"Why does the thing number {n} matter so much?", "id": f"prompt-{n}"} for n in range(count)]


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Forty items of a finished run, drawn and served; ann labels, lea leads, root is the admin.

    A test that names a parameter gets so many labels wanted of each item.
    """
    made = Service(tmp_path)
    made.write(numbered(16))
    made.solon("run", "run.toml")
    made.solon("review", "draw", made.run, "--n", 40, "--overlap", getattr(request, "param", 1))
    for name, role in (("root", "admin"), ("ann", "annotator"), ("lea", "adjudicator")):
        made.add(name, role)
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, service: Service) -> Iterator[Callable[..., Any]]:
    """Logs a person in through the page and gives a context; every fault in a page's script fails the test."""
    contexts, faults = [], []

    def enter(name: str, **options: Any) -> Any:
        context = chromium.new_context(base_url=service.url, viewport={"width": 1280, "height": 900}, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{service.url}/")
        page.close()
        return context

    yield enter
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope="session")
def service_class() -> type[Service]:
    """For a test or a fixture with a folder or a life of its own."""
    return Service
