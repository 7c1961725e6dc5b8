"""Batches of chat completions, through the files and batches of the ``openai`` SDK."""

import json
from collections.abc import Sequence
from typing import Any

import openai
from openai.types import Batch

from constitution.errors import InputError
from generator.chat import CallFailure, ChatRequest, FailureReason
from generator.models.batches import Limits, Progress, Row, lines_of
from generator.models.openai import CAN_BE_LEFT_OUT, LOGPROBS, OpenAIBackend, refused_parameter
from generator.models.problems import problem_of
from generator.models.sdk import AT_LENGTH, GONE, Asking, not_here, text
from generator.models.wire import LARGEST_REPLY, Answer

NAME = "solon"  # of the metadata that holds a batch's name
ENDED = frozenset({"completed", "expired", "cancelled", "failed"})
MARGIN = 86_400.0  # seconds by which the endpoint's clock may differ from ours, and more
PARAMETERS = dict.fromkeys((*LOGPROBS, *CAN_BE_LEFT_OUT))
# What stands in place of a reply, or of a batch, where no status says more.
BY_CODE: dict[str, FailureReason] = {
    "batch_expired": "expired",
    "batch_cancelled": "expired",
    "token_limit_exceeded": "rate limit",  # of all batches under way together
    "request_limit_exceeded": "rate limit",
    "server_error": "server error",
}


class OpenAIBatches:
    """A ``BatchTransport`` for one model of an endpoint that has OpenAI's Batch API."""

    limits = Limits(requests=50_000, bytes=200_000_000)

    def __init__(self, backend: OpenAIBackend) -> None:
        self.backend = backend
        self.client = backend.client
        self.asking = Asking(backend.wire, openai.APIStatusError, openai.OpenAIError)

    def line(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        if request.top_logprobs and self.backend.left_out.intersection(LOGPROBS):
            return CallFailure(key, "unsupported", f"{self.backend.model} gives no log-probs")
        body = self.backend.body(key, request)
        line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return json.dumps(line, separators=(",", ":")).encode("ascii")

    async def submit(self, name: str, lines: Sequence[bytes]) -> str | CallFailure:
        """Uploads the file, which costs nothing, and makes a batch of it."""
        place = str(self.client.base_url)
        none_here = InputError(place, "this endpoint takes no batches", "set batch = false, or correct base_url")
        file = await self.asking(self.uploaded(name, b"\n".join(lines) + b"\n"), AT_LENGTH, none_here)
        return file if isinstance(file, CallFailure) else await self.asking(self.begun(name, file), absent=none_here)

    async def uploaded(self, name: str, content: bytes) -> str:
        return text((await self.client.files.create(file=(f"{name}.jsonl", content), purpose="batch")).id)

    async def begun(self, name: str, file: str) -> str:
        batch = await self.client.batches.create(
            input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h", metadata={NAME: name}
        )
        return text(batch.id)

    async def find(self, name: str, since: float, count: int) -> tuple[str, ...] | CallFailure:
        return await self.asking(self.named(name, since - MARGIN), AT_LENGTH)

    async def named(self, name: str, since: float) -> tuple[str, ...]:
        found: list[str] = []
        async for batch in self.client.batches.list(limit=100):  # the newest first
            if batch.created_at < since:
                break
            if (batch.metadata or {}).get(NAME) == name:
                found.append(batch.id)
        return tuple(found)

    async def poll(self, batch: str) -> Progress | CallFailure:
        return await self.asking(self.progress(batch), absent=not_here(self.client.base_url, batch))

    async def progress(self, batch: str) -> Progress:
        said = await self.client.batches.retrieve(batch)
        return Progress(said.status in ENDED, failure_of(said) if said.status == "failed" else None)

    async def results(self, batch: str) -> list[bytes] | CallFailure:
        """The lines of the output file and of the error file, of which one or both are there."""
        files = await self.asking(self.files(batch), absent=not_here(self.client.base_url, batch))
        if isinstance(files, CallFailure):
            return files
        lines: list[bytes] = []
        for file in files:
            some = await self.asking(self.content(file), AT_LENGTH, GONE)
            if isinstance(some, CallFailure):
                return some
            lines += some
        return lines

    async def files(self, batch: str) -> list[str]:
        said = await self.client.batches.retrieve(batch)
        return [text(file) for file in (said.output_file_id, said.error_file_id) if file]

    async def content(self, file: str) -> list[bytes]:
        async with self.client.files.with_streaming_response.content(file) as response:
            return await lines_of(response.iter_bytes(), LARGEST_REPLY)

    def read(self, line: bytes) -> Row:
        said = json.loads(line)
        key = text(said["custom_id"])
        if said.get("error"):
            return Row(key, failure=CallFailure(key, *told(said["error"])))
        status, body = int(said["response"]["status_code"]), said["response"]["body"]
        if status == 200:
            return Row(key, body)
        answer = Answer(status, {}, json.dumps(body).encode())
        if refused := refused_parameter(answer, PARAMETERS):
            self.backend.left_out.add(refused)
            if refused in LOGPROBS:
                return Row(key, failure=CallFailure(key, "unsupported", f"{self.backend.model} gives no log-probs"))
        return Row(key, failure=problem_of(answer).failure(key, answer))


def told(error: dict[str, Any]) -> tuple[FailureReason, str]:
    """What an error without a status means."""
    code, said = str(error.get("code")), f"{error.get('code')}: {error.get('message')}"[:500]
    if code in BY_CODE:
        return BY_CODE[code], said
    return problem_of(Answer(400, {}, json.dumps({"error": error}).encode())).reason, said


def failure_of(batch: Batch) -> CallFailure:
    """Why a batch failed as a whole, by the first of its errors; then no call was made."""
    errors = (batch.errors and batch.errors.data) or []
    if not errors:
        return CallFailure("", "server error", "the batch failed, and does not say why")
    reason, said = told({"code": errors[0].code, "message": errors[0].message})
    more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
    return CallFailure("", reason, f"the batch failed: {said}{more}")
