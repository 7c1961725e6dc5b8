"""Batches of messages, through the Message Batches of the ``anthropic`` SDK."""

import json
from collections.abc import Sequence
from typing import Any

import anthropic
from anthropic.types.messages import MessageBatch

from constitution.errors import InputError
from generator.chat import CallFailure, ChatRequest
from generator.models.anthropic import CAN_BE_LEFT_OUT, AnthropicBackend, refused_parameter
from generator.models.batches import Limits, Progress, Row, lines_of
from generator.models.problems import problem_of
from generator.models.sdk import AT_LENGTH, GONE, Asking, not_here, text
from generator.models.wire import LARGEST_REPLY, Answer

PATH = "/v1/messages/batches"
MARGIN = 900.0  # seconds by which the endpoint's clock may differ from ours
PARAMETERS = dict.fromkeys(CAN_BE_LEFT_OUT)
# A result's error comes without the status that it would have as an answer.
STATUS = {
    "authentication_error": 401, "billing_error": 402, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip


class AnthropicBatches:
    """A ``BatchTransport`` for one model of an endpoint that has Anthropic's Message Batches.

    A batch here bears no name. So ``find`` gives every batch of that size and time.
    """

    limits = Limits(requests=100_000, bytes=256_000_000)

    def __init__(self, backend: AnthropicBackend) -> None:
        self.backend = backend
        self.client = backend.client
        self.asking = Asking(backend.wire, anthropic.APIStatusError, anthropic.AnthropicError)

    def line(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        """The call as it would go out now.

        Raises:
            InputError: a temperature that the API does not have.
        """
        if not 0 <= request.temperature <= 1:
            place = self.backend.model
            raise InputError(place, f"temperature {request.temperature:g} is out of range", "set it from 0 to 1")
        if request.top_logprobs:
            return CallFailure(key, "unsupported", f"{self.backend.model} gives no log-probs")
        line = {"custom_id": key, "params": self.backend.body(request)}
        return json.dumps(line, separators=(",", ":")).encode("ascii")

    async def submit(self, name: str, lines: Sequence[bytes]) -> str | CallFailure:
        place = str(self.client.base_url)
        none_here = InputError(place, "this endpoint takes no batches", "set batch = false, or correct base_url")
        return await self.asking(self.begun(b'{"requests":[' + b",".join(lines) + b"]}"), AT_LENGTH, none_here)

    async def begun(self, content: bytes) -> str:
        """Past the SDK's ``create``, which takes the lines as objects only to write them out again."""
        options: anthropic.RequestOptions = {"headers": {"content-type": "application/json"}}
        return text((await self.client.post(PATH, content=content, options=options, cast_to=MessageBatch)).id)

    async def find(self, name: str, since: float, count: int) -> tuple[str, ...] | CallFailure:
        return await self.asking(self.alike(since - MARGIN, count), AT_LENGTH)

    async def alike(self, since: float, count: int) -> tuple[str, ...]:
        found: list[str] = []
        async for batch in self.client.messages.batches.list(limit=1000):  # the newest first
            if batch.created_at.timestamp() < since:
                break
            counts = batch.request_counts
            in_all = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
            if in_all == count:
                found.append(batch.id)
        return tuple(found)

    async def poll(self, batch: str) -> Progress | CallFailure:
        return await self.asking(self.progress(batch), absent=not_here(self.client.base_url, batch))

    async def progress(self, batch: str) -> Progress:
        said = await self.client.messages.batches.retrieve(batch)
        return Progress(said.processing_status == "ended", GONE if said.archived_at else None)

    async def results(self, batch: str) -> list[bytes] | CallFailure:
        return await self.asking(self.content(batch), AT_LENGTH, GONE)

    async def content(self, batch: str) -> list[bytes]:
        async with self.client.messages.batches.with_streaming_response.results(batch) as response:
            return await lines_of(response.iter_bytes(), LARGEST_REPLY)

    def read(self, line: bytes) -> Row:
        said = json.loads(line)
        key, result = text(said["custom_id"]), said["result"]
        match result["type"]:
            case "succeeded":
                return Row(key, result["message"])
            case "expired" | "canceled" as how:
                return Row(key, failure=CallFailure(key, "expired", f"the batch ended before this call: {how}"))
            case "errored":
                return Row(key, failure=self.refusal(key, result["error"]))
        raise ValueError(f"a result of no known type: {result['type']!r}")

    def refusal(self, key: str, error: dict[str, Any]) -> CallFailure:
        status = STATUS.get(error["error"]["type"], 400)
        answer = Answer(status, {}, json.dumps(error).encode())
        if refused := refused_parameter(answer, PARAMETERS):
            self.backend.left_out.add(refused)
        return problem_of(answer).failure(key, answer)
