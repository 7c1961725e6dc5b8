"""What no browser sends: each is refused by a fault of the sender's, never by one of the service's."""

import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

PASSWORD = "a pass phrase for the tests"
DOTS = [
    "..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2faccounts.db", "..%5c..%5caccounts.db",
    "....//", "%00", "a%00.html", "%c0%ae%c0%ae%2f", "%ff%fe", "%ed%a0%80", "%0a", "%0d%0ax:y", ";", "%3f", "%23",
    "a" * 4000, "%e2%80%ae", "%25252e", "%2fetc%2fpasswd", "login.html%00.js", "../pages/login.html", "..%2fapp.py",
    "*", "'%22%3c", "-1", "1e9", "9" * 40,
]  # fmt: skip
PATHS = [
    "/{}", "/static/{}", "/api/{}", "/api/runs/{}", "/api/runs/{}/events", "/api/runs/{}/results",
    "/api/runs/demo/rows/{}", "/api/runs/demo/lead/items/{}", "/api/runs/demo/lead/items/{}/verdicts",
    "/api/runs/demo/principles/history/{}", "/api/runs/demo/results?after={}", "/api/runs/demo/results?size={}",
    "/api/runs/demo/review/mine?limit={}", "/api/runs/demo/{}",
]  # fmt: skip
WRITES = [
    ("PUT", "/api/runs/demo/review/items/{}/label", {"choice": "tie"}),
    ("POST", "/api/runs/demo/review/items/{}/heartbeat", None),
    ("PUT", "/api/runs/demo/review/items/{}/skip", {"reason": "x"}),
    ("PUT", "/api/runs/demo/lead/items/{}/decision", {"choice": "tie"}),
    ("PATCH", "/api/runs/demo/lead/annotators/{}", {"dropped": True}),
    ("PATCH", "/api/users/{}", {"disabled": True}), ("POST", "/api/users/{}/invite", None),
    ("POST", "/api/runs/{}/pause", None),
]  # fmt: skip
Reply = tuple[int, bytes]


