"""Single keys can be turned off, and on the disputes' page nothing is dropped that somebody was about to decide."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from solon.database import Database
from solon.review.records import Said
from solon.review.storage.store import Store

Visit = Callable[..., Any]


@pytest.fixture
def flagged(service: Any) -> list[str]:
    """Three items in dispute."""
    items = []
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        for n in range(3):
            leased = store.next("bo", 1.0)
            assert leased
            store.save("bo", leased.item, Said("tie", flag="odd"), key=f"bo-key-000{n}", now=2.0)
            items.append(leased.item)
    return sorted(items)


def test_single_keys_can_be_turned_off_for_review_and_disputes(visit: Visit, flagged: list[str]) -> None:
    context = visit("lea")
    page = context.new_page()
    page.goto("/review?run=demo")
    page.locator("h1#item:focus").wait_for()
    page.keyboard.press("?")
    page.get_by_label(re.compile("^Single keys do nothing")).check()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    page.keyboard.press("t")
    page.keyboard.press("?")
    assert page.locator("input:checked").count() == 0
    assert page.locator("dialog").count() == 0
    page.get_by_label("Tie").check(force=True)
    assert page.locator(".dock input:checked").count() == 1
    page.goto("/dispute?run=demo")
    page.get_by_text("3 disputes to decide").wait_for()
    page.locator("#item").wait_for()
    page.keyboard.press("t")
    page.keyboard.press("n")
    assert page.locator("[aria-pressed=true]").count() == 0
    assert flagged[0] in page.url
    page.get_by_role("button", name="Keys").click()
    page.get_by_label(re.compile("^Single keys do nothing")).uncheck()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    page.keyboard.press("t")
    assert page.locator("[aria-pressed=true]").count() == 1


def test_an_open_choice_is_not_dropped_without_a_word_and_of_two_items_asked_for_the_last_is_shown(
    visit: Visit, flagged: list[str]
) -> None:
    page = visit("lea").new_page()
    page.goto(f"/dispute?run=demo&item={flagged[0]}")
    page.locator("#item").wait_for()
    page.keyboard.press("b")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Stay").click()
    assert flagged[0] in page.url
    assert page.locator("[aria-pressed=true]").inner_text().startswith("Both bad")
    page.keyboard.press("n")
    dialog.get_by_role("button", name="Leave it").click()
    page.wait_for_url(f"**{flagged[1]}*")
    assert page.locator("[aria-pressed=true]").count() == 0
    page.keyboard.press("p")
    page.wait_for_url(f"**{flagged[0]}*")
    held: list[Any] = []
    page.route(f"**/items/{flagged[1]}", lambda route: held.append(route))
    with page.expect_request(f"**/items/{flagged[1]}"):
        page.keyboard.press("n")
    page.keyboard.press("n")
    page.wait_for_url(f"**{flagged[2]}*")
    with page.expect_response(f"**/items/{flagged[1]}"):
        held[0].continue_()
    page.wait_for_timeout(200)
    assert flagged[2] in page.url


def test_escape_keeps_a_version_and_a_note_and_a_skip_needs_only_keys(visit: Visit, service: Any) -> None:
    page = visit("ann").new_page()
    page.goto("/review?run=demo")
    page.locator("h1#item:focus").wait_for()
    page.get_by_role("button", name="Edit the second completion").click()
    page.locator("textarea.editor").fill("A better one.")
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert page.locator("textarea.editor").input_value() == "A better one."
    page.get_by_role("button", name="Discard", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Discard it").click()
    page.locator("textarea.editor").wait_for(state="detached")
    page.keyboard.press("f")
    page.keyboard.type("half a note")
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    page.keyboard.press("f")
    assert page.locator("dialog textarea").input_value() == "half a note"
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    page.keyboard.press("s")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing chosen yet: press 1 to 5").wait_for()
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    page.locator("#count", has_text="1 skipped").wait_for()
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        assert [one.reason for one in store.skips()] == ["I would rather not read this"]
