"""The application: every area's routes behind one gatehouse."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

import solon
from solon.web import files
from solon.web.accounts import everybody, own
from solon.web.door.faults import Told, install
from solon.web.door.gates import Annotator, role_of
from solon.web.door.security import NO_SESSION, Security
from solon.web.lead import routes as lead
from solon.web.principles import routes as principles
from solon.web.review import routes as review
from solon.web.runs import routes as runs
from solon.web.site import Site


def create_app(site: Site) -> FastAPI:
    """The whole service. ``site.ending.end()`` ends its streams."""
    app = FastAPI(
        title="Solon",
        version=solon.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={code: {"model": Told, "description": "What is wrong, and what to do"} for code in ("4XX", 422, 503)},
    )
    install(app)
    for area in (own, everybody, runs, review, lead, principles):
        app.include_router(area.router)
    describe(app, site.front.cookie)
    app.router.routes.extend(files.routes())
    app.add_middleware(Security, site=site)
    require_gates(app)
    return app


def api_routes(app: FastAPI) -> tuple[RouteContext, ...]:
    return tuple(one for one in iter_route_contexts(app.routes) if isinstance(one.original_route, APIRoute))


def require_gates(app: FastAPI) -> None:
    """A handler that forgot its gate must not be served at all."""
    for route in api_routes(app):
        if role_of(route.dependant) is None and route.path not in NO_SESSION:
            raise AssertionError(f"{route.path} has no gate: give its handler an Annotator, Adjudicator or Admin")


def describe(app: FastAPI, cookie: str) -> None:
    """Adds the address that documents every other one."""
    made: dict[str, Any] = {}

    @app.get("/api/openapi.json", tags=["people"])
    def openapi(_: Annotator) -> dict[str, Any]:
        """This description, in OpenAPI 3.1; ``x-role`` is the least role that an operation is for."""
        if not made:
            made.update(described(app, cookie))
        return made


def described(app: FastAPI, cookie: str) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    session = {"type": "apiKey", "in": "cookie", "name": cookie}
    found.setdefault("components", {})["securitySchemes"] = {"session": session}
    for route in api_routes(app):
        role = role_of(route.dependant)
        for method in route.methods or ():
            operation = found["paths"][route.path_format][method.lower()]
            operation["x-role"] = role or "nobody"
            operation["security"] = [{"session": []}] if role else []
            faults_as_json(operation["responses"])
    return found


def faults_as_json(responses: dict[str, Any]) -> None:
    """The framework takes a fault to have the type of the reply that was hoped for."""
    for status, told in responses.items():
        if not status.startswith("2") and told.get("content"):
            told["content"] = {"application/json": next(iter(told["content"].values()))}
