"""Coming in and going out: logins, links, one's own password, and what admins do with accounts."""

from typing import Any

import pytest

from solon.web.accounts.throttle import FREE

NEW = "a new password, long enough"


@pytest.fixture
def ann(web: Any) -> Any:
    return web.visitor("annotator", "ann", ["demo"])


def cookie_of(reply: Any) -> str:
    cookie: str = reply.headers["set-cookie"]
    return cookie


def test_the_cookie_is_for_this_site_and_for_no_script(web: Any, ann: Any) -> None:
    cookie = cookie_of(web.browser().post("/api/login", json=web.login("ann")))
    assert cookie.split("; ")[1:] == ["HttpOnly", "Path=/", "SameSite=strict"]


def test_behind_tls_the_cookie_is_secure_and_the_origin_https(web: Any, ann: Any) -> None:
    from solon.web.site import Front

    web.site.front = Front(frozenset({"labels.example"}), tls=True)
    browser = web.browser(Host="labels.example")
    for origin, status in (("http://labels.example", 403), ("https://labels.example", 200)):
        reply = browser.post("/api/login", json=web.login("ann"), headers={"Origin": origin})
        assert reply.status_code == status
    assert cookie_of(reply).startswith("__Host-solon_session=")  # which a browser takes with Secure and Path=/ alone
    assert cookie_of(reply).split("; ")[1:] == ["HttpOnly", "Path=/", "SameSite=strict", "Secure"]
    assert browser.get("/api/me", headers={"Cookie": cookie_of(reply).partition(";")[0]}).status_code == 200
    assert reply.headers["strict-transport-security"] == "max-age=31536000"


def test_without_tls_nothing_says_that_there_is_any(web: Any) -> None:
    assert "strict-transport-security" not in web.browser().get("/login").headers


def test_a_login_that_a_new_password_overtakes_is_none(web: Any, ann: Any) -> None:
    from solon.web.accounts.passwords import Passwords, hash_of

    accounts, other = web.accounts, hash_of("the owner's new password")

    class Overtaken(Passwords):
        """The password is changed in the moment after it was found right."""

        async def match(self, password: str, known: str) -> bool:
            matches = await super().match(password, known)
            accounts.set_password(accounts.user("ann"), known, other)
            return matches

    web.site.passwords = Overtaken()
    assert web.browser().post("/api/login", json=web.login("ann")).status_code == 401
    reset = hash_of(web.login("ann")["password"])
    accounts.set_password(accounts.user("ann"), other, reset)
    again = web.visitor("annotator", "ann")
    changed = again.post("/api/me/password", json={"old": web.login("ann")["password"], "new": NEW})
    assert (changed.status_code, accounts.hash_of("ann")) == (401, other)


def test_a_login_tells_who_one_is_and_begins_a_session_with_a_new_id(web: Any, ann: Any, write_run: Any) -> None:
    write_run()
    browser = web.browser()
    browser.cookies.set("solon_session", "chosen-by-somebody-else", domain="127.0.0.1")
    first = browser.post("/api/login", json=web.login("ann"))
    assert {**first.json(), "csrf": ""} == {"name": "ann", "role": "annotator", "runs": ["demo"], "csrf": ""}
    assert "chosen-by-somebody-else" not in cookie_of(first)
    assert browser.get("/api/me").json() == first.json()
    former = browser.cookies["solon_session"]
    second = browser.post("/api/login", json=web.login("ann"))
    assert former not in cookie_of(second)
    assert web.accounts.sessions.find(former, web.now) is None


def test_every_way_of_failing_to_log_in_reads_the_same(web: Any, ann: Any) -> None:
    admin = web.visitor("admin")
    admin.post("/api/users", json={"name": "invited"})
    web.visitor("annotator", "gone")
    admin.patch("/api/users/gone", json={"disabled": True})
    tried = [
        {**web.login("ann"), "password": "wrong"},
        *(web.login(name) for name in ("nobody", "invited", "gone", "ann'--")),
    ]
    replies = [web.browser().post("/api/login", json=one) for one in tried]
    assert {(reply.status_code, reply.text) for reply in replies} == {(401, replies[0].text)}


def test_guessing_is_slowed_down_and_told_for_how_long(web: Any, ann: Any) -> None:
    wrong = {**web.login("ann"), "password": "wrong"}
    for _ in range(FREE + 2):
        web.browser().post("/api/login", json=wrong)
        web.now += 1
    web.browser().post("/api/login", json=wrong)
    reply = web.browser().post("/api/login", json=web.login("ann"))
    assert reply.status_code == 429
    web.now += int(reply.headers["retry-after"])
    assert web.browser().post("/api/login", json=web.login("ann")).status_code == 200


def test_logging_out_ends_the_session_itself(web: Any, ann: Any) -> None:
    token = ann.cookies["solon_session"]
    assert ann.post("/api/logout").status_code == 204
    ann.cookies.set("solon_session", token, domain="127.0.0.1")
    assert ann.get("/api/me").status_code == 401


def test_a_session_runs_out(web: Any, ann: Any) -> None:
    web.now += 12 * 3600
    assert ann.get("/api/me").status_code == 401


def test_a_new_password_ends_every_other_session_and_renews_ones_own(web: Any, ann: Any) -> None:
    elsewhere, former = web.visitor("annotator", "ann"), ann.cookies["solon_session"]
    reply = ann.post("/api/me/password", json={"old": web.login("ann")["password"], "new": NEW})
    assert reply.status_code == 200
    assert ann.get("/api/me").json()["csrf"] == reply.json()["csrf"] != ann.headers["x-csrf-token"]
    assert former not in cookie_of(reply)
    assert elsewhere.get("/api/me").status_code == 401
    assert web.browser().post("/api/login", json=web.login("ann")).status_code == 401
    assert web.browser().post("/api/login", json={"name": "ann", "password": NEW}).status_code == 200


