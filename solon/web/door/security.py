"""What stands between the network and every handler.

A plain ASGI middleware, so that streams pass through it: which host a request may name, where a state change may come
from, who is asking, how much may be sent, what headers every reply has, and how a stream ends when the service does.
"""

import asyncio
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from anyio.to_thread import run_sync
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from solon.web.accounts.sessions import Session
from solon.web.door.faults import Fault, fault_of, log, reply
from solon.web.door.gates import nobody
from solon.web.served import Served
from solon.web.site import Front, Site

SAFE = ("GET", "HEAD")
NO_SESSION = frozenset({"/api/login", "/api/invites/look", "/api/invites/accept"})  # state changes of nobody yet
MOST = 256 * 1024  # bytes of a request's body
MOST_OF_FILE = 3 * 1024 * 1024  # where it holds a principle file, which JSON makes longer
PATIENCE = 30.0  # seconds in which a body has to arrive
TAKES_FILE = re.compile(r"/api/runs/[^/]+/principles(/check)?")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
BY_TLS = {"strict-transport-security": "max-age=31536000"}  # a year; seconds
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(:[0-9]{1,5})?")


@dataclass(slots=True)
class Exchange:
    """One request and its reply."""

    scope: Scope
    inner_receive: Receive
    inner_send: Send
    site: Site
    deadline: float | None = None  # of the body, by the event loop's clock
    got: int = 0  # bytes
    has_body: bool = False  # all of it is here
    started: bool = False
    complete: bool = False

    async def receive(self) -> Message:
        if self.has_body:
            return await self.site.ending.first(self.inner_receive)
        message = await self.in_time()
        self.got += len(message.get("body", b""))
        if self.got > most(self.scope["path"]):
            raise HTTPException(413)
        self.has_body = not message.get("more_body", False)
        return message

    async def in_time(self) -> Message:
        """A part of the body. Whoever sends a byte a minute does not hold a place for hours."""
        if self.deadline is None:
            self.deadline = asyncio.get_running_loop().time() + PATIENCE
        try:
            async with asyncio.timeout_at(self.deadline):
                return await self.inner_receive()
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in (HEADERS | BY_TLS if self.site.front.tls else HEADERS).items():
                headers.setdefault(name, value)  # a page of another kind may have a stricter policy
            if self.scope["path"].startswith("/api"):
                headers["cache-control"] = "no-store"
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)
        await self.inner_send(message)


class Security:
    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app, self.site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self.site)
        try:
            await self.admit(scope)
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.started:
                log(error)  # the reply stays unfinished, so the other side sees that it is
                return
            await reply(fault_of(error))(scope, receive, exchange.send)
        if exchange.started and not exchange.complete:  # a stream that the service's end cut off
            await exchange.send({"type": "http.response.body", "body": b""})

    async def admit(self, scope: Scope) -> None:
        """Raises Fault where the request may go no further; otherwise notes who is asking."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        check_host(headers, self.site.front)
        if method not in SAFE:
            check_origin(headers, self.site.front)
        if too_long(headers, path):
            raise HTTPException(413)
        state = scope.setdefault("state", {})
        state["site"], state["session"] = self.site, None
        if method in SAFE and not path.startswith("/api/"):
            return
        token = Request(scope).cookies.get(self.site.front.cookie, "")
        session, state["runs"] = await run_sync(self.look, token)
        state["session"] = session
        if method not in SAFE and path not in NO_SESSION:
            check_token(headers, session)

    def look(self, token: str) -> tuple[Session | None, Mapping[str, Served]]:
        """All that the gates need, in one trip to a thread."""
        session = self.site.accounts.sessions.find(token, self.site.clock()) if token else None
        return session, self.site.runs()


def check_host(headers: Headers, front: Front) -> None:
    """Against another site's name that was made to lead to this machine."""
    given = headers.getlist("host")
    name = without_port(given[0]) if len(given) == 1 else ""
    if name not in front.hosts:
        raise Fault(400, "the service does not go by this name", "start it with --allow-host NAME, or use another one")


def check_origin(headers: Headers, front: Front) -> None:
    """Only the service's own pages change anything. A browser says where a request comes from; others can, too."""
    origin = headers.get("origin")
    if origin is None:
        ours = headers.get("sec-fetch-site") == "same-origin"
    else:
        ours = origin.lower() == f"{front.scheme}://{headers['host'].lower()}"
    if not ours:
        raise Fault(403, "the request comes from another site", "use the service's own pages, or send its Origin")


def check_token(headers: Headers, session: Session | None) -> None:
    if session is None:
        raise nobody()
    if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), session.csrf.encode()):
        raise Fault(403, "the X-CSRF-Token is not that of your session", "load the page again")


def most(path: str) -> int:
    """Bytes that a request's body may have."""
    return MOST_OF_FILE if TAKES_FILE.fullmatch(path) else MOST


def too_long(headers: Headers, path: str) -> bool:
    """By what the request says of itself; what it then sends is counted."""
    length = headers.get("content-length", "0")
    return not re.fullmatch(r"[0-9]{1,15}", length) or int(length) > most(path)


def without_port(host: str) -> str:
    """The name in a Host header, in lower case; an IPv6 address keeps its brackets. Empty where it is none."""
    found = HOST.fullmatch(host)
    return found[1].lower() if found else ""
