"""Takes a picture of every page of the service, in its important states, of a run whose texts are our own.

    python benchmarks/review/screens.py [--out docs/images] [--only entering,leading]

Needs Chromium and playwright (make test-review installs them); with Pillow the pictures are smaller.
"""

import argparse
import re
import shutil
import tempfile
from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import example
from camera import PHONE, WIDE, Camera, invited, served
from serving import ROOT


def entering(camera: Camera) -> None:
    camera.take(camera.page("", "/login"), "login")
    camera.take(camera.page("", camera.link), "invite")
    page = camera.page("ana", "/")
    page.get_by_role("link", name="Label").wait_for()
    camera.take(page, "home")


def item(camera: Camera, **how: Any) -> Any:
    page = camera.page("ana", f"/review?run={example.RUN}", **how)
    page.wait_for_selector("h1#item, dialog[open]")
    page.wait_for_timeout(300)
    if page.locator("dialog[open]").count():  # the guidelines, which are new in this browser
        if not how:
            camera.take(page, "guidelines-new", close=False)
        page.get_by_role("button", name="I have read them").click()
    page.locator("h1#item:focus").wait_for()
    return page


def texts(page: Any) -> list[str]:
    return [side.inner_text() for side in page.locator("section.completion > .text").all()]


def better(page: Any, good: dict[str, float]) -> str:
    """The key of the better one."""
    one, two = (good.get(text.strip(), 0.0) for text in texts(page))
    return "1" if one >= two else "2"


def chosen(page: Any, good: dict[str, float]) -> None:
    """Says what a careful person would."""
    one, two = texts(page)
    first = better(page, good) == "1"
    page.keyboard.press("1" if first else "2")
    page.keyboard.press("Shift+Digit3")
    page.keyboard.press("r")
    longer = len(one if first else two) > len(two if first else one)
    page.keyboard.type("Says one thing more that this person needs." if longer else "Says it all in fewer words.")


def alike(page: Any) -> bool:
    """Whether the two differ in some words, not in all."""
    one, two = (text.split() for text in texts(page))
    return page.get_by_role("button", name="Diff").is_visible() and 0.6 < SequenceMatcher(None, one, two).ratio() < 0.97


