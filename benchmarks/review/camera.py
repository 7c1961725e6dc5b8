"""Where the pictures are taken: a real server, and a browser in which people are logged in."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import example
from serving import answers, environment, free_port

from solon.database import Database
from solon.web.accounts.store import Accounts

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
COLOURS = 160  # of a picture
TALLEST = 2600  # pixels, of a picture of a whole page


@dataclass(slots=True)
class Camera:
    """Whoever looks, and what is taken of it."""

    browser: Any
    url: str
    out: Path
    link: str = ""
    contexts: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def page(self, who: str, address: str, *, dark: bool = False, size: dict[str, int] = WIDE) -> Any:
        """A page as ``who`` sees it; nobody, where the name is empty."""
        key = (who, str(dark), str(size["width"]))
        if key not in self.contexts:
            scheme = "dark" if dark else "light"
            context = self.browser.new_context(
                base_url=self.url, viewport=size, color_scheme=scheme, reduced_motion="reduce", locale="en-GB"
            )
            context.set_default_timeout(20_000)
            if who:
                log_in(context, who)
            self.contexts[key] = context
        page = self.contexts[key].new_page()
        page.goto(address)
        return page

    def take(self, page: Any, name: str, *, whole: bool = False, close: bool = True) -> None:
        """``whole``: the page to its end, else what is in the window."""
        page.wait_for_timeout(350)
        hide_machine(page)
        file = self.out / f"review-{name}.png"
        if whole:
            size = page.viewport_size
            height = min(TALLEST, max(size["height"], page.evaluate("document.documentElement.scrollHeight")))
            page.set_viewport_size({"width": size["width"], "height": height})
            page.wait_for_timeout(150)
        page.screenshot(path=file)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        smaller(file)
        print(
            f"{file.name:32} {file.stat().st_size / 1000:5.0f} kB{f'   {wide} px too wide' if wide > 0 else ''}",
            flush=True,
        )
        if close:
            page.close(run_before_unload=False)


def log_in(context: Any, who: str) -> None:
    page = context.new_page()
    page.goto("/login")
    page.get_by_label("Name").fill(who)
    page.get_by_label("Password").fill(example.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(r"^http://[^/]+/$"))
    page.close()


def hide_machine(page: Any) -> None:
    """The process, its user and its machine, which a run under way tells, are nobody's business here."""
    page.evaluate(
        """() => document.querySelectorAll('.who-runs').forEach((one) => {
            const since = one.textContent.split(' since ')[1]?.replace(/ \\(.*/, '');
            one.textContent = `process 4711 of solon on studio since ${since}`;
        })"""
    )


def smaller(file: Path) -> None:
    """The commonest colours stay what they are; the edges of letters get the nearest of these."""
    try:
        Image: Any = import_module("PIL.Image")
    except ImportError:
        return
    with Image.open(file) as picture:
        whole = picture.convert("RGB")
    counted = sorted(whole.getcolors(1 << 24), reverse=True)
    palette = [colour for _, colour in counted[:COLOURS]]
    place = {colour: at for at, colour in enumerate(palette)}
    for _, colour in counted[COLOURS:]:
        place[colour] = min(range(len(palette)), key=lambda at: apart(palette[at], colour))
    few = Image.new("P", whole.size)
    few.putpalette([part for colour in palette for part in colour])
    pixels = whole.tobytes()
    few.putdata([place[one] for one in zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)])
    few.save(file, optimize=True)


def apart(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


@contextmanager
def served(root: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "solon", "serve", str(root), "--port", str(port)]
    log = (root / "serve.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(), cwd=root)
    url = f"http://127.0.0.1:{port}"
    try:
        while not answers(f"{url}/login"):
            if process.poll() is not None:
                sys.exit((root / "serve.log").read_text())
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def invited(root: Path) -> str:
    """The address of a link for somebody new."""
    accounts = Accounts.open(Database.file(root / "accounts.db"))
    return "/invite#" + accounts.add("noor", "annotator", [example.RUN], time.time())
