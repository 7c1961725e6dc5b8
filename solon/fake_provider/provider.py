"""What the fake provider does, away from the wire: it answers calls, keeps files and carries out batches."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from constitution.identity import canonical_json
from generator.chat import Usage
from solon.fake_provider import anthropic_api, openai_api
from solon.fake_provider.asked import Answer, Asked, Json, Refused, Said, is_unknown
from solon.fake_provider.batches import Batch, Result, Row
from solon.fake_provider.cache import PrefixCache
from solon.fake_provider.faults import ROW, ErrorKind, Fault, Faults, Strikes
from solon.fake_provider.log import Log, Record
from solon.fake_provider.openai_batches import File
from solon.fake_provider.replies import say, spoiled

MODELS = ("rambler", "echo", "judge-first", "judge-longer", "reasoning-rambler")
ROWS_AT_ONCE = 100  # of a batch, between two looks at whether it was cancelled


@dataclass(frozen=True, slots=True)
class Service:
    """One of the two APIs: how it reads a call, writes a reply and reports an error."""

    read: Callable[[Json, str], Asked]
    write: Callable[[Asked, Said, str], bytes]
    error: Callable[[ErrorKind], Answer]
    model_object: Callable[[str], Json]
    model_list: Callable[[tuple[str, ...]], Json]
    pays_to_store: bool  # whether what goes into the prefix cache has a price of its own


OPENAI = Service(openai_api.read, openai_api.write, openai_api.error, openai_api.model_object,
                 openai_api.model_list, pays_to_store=False)  # fmt: skip
ANTHROPIC = Service(anthropic_api.read, anthropic_api.write, anthropic_api.error, anthropic_api.model_object,
                    anthropic_api.model_list, pays_to_store=True)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that was read whole."""

    number: int
    service: Service
    raw: bytes
    body: Any
    parts: Mapping[str, str]  # of the path
    query: Mapping[str, str]
    url: str  # of the server, as the client calls it
    form: Mapping[str, Any] = field(default_factory=dict)
    fault: Fault | None = None


def answer_json(value: Json) -> Answer:
    return Answer(200, json.dumps(value).encode())


class Provider:
    """Everything that outlives a request."""

    def __init__(self, faults: Faults, log: Log, started: float) -> None:
        self.faults = faults
        self.strikes = Strikes(faults)
        self.log = log
        self.started = started
        self.cache = PrefixCache()
        self.files: dict[str, File] = {}
        self.batches: dict[str, Batch] = {}  # of both services, the oldest first
        self.tasks: set[asyncio.Task[None]] = set()

    def call(self, arrival: Arrival) -> Answer:
        name = hashlib.sha256(arrival.raw).hexdigest()
        return self.complete(arrival.service, arrival.body, name, fault=arrival.fault)

    def complete(
        self, service: Service, body: Any, name: str, *, custom_id: str = "", fault: Fault | None = None
    ) -> Answer:
        """The answer to one model call, or the refusal of it."""
        if not isinstance(body, dict):
            return service.error("bad-request")
        try:
            asked = service.read(body, custom_id)
        except Refused as refused:
            return refused.answer
        if fault and fault.kind == "huge":
            asked = replace(asked, top_logprobs=None)  # they would be many times as long as the text
        said = say(asked)
        usage = self.cache.charge(said.usage, asked.model, asked.prefixes, time.monotonic())
        said = replace(said, usage=usage if service.pays_to_store else replace(usage, stored=0))
        if fault:
            said = spoiled(said, fault.kind)
        reply = service.write(asked, said, name)
        if fault and fault.kind == "huge":
            longer = (said.text or "") + "x" * (fault.bytes - len(reply))
            reply = service.write(asked, replace(said, text=longer), name)
        return Answer(200, reply, usage=said.usage)

    def models(self, arrival: Arrival) -> Answer:
        return answer_json(arrival.service.model_list(MODELS))

    def model(self, arrival: Arrival) -> Answer:
        service, model = arrival.service, arrival.parts["id"]
        return service.error("unknown-model") if is_unknown(model) else answer_json(service.model_object(model))

    def begin(self, batch: Batch, work: Callable[[Batch], None], service: Service) -> None:
        """Takes a batch on. ``work`` is what is left to do when it has ended."""
        self.batches[batch.id] = batch
        task = asyncio.create_task(self.carry_out(batch, work, service))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def carry_out(self, batch: Batch, work: Callable[[Batch], None], service: Service) -> None:
        """A tenth of the time for validating, a tenth for finalizing, and the rows in between."""
        seconds = self.faults.batch.seconds
        await asyncio.sleep(seconds * 0.1)
        if batch.errors:
            batch.reach("failed", time.time())
            return
        batch.reach("in_progress", time.time())
        chunks = [batch.rows[begin : begin + ROWS_AT_ONCE] for begin in range(0, len(batch.rows), ROWS_AT_ONCE)]
        for chunk in chunks:
            await asyncio.sleep(seconds * 0.8 / len(chunks))
            batch.results += [self.carry_out_row(batch, row, service) for row in chunk]
        batch.reach("finalizing", time.time())
        await asyncio.sleep(seconds * 0.1)
        work(batch)
        batch.reach("failed" if self.faults.batch.whole == "failed" else batch.last_status, time.time())

    def carry_out_row(self, batch: Batch, row: Row, service: Service) -> Result:
        if batch.cancelled_at is not None:
            return Result(row.custom_id, "canceled")
        fate = self.faults.batch.fate(self.faults.seed, batch.number, row.custom_id)
        whole = self.faults.batch.whole
        if whole == "expired" or fate == "expired":
            return Result(row.custom_id, "expired")
        if whole == "failed" or fate == "failed":
            return Result(row.custom_id, "errored", service.error("server-error"))
        fault = self.strikes.draw(f"{batch.number} {row.custom_id}", ROW, row.body.get("model"))
        name = hashlib.sha256(canonical_json([row.custom_id, row.body])).hexdigest()
        answer = self.complete(service, row.body, name, custom_id=row.custom_id, fault=fault)
        self.log_row(batch, row, answer, fate or (fault.kind if fault else None))
        return Result(row.custom_id, "succeeded" if answer.status == 200 else "errored", answer, fate)

    def log_row(self, batch: Batch, row: Row, answer: Answer, fault: str | None) -> None:
        at = time.monotonic() - self.started
        self.log.write(
            Record(
                "row", batch.number, at, "", "", row.body, None, fault, answer.status, billed(answer.usage),
                batch=batch.id, custom_id=row.custom_id,
            )
        )  # fmt: skip

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def billed(usage: Usage | None) -> dict[str, int] | None:
    return asdict(usage) if usage else None
