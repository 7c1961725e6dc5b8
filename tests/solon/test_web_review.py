"""The annotator's API: what it tells, what it never tells, and what a lost reply may not break."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from constitution.principle import Example
from judge.review.records import Guide, Kind, Side, Task, Turn
from judge.review.sides import side
from solon.config import RunConfig, Storage
from solon.database import Database
from solon.folder import RunFolder
from solon.review.records import Leased, NewTask, Pooled, Round, Said
from solon.review.storage.leasing import LEASE
from solon.review.storage.store import Store
from solon.web.accounts.store import Accounts
from solon.web.accounts.user import User
from solon.web.app import create_app
from solon.web.places import Found
from solon.web.review.shapes import shown
from solon.web.site import COOKIE, Site

SEED = 11
HERE = "http://127.0.0.1"
SHOWN = {"item", "prompt", "completions", "diff", "guides", "seconds_left", "saved"}


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Person:
    """An annotator's browser."""

    client: TestClient
    headers: Mapping[str, str]

    def send(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {**self.headers, **({"Idempotency-Key": key} if key else {})}
        return self.client.request(method, f"{HERE}/api/runs/demo/review/{path}", json=body, headers=headers)

    def next(self) -> Any:
        return self.send("POST", "next").json()["shown"]

    def label(self, item: str, key: str = "key-00000001", **said: Any) -> Any:
        return self.send("PUT", f"items/{item}/label", {"choice": "1", **said}, key)


@dataclass(frozen=True)
class Service:
    client: TestClient
    store: Store
    clock: Clock
    accounts: Accounts

    def person(self, name: str) -> Person:
        if self.accounts.user(name) is None:
            self.accounts.add(name, "annotator", {"demo"}, self.clock())
        begun = self.accounts.sessions.begin(cast(User, self.accounts.user(name)), self.clock())
        return Person(self.client, {"Cookie": f"{COOKIE}={begun.token}", "X-CSRF-Token": begun.csrf, "Origin": HERE})


def task(number: int, kind: Kind = "audit", overlap: int = 1) -> NewTask:
    guide = Guide("plain", "It uses everyday words.", "People are in a hurry.", (Example("Why?", "So.", "Hence."),))
    body = Task(
        f"item-{number}",
        f"secret-prompt-{number}",
        "secret-source",
        (Turn("user", "What is the tide?"),),
        (f"The sea rises twice a day {number}.", f"The sea rises and falls twice a day {number}."),
        number % 2 == 0,
        (guide,),
    )
    known = "1" if kind == "gold" else None
    return NewTask(kind, (number + 1) / 100, overlap, body, (f"secret-a-{number}", f"secret-b-{number}"), known)


@pytest.fixture(scope="module")
def app() -> tuple[Site, FastAPI]:
    """The service, made once, which takes the time of twenty tests; each test gives its site another content."""
    nowhere = Site(Path(), cast(Accounts, None), Clock(), tuple, lambda _: cast(Store, None))
    return nowhere, create_app(nowhere)


@pytest.fixture
def service(tmp_path: Path, app: tuple[Site, FastAPI]) -> Iterator[Service]:
    run = tmp_path / "runs" / "demo"
    run.mkdir(parents=True)
    (run / "config.toml").touch()
    clock = Clock()
    tasks = [task(0), task(1), task(2, overlap=2), task(3, "worth"), task(4, "gold"), task(5)]
    accounts = Accounts.open(Database.file(tmp_path / "accounts.db"))
    with Store.open(Database.file(run / "review.db"), "demo") as store:
        asked = Round(len(tasks), "mixed", 2, 0.2, 0.5, 0.2, SEED)
        store.add_round(asked, [Pooled(one.item, "all", 0.7, 0.5) for one in tasks], tasks, clock())
        config = cast(RunConfig, SimpleNamespace(name="demo", storage=Storage()))
        found = Found("demo", RunFolder(run, config, tmp_path), None)
        site = Site(tmp_path, accounts, clock, lambda: (found,), lambda _: store)
        for field in fields(Site):
            setattr(app[0], field.name, getattr(site, field.name))
        yield Service(TestClient(app[1], base_url=HERE), store, clock, accounts)
    accounts.engine.dispose()


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(keys_of(one) for one in value.values()))
    return set().union(*(keys_of(one) for one in value)) if isinstance(value, list) else set()


