"""A real run behind a real `solon serve`, and sessions for each role that a test can spoil as it likes."""

import runpy
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import solon
from solon.database import Database
from solon.review.records import Said
from solon.review.storage.store import Store
from solon.web.accounts.store import Accounts

ROLES = ("annotator", "adjudicator", "admin")
BROWSER = Path(solon.__file__).parents[1] / "tests" / "browser" / "conftest.py"


@dataclass
class Api:
    """The service as a program finds it."""

    service: Any
    accounts: Accounts
    items: tuple[str, ...]  # the first of them was labelled by bo
    sessions: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        url: str = self.service.url
        return url

    def fresh(self, role: str) -> dict[str, str]:
        """The headers of somebody of this role who has just logged in, whatever became of the sessions before."""
        user = self.accounts.user(role)
        assert user
        begun = self.accounts.sessions.begin(user, time.time())
        self.sessions[role] = {"Cookie": f"solon_session={begun.token}", "X-CSRF-Token": begun.csrf, "Origin": self.url}
        return self.sessions[role]

    def headers(self, role: str) -> dict[str, str]:
        return self.sessions.get(role) or self.fresh(role)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    found = runpy.run_path(str(BROWSER))
    service = found["Service"](tmp_path_factory.mktemp("api"))
    service.write(found["numbered"](6))
    service.solon("run", "run.toml")
    service.solon("review", "draw", service.run, "--n", 12, "--overlap", 2)
    for role in (*ROLES, "victim"):
        service.add(role, role if role in ROLES else "annotator")
    with Store.open(Database.file(service.run / "review.db"), "demo") as store:
        leased = store.next("bo", 1.0)
        assert leased
        store.save("bo", leased.item, Said("1", 2, "why", "flag"), key="key-of-bo-1", now=2.0)
        items = tuple(task.item for task in store.tasks())
    service.start()
    accounts = Accounts.open(Database.file(service.root / "accounts.db"))
    yield Api(service, accounts, (leased.item, *(item for item in items if item != leased.item)))
    accounts.engine.dispose()
    service.kill()
