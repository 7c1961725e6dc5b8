"""Replies that go on for minutes: how many of them a session may have, and that they end when it does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import Depends, Request

from solon.web.accounts.sessions import Session
from solon.web.door.faults import Fault
from solon.web.door.gates import member_of, session_of, site_of
from solon.web.site import Site

MOST = 10  # of a session: a tab has one
EVERY = 5.0  # seconds between two looks


@dataclass(slots=True)
class Stream:
    """One reply."""

    site: Site
    session: Session
    run: str  # empty where it is of none
    looked: float

    async def still(self) -> bool:
        """Whether who listens is still logged in and one of the run's people. Cheap: it looks every few seconds."""
        now = self.site.clock()
        if 0 <= now - self.looked < EVERY:
            return True
        self.looked = now
        user = await run_sync(self.site.accounts.sessions.user_of, self.session.id, now)
        return user is not None and (not self.run or member_of(user).may_see(self.run))


async def stream_here(request: Request) -> AsyncIterator[Stream]:
    """Counts it for as long as it lasts. Raises Fault where the session has too many."""
    site, session = site_of(request), session_of(request)
    if site.streams[session.id] >= MOST:
        raise Fault(429, "you have too many pages open that watch a run", "close some", {"Retry-After": "60"})
    site.streams[session.id] += 1
    try:
        yield Stream(site, session, request.path_params.get("run", ""), site.clock())
    finally:
        site.streams[session.id] -= 1
        if not site.streams[session.id]:
            del site.streams[session.id]


StreamHere = Annotated[Stream, Depends(stream_here)]