def labelling(camera: Camera) -> None:
    good = example.Writing.read().good
    page = item(camera)
    camera.take(page, "item", close=False)
    until(page, lambda: alike(page))
    chosen(page, good)
    camera.take(page, "item-chosen", close=False)
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    camera.take(page, "item-diff", close=False)
    page.keyboard.press("d")
    for key, name in (("?", "help"), ("s", "skip"), ("l", "guidelines")):
        page.keyboard.press(key)
        page.locator("dialog[open]").wait_for()
        camera.take(page, name, close=False)
        page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.locator(".editor").fill(
        page.locator(".editor").input_value() + " If that does not help, say it once more, kindly."
    )
    camera.take(page, "item-edit", close=False)
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Discard it").click()
    page.context.set_offline(True)
    page.locator(".dock button.main").click()
    page.locator(".state", has_text="not saved yet").wait_for()
    camera.take(page, "item-offline", close=False)
    page.context.set_offline(False)
    page.locator("#count", has_text=re.compile("done")).wait_for()
    page.wait_for_timeout(2500)
    page.close(run_before_unload=False)
    page = item(camera, dark=True)
    chosen(page, good)
    camera.take(page, "item-dark")
    page = item(camera, size=PHONE)
    page.mouse.move(0, 0)
    camera.take(page, "item-phone", close=False)
    page.keyboard.press(better(page, good))
    camera.take(page, "item-phone-whole", whole=True)


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Labels items until one is as wanted."""
    for _ in range(16):
        if holds():
            return
        number = page.locator("h1#item").inner_text()
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        page.locator("h1#item:focus", has_not_text=number).wait_for()


def leading(camera: Camera) -> None:
    for name, how in (("lead", {}), ("lead-dark", {"dark": True}), ("lead-phone", {"size": PHONE})):
        page = camera.page("root" if how == {} else "lea", f"/lead?run={example.RUN}", **how)
        page.get_by_role("heading", name="People").first.wait_for()
        page.locator("table.people .small-plot, table.people svg").first.wait_for(timeout=120_000)
        camera.take(page, name, whole=True, close=False)
        if name != "lead-dark":
            page.set_viewport_size(how.get("size", WIDE))
            heading = "Draw more" if name == "lead" else "Annotators"
            page.get_by_role("heading", name=heading).evaluate("(one) => one.scrollIntoView()")
            camera.take(page, "lead-draw" if name == "lead" else "lead-phone-people", close=False)
        page.close(run_before_unload=False)
    page = camera.page("lea", f"/dispute?run={example.RUN}")
    page.locator("table.votes").first.wait_for()
    for _ in range(12):
        votes = page.locator("table.votes").first.inner_text()
        if "felix" not in votes and page.locator(".rationale").count():
            break
        page.keyboard.press("n")
        page.wait_for_timeout(300)
    camera.take(page, "dispute", whole=True, close=False)
    page.keyboard.press("j")
    page.get_by_role("heading", name="What the judges said").wait_for()
    camera.take(page, "dispute-judges", whole=True)
    page = camera.page("lea", f"/dispute?run={example.RUN}", size=PHONE)
    page.locator("table.votes").first.wait_for()
    camera.take(page, "dispute-phone", whole=True)
    page = camera.page("lea", f"/audit?run={example.RUN}")
    page.wait_for_timeout(4000)
    camera.take(page, "audit", whole=True)


def running(camera: Camera) -> None:
    page = camera.page("root", f"/run?run={example.SECOND}")
    page.get_by_role("button", name="Start").click()
    page.get_by_text(re.compile(r"[3-9]\d of 1\d\d prompts")).wait_for(timeout=120_000)
    camera.take(page, "run", close=False)
    home = camera.page("root", "/")
    home.get_by_role("link", name="Lead").first.wait_for()
    camera.take(home, "home-admin")
    page.get_by_role("button", name="Pause").click()
    page.locator(".badge", has_text="paused").wait_for()
    camera.take(page, "run-paused")
    camera.take(camera.page("root", f"/run?run={example.RUN}"), "run-done")
    page = camera.page("lea", f"/results?run={example.RUN}")
    page.locator("article, .pair").first.wait_for()
    camera.take(page, "results")


def writing(camera: Camera) -> None:
    rationale = "People come with a question"
    save(camera, f"{rationale}, and", f"{rationale};", "A shorter rationale")
    save(camera, "weight = 1.5", "weight = 2.0", "An answer counts for more than its style")
    page = camera.page("root", f"/principles?run={example.RUN}")
    sheet = sheet_of(page)
    camera.take(page, "principles", close=False)
    text = sheet.input_value()
    sheet.fill(text.replace('rationale = "People', 'rationales = "People', 1))
    page.locator("#verdict", has_text="rationales").wait_for()
    page.locator("#verdict button").click()
    camera.take(page, "principles-fault", close=False)
    sheet.fill(text.replace("and does so early", "and does so in its first sentence", 1))
    page.get_by_role("button", name="What changes").click()
    page.locator(".diff").first.wait_for()
    to_top(page)
    camera.take(page, "principles-diff", whole=True, close=False)
    page.get_by_role("button", name="What changes").click()
    sheet.fill(text)
    page.get_by_text("History").click()
    page.get_by_text(re.compile("saved by root")).first.wait_for()
    to_top(page)
    camera.take(page, "principles-history", whole=True)


def save(camera: Camera, old: str, new: str, note: str) -> None:
    page = camera.page("root", f"/principles?run={example.RUN}")
    sheet = sheet_of(page)
    sheet.fill(sheet.input_value().replace(old, new, 1))
    page.get_by_label("What did you change").fill(note)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text(re.compile("^Saved")).first.wait_for()
    page.close(run_before_unload=False)


def to_top(page: Any) -> None:
    page.locator(".editor").evaluate("(box) => { box.scrollTop = 0; }")
    page.evaluate("scrollTo(0, 0)")


def sheet_of(page: Any) -> Any:
    sheet = page.get_by_label("The principle file")
    sheet.wait_for()
    page.locator(".listed .card").first.wait_for()
    page.wait_for_timeout(500)
    return sheet


def people(camera: Camera) -> None:
    page = camera.page("root", "/users")
    page.get_by_text("priya").first.wait_for()
    camera.take(page, "users", whole=True)
    camera.take(camera.page("ana", "/account"), "account")
    camera.take(camera.page("lea", "/api"), "api")


ALL: tuple[Callable[[Camera], None], ...] = (entering, leading, labelling, running, writing, people)


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--only", default="", help="some of: " + ", ".join(one.__name__ for one in ALL))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder) / "example"
        example.make(root)
        with served(root) as url:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            camera, wanted = Camera(browser, url, asked.out, invited(root)), asked.only.split(",")
            for pictures in ALL:
                if wanted == [""] or pictures.__name__ in wanted:
                    pictures(camera)
            browser.close()


if __name__ == "__main__":
    main()
