"""Hostile texts where people label and where disputes are settled: each stands there as text, and none runs."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from solon.database import Database
from solon.review.records import Edited, Said
from solon.review.storage.store import Store

GUIDE = {
    "guide": ".guide > p",
    "rule": ".guide .rule",
    "why": ".guide > .text:not(.rule)",
    "asked": ".example dd:nth-of-type(1)",
    "better": ".example dd:nth-of-type(2)",
    "worse": ".example dd:nth-of-type(3)",
}
SIDES = {
    "first": "section.completion:nth-of-type(1) > .text",
    "second": "section.completion:nth-of-type(2) > .text",
}
DISPUTE = {
    "decided": ".notice p",
    "prompt": ".prompt .text",
    "diff": ".side .text",
    "who": ".votes tbody th",
    "why": ".rationale",
    "flag": "td .careful",
    "edits": "section > details > .text",
    "guide": "article > p:nth-of-type(1)",
    "rule": "article > p:nth-of-type(2)",
    "reason": "article > p:nth-of-type(3)",
    "example": "article dd",
    "field": "textarea#rationale",
}
JUDGES = {
    "judge": "section[aria-live] td:nth-of-type(1)",
    "by": "section[aria-live] p",
    "under": "section[aria-live] th",
}


@pytest.fixture
def store(hostile: Any) -> Iterator[Store]:
    with Store.open(Database.file(hostile.run / "review.db"), "demo") as opened:
        yield opened


def test_no_text_runs_where_people_label(guard: Any, texts: Any, store: Store) -> None:
    guard.log_in("ann")
    page = guard.open("/review?run=demo", "dialog")
    guard.read(page, guidelines="dialog .text")
    page.get_by_role("button", name="I have read them").click()
    for number in range(len(texts.groups)):
        page.locator("h1#item", has_text=f"Item {number + 1}:").wait_for()
        if number == 0:
            guard.open_details(page)
            guard.read(page, **GUIDE)
        read_item(guard, page)
        label_in_another_window(store, texts, number)
        read_what_was_said(guard, page)
        guard.check(page)
        if number == 0:
            save_version(guard, page, f"V {texts.every}")
        page.keyboard.press("t")
        page.keyboard.press("Enter")
    page.get_by_role("heading", name="Nothing is left").wait_for()
    guard.check(page)
    guard.settle()


def read_item(guard: Any, page: Any) -> None:
    """Its prompt and both completions, with the words that differ marked and without."""
    guard.read(page, earlier=".prompt details .text", last=".prompt .text.last")
    page.keyboard.press("d")
    guard.read(page, **SIDES)
    assert page.locator("mark").count()
    page.keyboard.press("d")
    guard.read(page, **{f"{name} marked": selector for name, selector in SIDES.items()})


def label_in_another_window(store: Store, texts: Any, number: int) -> None:
    leased = store.next("ann", time.time())
    assert leased
    text = texts.groups[int(leased.body.prompt_id[:2])]
    store.edit("ann", leased.item, Edited(1, f"E {text}"), key=f"edit-{number:06d}", now=time.time())
    store.save("ann", leased.item, Said("tie", None, text, text), key=f"save-{number:06d}", now=time.time())


def read_what_was_said(guard: Any, page: Any) -> None:
    """Undo brings the label back into the fields."""
    page.keyboard.press("u")
    guard.until(page, "![undefined, ''].includes(document.getElementById('rationale')?.value)")
    guard.read(page, rationale="#rationale")
    page.keyboard.press("f")
    guard.read(page, flag="dialog textarea")
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")


def save_version(guard: Any, page: Any, text: str) -> None:
    page.keyboard.press("e")
    page.get_by_role("button", name="Second").last.click()
    page.locator("textarea.editor").fill(text)
    page.get_by_role("button", name="Save version").click()
    page.get_by_text("Your version is saved").wait_for()
    guard.read(page, version=".version .text")
    page.locator("h1#item").focus()


def test_no_text_runs_where_disputes_are_settled(guard: Any, texts: Any) -> None:
    guard.log_in("lea")
    page = guard.open("/dispute?run=demo", "select#filter")
    page.evaluate("window.seen = ''")
    page.locator("select#filter").select_option("decided")
    for number in range(len(texts.groups)):
        guard.until(page, "![seen, null].includes(new URLSearchParams(location.search).get('item'))")
        page.evaluate("seen = new URLSearchParams(location.search).get('item')")
        guard.open_details(page)
        guard.read(page, **DISPUTE)
        page.locator("label[for=diff] input").uncheck()
        guard.read(page, plain=".side .text")
        page.locator("button#judges").click()
        page.locator("section[aria-live] table").wait_for()
        if number == 0:
            guard.read(page, **JUDGES)
        guard.check(page)
        page.locator("#item").focus()
        page.keyboard.press("n")
    guard.settle()
