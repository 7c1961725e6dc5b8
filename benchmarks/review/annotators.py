"""Annotators as programs: they do what the page does, and remember what the server acknowledged."""

import asyncio
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

THOUGHT = (1.0, 5.0)  # seconds over an item
MEAN_THOUGHT = 3.0
SKIPS, UNDOES, TWO_TABS = 0.03, 0.03, 0.03  # shares of the items
CHOICES = ("1", "2", "tie", "both good", "both bad")
AGAIN = 0.3  # seconds before what failed is sent again
EMPTY_WAIT = 3.0  # seconds before asking again where nothing is left
UNDER_WAY = (aiohttp.ClientError, ConnectionError, asyncio.TimeoutError, OSError)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clock:
    end: float

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.end


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A label that the server said it has."""

    annotator: str
    item: str
    choice: str  # as shown
    key: str


@dataclass(slots=True)
class Crowd:
    """What all annotators saw together."""

    clock: Clock
    labels: list[Acknowledged] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)  # keys of labels that an acknowledged undo took back
    skipped: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)  # of answered requests, by what was asked
    waited: list[float] = field(default_factory=list)  # of saves, from the first try to the acknowledgement
    broken: int = 0  # requests that the server's death cut off, sent again
    statuses: Counter[int] = field(default_factory=Counter)

    def took(self, what: str, seconds: float, status: int) -> None:
        self.seconds.setdefault(what, []).append(seconds)
        self.statuses[status] += 1


class Person:
    """One annotator with a browser's session."""

    def __init__(self, name: str, crowd: Crowd, rng: random.Random) -> None:
        self.name, self.crowd, self.rng = name, crowd, rng
        self.mine: list[Acknowledged | None] = []  # labels and skips in the order in which they were acknowledged

    async def work(self, site: Any) -> None:
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(site.url, timeout=timeout, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            self.http = http
            self.headers = {"Origin": site.url.rstrip("/")}
            self.review = f"/api/runs/{site.run}/review"
            await asyncio.sleep(self.rng.uniform(0, MEAN_THOUGHT))
            await self.log_in(site)
            while not self.crowd.clock.over:
                leased = await self.asked("next", "POST", "/next", {})
                if not leased.get("shown"):
                    await asyncio.sleep(EMPTY_WAIT)
                    continue
                await asyncio.sleep(self.rng.uniform(*THOUGHT))
                await self.deal_with(leased["shown"]["item"])

    async def log_in(self, site: Any) -> None:
        body = {"name": self.name, "password": site.password}
        said = await self.asked("login", "POST", "/api/login", body)
        if "fact" in said:
            raise SystemExit(f"{self.name} cannot log in: {said}")
        said = await self.asked("me", "GET", "/api/me")
        if "csrf" not in said:
            raise SystemExit(f"{self.name} cannot log in: {said}")
        self.headers["X-CSRF-Token"] = said["csrf"]

    async def deal_with(self, item: str) -> None:
        chance = self.rng.random()
        if chance < SKIPS:
            await self.skip(item)
            return
        await self.save(item, twice=chance < SKIPS + TWO_TABS)
        if self.rng.random() < UNDOES:
            await self.undo()

    async def save(self, item: str, twice: bool) -> None:
        choice, key, began = self.rng.choice(CHOICES), str(uuid.uuid4()), time.monotonic()
        body = {"choice": choice, "strength": self.rng.randint(1, 4) if choice in "12" else None}
        path = f"/items/{item}/label"
        answers = await asyncio.gather(*(self.asked("label", "PUT", path, body, key) for _ in range(1 + twice)))
        if all("fact" not in answer for answer in answers):
            self.crowd.waited.append(time.monotonic() - began)
            done = Acknowledged(self.name, item, choice, key)
            self.crowd.labels.append(done)
            self.mine.append(done)

    async def skip(self, item: str) -> None:
        answer = await self.asked("skip", "PUT", f"/items/{item}/skip", {"reason": "not my subject"}, str(uuid.uuid4()))
        if "fact" not in answer:
            self.crowd.skipped += 1
            self.mine.append(None)

    async def undo(self) -> None:
        """Takes the last thing back; the item is leased again and comes with the next request."""
        answer = await self.asked("undo", "POST", "/undo", {}, str(uuid.uuid4()))
        if "fact" not in answer and self.mine:
            last = self.mine.pop()
            if last:
                self.crowd.undone.add(last.key)

    async def asked(self, what: str, method: str, path: str, body: Json | None = None, key: str = "") -> Json:
        """The reply's JSON; what the server's death cut off is sent again, with the same key, until it is answered."""
        headers = {**self.headers, **({"Idempotency-Key": key} if key else {})}
        url = path if path.startswith("/api") else self.review + path
        while True:
            began = time.monotonic()
            try:
                async with self.http.request(method, url, json=body, headers=headers) as reply:
                    said = await reply.json(content_type=None)
                    self.crowd.took(what, time.monotonic() - began, reply.status)
                    if reply.status < 500:
                        return said if isinstance(said, dict) else {}
            except UNDER_WAY:
                self.crowd.broken += 1
            await asyncio.sleep(AGAIN * self.rng.uniform(0.5, 1.5))