def test_nothing_leaves_that_an_annotator_may_not_see(service: Service) -> None:
    ada = service.person("ada")
    told: list[Any] = []
    for number in range(6):
        told.append(ada.send("POST", "next"))
        item = told[-1].json()["shown"]["item"]
        told.append(ada.send("POST", f"items/{item}/heartbeat"))
        edited = {"completion": 1, "text": f"My own words {number}."}
        told.append(ada.send("PUT", f"items/{item}/edit", edited, f"edit-0000-{number}"))
        told.append(ada.label(item, f"label-000-{number}"))
    told += [ada.send("GET", path) for path in ("mine", "progress", "guidelines")]
    told.append(ada.send("POST", "undo", key="undo-0000"))
    assert {reply.status_code for reply in told} == {200}
    forbidden = {
        "kind",
        "model",
        "p",
        "probability",
        "score",
        "candidates",
        "known",
        "side",
        "place",
        "round",
        "stratum",
    }
    for reply in told:
        assert not keys_of(reply.json()) & forbidden
        assert not any(word in reply.text for word in ("secret", "gold", "audit", "worth"))


def test_an_item_known_beforehand_looks_like_any_other(service: Service) -> None:
    ada = service.person("ada")
    seen = {}
    for number in range(6):
        item = ada.next()
        seen[item["item"]] = item
        ada.label(item["item"], f"label-000-{number}")
    assert {frozenset(item) for item in seen.values()} == {frozenset(SHOWN)}
    assert "item-4" in seen


def test_the_left_completion_is_that_of_the_side_drawn_and_the_label_is_of_what_was_shown(service: Service) -> None:
    seen: set[Side] = set()
    for name in ("ada", "ben", "cleo", "dan"):
        person = service.person(name)
        item = person.next()
        drawn = side(SEED, item["item"], name)
        completions = task(int(item["item"][-1])).body.completions
        assert item["completions"][0] == completions[drawn - 1]
        person.label(item["item"], choice="1", strength=3)
        label = next(one for one in service.store.labels() if one.annotator == name)
        assert (label.choice, label.strength, label.side) == (str(drawn), 3, drawn)
        seen.add(drawn)
    assert seen == {1, 2}


def test_related_completions_come_with_their_differences_left_and_right(service: Service) -> None:
    ada = service.person("ada")
    for number in range(4):
        item = ada.next()
        if task(int(item["item"][-1])).body.related:
            for name, text in zip(("left", "right"), item["completions"], strict=True):
                pieces = item["diff"][name]
                assert "".join(piece["text"] for piece in pieces) == text
                assert [p["text"] for p in pieces if p["own"]] == (["and falls"] if "falls" in text else [])
        else:
            assert item["diff"] is None
        ada.label(item["item"], f"label-000-{number}")


