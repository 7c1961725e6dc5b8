"""The reward server's two addresses: /get_reward, as OpenRLHF asks it, and /health.

OpenRLHF 0.11 posts ``{"query": [...], "prompts": [...], "labels": [...]}`` and reads ``rewards``, ``scores`` and
``extra_logs``. It has no way to leave a completion out: null breaks its training off, NaN poisons the weights, and
a number would be invented. So a completion without a verdict is answered with 503: OpenRLHF asks again four times, a
second apart, and then its training stops.
"""

import base64
import binascii
import logging
import math
from collections.abc import Sequence
from secrets import compare_digest
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, ValidationError

from constitution.checks import words
from constitution.errors import SolonError
from solon.reward_server.batching import Batcher
from solon.reward_server.reading import Exchange, Known, Query, exchange
from trainer.rewards import Reward

LARGEST_BODY = 16 * 2**20  # bytes
MOST_QUERIES = 4096
LOG = logging.getLogger(__name__)

Texts = Annotated[list[str], Field(min_length=1, max_length=MOST_QUERIES)]


class Asked(BaseModel):
    """A call's body. Of one that gives no prompts, each query must carry the marks of a known chat template."""

    query: Texts | str
    prompts: Texts | str | None = None
    labels: list[Any] | None = None

    def queries(self) -> list[Query]:
        """Raises ValueError where the lists are not of one length."""
        texts = listed(self.query)
        prompts: list[str] | list[None] = [None] * len(texts) if self.prompts is None else listed(self.prompts)
        labels = self.labels or [None] * len(texts)
        return [Query(text, prompt, label) for text, prompt, label in zip(texts, prompts, labels, strict=True)]


def listed(texts: list[str] | str) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


class Desk:
    """Answers one call after another; the first of each kind of fault is logged, never what was sent."""

    def __init__(self, reward: Reward, known: Known, key: str | None, at_once: int) -> None:
        self.reward = reward
        self.known = known
        self.key = key
        self.batcher = Batcher(reward, at_once)
        self.told: set[str] = set()
        self.rewarded = 0
        self.without_verdict = 0

    async def get_reward(self, request: Request) -> dict[str, Any]:
        if self.key is not None and not holds(request.headers.get("authorization", ""), self.key):
            raise self.fault(401, "the key is missing or wrong: send it as a bearer token or as the URL's password")
        exchanges = self.exchanges(await self.body(request))
        try:
            rewards = await self.batcher.rewards(exchanges)
        except SolonError as error:
            raise self.fault(503, str(error)) from None
        found = [reward for reward in rewards if reward is not None and math.isfinite(reward)]
        self.rewarded += len(found)
        self.without_verdict += len(rewards) - len(found)
        if len(found) < len(rewards):
            raise self.fault(503, f"{self.reward.name} gives no verdict on a completion, and none is made up")
        lengths = [float(len(words(exchange.completion))) for exchange in exchanges]
        return {"rewards": found, "scores": found, "extra_logs": {"words": lengths}}

    async def body(self, request: Request) -> Asked:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise self.fault(415, "the body is not declared as application/json")
        raw = bytearray()
        async for part in request.stream():
            raw += part
            if len(raw) > LARGEST_BODY:
                raise self.fault(413, f"the body is larger than {LARGEST_BODY >> 20} MiB: send fewer queries at once")
        try:
            return Asked.model_validate_json(bytes(raw))
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(map(str, wrong["loc"])) or "body"
            raise self.fault(422, f"{place}: {wrong['msg']}") from None

    def exchanges(self, asked: Asked) -> list[Exchange]:
        try:
            queries = asked.queries()
        except ValueError:
            raise self.fault(422, "query, prompts and labels are not of one length") from None
        found = [exchange(query, self.known) for query in queries]
        if None in found:
            fact = "a query cannot be told apart into prompt and completion"
            raise self.fault(422, f"{fact}: send the prompts too, as the policy reads them")
        return [one for one in found if one]

    def fault(self, status: int, detail: str) -> HTTPException:
        if detail not in self.told:
            self.told.add(detail)
            LOG.warning("%d: %s", status, detail)
        return HTTPException(status, detail, {"Retry-After": "1"} if status == 503 else None)


def holds(header: str, key: str) -> bool:
    """Whether the header carries the key: as a bearer token, or as the password of any name, as a URL can."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return compare_digest(given.strip().encode(), key.encode())


def create_app(desk: Desk) -> FastAPI:
    app = FastAPI(title="Solon's rewards", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.post("/get_reward")
    async def get_reward(request: Request) -> dict[str, Any]:
        return await desk.get_reward(request)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        counts: Sequence[tuple[str, Any]] = [
            ("reward", desk.reward.name),
            ("rewarded", desk.rewarded),
            ("without_verdict", desk.without_verdict),
        ]
        return dict(counts)

    return app
