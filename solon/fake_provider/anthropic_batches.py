"""Anthropic's shapes for message batches: what goes in, how it stands, what comes out."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from solon.fake_provider.anthropic_api import failure, refuse
from solon.fake_provider.asked import Json, Refused
from solon.fake_provider.batches import Batch, Result, Row, lines

MOST_ROWS = 100_000
MOST_BYTES = 256 * 2**20
DAY = 86_400
CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_rows(body: Json, size: int) -> tuple[Row, ...]:
    """The rows that a request of ``size`` bytes brings.

    Raises:
        Refused: as the service would; what is wrong inside a row's own request shows in its result.
    """
    if size > MOST_BYTES:
        raise Refused(failure(413, "request_too_large", "Request exceeds the maximum size"))
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise refuse("requests: Input should be a valid list with at least 1 item")
    if len(requests) > MOST_ROWS:
        raise refuse(f"requests: List should have at most {MOST_ROWS} items")
    rows = tuple(read_row(request, f"requests.{index}") for index, request in enumerate(requests))
    if len({row.custom_id for row in rows}) < len(rows):
        raise refuse("requests: custom_id must be unique within a batch")
    return rows


def read_row(request: Any, place: str) -> Row:
    custom_id, params = (request.get(k) if isinstance(request, dict) else None for k in ("custom_id", "params"))
    if not isinstance(custom_id, str) or not CUSTOM_ID.fullmatch(custom_id):
        raise refuse(f"{place}.custom_id: String should match pattern '^{CUSTOM_ID.pattern}$'")
    if not isinstance(params, dict):
        raise refuse(f"{place}.params: Field required")
    return Row(custom_id, params)


def result_lines(results: Iterable[Result]) -> bytes:
    return lines(result_line(result) for result in results)


def result_line(result: Result) -> Json:
    body = json.loads(result.answer.body) if result.answer else None
    told: Json = {"type": result.end}
    if result.end == "succeeded":
        told["message"] = body
    elif result.end == "errored":
        told["error"] = body
    return {"custom_id": result.custom_id, "result": told}


def batch_object(batch: Batch, url: str) -> Json:
    """How the batch stands; counts move away from "processing" only at its end.

    Args:
        url: of the server, as the client calls it.
    """
    counts = batch.counts
    going_on = "canceling" if batch.cancelled_at is not None else "in_progress"
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else going_on,
        "request_counts": {
            "processing": 0 if batch.ended else len(batch.rows),
            **{end: counts[end] if batch.ended else 0 for end in ("succeeded", "errored", "canceled", "expired")},
        },
        "created_at": stamp(batch.created_at),
        "expires_at": stamp(batch.created_at + DAY),
        "ended_at": stamp(batch.reached[batch.status]) if batch.ended else None,
        "cancel_initiated_at": None if batch.cancelled_at is None else stamp(batch.cancelled_at),
        "archived_at": None,
        "results_url": f"{url}/v1/messages/batches/{batch.id}/results" if batch.ended else None,
    }


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
