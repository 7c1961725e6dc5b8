"""Who gets in where: every route of the application, for everybody."""

import re
from pathlib import Path
from typing import Any

import pytest
import tomlkit

WHO = ("nobody", "stranger", "annotator", "adjudicator", "admin")  # the stranger annotates another run

# What each of WHO gets: 401, 403, 404 (the same as for a run that is not there), or in.
ANYBODY = "in in in in in"
MEMBER = "401 in in in in"
ADMIN = "401 403 403 403 in"
OF_RUN = "401 404 in in in"  # of its people
LEAD = "401 404 403 in in"  # where the stranger may also hear that the role is too low
LEAD_ADMIN = "401 404 403 403 in"

ROUTES = {
    "POST /api/login": ANYBODY,
    "POST /api/invites/look": ANYBODY,
    "POST /api/invites/accept": ANYBODY,
    "POST /api/logout": MEMBER,
    "GET /api/me": MEMBER,
    "POST /api/me/password": MEMBER,
    "GET /api/openapi.json": MEMBER,
    "GET /api/users": ADMIN,
    "POST /api/users": ADMIN,
    "PATCH /api/users/{name}": ADMIN,
    "POST /api/users/{name}/invite": ADMIN,
    "GET /api/runs": MEMBER,
    "GET /api/runs/{run}": LEAD,
    "GET /api/runs/{run}/events": LEAD,
    "GET /api/runs/{run}/results": LEAD,
    "GET /api/runs/{run}/rows/{id}": LEAD,
    "GET /api/runs/{run}/report": LEAD,
    "POST /api/runs/{run}/start": LEAD_ADMIN,
    "POST /api/runs/{run}/pause": LEAD_ADMIN,
    "GET /api/runs/{run}/principles": LEAD,
    "PUT /api/runs/{run}/principles": LEAD_ADMIN,
    "POST /api/runs/{run}/principles/check": LEAD,
    "GET /api/runs/{run}/principles/history": LEAD,
    "GET /api/runs/{run}/principles/history/{number}": LEAD,
    "POST /api/runs/{run}/review/next": OF_RUN,
    "POST /api/runs/{run}/review/items/{item}/heartbeat": OF_RUN,
    "PUT /api/runs/{run}/review/items/{item}/label": OF_RUN,
    "PUT /api/runs/{run}/review/items/{item}/skip": OF_RUN,
    "PUT /api/runs/{run}/review/items/{item}/edit": OF_RUN,
    "POST /api/runs/{run}/review/undo": OF_RUN,
    "GET /api/runs/{run}/review/progress": OF_RUN,
    "GET /api/runs/{run}/review/mine": OF_RUN,
    "GET /api/runs/{run}/review/guidelines": OF_RUN,
    "GET /api/runs/{run}/lead/summary": LEAD,
    "GET /api/runs/{run}/lead/disputes": LEAD,
    "GET /api/runs/{run}/lead/items/{item}": LEAD,
    "GET /api/runs/{run}/lead/items/{item}/verdicts": LEAD,
    "PUT /api/runs/{run}/lead/items/{item}/decision": LEAD,
    "GET /api/runs/{run}/lead/labels.csv": LEAD,
    "GET /api/runs/{run}/lead/audit": LEAD,
    "GET /api/runs/{run}/lead/audit.html": LEAD,
    "GET /api/runs/{run}/lead/guidelines": LEAD,
    "PUT /api/runs/{run}/lead/guidelines": LEAD_ADMIN,
    "PATCH /api/runs/{run}/lead/annotators/{name}": LEAD_ADMIN,
    "POST /api/runs/{run}/lead/draw": LEAD_ADMIN,
}
FILLED = {"run": "mine", "item": "x", "id": "x", "name": "nobody", "number": "1"}


@pytest.fixture
def served(web: Any, write_run: Any) -> Any:
    """Two runs, mine and other, and a service at its end, so that no stream lasts."""
    file = write_run()
    table = tomlkit.parse(file.read_text())
    for name in ("mine", "other"):
        (web.root / name).mkdir()
        (web.root / name / "run.toml").write_text(tomlkit.dumps({**table, "name": name}))
    file.unlink()
    web.site.ending.end()
    return web


def of_table(app: Any) -> list[str]:
    from solon.web.app import api_routes

    return sorted(f"{method} {one.path_format}" for one in api_routes(app) for method in one.methods)


def visitor(web: Any, who: str, run: str) -> Any:
    if who == "nobody":
        return web.browser()
    role = "annotator" if who == "stranger" else who
    return web.visitor(role, f"{who}-of-{run}", ["other"] if who == "stranger" else [run])


def outcome(reply: Any) -> str:
    """What the gates said; what a handler says of what was asked is in."""
    if reply.status_code < 400:
        return "in"
    fact = reply.json()["fact"]
    if fact == "you are not logged in" or fact.startswith("this is for the role"):
        return str(reply.status_code)
    return "404" if fact.startswith("there is no such run") else "in"


def ask(web: Any, route: str, who: str, run: str = "mine") -> Any:
    """With a body that no handler takes, so that nothing happens."""
    method, _, path = route.partition(" ")
    body = {} if method == "GET" else {"json": {"no such key": 1}}
    return visitor(web, who, "mine").request(method, path.format(**{**FILLED, "run": run}), **body)


