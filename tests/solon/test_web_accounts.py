"""Accounts, links, sessions and the throttle, in SQLite and in PostgreSQL."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from solon.database import Database
from solon.web.accounts.passwords import Passwords, hash_of, verified
from solon.web.accounts.sessions import IDLE, LONGEST, NOTED
from solon.web.accounts.store import FIRST, INVITED, Accounts, Change
from solon.web.accounts.tables import ATTEMPTS, INVITES, SESSIONS, USERS
from solon.web.accounts.throttle import (
    FREE,
    FREE_BY_ADDRESS,
    FREE_BY_NAME,
    LONGEST_BY_NAME,
    LONGEST_WAIT,
    by_address,
    wait_after,
)
from solon.web.door.faults import Fault

NOW = 1_800_000_000.0
HASH = hash_of("a password of tests")


@pytest.fixture
def accounts(database: Database) -> Iterator[Accounts]:
    accounts = Accounts.open(database)
    yield accounts
    accounts.engine.dispose()


def member(accounts: Accounts, name: str = "ann", role: Any = "annotator") -> Any:
    return accounts.accept(accounts.add(name, role, ["demo"], NOW), "", HASH, NOW)


def everything(accounts: Accounts) -> str:
    with accounts.engine.connect() as connection:
        return str([connection.execute(sa.select(one)).all() for one in (USERS, INVITES, SESSIONS, ATTEMPTS)])


# links


def test_where_nobody_is_an_admin_each_start_makes_one_link_and_voids_the_last(accounts: Accounts) -> None:
    first, second = accounts.first_link(NOW), accounts.first_link(NOW)
    assert first
    assert second
    with pytest.raises(Fault, match="used"):
        accounts.accept(first, "eve", HASH, NOW)
    assert accounts.accept(second, "root", HASH, NOW).role == "admin"
    assert accounts.first_link(NOW) is None
    with pytest.raises(Fault, match="used"):
        accounts.accept(second, "eve", HASH, NOW)
    assert [user.name for user in accounts.users()] == ["root"]


def test_the_first_link_is_void_once_somebody_else_is_an_admin(accounts: Accounts) -> None:
    link = accounts.first_link(NOW)
    assert link
    member(accounts, "root", "admin")
    with pytest.raises(Fault, match="used"):
        accounts.look(link, NOW)


def test_a_link_is_used_once_however_many_use_it_at_once(accounts: Accounts) -> None:
    link, won = accounts.first_link(NOW), []

    def take(name: str) -> None:
        with suppress(Fault):
            won.append(accounts.accept(link or "", name, HASH, NOW).name)

    threads = [threading.Thread(target=take, args=(f"n{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [user.name for user in accounts.users()] == won
    assert len(won) == 1


def test_a_link_runs_out(accounts: Accounts) -> None:
    link = accounts.add("ann", "annotator", [], NOW)
    assert accounts.look(link, NOW + INVITED - 1).user
    with pytest.raises(Fault, match="run out"):
        accounts.accept(link, "", HASH, NOW + INVITED)


def test_the_first_admins_link_holds_for_an_hour(accounts: Accounts) -> None:
    link = accounts.first_link(NOW) or ""
    assert accounts.look(link, NOW + FIRST - 1)
    with pytest.raises(Fault, match="run out"):
        accounts.accept(link, "root", HASH, NOW + FIRST)


def test_a_new_link_voids_the_old_one_and_keeps_the_password_until_it_is_used(accounts: Accounts) -> None:
    old = accounts.add("ann", "annotator", [], NOW)
    accounts.accept(old, "", HASH, NOW)
    first, second = accounts.link("ann", NOW), accounts.link("ANN", NOW)
    with pytest.raises(Fault, match="used"):
        accounts.accept(first, "", "other", NOW)
    assert accounts.hash_of("ann") == HASH
    accounts.accept(second, "", "other", NOW)
    assert accounts.hash_of("ann") == "other"


def test_a_link_of_a_user_gives_no_other_name(accounts: Accounts) -> None:
    assert accounts.accept(accounts.add("ann", "annotator", [], NOW), "root", HASH, NOW).name == "ann"


def test_nothing_that_lets_anybody_in_is_stored_as_it_is(accounts: Accounts) -> None:
    link = accounts.add("ann", "annotator", [], NOW)
    session = accounts.sessions.begin(member(accounts, "bea"), NOW)
    accounts.throttle.begin("typed my password here", "127.0.0.1", NOW)
    stored = everything(accounts)
    assert not [secret for secret in (link, session.token, "a password of tests", "typed my") if secret in stored]


def test_the_file_of_the_accounts_is_its_owners_alone(tmp_path: Any) -> None:
    file = tmp_path / "accounts.db"
    file.touch(0o644)
    Accounts.open(Database.file(file)).engine.dispose()
    assert file.stat().st_mode & 0o077 == 0


# users


def test_names_that_differ_in_case_alone_are_one_person(accounts: Accounts) -> None:
    member(accounts, "Ann")
    with pytest.raises(Fault, match="already"):
        accounts.add("aNN", "admin", [], NOW)
    assert accounts.hash_of("ANN") == HASH


def test_there_is_always_an_admin(accounts: Accounts) -> None:
    member(accounts, "root", "admin")
    accounts.add("later", "admin", [], NOW)  # invited, and not an admin before the link is used
    for change in (Change(role="annotator"), Change(disabled=True)):
        with pytest.raises(Fault, match="last admin"):
            accounts.change("root", change)
    member(accounts, "second", "admin")
    assert accounts.change("root", Change(role="annotator")).role == "annotator"


def test_two_admins_who_demote_each_other_at_once_do_not_both_succeed(accounts: Accounts) -> None:
    for name in ("a", "b"):
        member(accounts, name, "admin")
    both = threading.Barrier(2)

    def demote(name: str) -> None:
        both.wait()
        with suppress(Fault):
            accounts.change(name, Change(role="annotator"))

    threads = [threading.Thread(target=demote, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(user.role for user in accounts.users()) == ["admin", "annotator"]


def test_what_is_not_changed_stays(accounts: Accounts) -> None:
    member(accounts)
    assert accounts.change("ann", Change()) == accounts.user("ann")
    assert accounts.change("ann", Change(runs=frozenset())).runs == frozenset()


# sessions


@pytest.mark.parametrize(
    ("change", "stays"),
    [(Change(role="adjudicator"), False), (Change(disabled=True), False), (Change(runs=frozenset({"x"})), True)],
)
def test_another_role_or_disabling_ends_the_sessions(accounts: Accounts, change: Change, stays: bool) -> None:
    member(accounts, "root", "admin")
    tokens = [accounts.sessions.begin(member(accounts), NOW).token]
    tokens.append(accounts.sessions.begin(accounts.user("ann"), NOW).token)  # type: ignore[arg-type]
    other = accounts.sessions.begin(accounts.user("root"), NOW).token  # type: ignore[arg-type]
    accounts.change("ann", change)
    assert [accounts.sessions.find(token, NOW) is not None for token in tokens] == [stays, stays]
    assert accounts.sessions.find(other, NOW)


def test_a_disabled_user_gets_in_by_no_way(accounts: Accounts) -> None:
    user = member(accounts)
    link = accounts.link("ann", NOW)
    accounts.change("ann", Change(disabled=True))
    assert accounts.hash_of("ann") == ""
    for refused in (lambda: accounts.look(link, NOW), lambda: accounts.link("ann", NOW)):
        with pytest.raises(Fault):
            refused()
    token = accounts.sessions.begin(user, NOW).token  # one that was beginning at that moment
    assert accounts.sessions.find(token, NOW) is None


def test_a_session_ends_when_it_is_idle_and_at_the_latest_after_a_week(accounts: Accounts) -> None:
    token = accounts.sessions.begin(member(accounts), NOW).token
    assert accounts.sessions.find(token, NOW + IDLE - 1)
    now = NOW + IDLE - 1
    while now + IDLE - 1 < NOW + LONGEST:
        now += IDLE - 1
        assert accounts.sessions.find(token, now)
    assert accounts.sessions.find(token, NOW + LONGEST) is None
    other = accounts.sessions.begin(accounts.user("ann"), NOW).token  # type: ignore[arg-type]
    assert accounts.sessions.find(other, NOW + IDLE) is None


def test_when_a_session_was_seen_is_written_once_a_minute_at_most(accounts: Accounts) -> None:
    token = accounts.sessions.begin(member(accounts), NOW).token
    seen = []
    for seconds in (1, NOTED - 1, NOTED, NOTED + 1, 2 * NOTED - 1, 2 * NOTED):
        accounts.sessions.find(token, NOW + seconds)
        with accounts.engine.connect() as connection:
            seen.append(connection.scalar(sa.select(SESSIONS.c.seen)) - NOW)
    assert seen == [0, 0, NOTED, NOTED, NOTED, 2 * NOTED]


def test_sessions_that_are_over_leave_the_table(accounts: Accounts) -> None:
    user = member(accounts)
    accounts.sessions.begin(user, NOW)
    accounts.sessions.begin(user, NOW + IDLE)
    with accounts.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(SESSIONS)) == 1


def test_a_session_begins_only_with_the_password_that_holds_then(accounts: Accounts) -> None:
    user = member(accounts)
    assert accounts.sessions.begin(user, NOW, known=HASH)
    accounts.set_password(user, HASH, "another")
    with pytest.raises(Fault, match="changed just now"):
        accounts.sessions.begin(user, NOW, known=HASH)
    with pytest.raises(Fault, match="changed just now"):
        accounts.set_password(user, HASH, "a third")
    assert accounts.hash_of("ann") == "another"
    accounts.change("ann", Change(disabled=True))
    with pytest.raises(Fault, match="changed just now"):
        accounts.sessions.begin(user, NOW, known="another")


def test_to_ask_whose_a_session_is_keeps_it_alive_no_longer(accounts: Accounts) -> None:
    token = accounts.sessions.begin(member(accounts), NOW).token
    found = accounts.sessions.find(token, NOW)
    assert found
    assert accounts.sessions.user_of(found.id, NOW + IDLE - 1) == accounts.user("ann")
    assert accounts.sessions.user_of(found.id, NOW + IDLE) is None


# the throttle


def test_guessing_at_one_name_from_one_address_gets_slower(accounts: Accounts) -> None:
    now, waits = NOW, []
    for number in range(FREE + 4):
        assert accounts.throttle.begin("ann", "10.0.0.1", now) == 0
        waits.append(accounts.throttle.begin("ANN", "10.0.0.1", now) if number >= FREE else 0)
        now += waits[-1]
    assert waits == [0] * FREE + [1, 2, 4, 8]


def test_who_guesses_at_somebodys_name_from_elsewhere_does_not_keep_them_out(accounts: Accounts) -> None:
    waits = [accounts.throttle.begin("ann", "10.6.6.6", NOW) for _ in range(100)]
    assert waits == [0] * (FREE + 1) + [1] * (99 - FREE)
    assert accounts.throttle.begin("ann", "10.0.0.1", NOW) == 0


def test_guessing_at_one_name_from_many_addresses_gets_slower_too_and_keeps_nobody_out_for_long(
    accounts: Accounts,
) -> None:
    now, waits = NOW, []
    for number in range(FREE_BY_NAME + 8):
        assert accounts.throttle.begin("ann", f"10.0.0.{number}", now) == 0
        waits.append(accounts.throttle.begin("ann", "10.1.1.1", now) if number >= FREE_BY_NAME else 0)
        now += waits[-1]
    assert waits == [0] * FREE_BY_NAME + [1, 2, 4, 8] + [LONGEST_BY_NAME] * 4


def failed_before(accounts: Accounts, address: str, failures: int) -> None:
    with accounts.engine.begin() as connection:
        row = {"who": by_address(address), "failures": failures, "until": NOW, "at": NOW}
        connection.execute(ATTEMPTS.insert(), row)


def test_guessing_at_many_names_from_one_address_gets_slower_too(accounts: Accounts) -> None:
    failed_before(accounts, "10.0.0.1", FREE_BY_ADDRESS - 1)
    assert [accounts.throttle.begin(name, "10.0.0.1", NOW) for name in ("a", "b", "c")] == [0, 0, 1]
    assert accounts.throttle.begin("a", "10.0.0.2", NOW) == 0


def test_a_whole_office_may_come_in_at_once(accounts: Accounts) -> None:
    names = [f"name{number}" for number in range(100)]
    assert not any(accounts.throttle.begin(name, "10.0.0.1", NOW) for name in names)  # before the first is let in


def test_requests_that_looked_at_the_clock_in_another_order_do_not_hinder_each_other(accounts: Accounts) -> None:
    assert accounts.throttle.begin("ann", "10.0.0.1", NOW + 0.01) == 0
    assert accounts.throttle.begin("bo", "10.0.0.1", NOW) == 0


def test_a_wait_survives_a_restart(accounts: Accounts, database: Database) -> None:
    for _ in range(FREE + 1):
        accounts.throttle.begin("ann", "10.0.0.1", NOW)
    again = Accounts.open(database)
    assert again.throttle.begin("ann", "10.0.0.1", NOW) == 1
    again.engine.dispose()


def test_many_guesses_at_once_are_not_free(accounts: Accounts) -> None:
    waits: list[float] = []

    def guess() -> None:
        waits.append(accounts.throttle.begin("ann", "10.0.0.1", NOW))

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wait == 0 for wait in waits) == FREE + 1


def test_a_good_login_forgets_the_names_failures_and_not_the_addresss(accounts: Accounts) -> None:
    failed_before(accounts, "10.0.0.1", FREE_BY_ADDRESS - 1)
    for _ in range(2):
        assert accounts.throttle.begin("mine", "10.0.0.1", NOW) == 0
        accounts.throttle.succeeded("mine", "10.0.0.1")
    for _ in range(2):
        assert accounts.throttle.begin("mine", "10.0.0.1", NOW) == 0
    assert accounts.throttle.begin("mine", "10.0.0.1", NOW) > 0


@given(st.integers(-5, 2000))
def test_waits_grow_up_to_a_bound(failures: int) -> None:
    assert 0 <= wait_after(failures) <= wait_after(failures + 1) <= LONGEST_WAIT


def test_one_house_is_one_address() -> None:
    assert by_address("2001:db8::1") == by_address("2001:db8::ffff:1") != by_address("2001:db8:0:1::1")
    assert by_address("10.0.0.1") != by_address("10.0.0.2")
    assert by_address("testclient") != by_address("")


# passwords


def test_the_parameters_are_owasps() -> None:
    assert HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    ("password", "fits"),
    [("\u00e9t\u00e9 en France", True), ("e\u0301te\u0301 en France", True), ("ete en France", False)],
)
def test_keyboards_may_compose_letters_as_they_like(password: str, fits: bool) -> None:
    assert verified(password, hash_of("\u00e9t\u00e9 en France")) is fits


async def test_an_unknown_name_costs_a_comparison_too() -> None:
    compared: list[Any] = []

    class Counting(Passwords):
        async def _apart(self, work: Any, password: str, *more: str) -> Any:
            compared.append((work, *more))
            return await super()._apart(work, password, *more)

    assert not await Counting().match("of nobody", "")
    ((work, known),) = compared
    assert work is verified
    assert known.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_two_passwords_at_most_are_looked_at_at_once() -> None:
    passwords, now, most = Passwords(), 0, 0
    lock = threading.Lock()

    def slow(_: str) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.01)
        with lock:
            now -= 1

    await asyncio.gather(*(passwords._apart(slow, "") for _ in range(8)))
    assert most == 2


def test_what_is_no_hash_matches_nothing() -> None:
    assert not verified("x", "")
    assert not verified("x", "plain")
