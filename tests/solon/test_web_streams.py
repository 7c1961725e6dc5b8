"""Replies that go on for minutes: how many, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.responses import StreamingResponse

from solon.web.accounts.user import hashed
from solon.web.door.streams import EVERY, MOST, StreamHere


@pytest.fixture
def watched(web: Any) -> Any:
    """With an address whose reply goes on for as long as it may."""

    @web.app.get("/api/runs/{run}/watched")
    async def watched(stream: StreamHere) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while await stream.still():
                yield b"."
                await asyncio.sleep(0.001)

        return StreamingResponse(parts())

    web.app.router.routes.insert(0, web.app.router.routes.pop())
    return web


def scope_of(visitor: Any, run: str) -> dict[str, Any]:
    cookie = f"solon_session={visitor.cookies['solon_session']}".encode()
    path = f"/api/runs/{run}/watched"
    return {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"cookie", cookie)], "http_version": "1.1", "scheme": "http",
            "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8642)}  # fmt: skip


class Listener:
    """A browser that listens; ``begun`` once the reply's head is there."""

    def __init__(self, app: Any, visitor: Any, run: str = "demo") -> None:
        self.status, self.begun, self.closing = 0, asyncio.Event(), asyncio.Event()
        self.asked = False
        self.task = asyncio.create_task(app(scope_of(visitor, run), self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.closing.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun.set()

    async def ends(self) -> None:
        async with asyncio.timeout(30):
            await self.task


@asynccontextmanager
async def listening(app: Any, visitor: Any, run: str = "demo") -> AsyncIterator[Listener]:
    listener = Listener(app, visitor, run)
    async with asyncio.timeout(30):
        await listener.begun.wait()
    try:
        yield listener
    finally:
        listener.closing.set()
        await listener.ends()


async def test_a_stream_ends_with_its_session(watched: Any) -> None:
    ann, bo = watched.visitor("annotator", "ann"), watched.visitor("annotator", "bo")
    async with listening(watched.app, ann) as ends, listening(watched.app, bo) as stays:
        watched.accounts.sessions.end(hashed(ann.cookies["solon_session"]))
        watched.now += EVERY
        await ends.ends()
        assert not stays.task.done()


async def test_a_stream_of_a_run_ends_when_its_listener_is_no_longer_one_of_its_people(watched: Any) -> None:
    from solon.web.accounts.store import Change

    ann = watched.visitor("annotator", "ann", ["demo"])
    async with listening(watched.app, ann) as stream:
        watched.accounts.change("ann", Change(runs=frozenset({"other"})))
        watched.now += EVERY
        await stream.ends()


async def test_a_session_has_ten_streams_at_most_and_another_one_its_own(watched: Any) -> None:
    ann, bo = watched.visitor("annotator", "ann"), watched.visitor("annotator", "bo")
    first = Listener(watched.app, ann)
    await first.begun.wait()
    many = [Listener(watched.app, ann) for _ in range(MOST)]
    for one in many:
        await one.begun.wait()
    assert sorted(one.status for one in many) == [200] * (MOST - 1) + [429]
    async with listening(watched.app, bo) as other:
        assert other.status == 200
    for one in (first, *many):
        one.closing.set()
        await one.ends()
    assert not watched.site.streams
    async with listening(watched.app, ann) as again:
        assert again.status == 200