def test_a_stolen_session_does_not_change_the_password(web: Any, ann: Any) -> None:
    tried = [ann.post("/api/me/password", json={"old": f"guess {n}", "new": NEW}).status_code for n in range(8)]
    assert tried == [400] * (FREE + 1) + [429] * (7 - FREE)


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 257])
def test_a_password_has_a_decent_length(web: Any, password: str) -> None:
    link = web.accounts.first_link(web.now)
    body = {"token": link, "name": "root", "password": password}
    assert web.browser().post("/api/invites/accept", json=body).status_code == 422
    assert web.accounts.look(link, web.now)


def test_the_first_admin_comes_in_by_the_link_and_invites_the_next(web: Any) -> None:
    browser, link = web.browser(), web.accounts.first_link(web.now)
    assert browser.post("/api/invites/look", json={"token": link}).json() == {"name": None, "role": "admin"}
    assert browser.post("/api/invites/accept", json={"token": link, "password": NEW}).status_code == 422
    me = browser.post("/api/invites/accept", json={"token": link, "name": "root", "password": NEW}).json()
    browser.headers["x-csrf-token"] = me["csrf"]
    made = browser.post("/api/users", json={"name": "bea", "role": "adjudicator", "runs": ["demo"]})
    assert made.status_code == 201
    address, _, token = made.json()["link"].partition("#")
    assert address == "http://127.0.0.1:8642/invite"
    other = web.browser()
    assert other.post("/api/invites/look", json={"token": token}).json() == {"name": "bea", "role": "adjudicator"}
    accepted = other.post("/api/invites/accept", json={"token": token, "password": NEW})
    assert (accepted.status_code, other.get("/api/me").json()["name"]) == (200, "bea")
    assert other.post("/api/invites/accept", json={"token": token, "password": NEW}).status_code == 404


@pytest.mark.parametrize("name", ["", ".ann", "a b", "a/b", "ann\n", "x" * 41, "../x", "é", "=1+1"])
def test_a_name_is_of_plain_characters(web: Any, name: str) -> None:
    assert web.visitor("admin").post("/api/users", json={"name": name}).status_code == 422


@pytest.mark.parametrize("runs", [["a/b"], ["**"], [""], ["x" * 81], "demo", [1]])
def test_a_runs_name_is_too(web: Any, runs: Any) -> None:
    assert web.visitor("admin").post("/api/users", json={"name": "new", "runs": runs}).status_code == 422


def test_an_admin_sees_everybody_and_no_secret(web: Any, ann: Any) -> None:
    reply = web.visitor("admin").get("/api/users")
    assert reply.json()[1] == {
        "name": "ann",
        "role": "annotator",
        "runs": ["demo"],
        "disabled": False,
        "invited": False,
    }
    assert "argon2" not in reply.text


def test_another_role_logs_the_person_out_and_other_runs_do_not(web: Any, ann: Any) -> None:
    admin = web.visitor("admin")
    admin.patch("/api/users/ann", json={"runs": []})
    assert ann.get("/api/me").status_code == 200
    admin.patch("/api/users/ann", json={"role": "adjudicator"})
    assert ann.get("/api/me").status_code == 401


def test_an_admin_who_steps_down_goes_on_under_a_new_id(web: Any) -> None:
    web.visitor("admin", "other")
    admin = web.visitor("admin")
    former = admin.cookies["solon_session"]
    assert admin.patch("/api/users/admin", json={"role": "annotator"}).json()["role"] == "annotator"
    assert web.accounts.sessions.find(former, web.now) is None
    assert admin.get("/api/me").json()["role"] == "annotator"
    assert admin.get("/api/users").status_code == 403


def test_where_nobody_is_an_admin_yet_a_link_is_looked_for_in_the_terminal(web: Any) -> None:
    asked = [
        ("/api/invites/look", {"token": "voided"}),
        ("/api/login", {"name": "root", "password": "no such password"}),
    ]
    told = [web.browser().post(path, json=body).json()["remedy"] for path, body in asked]
    assert all("look in the terminal where `solon serve` runs; start it again for a new link" in one for one in told)
    web.visitor("admin")
    assert ["ask an admin" in web.browser().post(path, json=body).json()["remedy"] for path, body in asked] == [
        True
    ] * 2


def test_the_last_admin_stays(web: Any) -> None:
    reply = web.visitor("admin").patch("/api/users/admin", json={"disabled": True})
    assert (reply.status_code, reply.json()["fact"]) == (409, "the last admin is admin")


def test_who_is_not_there_cannot_be_changed(web: Any) -> None:
    admin = web.visitor("admin")
    assert admin.patch("/api/users/nobody", json={}).status_code == 404
    assert admin.post("/api/users/nobody/invite").status_code == 404


def test_a_hash_of_older_parameters_is_renewed_at_the_next_login(web: Any, ann: Any) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(NEW)
    web.accounts.set_password(web.accounts.user("ann"), web.accounts.hash_of("ann"), old)
    assert web.browser().post("/api/login", json={"name": "ann", "password": NEW}).status_code == 200
    assert web.accounts.hash_of("ann").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert web.browser().post("/api/login", json={"name": "ann", "password": NEW}).status_code == 200


def test_everybody_sees_their_own_runs_alone(web: Any, write_run: Any) -> None:
    write_run()
    seen = {
        runs: web.visitor("annotator", f"of-{len(runs)}", runs).get("/api/me").json()["runs"]
        for runs in (("demo", "x"), ("x",), ())
    }
    assert seen == {("demo", "x"): ["demo"], ("x",): [], (): []}
    assert web.visitor("admin", "root", ()).get("/api/me").json()["runs"] == ["demo"]
