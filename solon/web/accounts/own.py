"""The routes by which people come in, and their own accounts: login, logout, me, invitations."""

from functools import partial
from math import ceil
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from solon.web.accounts.passwords import LONGEST, SHORTEST
from solon.web.accounts.store import NO_ADMIN
from solon.web.accounts.user import Role, User, hashed
from solon.web.door.faults import Fault
from solon.web.door.gates import Annotator, Here, SessionHere, member_of, nobody
from solon.web.site import Site

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", examples=["ann"])]
NewPassword = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]
Token = Annotated[str, Field(min_length=1, max_length=100)]


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Login(Asked):
    name: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=LONGEST)]


class NewOwn(Asked):
    old: Annotated[str, Field(max_length=LONGEST)]
    new: NewPassword


class Look(Asked):
    token: Token


class Accept(Asked):
    token: Token
    name: Name | None = None
    password: NewPassword


class Me(BaseModel):
    name: str
    role: Role
    runs: list[str]
    csrf: str  # to be sent as X-CSRF-Token with every change


class Invited(BaseModel):
    """Whom a link is for; no name: the first admin, who chooses one."""

    name: str | None
    role: Role


router = APIRouter(prefix="/api", tags=["people"])


@router.post("/login")
async def login(asked: Login, request: Request, response: Response, site: Here) -> Me:
    """Begins a session. The one reply for an unknown name, a wrong password and a disabled account is the same."""
    await throttled(site, request, asked.name)
    known = await run_sync(site.accounts.hash_of, asked.name)
    if not await site.passwords.match(asked.password, known):
        link = "ask an admin for a new link" if await run_sync(site.accounts.has_admin) else NO_ADMIN
        raise Fault(401, "the name or the password is wrong", f"try again, or {link}")
    user = await run_sync(admitted, site, request, asked.name)
    me = await run_sync(partial(enter, site, user, request, response, known=known))
    if site.passwords.is_old(known):
        await run_sync(site.accounts.rehash, user, known, await site.passwords.hash(asked.password))
    return me


@router.post("/logout", status_code=204)
def logout(_: Annotator, session: SessionHere, response: Response, site: Here) -> None:
    """Ends the session."""
    site.accounts.sessions.end(session.id)
    response.delete_cookie(site.front.cookie, httponly=True, samesite="strict", secure=site.front.tls)


@router.get("/me")
def me(_: Annotator, session: SessionHere, site: Here) -> Me:
    """Who is logged in, and the runs that they may see."""
    return told(site, session.user, session.csrf)


@router.post("/me/password")
async def change_password(
    asked: NewOwn, member: Annotator, session: SessionHere, request: Request, response: Response, site: Here
) -> Me:
    """Ends every session of the member, and begins a new one."""
    await throttled(site, request, member.name)
    known = await run_sync(site.accounts.hash_of, member.name)
    if not await site.passwords.match(asked.old, known):
        raise Fault(400, "the old password is wrong", "try again, or ask an admin for a new link")
    new = await site.passwords.hash(asked.new)
    await run_sync(site.accounts.set_password, session.user, known, new)
    user = await run_sync(admitted, site, request, member.name)
    return await run_sync(partial(enter, site, user, request, response, known=new))


@router.post("/invites/look")
def look(asked: Look, site: Here) -> Invited:
    """Whom a link is for. The link stays good."""
    user = site.accounts.look(asked.token, site.clock()).user
    return Invited(name=user.name, role=user.role) if user else Invited(name=None, role="admin")


@router.post("/invites/accept")
async def accept(asked: Accept, request: Request, response: Response, site: Here) -> Me:
    """Sets the password, uses the link up, and begins a session. Only the first admin gives a name."""
    invited = await run_sync(site.accounts.look, asked.token, site.clock())
    if invited.user is None and asked.name is None:
        raise Fault(422, "name: the first admin has none yet", "choose one")
    new = await site.passwords.hash(asked.password)
    user = await run_sync(site.accounts.accept, asked.token, asked.name or "", new, site.clock())
    return await run_sync(partial(enter, site, user, request, response, known=new))


async def throttled(site: Site, request: Request, name: str) -> None:
    """Counts an attempt. Raises Fault where it comes too early."""
    wait = await run_sync(site.accounts.throttle.begin, name, address_of(request), site.clock())
    if wait > 0:
        seconds = ceil(wait)
        raise Fault(429, "too many attempts", f"try again in {seconds} s", {"Retry-After": str(seconds)})


def admitted(site: Site, request: Request, name: str) -> User:
    """The user whose password was right. Raises Fault where the account went meanwhile."""
    user = site.accounts.user(name)
    if user is None or user.disabled:
        raise nobody()
    site.accounts.throttle.succeeded(name, address_of(request))
    return user


def enter(site: Site, user: User, request: Request, response: Response, *, known: str | None = None) -> Me:
    """Begins a session under a new id, in the place of the browser's former one.

    Raises:
        Fault: the password is not that of the hash ``known`` any more.
    """
    former = request.cookies.get(site.front.cookie)
    begun = site.accounts.sessions.begin(user, site.clock(), hashed(former) if former else None, known=known)
    response.set_cookie(site.front.cookie, begun.token, httponly=True, samesite="strict", secure=site.front.tls)
    return told(site, user, begun.csrf)


def told(site: Site, user: User, csrf: str) -> Me:
    member = member_of(user)
    return Me(name=user.name, role=user.role, runs=[run for run in site.runs() if member.may_see(run)], csrf=csrf)


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""
