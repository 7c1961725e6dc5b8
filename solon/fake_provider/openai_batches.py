"""OpenAI's shapes for files and batches: what goes in, how it stands, what comes out."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from constitution.identity import short_id
from solon.fake_provider.asked import Answer, Json
from solon.fake_provider.batches import Batch, Result, Row, lines
from solon.fake_provider.openai_api import failure

MOST_ROWS = 50_000
MOST_BYTES = 200_000_000
DAY = 86_400
ENDPOINT = "/v1/chat/completions"
WITHOUT_REPLY = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "canceled": ("batch_cancelled", "This request was cancelled before it was executed."),
}


@dataclass(frozen=True, slots=True)
class File:
    id: str
    name: str
    purpose: str
    content: bytes
    created_at: float


def upload_fault(name: str, purpose: str, content: bytes) -> Answer | None:
    """Why a file is not taken."""
    if purpose == "batch" and not name.endswith(".jsonl"):
        return failure(400, "Invalid file format for Batch API. Must be .jsonl", param="file")
    if purpose == "batch" and len(content) > MOST_BYTES:
        return failure(400, "File is too large.", param="file")
    return None


def read_rows(content: bytes) -> tuple[tuple[Row, ...], list[Json]]:
    """The rows of an input file, and what is wrong with it; a file with anything wrong is not worked on at all."""
    texts = content.splitlines()
    if not texts:
        return (), [fault("empty_file", "The batch input file is empty.", None)]
    if len(texts) > MOST_ROWS:
        return (), [fault("too_many_tasks", f"The batch input file has more than {MOST_ROWS} requests.", None)]
    rows: list[Row] = []
    errors: list[Json] = []
    seen: set[str] = set()
    for number, text in enumerate(texts, 1):
        try:
            url, row = read_row(json.loads(text))
        except (ValueError, LookupError, TypeError, RecursionError):
            errors.append(fault("invalid_json_line", "This line is not a request in JSON.", number))
            continue
        if url != ENDPOINT:
            errors.append(fault("url_mismatch", f"The URL is not the batch's, {ENDPOINT}.", number))
        if row.custom_id in seen:
            errors.append(fault("duplicate_custom_id", f"The custom_id {row.custom_id!r} is used twice.", number))
        if rows and row.body.get("model") != rows[0].body.get("model"):
            errors.append(fault("model_mismatch", "All requests of a batch must be for one model.", number))
        seen.add(row.custom_id)
        rows.append(row)
    return tuple(rows), errors


def read_row(line: Any) -> tuple[str, Row]:
    if line["method"] != "POST" or not isinstance(line["custom_id"], str) or not isinstance(line["body"], dict):
        raise TypeError("not a request")
    return line["url"], Row(line["custom_id"], line["body"])


def fault(code: str, message: str, line: int | None) -> Json:
    return {"code": code, "message": message, "param": None, "line": line}


def output_lines(results: Iterable[Result]) -> bytes:
    return lines(output_line(result) for result in results if result.end == "succeeded")


def error_lines(results: Iterable[Result]) -> bytes:
    return lines(output_line(result) for result in results if result.end != "succeeded")


def output_line(result: Result) -> Json:
    name = short_id("row", result.custom_id)
    line: Json = {"id": f"batch_req_{name}", "custom_id": result.custom_id, "response": None, "error": None}
    if result.answer is None:
        code, message = WITHOUT_REPLY[result.end]
        return line | {"error": {"code": code, "message": message}}
    body = json.loads(result.answer.body)
    return line | {"response": {"status_code": result.answer.status, "request_id": name, "body": body}}


def file_object(file: File) -> Json:
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(file.content),
        "created_at": int(file.created_at),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "expires_at": None,
        "status_details": None,
    }


def batch_object(batch: Batch) -> Json:
    counts = batch.counts
    stamps = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelled")
    is_cancelling = batch.cancelled_at is not None and not batch.ended
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": ENDPOINT,
        "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
        "input_file_id": batch.input_file,
        "completion_window": "24h",
        "status": "cancelling" if is_cancelling else batch.status,
        "output_file_id": batch.output_file,
        "error_file_id": batch.error_file,
        "created_at": int(batch.created_at),
        "expires_at": int(batch.created_at) + DAY,
        **{f"{name}_at": whole(batch.reached.get(name)) for name in stamps},
        "cancelling_at": whole(batch.cancelled_at),
        "request_counts": {
            "total": len(batch.rows),
            "completed": counts["succeeded"],
            "failed": counts["errored"],
        },
        "metadata": batch.metadata,
        "model": batch.rows[0].body.get("model") if batch.rows else None,
        "usage": usage_object(batch),
    }


def whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def usage_object(batch: Batch) -> Json:
    spent = batch.usage
    return {
        "input_tokens": spent.prompt,
        "input_tokens_details": {"cached_tokens": spent.cached},
        "output_tokens": spent.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": spent.prompt + spent.completion,
    }
