"""Hostile texts on the pages of the lead, of runs and of principles: each stands there as text, and none runs."""

import time
from typing import Any

import tomlkit

from solon.text import printable

ACTIVE = "document.querySelectorAll('script, iframe, img, object, base, [onload], [onerror]').length"


def test_no_text_runs_on_the_pages_of_the_lead(guard: Any, hostile: Any) -> None:
    guard.log_in("root")
    page = guard.open("/lead?run=demo", "#guidelines")
    page.locator("table.people").wait_for()
    page.locator("h2", has_text="Judges beside people").wait_for(timeout=60_000)
    guard.open_details(page)
    guard.read(
        page,
        field="textarea#guidelines",
        versions=".history pre",
        by=".history details p",
        people="table.people .name",
        doubts=".warnings b",
    )
    page.locator("h2", has_text="People beside one another").wait_for(timeout=60_000)
    guard.read(page, whole="main")
    page.get_by_role("button", name="Leave out").first.click()
    page.locator("dialog").wait_for()
    page.keyboard.press("Escape")
    guard.check(page)
    guard.settle()


def test_no_text_runs_in_the_audit_and_the_report(guard: Any, texts: Any) -> None:
    guard.log_in("root")
    page = guard.open("/audit?run=demo", "h2")
    guard.read(page, audit="main")
    guard.check(page)
    guard.settle()
    for _ in range(200):  # it is made in a process of its own
        page = guard.open("/api/runs/demo/lead/audit.html", "body")
        if texts.payloads[0] in page.evaluate("document.body.textContent"):
            break
        page.close()
        time.sleep(0.2)
    else:
        raise AssertionError("the audit's page never came")
    assert not page.evaluate(ACTIVE)
    page = guard.open("/api/runs/demo/report", "body")
    assert page.evaluate("document.contentType") == "text/plain"


def test_no_text_runs_on_the_page_of_a_run(guard: Any) -> None:
    guard.log_in("root")
    page = guard.open("/run?run=demo", "table")
    guard.read(
        page,
        warnings=".card.careful",
        told=".plain .card:not(.careful)",
        reasons="tbody th",
        limit="main > p:nth-of-type(1)",
    )
    guard.check(page)
    guard.settle(shown=printable)


def test_no_text_runs_where_a_run_failed(guard: Any, texts: Any) -> None:
    guard.log_in("root")
    page = guard.open("/", ".card")
    page.locator(".card.bad").nth(len(texts.faults) - 1).wait_for()
    guard.read(page, home=".card.bad p")
    guard.check(page)
    files = []
    for number in range(len(texts.faults)):
        page = guard.open(f"/run?run=bad-{number}", ".card.bad p")
        guard.read(page, fault=".card.bad p", log="pre")
        guard.check(page)
        page.close()  # it listens: a browser keeps six connections to a server, and no more
        page = guard.open(f"/principles?run=bad-{number}", "code")
        page.locator("main code", has_text="x/").wait_for()
        files.append(page.locator("main p code").first.text_content())
        guard.check(page)
        page.close()
    assert not [text for text in texts.payloads if text.replace("\n", "/") not in "\n".join(files)]
    guard.settle(shown=lambda text: printable(text.replace("\n", " ")))


def test_no_text_runs_in_the_results(guard: Any) -> None:
    guard.log_in("lea")
    page = guard.open("/results?run=demo&size=100", "article")
    guard.open_details(page)
    guard.until(page, "![...document.querySelectorAll('article pre')].some((one) => one.textContent === '…')")
    guard.read(
        page,
        prompt="article h2",
        chosen=".columns section:nth-of-type(1) .text",
        rejected=".columns section:nth-of-type(2) .text",
        badges=".badges",
        history="pre",
        options="#principle",
    )
    guard.check(page)
    guard.settle()


def test_no_text_runs_in_the_principle_editor(guard: Any, hostile: Any, texts: Any) -> None:
    before = (hostile.root / "principles.toml").read_text()
    guard.log_in("root")
    page = guard.open("/principles?run=demo", ".listed li")
    assert page.get_by_label("The principle file").input_value() == before
    mirror = page.evaluate("[...document.querySelectorAll('.mirror > div')].map((one) => one.textContent).join('\\n')")
    assert mirror == before
    guard.read(page, listed=".listed button", rules=".listed .rule", tags=".listed")
    guard.settle()
    for number, text in enumerate(texts.notes):
        save_principles(guard, page, before, number, text)
    page.reload()
    page.locator(".listed li").first.wait_for()
    page.get_by_text("History").click()
    page.locator(".versions li").nth(len(texts.notes) - 1).wait_for()
    guard.open_details(page)
    page.locator(".diff").first.wait_for()
    notes = page.evaluate("[...document.querySelectorAll('.versions li > p')].map((one) => one.textContent).join('')")
    assert not [text for text in texts.payloads if text.replace("\n", " ").strip() not in notes]
    again = tomlkit.dumps({"principle": [{"id": texts.names[0], "rule": "again"}]})
    page.get_by_label("The principle file").fill(f"{before}\n{again}")
    page.locator("#verdict.bad").wait_for()
    page.get_by_role("button", name="What changes").click()
    page.locator(".changes .diff").wait_for()
    guard.check(page)


def save_principles(guard: Any, page: Any, before: str, number: int, text: str) -> None:
    """A version with these texts in a comment of the file and in the note; of the first one, what it changes."""
    comment = "".join(one for one in text if one.isprintable())
    page.get_by_label("The principle file").fill(f"{before}\n# {number} {comment}")
    page.get_by_label("What did you change").fill(text.replace("\n", " "))
    if number == 0:
        page.get_by_role("button", name="What changes").click()
        page.locator(".changes ins, .changes .new").first.wait_for()
    guard.until(page, "!document.querySelector('.saving button').disabled")
    page.keyboard.press("Control+s")
    saved = "document.querySelector('.saving button').disabled && document.getElementById('note').value === ''"
    guard.until(page, saved)
