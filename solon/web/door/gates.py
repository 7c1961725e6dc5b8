"""Who may come in: the dependencies that every handler names its visitors by.

The middleware has looked the session up already (see ``security``); what is here only reads what it found, so a gate
costs no thread and no statement.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from solon.web.accounts.sessions import Session
from solon.web.accounts.user import ALL_RUNS, ROLES, Role, User
from solon.web.door.faults import Fault
from solon.web.served import Served
from solon.web.site import Site


@dataclass(frozen=True, slots=True)
class Member:
    """A person who is logged in."""

    name: str
    role: Role
    runs: frozenset[str]  # ALL_RUNS among them: all of them

    def is_at_least(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)

    def may_see(self, run: str) -> bool:
        return self.role == "admin" or ALL_RUNS in self.runs or run in self.runs


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets in who has at least this role."""

    role: Role

    async def __call__(self, request: Request) -> Member:
        member = member_of(session_of(request).user)
        if not member.is_at_least(self.role):
            raise Fault(403, f"this is for the role {self.role}, and yours is {member.role}", "ask an admin")
        return member


def nobody() -> Fault:
    return Fault(401, "you are not logged in", "log in")


def session_of(request: Request) -> Session:
    session: Session | None = request.scope["state"].get("session")
    if session is None:
        raise nobody()
    return session


def site_of(request: Request) -> Site:
    site: Site = request.scope["state"]["site"]
    return site


def member_of(user: User) -> Member:
    return Member(user.name, user.role, user.runs)


async def run_here(run: str, request: Request) -> Served:
    """The run of the path. One that is not this member's looks just like one that is not there."""
    served: Served | None = request.scope["state"]["runs"].get(run)
    if served is None or not member_of(session_of(request).user).may_see(served.name):
        raise Fault(404, "there is no such run, or you are not one of its people", "look at the list of your runs")
    return served


async def site_here(request: Request) -> Site:
    return site_of(request)


async def session_here(request: Request) -> Session:
    return session_of(request)


Annotator = Annotated[Member, Depends(Gate("annotator"))]
Adjudicator = Annotated[Member, Depends(Gate("adjudicator"))]
Admin = Annotated[Member, Depends(Gate("admin"))]
RunHere = Annotated[Served, Depends(run_here)]
Here = Annotated[Site, Depends(site_here)]
SessionHere = Annotated[Session, Depends(session_here)]


def role_of(dependant: Dependant) -> Role | None:
    """The highest role that a handler's gates ask for; None: it has no gate."""
    asked = [call.role for call in calls_of(dependant) if isinstance(call, Gate)]
    return max(asked, key=ROLES.index, default=None)


def calls_of(dependant: Dependant) -> list[Callable[..., Any]]:
    below = [call for one in dependant.dependencies for call in calls_of(one)]
    return [*([dependant.call] if dependant.call else []), *below]
