"""What a lead and an admin do: settle a dispute, leave a person out, edit a principle, watch a run."""

import re
from collections.abc import Callable
from typing import Any

import pytest

Visit = Callable[..., Any]


@pytest.mark.parametrize("service", [2], indirect=True)
def test_a_dispute_is_settled_by_keyboard_and_the_decision_holds(visit: Visit, service: Any) -> None:
    from solon.database import Database
    from solon.review.records import Said
    from solon.review.storage.store import Store

    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        sides = {}
        for name in ("bo", "cy"):
            leased = store.next(name, 1.0)
            assert leased
            while sides and leased.item != sides["bo"]:
                store.skip(name, leased.item, "not this one", key=f"skip-{leased.item}", now=1.5)
                leased = store.next(name, 1.6)
                assert leased
            own = "1" if name == "bo" else "2"
            shown: Any = own if leased.side == 1 else {"1": "2", "2": "1"}[own]
            store.save(name, leased.item, Said(shown), key=f"{name}-key-0001", now=2.0)
            sides[name] = leased.item
        assert sides["bo"] == sides["cy"]
    page = visit("lea").new_page()
    page.goto("/dispute?run=demo")
    page.get_by_text("1 dispute to decide").wait_for()
    page.get_by_text("bo", exact=True).first.wait_for()
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.get_by_text(re.compile("Nothing to decide, 1 decided")).wait_for()
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        (decision,) = store.decisions()
    assert (decision.item, decision.choice, decision.by) == (sides["bo"], "both bad", "lea")


def test_a_principle_is_edited_checked_and_kept_with_its_comments(visit: Visit, service: Any) -> None:
    file = service.root / "principles.toml"
    before = file.read_text()
    page = visit("root").new_page()
    page.goto("/principles?run=demo")
    sheet = page.get_by_label("The principle file")
    sheet.wait_for()
    page.get_by_text("At most 40 words.").first.wait_for()
    sheet.fill(before.replace('id = "direct"', 'ident = "direct"'))
    page.locator("#verdict", has_text="ident").wait_for()
    assert page.get_by_role("button", name="Save", exact=True).is_disabled()
    sheet.fill(before.replace("At most 40 words.", "At most 30 words."))
    page.locator("#verdict", has_text=re.compile("reworded|short")).wait_for()
    page.get_by_role("button", name="What changes").click()
    page.get_by_text("At most 30 words.").first.wait_for()
    page.keyboard.press("Control+s")
    page.get_by_text(re.compile("^Saved")).first.wait_for()
    assert file.read_text() == before.replace("At most 40 words.", "At most 30 words.")
    page.get_by_text("History").click()
    page.get_by_text(re.compile("saved by root")).first.wait_for()


def test_a_run_is_started_watched_paused_and_carried_to_its_end(visit: Visit, service: Any) -> None:
    prompts = [{"prompt": f"Why does the thing number {n} matter so much?", "id": f"prompt-{n}"} for n in range(60)]
    slow = {"backend": "scripted", "model": "rambler", "max_tokens": 160, "latency": 0.2}
    service.write(prompts, policy=slow, limits={"in_flight": 4})
    context = visit("root")
    page = context.new_page()
    page.goto("/run?run=demo")
    page.locator(".badge", has_text="done").wait_for()
    page.get_by_role("button", name="Start again").click()
    page.locator(".badge", has_text="running").wait_for()
    page.get_by_text(re.compile(r"(1[7-9]|[2-5]\d) of 60 prompts")).wait_for()
    page.get_by_role("button", name="Pause").click()
    page.locator(".badge", has_text="paused").wait_for()
    page.get_by_role("button", name="Go on").click()
    page.locator(".badge", has_text="running").wait_for()
    page.locator(".badge", has_text="done").wait_for(timeout=60_000)
    page.get_by_text("60 of 60 prompts").wait_for()
    page.goto("/results?run=demo")
    page.get_by_text("number").first.wait_for()


def test_an_annotator_finds_only_labelling(visit: Visit) -> None:
    page = visit("ann").new_page()
    page.goto("/")
    page.get_by_role("link", name=re.compile("Label")).first.wait_for()
    for name in ("Lead", "Results", "Principles", "People"):
        assert page.get_by_role("link", name=name, exact=True).count() == 0
    page.goto("/lead?run=demo")
    page.get_by_text(re.compile("for the role adjudicator|adjudicator")).first.wait_for()
