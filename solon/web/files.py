"""Pages, scripts and style sheets: made ready once, at the start, and served from memory."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


HTML = "text/html; charset=utf-8"
PAGES = {  # at their addresses: title, style sheets, script
    "account": ("Your account", "style", "account"),
    "api": ("API", "style", "api"),
    "audit": ("Audit", "style lead", "audit"),
    "dispute": ("Disputes", "style item lead", "dispute"),
    "home": ("Runs", "style", "home"),
    "invite": ("Invitation", "style", "invite"),
    "lead": ("Lead", "style lead", "lead"),
    "login": ("Log in", "style", "login"),
    "principles": ("Principles", "style runs", "principles"),
    "results": ("Results", "style runs", "results"),
    "review": ("Review", "style item review", "review"),
    "run": ("Run", "style runs", "run"),
    "users": ("People", "style", "users"),
}
SHEET = '<link rel="stylesheet" href="/static/{}.css">\n'
SCRIPT = '<script type="module" src="/static/{}.js"></script>\n'
NOWHERE = """
<h1>There is no page at this address</h1>
<p>Perhaps it was typed or copied with a slip.</p>
<p><a href="/">To the runs</a></p>
"""
SHELL = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Solon</title>
<link rel="icon" href="data:,">
{head}</head>
<body class="{name}">
<header id="head"></header>
<main id="main" tabindex="-1">{main}</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    type: str
    etag: str


def routes() -> list[Route]:
    """``/``, ``/NAME`` for every page, ``/static/NAME`` for the rest."""
    static = read(files("solon.web") / "static")
    pages = {name: asset(page(name).encode(), HTML) for name in PAGES}
    return [
        Route("/", teller({"": pages["home"]}), include_in_schema=False),
        Route("/static/{name}", teller(static), include_in_schema=False),
        Route("/{name}", teller(pages), include_in_schema=False),
    ]


def page(name: str) -> str:
    """All pages are one, but for their script, which draws what is in them; nothing of a request comes in here."""
    title, sheets, script = PAGES[name]
    head = "".join(map(SHEET.format, sheets.split())) + SCRIPT.format(script)
    return SHELL.format(name=name, title=title, head=head, main="")


def nowhere() -> str:
    """The page for whoever asks for one that is not there; it needs no script."""
    return SHELL.format(name="nowhere", title="No such page", head=SHEET.format("style"), main=NOWHERE)


def read(folder: Traversable) -> Mapping[str, Asset]:
    found: dict[str, Asset] = {}
    for file in folder.iterdir():
        type = TYPES.get(f".{file.name.rpartition('.')[2]}")
        if type and file.is_file():
            found[file.name] = asset(file.read_bytes(), type)
    return found


def asset(body: bytes, type: str) -> Asset:
    return Asset(body, type, f'"{sha256(body).hexdigest()[:32]}"')


def teller(known: Mapping[str, Asset]) -> Callable[[Request], Awaitable[Response]]:
    """Tells what is in ``known``; a browser that has it already hears just that."""

    async def tell(request: Request) -> Response:
        file = known.get(request.path_params.get("name", ""))
        if file is None:
            raise HTTPException(404)
        headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
        had = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if file.etag in had or "*" in had:
            return Response(status_code=304, headers=headers)
        return Response(file.body, headers=headers, media_type=file.type)

    return tell