def test_every_route_is_listed_here_with_who_may_use_it(web: Any) -> None:
    assert of_table(web.app) == sorted(ROUTES)


def test_each_route_lets_in_just_whom_it_is_for(served: Any) -> None:
    wrong = []
    for route, expected in ROUTES.items():
        found = [outcome(ask(served, route, who)) for who in WHO]
        allowed = [expected.split()] + (
            [["401", "403", *expected.split()[2:]]] if expected in (LEAD, LEAD_ADMIN) else []
        )
        if found not in allowed:
            wrong.append(f"{route}: {found}, not {expected}")
    assert not wrong


def test_no_route_ever_breaks(served: Any) -> None:
    broken = [(route, who) for route in ROUTES for who in WHO if ask(served, route, who).status_code >= 500]
    assert not broken


def test_a_foreign_run_looks_just_like_one_that_is_not_there(served: Any) -> None:
    for route in (route for route in ROUTES if "{run}" in route):
        foreign, unknown = (ask(served, route, "stranger", run) for run in ("mine", "no-such-run"))
        assert (foreign.status_code, foreign.text) == (unknown.status_code, unknown.text), route


def test_the_description_names_every_route_with_its_role(web: Any) -> None:
    told = web.visitor().get("/api/openapi.json").json()
    found = {
        f"{method.upper()} {path}": one["x-role"] for path, all in told["paths"].items() for method, one in all.items()
    }
    least = {ANYBODY: "nobody", MEMBER: "annotator", OF_RUN: "annotator", LEAD: "adjudicator"}
    assert found == {route: least.get(expected, "admin") for route, expected in ROUTES.items()}


def test_a_handler_without_a_gate_is_not_served(web: Any) -> None:
    from solon.web.app import require_gates

    @web.app.get("/api/forgotten")
    def forgotten() -> None: ...

    with pytest.raises(AssertionError, match="/api/forgotten has no gate"):
        require_gates(web.app)


def test_an_address_that_is_not_there_is_told_so(web: Any) -> None:
    admin = web.visitor("admin")
    for path in (
        "/api/nothing",
        "/api/me/",
        "/api/users/a/b",
        "/static/../app.py",
        "/static/app.py",
        "/pages/home.html",
    ):
        reply = admin.get(path)
        assert (reply.status_code, reply.json()["fact"]) == (404, "there is nothing at this address"), path


def test_a_browser_gets_a_page_for_an_address_that_is_not_there_and_json_below_the_api(web: Any) -> None:
    browser = web.browser(Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    for path in ("/nonsense", "/no/such/page", "/<script>"):
        reply = browser.get(path)
        assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no page at this address" in reply.text
        assert re.findall(r'href="(/[^"]*)"', reply.text) == ["/static/style.css", "/"]
        assert "<script" not in reply.text
        assert "default-src 'none'" in reply.headers["content-security-policy"]
    for path in ("/api/nothing", "/static/nothing.js"):
        assert browser.get(path).json()["fact"] == "there is nothing at this address"


STATIC = Path(__file__).parents[2] / "solon/web/static"


def test_every_page_has_a_script_and_sheets_that_are_there(web: Any) -> None:
    from solon.web.files import PAGES

    for name, (title, sheets, script) in PAGES.items():
        reply = web.browser().get(f"/{name}")
        assert reply.headers["content-type"] == "text/html; charset=utf-8"
        assert f"<title>{title} · Solon</title>" in reply.text
        assert re.findall(r'(?:href|src)="(/[^"]*)"', reply.text) == [
            *(f"/static/{sheet}.css" for sheet in sheets.split()),
            f"/static/{script}.js",
        ]
        assert all(web.browser().get(path).status_code == 200 for path in re.findall(r'"(/static/[^"]*)"', reply.text))
    assert web.browser().get("/").content == web.browser().get("/home").content


def test_every_script_and_sheet_is_used_and_what_is_imported_is_there() -> None:
    from solon.web.files import PAGES

    scripts = {file.name: file.read_text() for file in STATIC.glob("*.js")}
    imports = {name: {*re.findall(r'from "(?:\./|/static/)([^"]+)"', text)} for name, text in scripts.items()}
    used = {f"{script}.js" for _, _, script in PAGES.values()}
    while more := {one for name in used for one in imports[name]} - used:
        used |= more
    assert used == {*scripts}
    assert {f"{sheet}.css" for _, sheets, _ in PAGES.values() for sheet in sheets.split()} == {
        file.name for file in STATIC.glob("*.css")
    }


def test_a_file_that_the_browser_has_is_not_sent_again(web: Any) -> None:
    first = web.browser().get("/static/kit.js")
    again = web.browser(**{"If-None-Match": f'"other", W/{first.headers["etag"]}'}).get("/static/kit.js")
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"


def test_head_is_get_without_the_body(web: Any) -> None:
    reply = web.browser().head("/login")
    assert (reply.status_code, reply.content) == (200, b"")
    assert int(reply.headers["content-length"]) > 100


def test_other_methods_are_told_which_ones_are_taken(web: Any) -> None:
    admin = web.visitor("admin")
    for method in ("OPTIONS", "PUT", "TRACE", "PROPFIND", "BREW"):
        for path, taken in (("/api/me", "GET"), ("/api/users", "GET, POST"), ("/login", "GET, HEAD")):
            reply = admin.request(method, path)
            assert (reply.status_code, reply.headers["allow"]) == (405, taken), (method, path)