def test_a_label_sent_again_with_its_key_is_one_label_and_the_same_reply(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    first = ada.label(item, rationale="Shorter.")
    service.clock.now += 60
    again = ada.label(item, rationale="Shorter.")
    assert (first.status_code, first.json()) == (200, again.json())
    assert first.json()["progress"]["done"] == 1
    assert len(service.store.labels()) == 1


def test_the_key_of_one_thing_is_not_taken_for_another(service: Service) -> None:
    ada = service.person("ada")
    ada.label(ada.next()["item"])
    other = ada.next()["item"]
    assert ada.label(other).status_code == 409
    assert len(service.store.labels()) == 1


def test_two_tabs_show_the_same_item(service: Service) -> None:
    ada = service.person("ada")
    assert ada.next()["item"] == service.person("ada").next()["item"]


def test_the_server_measures_how_long_it_took(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    service.clock.now += 42
    ada.label(item)
    assert service.store.labels()[0].seconds == 42


def test_a_heartbeat_keeps_the_item(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    for _ in range(3):
        service.clock.now += LEASE - 1
        assert ada.send("POST", f"items/{item}/heartbeat").json() == {"seconds_left": LEASE}
    assert service.person("ben").next()["item"] != item


def test_a_lost_lease_is_told_and_takes_nothing(service: Service) -> None:
    ada, ben = service.person("ada"), service.person("ben")
    item = ada.next()["item"]
    service.clock.now += LEASE + 1
    while (of_ben := ben.next())["item"] != item:
        ben.label(of_ben["item"], f"label-{of_ben['item']}")
    told = ada.send("POST", f"items/{item}/heartbeat"), ada.label(item)
    assert [one.status_code for one in told] == [409, 409]
    assert set(told[1].json()) == {"fact", "remedy"}
    assert all(one.annotator != "ada" for one in service.store.labels())


def test_a_label_after_the_lease_counts_where_nobody_took_the_place(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    service.clock.now += LEASE + 1
    assert ada.label(item).status_code == 200


def test_a_skipped_item_does_not_come_again_and_its_reason_is_kept(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    reply = ada.send("PUT", f"items/{item}/skip", {"reason": "I do not know enough"}, "skip-00001")
    assert reply.json()["progress"] == {"done": 0, "skipped": 1, "left": 5}
    assert ada.next()["item"] != item
    assert [(one.item, one.reason) for one in service.store.skips()] == [(item, "I do not know enough")]


def test_undo_brings_the_last_item_back_with_what_was_said_as_it_was_shown(service: Service) -> None:
    ada = service.person("ada")
    said = {"choice": "2", "strength": 4, "rationale": "It says why.", "flag": "a number is wrong"}
    item = ada.next()
    ada.label(item["item"], **said)
    ada.next()
    back = ada.send("POST", "undo", key="undo-00001").json()
    assert back["shown"] == {**item, "saved": said}
    assert back["progress"]["done"] == 0
    assert service.store.labels() == ()
    assert ada.send("POST", "undo", key="undo-00001").json()["shown"]["item"] == item["item"]


def test_with_nothing_to_undo_nothing_comes_back(service: Service) -> None:
    assert service.person("ada").send("POST", "undo", key="undo-00001").json()["shown"] is None


def test_when_all_is_done_there_is_no_item(service: Service) -> None:
    ada = service.person("ada")
    while item := ada.next():
        ada.label(item["item"], f"label-{item['item']}")
    assert ada.send("GET", "progress").json()["left"] == 0


def test_an_edit_is_of_the_completion_that_was_shown_there(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    edited = {"completion": 2, "text": "The sea comes and goes."}
    assert ada.send("PUT", f"items/{item}/edit", edited, "edit-00001").status_code == 200
    number, drawn = item[-1], side(SEED, item, "ada")
    (edit,) = service.store.edits()
    assert edit.revises == f"secret-{'ba'[drawn - 1]}-{number}"
    assert ada.next()["item"] == item


def test_guidelines_come_with_their_version(service: Service) -> None:
    ada = service.person("ada")
    assert ada.send("GET", "guidelines").json()["version"] == 0
    service.store.set_guidelines("Read both to the end.", "lena", service.clock())
    assert ada.send("POST", "next").json()["guidelines"] == 1
    assert ada.send("GET", "guidelines").json() == {
        "version": 1, "text": "Read both to the end.", "at": service.clock()
    }  # fmt: skip


def test_labels_out_of_bounds_are_refused(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    out_of_bounds: tuple[dict[str, Any], ...] = (
        {"choice": "3"},
        {"choice": "tie", "strength": 1},
        {"strength": 0},
        {"strength": 5},
        {"rationale": "x" * 4_001},
        {"flag": "x" * 501},
        {"kind": "gold"},
        {"annotator": "ben"},
    )
    for said in out_of_bounds:
        assert ada.label(item, **said).status_code == 422, said
    assert service.store.labels() == ()


def test_other_bounds_hold(service: Service) -> None:
    ada = service.person("ada")
    item = ada.next()["item"]
    fine = "key-000001"
    for path, body, key in (
        (f"items/{item}/skip", {"reason": ""}, fine),
        (f"items/{item}/skip", {"reason": "x" * 501}, fine),
        (f"items/{item}/edit", {"completion": 3, "text": "Mine."}, fine),
        (f"items/{item}/edit", {"completion": 1, "text": "x" * 20_001}, fine),
        (f"items/{item}/edit", {"completion": 1, "text": ""}, fine),
        (f"items/{item}/label", {"choice": "1"}, None),
        (f"items/{item}/label", {"choice": "1"}, "short"),
        (f"items/{item}/label", {"choice": "1"}, "a key of nothing"),
        ("items/a%20b/label", {"choice": "1"}, fine),
        ("items/-x/label", {"choice": "1"}, fine),
    ):
        assert ada.send("PUT", path, body, key).status_code == 422, (path, body, key)
    assert service.store.skips() == service.store.edits() == ()


def test_what_is_nobodys_and_what_is_not_yours_are_told_apart_from_what_is_lost(service: Service) -> None:
    ada, ben = service.person("ada"), service.person("ben")
    item = ada.next()["item"]
    assert ben.label("item-99").status_code == 404
    assert ben.label(item).status_code == 403


def test_a_run_of_others_is_not_there(service: Service) -> None:
    service.accounts.add("eve", "annotator", {"other"}, service.clock())
    assert service.person("eve").send("POST", "next").status_code == 404


def test_nobody_gets_nothing(service: Service) -> None:
    nobody = Person(service.client, {"Origin": HERE})
    assert nobody.send("POST", "next").status_code == 401
    assert nobody.send("GET", "guidelines").status_code == 401


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from((1, 2)))
def test_any_text_is_shown_as_it_is_on_its_side(one: str, two: str, drawn: Side) -> None:
    body = Task("item-1", "p", "s", (Turn("user", one),), (one, two), True, ())
    seen = shown(Leased("item-1", body, drawn, 100.0, Said("tie")), 40.0)
    assert seen.completions == ((one, two) if drawn == 1 else (two, one))
    assert seen.diff is not None
    assert "".join(piece.text for piece in seen.diff.left) == seen.completions[0]
    assert seen.seconds_left == 60.0