def send(api: Any, method: str, path: str, body: bytes | None = None, **headers: str | None) -> Reply:
    """With an admin's session, the path just as it is."""
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30)
    given: dict[str, str | None] = {
        "Content-Type": "application/json",
        "Idempotency-Key": "by-hand-0001",
        **api.headers("admin"),
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
    reply = connection.getresponse()
    try:
        return reply.status, reply.read()
    finally:
        connection.close()


def raw(api: Any, content: bytes) -> bytes:
    """The first of what comes back for these bytes."""
    address = urlsplit(api.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as line:
        try:
            line.sendall(content)
            return line.recv(4096)
        except ConnectionError:
            return b""


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(api: Any, path: str) -> None:
    for part in DOTS:
        status, said = send(api, "GET", path.format(part))
        assert status < 500, part
        assert b"root:" not in said
        assert b"SQLite format" not in said
        assert status != 200 or part in ("%0a", "*", "%3f", "..", "%2e%2e") or "?" in path, part


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_no_path_of_a_change_leads_out(api: Any, method: str, path: str, body: Any) -> None:
    for part in DOTS:
        status, _ = send(api, method, path.format(part), None if body is None else json.dumps(body).encode())
        assert 400 <= status < 500, part


def texts(item: str) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Every field that takes a free text: method, address, the body beside it, its name."""
    of = f"/api/runs/demo/review/items/{item}"
    yield "PUT", f"{of}/label", {"choice": "tie"}, "rationale"
    yield "PUT", f"{of}/label", {"choice": "tie"}, "flag"
    yield "PUT", f"{of}/label", {}, "choice"
    yield "PUT", f"{of}/skip", {}, "reason"
    yield "PUT", f"{of}/edit", {"completion": 1}, "text"
    yield "PUT", f"/api/runs/demo/lead/items/{item}/decision", {"choice": "tie"}, "rationale"
    yield "PUT", "/api/runs/demo/lead/guidelines", {}, "text"
    yield "PUT", "/api/runs/demo/principles", {"based_on": "0" * 64}, "text"
    yield "PUT", "/api/runs/demo/principles", {"based_on": "0" * 64, "text": "x"}, "note"
    yield "POST", "/api/users", {}, "name"
    yield "POST", "/api/login", {"password": "x"}, "name"
    yield "POST", "/api/login", {"name": "nobody"}, "password"
    yield "POST", "/api/invites/look", {}, "token"
    yield "POST", "/api/invites/accept", {"token": "x", "name": "x"}, "password"
    yield "POST", "/api/me/password", {"new": "another pass phrase"}, "old"


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\udfffb", "\0", "\ufffe\uffff"], ids=ascii)
def test_no_text_that_cannot_be_kept_breaks_anything(api: Any, text: str) -> None:
    for method, path, body, name in texts(api.items[0]):
        status, said = send(api, method, path, json.dumps({**body, name: text}).encode())
        kept = text.startswith("\ufffe") and status == 200
        assert kept or 400 <= status < 500, (path, name, said)
        assert kept or {"fact", "remedy"} <= json.loads(said).keys()


BODIES = [
    b"", b"{", b"[]", b"null", b"0", b'"x"', b"{}", b"NaN", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000,
    b'{"a":' * 40_000, b'{"n": NaN}', b'{"n": Infinity}', b'{"n": -Infinity}', b'{"n": 1e999}',
    b'{"n": ' + b"9" * 5000 + b"}", b'{"n": 9223372036854775808}', b'{"n": 1, "overlap_share": NaN}',
    b'{"n": 1, "audit_share": Infinity}', b'{"n": 1.5}', b'{"n": true}', b'{"n": "1e400"}', b'{"dropped": 1}',
    b'{"choice": "tie", "choice": "x"}', b'{"\\ud800": 1}', b'{"__proto__": {"x": 1}}', "{\"n\": \"١\"}".encode(),
    b'{"completion": 1e0, "text": {}}', b'{"accept_changes": "yes"}',
]  # fmt: skip


@pytest.mark.parametrize(
    "type",
    ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/xml", "x", ""],
)
def test_no_body_breaks_anything(api: Any, type: str) -> None:
    places = [
        ("POST", "/api/runs/demo/lead/draw"),
        ("PUT", f"/api/runs/demo/lead/items/{api.items[0]}/decision"),
        ("POST", "/api/users"),
    ]
    places += [
        ("PUT", f"/api/runs/demo/review/items/{api.items[0]}/edit"),
        ("POST", "/api/login"),
        ("PUT", "/api/runs/demo/principles"),
    ]
    for method, path in places:
        for body in BODIES:
            status, said = send(api, method, path, body, Content_Type=type)
            assert 400 <= status < 500, (path, body[:60], said[:200])


def test_what_is_too_long_is_refused_however_it_comes(api: Any) -> None:
    of = f"Host: {urlsplit(api.url).netloc}\r\nOrigin: {api.url}\r\nContent-Type: application/json\r\n"
    head = f"POST /api/login HTTP/1.1\r\n{of}".encode()
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    assert b" 413 " in raw(api, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 9)[:40]
    for length in (b"999999999", b"99999999999999999999999"):
        assert raw(api, head + b"Content-Length: " + length + b"\r\n\r\n")[:13] in (b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")
    for more in (
        b"Content-Length: -1",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
    ):
        assert raw(api, head + more + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n")[:10] in (b"HTTP/1.1 4", b"")
    for more in (
        b"X: " + b"y" * 200_000,
        b"Cookie: " + b"solon_session=x; " * 3000,
        b"X-CSRF-Token: \xff\xfe",
        b"X\xff: y",
        b"Host: other",
    ):
        assert raw(api, head + more + b"\r\nContent-Length: 2\r\n\r\n{}")[:10] in (b"HTTP/1.1 4", b"")
    for line in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET http://evil.invalid/ HTTP/1.1\r\nHost: evil.invalid\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ):
        assert raw(api, line)[:10] in (b"HTTP/1.1 4", b"")


def test_a_form_of_another_site_changes_nothing(api: Any) -> None:
    body, path = b'{"name": "planted"}', "/api/users"
    for headers in (
        {"Origin": "http://evil.invalid", "Content_Type": "text/plain"}, {"Origin": "null"}, {"Origin": None},
        {"Origin": None, "Sec_Fetch_Site": "cross-site"}, {"Origin": None, "Sec_Fetch_Site": "same-site"},
        {"X_CSRF_Token": None}, {"X_CSRF_Token": "x"},
        {"Origin": api.url.replace("127.0.0.1", "localhost")}, {"Origin": api.url + "1"}, {"X_CSRF_Token": "ÿ"},
    ):  # fmt: skip
        assert send(api, "POST", path, body, **headers)[0] == 403, headers
    assert api.accounts.user("planted") is None


def test_a_link_is_used_once_however_many_try(api: Any) -> None:
    status, said = send(api, "POST", "/api/users", b'{"name": "late"}')
    assert status == 201
    token = json.loads(said)["link"].partition("#")[2]
    body = json.dumps({"token": token, "password": PASSWORD}).encode()
    with ThreadPoolExecutor(8) as pool:
        told = [
            one[0]
            for one in pool.map(
                lambda _: send(api, "POST", "/api/invites/accept", body, Cookie=None, X_CSRF_Token=None), range(8)
            )
        ]
    assert sorted(told) == [200] + [404] * 7


def test_a_session_that_was_there_before_the_login_is_not_the_one_after_it(api: Any) -> None:
    before = api.fresh("annotator")["Cookie"]
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=30)
    body = json.dumps({"name": "victim", "password": PASSWORD})
    connection.request(
        "POST", "/api/login", body, {"Cookie": before, "Origin": api.url, "Content-Type": "application/json"}
    )
    reply = connection.getresponse()
    reply.read()
    assert reply.status == 200
    assert before not in (reply.headers["Set-Cookie"] or "")
    connection.close()
    assert send(api, "GET", "/api/me", Cookie=before)[0] == 401


@pytest.mark.parametrize(
    "cookie",
    ["solon_session=x; {}", "{}; solon_session=x", "{}; {}", "solon_session; {}", 'a="; {}', "{}%00", ";;{};;"],
)
def test_other_cookies_of_the_host_break_nothing(api: Any, cookie: str) -> None:
    """Those of another port come here, too."""
    real = api.headers("admin")["Cookie"]
    assert send(api, "GET", "/api/me", Cookie=cookie.format(real, real))[0] in (200, 401)


@pytest.mark.parametrize("name", ["ＡＮＮ", "İ", "ſolon", "ann\u200b", "а" * 40, "ann ", "Ann", "💥"])
def test_no_name_looks_like_another(api: Any, name: str) -> None:
    assert send(api, "POST", "/api/users", json.dumps({"name": name}).encode())[0] in (409, 422) or name == "Ann"
    assert send(api, "PATCH", f"/api/users/{quote(name)}", b'{"disabled": true}')[0] in (404, 422) or name == "Ann"
