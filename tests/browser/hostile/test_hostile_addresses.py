"""Hostile texts in the addresses of pages and in the names of accounts: none runs, leads elsewhere or is taken."""

from typing import Any
from urllib.parse import quote

import pytest

OF_A_RUN = ("review", "lead", "dispute", "audit", "results", "run", "principles")
OTHERS = ("", "home", "users", "account", "api", "login", "invite")
OF_THE_SERVICE = ["/.//evil.invalid/x", "/x/..//evil.invalid/x", "/%2e//evil.invalid", "/.\\/evil.invalid", "//", "/\\"]


def test_no_address_of_a_page_runs(guard: Any, texts: Any) -> None:
    guard.log_in("root")
    page = guard.open("/account", "h1")
    for name in OF_A_RUN + OTHERS:
        for text in texts.addresses:
            more = quote(text, safe="")
            page.goto(f"/{name}?run={more}&item={more}&principle={more}&after={more}&next={more}#{more}")
            page.locator("#head .brand").wait_for()
            assert not page.locator("#head .run-name").count(), "nobody is shown a run that is not there"
            guard.until(page, "document.querySelector('main h1, main p, .notice')")
            guard.check(page)


@pytest.mark.parametrize(
    ("name", "part"), [("dispute", "item"), ("results", "principle"), ("results", "after"), ("invite", "next")]
)
def test_no_address_of_a_part_of_a_run_runs(guard: Any, texts: Any, name: str, part: str) -> None:
    guard.log_in("root")
    page = guard.open("/account", "h1")
    for text in texts.addresses:
        page.goto(f"/{name}?run=demo&{part}={quote(text, safe='')}")
        guard.until(page, "document.querySelector('main h1')")
        guard.check(page)


def test_nobody_is_led_elsewhere_after_they_log_in(guard: Any, texts: Any) -> None:
    guard.context.route("**/api/login", lambda route: route.fulfill(json={}))
    page = guard.context.new_page()
    hostile = [text for text in texts.elsewhere if not text.startswith("/xss")]
    for address in (*OF_THE_SERVICE, *hostile):
        page.goto(f"/login?next={quote(address, safe='')}")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("x")
        with page.expect_navigation(wait_until="commit"):
            page.get_by_role("button", name="Log in").click()
        assert page.url.startswith(f"{guard.url}/"), address
        assert not guard.happened, address


def test_nobody_gets_a_hostile_name(guard: Any, texts: Any) -> None:
    guard.log_in("root")
    ask = guard.context.request
    headers = {"Origin": guard.url, "X-CSRF-Token": ask.get("/api/me").json()["csrf"]}
    for text in texts.payloads:
        for body in ({"name": text}, {"name": "dora", "runs": [text]}, {"name": "dora", "role": text}):
            assert ask.post("/api/users", data=body, headers=headers).status == 422
    assert [one["name"] for one in ask.get("/api/users").json()] == ["ann", "lea", "root"]
