"""What a person does at the review page, in a real browser."""

import re
from collections.abc import Callable
from typing import Any

from solon.database import Database
from solon.review.storage.store import Store

Visit = Callable[..., Any]


def opened(context: Any) -> Any:
    page = context.new_page()
    page.goto("/review?run=demo")
    page.wait_for_selector("h1#item")
    return page


def done(page: Any, count: int, skipped: int = 0) -> None:
    """Waits for the acknowledgement, and for the item after it: until it is there, keys do nothing."""
    page.locator("#count", has_text=re.compile(rf"^{count} done")).wait_for()
    page.locator("h1#item", has_text=re.compile(rf"^Item {count + skipped + 1}\b")).wait_for()


def labels(service: Any) -> list[Any]:
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        return list(store.labels())


def texts(page: Any) -> list[str]:
    return [side.inner_text() for side in page.locator("section.completion > .text").all()]


def test_the_first_visitor_with_the_printed_link_becomes_the_admin(
    chromium: Any, tmp_path: Any, service_class: Any
) -> None:
    fresh = service_class(tmp_path)
    fresh.write([{"prompt": "Why?", "id": "p"}])
    fresh.start()
    try:
        page = chromium.new_page()
        page.goto(fresh.link)
        page.get_by_label("Name").fill("solon")
        for box in page.locator("input[type=password]").all():
            box.fill("a long enough pass phrase")
        page.get_by_role("button", name=re.compile("Set the password")).click()
        page.wait_for_url(f"{fresh.url}/")
        page.get_by_role("button", name="Log out").wait_for()
        page.goto(fresh.link)
        page.reload()
        page.get_by_role("heading", name="This link does not work").wait_for()
        page.close()
    finally:
        fresh.kill()


def test_every_choice_by_keyboard_is_saved_as_it_was_seen(visit: Visit, service: Any) -> None:
    page = opened(visit("ann"))
    for count, (key, choice) in enumerate(
        [("1", "1"), ("2", "2"), ("t", "tie"), ("g", "both good"), ("b", "both bad")], 1
    ):
        left = texts(page)[0]
        page.keyboard.press(key)
        page.keyboard.press("Enter")
        done(page, count)
        newest = max(labels(service), key=lambda label: label.at)
        if choice in ("1", "2"):
            shown_first = left == body_of(service, newest.item).completions[newest.side - 1].strip()
            assert shown_first
            assert (newest.choice == str(newest.side)) == (choice == "1")
        else:
            assert newest.choice == choice


def body_of(service: Any, item: str) -> Any:
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        return store.tasks([item])[0].task.body


def test_strength_rationale_and_undo(visit: Visit, service: Any) -> None:
    page = opened(visit("ann"))
    first = texts(page)
    page.keyboard.press("1")
    page.keyboard.press("Shift+Digit3")
    page.keyboard.press("r")
    page.keyboard.type("It answers: 1, 2, t, b and u are letters here.")
    page.keyboard.press("Control+Enter")
    done(page, 1)
    (saved,) = labels(service)
    assert (saved.strength, saved.rationale) == (3, "It answers: 1, 2, t, b and u are letters here.")
    page.keyboard.press("u")
    done(page, 0)
    assert texts(page) == first
    assert page.locator("textarea").first.input_value().startswith("It answers")
    assert labels(service) == []
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    done(page, 1)
    (again,) = labels(service)
    assert again.item == saved.item
    assert again.choice != saved.choice


def test_skip_flag_and_edit(visit: Visit, service: Any) -> None:
    page = opened(visit("ann"))
    page.keyboard.press("s")
    page.get_by_label("I would rather not read this").check()
    page.get_by_role("dialog").get_by_role("button", name="Skip").click()
    done(page, 0, skipped=1)
    page.keyboard.press("1")
    page.keyboard.press("f")
    page.keyboard.type("Is this medical advice?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Edit the second completion").click()
    page.locator("section.completion textarea").fill("A better version, by a person.")
    page.get_by_role("button", name=re.compile("^Save")).first.click()
    page.get_by_text("Your version is saved").wait_for()
    page.locator("h1#item").focus()
    page.keyboard.press("Enter")
    done(page, 1, skipped=1)
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        assert [one.reason for one in store.skips()] == ["I would rather not read this"]
        assert [one.reason for one in store.flags()] == ["Is this medical advice?"]
        (edit,) = store.edits()
        (label,) = store.labels()
        right = store.tasks([label.item])[0].task.candidates[2 - label.side]
    assert edit.text == "A better version, by a person."
    assert edit.revises == right


def test_the_word_diff_marks_what_only_one_side_has(visit: Visit) -> None:
    page = opened(visit("ann"))
    for count in range(1, 30):
        if page.get_by_role("button", name=re.compile("Diff")).is_visible():
            break
        page.keyboard.press("t")
        page.keyboard.press("Enter")
        done(page, count)
    before = texts(page)
    assert page.locator("mark").count() == 0
    page.keyboard.press("d")
    page.locator("mark").first.wait_for()
    assert texts(page) == before
    page.keyboard.press("d")
    page.locator("mark").first.wait_for(state="detached")


def test_a_label_given_while_the_connection_is_gone_is_saved_once_when_it_is_back(visit: Visit, service: Any) -> None:
    context = visit("ann")
    page = opened(context)
    context.set_offline(True)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.get_by_text("Not saved yet, trying again").wait_for()
    assert labels(service) == []
    context.set_offline(False)
    done(page, 1)
    assert len(labels(service)) == 1


def test_a_label_waits_for_a_server_that_was_killed_even_through_a_reload(visit: Visit, service: Any) -> None:
    page = opened(visit("ann"))
    service.kill()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.get_by_text("Not saved yet, trying again").wait_for()
    service.start()
    page.reload()
    done(page, 1)
    (label,) = labels(service)
    assert (label.choice == str(label.side)) is False


def test_two_tabs_show_one_item_and_label_it_once(visit: Visit, service: Any) -> None:
    context = visit("ann")
    one, two = opened(context), opened(context)
    assert texts(one) == texts(two)
    one.keyboard.press("1")
    one.keyboard.press("Enter")
    done(one, 1)
    done(two, 1)
    assert texts(one) == texts(two)
    assert len(labels(service)) == 1


def test_no_key_does_anything_inside_a_text_field(visit: Visit, service: Any) -> None:
    page = opened(visit("ann"))
    page.keyboard.press("r")
    page.keyboard.type("12tgbsu?")
    assert page.locator("textarea").first.input_value() == "12tgbsu?"
    assert page.get_by_role("dialog").count() == 0
    assert page.get_by_role("radio", checked=True).count() == 0
    assert labels(service) == []


def test_nothing_scrolls_sideways_on_a_phone(visit: Visit) -> None:
    context = visit("ann")
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 740})
    for address in ("/review?run=demo", "/"):
        page.goto(address)
        page.wait_for_selector("h1")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
