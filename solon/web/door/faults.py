"""What goes wrong, as JSON: ``{"fact": …, "remedy": …}`` and a status that says whose turn it is."""

import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from constitution.errors import SolonError, StorageError
from solon.review.errors import Dropped, InHand, KeyReused, LeaseLost, NotYours, ReviewError, TooManyEdits, Unknown
from solon.web.files import nowhere

LOG = logging.getLogger("solon.web")

TOLD = {
    400: ("the request cannot be read", "see /api for what this address takes"),
    404: ("there is nothing at this address", "see /api for what there is"),
    405: ("this address does not take this method", "see /api for what it takes"),
    408: ("the request took too long to arrive", "send it again"),
    413: ("the request is too long", "send less at once"),
}
REVIEW: dict[type[ReviewError], int] = {
    NotYours: 403, Dropped: 403, Unknown: 404, LeaseLost: 409, KeyReused: 409, InHand: 409, TooManyEdits: 409,
}  # fmt: skip
BROKEN = ("something is wrong with the service", "try again; whoever runs it finds the reason in its output")
OUT = ("the service is out of order just now", "tell an admin; the reason is in its output")
AWAY = ("the database does not answer", "try again in a moment; whoever runs the service finds why in its output")


class Fault(Exception):
    """An answer that is not the one hoped for. Handlers raise it."""

    def __init__(self, status: int, fact: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{fact}: {remedy}")
        self.status, self.fact, self.remedy, self.headers = status, fact, remedy, headers


def out_of_order() -> Fault:
    """For what only whoever runs the service can put right. What it is, with paths and hosts, is for the log."""
    return Fault(503, *OUT, {"Retry-After": "60"})


FORESEEN = (Fault, SolonError, RequestValidationError, HTTPException, DBAPIError, TimeoutError, UnicodeEncodeError)


class Told(BaseModel):
    """A fault as it is sent."""

    fact: str
    remedy: str


def reply(fault: Fault) -> JSONResponse:
    return JSONResponse({"fact": fault.fact, "remedy": fault.remedy}, fault.status, fault.headers)


def fault_of(error: Exception) -> Fault:
    """The fault that an error comes to; one that nobody foresaw is logged, and nothing of it is told."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, RequestValidationError):
        return Fault(422, first_of(error), "put it right, and send it again")
    if isinstance(error, ReviewError):
        return Fault(REVIEW.get(type(error), 400), error.fact, error.remedy)
    if isinstance(error, UnicodeEncodeError | DataError):
        return Fault(422, "a text holds what no text may: a NUL, or half of a character", "take it out")
    if isinstance(error, StorageError | DBAPIError | TimeoutError):
        log(error)
        return Fault(503, *AWAY, {"Retry-After": "5"})
    if isinstance(error.__cause__, DBAPIError):  # a file that is no database, a password that is refused
        log(error)
        return out_of_order()
    if isinstance(error, SolonError):
        fact, _, remedy = str(error).rpartition(": ")
        return Fault(400, fact or remedy, remedy if fact else "put it right, and try again")
    if isinstance(error, HTTPException):
        told = TOLD.get(error.status_code, (HTTPStatus(error.status_code).phrase.lower(), "see /api"))
        return Fault(error.status_code, *told, error.headers)
    log(error)
    return Fault(500, *BROKEN)


def first_of(error: RequestValidationError) -> str:
    """The first thing that is wrong, without what was sent: it may be a password."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "the body is no JSON"
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path", "header"))
    return f"{place or 'the request'}: {first['msg'][:1].lower()}{first['msg'][1:]}"


def log(error: BaseException) -> None:
    """The kinds of the error and of its causes, and where each arose. Their messages may quote what is secret."""
    lines = [f"{one_line(error)}\n"] if isinstance(error, SolonError | OperationalError) else []
    cause: BaseException | None = error
    while cause is not None:
        lines += [f"{type(cause).__module__}.{type(cause).__qualname__}\n", *traceback.format_tb(cause.__traceback__)]
        cause = cause.__cause__ or cause.__context__
    LOG.error("%s", "".join(lines).rstrip())


def one_line(error: SolonError | OperationalError) -> str:
    """What the disk, the database or a configuration's reader says; none quotes values there."""
    said = str(error.orig if isinstance(error, OperationalError) else error)
    return " ".join(said.split("\n", 1)[0].split())


def methods_at(app: FastAPI, path: str) -> set[str]:
    """All that the address takes; the framework names those of the first route alone."""
    found: set[str] = set()
    for route in iter_route_contexts(app.routes):
        if route.path and compile_path(route.path)[0].fullmatch(path):
            found |= route.methods or set()
    return found


def wants_page(request: Request) -> bool:
    """Whether somebody typed the address into a browser, or followed a link there."""
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/api/", "/static/"))


def install(app: FastAPI) -> None:
    async def handle(request: Request, error: Exception) -> Response:
        told = reply(fault_of(error))
        if told.status_code == 404 and wants_page(request):
            return HTMLResponse(nowhere(), 404, {"Cache-Control": "no-cache", "Vary": "Accept"})
        if told.status_code == 405:
            told.headers["allow"] = ", ".join(sorted(methods_at(app, request.url.path)))
        return told

    for kind in FORESEEN:
        app.add_exception_handler(kind, handle)
