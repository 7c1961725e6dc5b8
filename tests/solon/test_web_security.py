"""What stands in front of every handler: headers, hosts, origins, tokens, sizes, faults."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.responses import StreamingResponse

from constitution.errors import InputError, StorageError

CHANGE = {"json": {"name": "new"}}  # of /api/users


@pytest.fixture
def admin(web: Any) -> Any:
    return web.visitor("admin")


def users(web: Any) -> list[str]:
    return [user.name for user in web.accounts.users()]


PATHS = ("/", "/login", "/static/kit.js", "/static/none.js", "/none", "/api/me", "/api/login", "/api/none")
POLICY = {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"}


def test_every_reply_has_the_headers(web: Any) -> None:
    for path, method in product(PATHS, ("GET", "POST", "OPTIONS")):
        headers = web.browser().request(method, path).headers
        policy = headers["content-security-policy"].split("; ")
        assert {*policy} >= POLICY, path
        assert not any("unsafe" in part or "*" in part for part in policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers.get("cache-control") == "no-store" or not path.startswith("/api")
        assert not {"server", "access-control-allow-origin"} & {*headers}


STRANGE = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8642",
    "",
    "[::1",
    "127.0.0.2",
    "[::2]:8642",
    "127.0.0.1:",
    "127.0.0.1:port",
    "127.0.0.1:8642:1",
    "127.0.0.1:864211",
    "user@127.0.0.1",
    "[::1]x",
    "[::1]evil.example:1",
)


def test_another_name_for_this_machine_is_refused(admin: Any) -> None:
    for host, path in product(STRANGE, ("/login", "/api/me")):
        assert admin.get(path, headers={"Host": host}).status_code == 400, host


def test_loopback_is_known_under_its_names(web: Any) -> None:
    for host in ("127.0.0.1", "127.0.0.1:8642", "LOCALHOST:1", "[::1]:8642", "[::1]"):
        assert web.browser().get("/login", headers={"Host": host}).status_code == 200, host


def test_a_request_with_two_hosts_is_refused(web: Any) -> None:
    reply = web.browser().get("/login", headers=[("Host", "127.0.0.1"), ("Host", "evil.example")])
    assert reply.status_code == 400


ELSEWHERE = (
    "http://evil.example",
    "null",
    "http://127.0.0.1:8643",
    "http://127.0.0.1",
    "https://127.0.0.1:8642",
    "http://127.0.0.1:8642.evil.example",
    "",
)


def test_a_change_from_another_origin_is_refused(web: Any, admin: Any) -> None:
    for origin in ELSEWHERE:
        reply = admin.post("/api/users", **CHANGE, headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})
        assert (reply.status_code, reply.json()["fact"]) == (403, "the request comes from another site"), origin
    assert users(web) == ["admin"]


def test_so_is_a_login_from_another_origin(web: Any) -> None:
    web.visitor("admin")
    for origin in ELSEWHERE:
        reply = web.browser().post("/api/login", json=web.login("admin"), headers={"Origin": origin})
        assert (reply.status_code, "set-cookie" in reply.headers) == (403, False), origin


def test_where_there_is_no_origin_the_browser_must_have_said_that_it_is_ours(web: Any, admin: Any) -> None:
    del admin.headers["origin"]
    for site in ("same-site", "cross-site", "none", ""):
        assert admin.post("/api/users", **CHANGE, headers={"Sec-Fetch-Site": site}).status_code == 403, site
    assert admin.post("/api/users", **CHANGE).status_code == 403
    assert admin.post("/api/users", **CHANGE, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 201


def test_a_change_without_the_sessions_token_is_refused(web: Any, admin: Any) -> None:
    del admin.headers["x-csrf-token"]
    assert admin.post("/api/users", **CHANGE).status_code == 403
    for token in (b"", b"x", "é".encode()):
        assert admin.post("/api/users", **CHANGE, headers={b"X-CSRF-Token": token}).status_code == 403, token
    assert users(web) == ["admin"]


def test_the_token_of_another_session_does_not_do(web: Any, admin: Any) -> None:
    admin.headers["x-csrf-token"] = web.visitor("admin").headers["x-csrf-token"]
    assert admin.post("/api/users", **CHANGE).status_code == 403


def test_a_token_without_a_session_does_not_do(web: Any, admin: Any) -> None:
    admin.cookies.clear()
    assert admin.post("/api/users", **CHANGE).status_code == 401


def test_any_method_but_get_and_head_may_change_something(admin: Any) -> None:
    del admin.headers["x-csrf-token"]
    for method in ("PUT", "PATCH", "DELETE", "BREW", "OPTIONS"):
        assert admin.request(method, "/api/users").status_code == 403, method


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 1024):
        yield b" " * 1024


def test_a_body_that_is_too_long_is_refused_whether_it_says_its_length_or_not(admin: Any) -> None:
    told = {"fact": "the request is too long", "remedy": "send less at once"}
    for path, make in product(("/api/users", "/api/login"), (bytes, chunks)):
        reply = admin.post(path, content=make(300 * 1024), headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()) == (413, told)


def test_a_principle_file_may_be_longer(write_run: Any, web: Any) -> None:
    write_run()
    admin, path = web.visitor("admin"), "/api/runs/demo/principles/check"
    for size, status in ((2 * 1024, 422), (4 * 1024, 413)):
        reply = admin.post(path, content=chunks(size * 1024), headers={"Content-Type": "application/json"})
        assert reply.status_code == status


def test_a_body_of_just_the_allowed_length_is_read(admin: Any) -> None:
    body = b'{"name": "new"}'.ljust(256 * 1024)
    assert admin.post("/api/users", content=body, headers={"Content-Type": "application/json"}).status_code == 201


def test_a_length_that_is_none_is_refused(admin: Any) -> None:
    for length in ("-1", "1e3", "٣", "9" * 30):
        assert admin.post("/api/users", content=b"", headers={b"Content-Length": length.encode()}).status_code == 413


BODIES = (
    *("", "{", "[]", "null", '"x"', "[" * 50_000, '{"name": ' + "9" * 5000 + "}", '{"name": NaN}'),
    *('{"name": "\\ud800"}', '{"name": "a\\u0000"}', "\xff"),
)
TAKING = ("/api/users", "/api/login", "/api/invites/look", "/api/invites/accept", "/api/me/password")


def test_a_body_that_makes_no_sense_is_told_so_in_words(admin: Any) -> None:
    for body, path in product(BODIES, TAKING):
        reply = admin.post(path, content=body.encode("latin-1"), headers={"Content-Type": "application/json"})
        assert reply.status_code in (400, 422), (body[:20], path)
        assert set(reply.json()) == {"fact", "remedy"}


def test_what_is_refused_is_not_repeated(web: Any) -> None:
    reply = web.browser().post("/api/login", json={"name": "ann", "password": ["my secret password"]})
    assert reply.json()["fact"] == "password: input should be a valid string"
    assert "secret" not in reply.text


def test_unknown_keys_are_refused(admin: Any) -> None:
    reply = admin.post("/api/users", json={"name": "new", "admin": True})
    assert (reply.status_code, reply.json()["fact"]) == (422, "admin: extra inputs are not permitted")


def broken_by(web: Any, error: Exception) -> Any:
    @web.app.get("/broken/here")
    def broken() -> None:
        raise error

    web.app.router.routes.insert(0, web.app.router.routes.pop())
    return web.browser().get("/broken/here")


def test_a_bug_tells_nothing_of_itself_but_where_it_is(web: Any, caplog: pytest.LogCaptureFixture) -> None:
    reply = broken_by(web, KeyError("a secret"))
    assert (reply.status_code, set(reply.json())) == (500, {"fact", "remedy"})
    assert "secret" not in reply.text
    assert "KeyError" not in reply.text
    assert reply.headers["x-content-type-options"] == "nosniff"
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    logged = record.getMessage()
    assert "builtins.KeyError" in logged
    assert "in broken" in logged
    assert "a secret" not in logged


def test_what_a_person_can_put_right_is_told(web: Any) -> None:
    reply = broken_by(web, InputError("run.toml", "no name", "give it one"))
    assert (reply.status_code, reply.json()) == (400, {"fact": "run.toml: no name", "remedy": "give it one"})


def test_a_full_disk_is_told_to_whoever_runs_the_service(web: Any, caplog: pytest.LogCaptureFixture) -> None:
    reply = broken_by(web, StorageError("/srv/accounts.db: disk full: make room"))
    assert (reply.status_code, reply.json()["fact"]) == (503, "the database does not answer")
    assert "/srv" not in reply.text
    assert "disk full" in caplog.text


def refused_password() -> Exception:
    """As ``solon.database`` tells it."""
    error = InputError("postgresql://solon@db.internal/solon", "password authentication failed", "correct it")
    error.__cause__ = OperationalError(None, None, Exception("password authentication failed"))
    return error


def test_what_only_whoever_runs_the_service_can_put_right_is_for_the_log(
    web: Any, caplog: pytest.LogCaptureFixture
) -> None:
    reply = broken_by(web, refused_password())
    assert (reply.status_code, reply.json()["fact"]) == (503, "the service is out of order just now")
    assert "db.internal" not in reply.text
    assert "db.internal" in caplog.text


def scope_of(path: str, method: str = "GET", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), *headers], "http_version": "1.1", "scheme": "http", "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8642)}  # fmt: skip


async def test_a_body_that_does_not_arrive_in_time_is_given_up(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solon.web.door.security.PATIENCE", 0.05)
    sent: list[Any] = []

    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = (b"origin", b"http://127.0.0.1"), (b"content-type", b"application/json")
    async with asyncio.timeout(30):
        await web.app(scope_of("/api/login", "POST", *headers), trickle, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"took too long" in sent[1]["body"]


async def test_the_end_of_the_service_ends_its_streams_in_good_order(web: Any) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: 1\n\n"
                begun.set()
                await asyncio.sleep(3600)
        finally:
            ended.set()

    @web.app.get("/api/endless")
    async def stream() -> StreamingResponse:
        return StreamingResponse(endless(), media_type="text/event-stream")

    sent: list[Any] = []
    asked = asyncio.Queue[Any]()
    asked.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def send(message: Any) -> None:
        sent.append(message)

    serving = asyncio.create_task(web.app(scope_of("/api/endless"), asked.get, send))
    await begun.wait()
    web.site.ending.end()
    await serving
    assert ended.is_set()
    assert [(one["body"], one.get("more_body", False)) for one in sent[1:]] == [(b"data: 1\n\n", True), (b"", False)]


def test_each_no_of_the_review_has_its_status(web: Any) -> None:
    from solon.review import errors

    expected = {"NotYours": 403, "Dropped": 403, "Unknown": 404, "LeaseLost": 409, "KeyReused": 409, "InHand": 409,
                "TooManyEdits": 409}  # fmt: skip
    kinds = {one.__name__: one for one in errors.ReviewError.__subclasses__()}
    assert {*kinds} == {*expected}
    for name, kind in kinds.items():
        error = kind(*{"Unknown": ["x"], "TooManyEdits": [20]}.get(name, []))
        reply = broken_by(web, error)
        assert (reply.status_code, reply.json()) == (expected[name], {"fact": error.fact, "remedy": error.remedy})
