"""One service for all that is hostile, and a browser that notices whatever runs, is asked for, or leads away."""

import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

RUN = runpy.run_path(str(Path(__file__).with_name("hostile_run.py")))
PASSWORD = "a pass phrase for the tests"
READ = """(sinks) => Object.fromEntries(Object.entries(sinks).map(([name, selector]) => [name,
  [...document.querySelectorAll(selector)].map(
    (one) => one.matches("textarea, input") ? one.value : one.textContent).join("\\n")]))"""
HOSTILE = """() => [...document.querySelectorAll("*")].filter((one) =>
  [...one.attributes].some(({ name }) => /^on|^srcdoc$|^style$/i.test(name))
  || /^(iframe|frame|object|embed|base|video|audio|img|marquee|style|math)$/i.test(one.tagName)
  || one.tagName === "SCRIPT" && !one.src.startsWith(location.origin + "/static/")
).map((one) => one.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="session")
def texts() -> Any:
    return RUN["Texts"]()


@pytest.fixture(scope="session")
def hostile(service_class: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    service = service_class(tmp_path_factory.mktemp("hostile"))
    try:
        RUN["prepare"](service)
        service.start()
        yield service
    finally:
        service.kill()


@dataclass
class Guard:
    """A browser in which nothing hostile may happen, and the texts that stood at each sink."""

    context: Any
    url: str
    payloads: tuple[str, ...]
    happened: list[str] = field(default_factory=list)
    seen: dict[str, list[str]] = field(default_factory=dict)

    def watch(self) -> None:
        self.context.expose_binding("ran", lambda _, *which: self.happened.append(f"ran {which}"))
        self.context.on("request", self.on_request)
        self.context.on("weberror", lambda error: self.happened.append(f"script error {error.error}"))
        self.context.on("page", self.on_page)

    def on_page(self, page: Any) -> None:
        page.on("dialog", lambda dialog: (self.happened.append(f"dialog {dialog.message}"), dialog.accept()))

    def on_request(self, request: Any) -> None:
        ours = request.url.startswith(f"{self.url}/") and "/xss" not in urlsplit(request.url).path
        if not ours and not request.url.startswith(("data:,", "blob:")):
            self.happened.append(f"request {request.url}")

    def log_in(self, name: str) -> None:
        told = self.context.request.post(
            "/api/login", data={"name": name, "password": PASSWORD}, headers={"Origin": self.url}
        )
        assert told.ok, told.text()

    def open(self, address: str, ready: str) -> Any:
        page = self.context.new_page()
        page.goto(address)
        page.locator(ready).first.wait_for()
        return page

    def until(self, page: Any, true: str) -> None:
        """Waits for a condition. The browser's own way of waiting for one is an eval, which the policy forbids."""
        for _ in range(800):
            if page.evaluate(true):
                return
            page.wait_for_timeout(25)
        raise AssertionError(f"it never came: {true}")

    def open_details(self, page: Any) -> None:
        page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")

    def read(self, page: Any, **sinks: str) -> None:
        """Keeps the texts at these selectors, each sink's under its name."""
        for name, text in page.evaluate(READ, sinks).items():
            self.seen.setdefault(name, []).append(text)

    def check(self, page: Any) -> None:
        """Nothing hostile became a part of the page, and the page is where it was."""
        found = page.evaluate(HOSTILE)
        assert not found
        assert page.url.startswith(f"{self.url}/")
        assert not self.happened

    def settle(self, *, shown: Callable[[str], str] = lambda text: text) -> None:
        """Every payload stood at every sink that was read; ``shown`` is how that place writes a text."""
        assert self.seen
        for sink, texts in self.seen.items():
            whole = shown("\n".join(texts))
            missing = [text for text in self.payloads if shown(text) not in whole]
            assert not missing, (
                f"{sink}: {len(missing)} of {len(self.payloads)} were never drawn, such as {missing[:3]}"
            )
        self.seen.clear()
        assert not self.happened


@pytest.fixture
def guard(chromium: Any, hostile: Any, texts: Any) -> Iterator[Guard]:
    context = chromium.new_context(base_url=hostile.url, viewport={"width": 1400, "height": 900})
    context.set_default_timeout(20_000)
    made = Guard(context, hostile.url, texts.payloads)
    made.watch()
    yield made
    context.close()
    assert not made.happened
