"""The routes by which admins look after accounts."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, StrictBool

from solon.web.accounts.own import Asked, Name, enter
from solon.web.accounts.store import Change
from solon.web.accounts.user import ALL_RUNS, Role, User
from solon.web.door.gates import Admin, Here, SessionHere

RunName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9._-]{0,79})$", examples=["demo"])]
RunNames = Annotated[list[RunName], Field(max_length=1000, description=f"{ALL_RUNS}: every run")]
Known = Annotated[str, Path(max_length=40)]


class NewUser(Asked):
    name: Name
    role: Role = "annotator"
    runs: RunNames = Field(default_factory=list)


class Changed(Asked):
    """What is not given stays as it is."""

    role: Role | None = None
    runs: RunNames | None = None
    disabled: StrictBool | None = None


class UserTold(BaseModel):
    name: str
    role: Role
    runs: list[str]
    disabled: bool
    invited: bool  # and has set no password yet


class Link(BaseModel):
    """Shown this once."""

    link: str


router = APIRouter(prefix="/api/users", tags=["people"])


@router.get("")
def users(_: Admin, site: Here) -> list[UserTold]:
    """Everybody with an account."""
    return [told(user) for user in site.accounts.users()]


@router.post("", status_code=201)
def add(asked: NewUser, _: Admin, request: Request, site: Here) -> Link:
    """A new user, and the link that lets them choose a password; it holds for 7 days, and once."""
    token = site.accounts.add(asked.name, asked.role, asked.runs, site.clock())
    return Link(link=link_of(site.front.scheme, request, token))


@router.patch("/{name}")
def change(
    name: Known, asked: Changed, _: Admin, session: SessionHere, request: Request, response: Response, site: Here
) -> UserTold:
    """Another role or disabling ends the user's sessions."""
    runs = None if asked.runs is None else frozenset(asked.runs)
    user = site.accounts.change(name, Change(asked.role, runs, asked.disabled))
    if user.key == session.user.key and user.role != session.user.role and not user.disabled:
        enter(site, user, request, response)  # the admin's own: a new id, and the new role
    return told(user)


@router.post("/{name}/invite")
def invite(name: Known, _: Admin, request: Request, site: Here) -> Link:
    """A new link to set a password; the old password holds until it is used, any older link does not."""
    return Link(link=link_of(site.front.scheme, request, site.accounts.link(name, site.clock())))


def told(user: User) -> UserTold:
    return UserTold(
        name=user.name, role=user.role, runs=sorted(user.runs), disabled=user.disabled, invited=user.invited
    )


def link_of(scheme: str, request: Request, token: str) -> str:
    """The token is in the fragment, which browsers keep to themselves, so it stands in no log."""
    return f"{scheme}://{request.headers['host']}/invite#{token}"
