"""OpenAI's files and batches: what each of their endpoints does."""

import time
from typing import Any

from constitution.identity import short_id
from solon.fake_provider.asked import Answer, Json
from solon.fake_provider.batches import Batch, handed_out, page
from solon.fake_provider.openai_api import failure
from solon.fake_provider.openai_batches import (
    ENDPOINT,
    File,
    batch_object,
    error_lines,
    file_object,
    output_lines,
    read_rows,
    upload_fault,
)
from solon.fake_provider.provider import OPENAI, Arrival, Provider, answer_json

KIND = "batch_"


def upload(provider: Provider, arrival: Arrival) -> Answer:
    part, purpose = arrival.form.get("file"), arrival.form.get("purpose")
    if part is None or not hasattr(part, "file") or not isinstance(purpose, str):
        return failure(400, "Missing required parameter: 'file' or 'purpose'.", param="file")
    content = part.file.read()
    fault = upload_fault(part.filename, purpose, content)
    return fault or answer_json(file_object(stored(provider, arrival.number, part.filename, purpose, content)))


def stored(provider: Provider, number: int, name: str, purpose: str, content: bytes) -> File:
    file = File(f"file-{short_id(number, name)}", name, purpose, content, time.time())
    provider.files[file.id] = file
    return file


def show_file(provider: Provider, arrival: Arrival) -> Answer:
    file = provider.files.get(arrival.parts["id"])
    return answer_json(file_object(file)) if file else missing("File", arrival.parts["id"])


def file_content(provider: Provider, arrival: Arrival) -> Answer:
    file = provider.files.get(arrival.parts["id"])
    return Answer(200, file.content, "application/octet-stream") if file else missing("File", arrival.parts["id"])


def missing(kind: str, id: str) -> Answer:
    return failure(404, f"No such {kind} object: {id}", param="id")


def create_batch(provider: Provider, arrival: Arrival) -> Answer:
    body = arrival.body if isinstance(arrival.body, dict) else {}
    file = provider.files.get(str(body.get("input_file_id")))
    if file is None or file.purpose != "batch":
        return failure(400, "The input file does not exist or is not for a batch.", param="input_file_id")
    if body.get("endpoint") != ENDPOINT or body.get("completion_window") != "24h":
        return failure(400, f"This fake provider takes batches for {ENDPOINT} within 24h only.", param="endpoint")
    if fault := metadata_fault(body.get("metadata")):
        return fault
    rows, errors = read_rows(file.content)
    batch = Batch(
        f"{KIND}{short_id(arrival.number, file.id)}", arrival.number, rows, time.time(), input_file=file.id,
        metadata=body.get("metadata"), errors=errors,
    )  # fmt: skip
    provider.begin(batch, lambda done: write_results(provider, done), OPENAI)
    return answer_json(batch_object(batch))


def metadata_fault(metadata: Any) -> Answer | None:
    """The service keeps up to 16 pairs of text, with keys of up to 64 characters and values of up to 512."""
    if metadata is None:
        return None
    fits = isinstance(metadata, dict) and len(metadata) <= 16
    if fits and all(len(k) <= 64 and isinstance(v, str) and len(v) <= 512 for k, v in metadata.items()):
        return None
    return failure(400, "Invalid 'metadata': up to 16 pairs of short text.", param="metadata")


def write_results(provider: Provider, batch: Batch) -> None:
    """The output file and the error file, each only where there is something for it."""
    if provider.faults.batch.whole == "failed":
        batch.errors = [{"code": "server_error", "message": "The batch failed.", "param": None, "line": None}]
        batch.results = []
        return
    results = handed_out(batch, provider.faults)
    for name, content in (("output", output_lines(results)), ("error", error_lines(results))):
        if not content:
            continue
        file = stored(provider, batch.number, f"{batch.id}_{name}.jsonl", "batch_output", content)
        if name == "output":
            batch.output_file = file.id
        else:
            batch.error_file = file.id


def show_batch(provider: Provider, arrival: Arrival) -> Answer:
    batch = find(provider, arrival)
    return answer_json(batch_object(batch)) if batch else missing("Batch", arrival.parts["id"])


def cancel_batch(provider: Provider, arrival: Arrival) -> Answer:
    batch = find(provider, arrival)
    if batch is None:
        return missing("Batch", arrival.parts["id"])
    if batch.ended:
        return failure(409, f"Cannot cancel a batch with status '{batch.status}'.")
    batch.cancelled_at = batch.cancelled_at or time.time()
    return answer_json(batch_object(batch))


def find(provider: Provider, arrival: Arrival) -> Batch | None:
    id = arrival.parts["id"]
    return provider.batches.get(id) if id.startswith(KIND) else None


def list_batches(provider: Provider, arrival: Arrival) -> Answer:
    newest_first = [id for id in reversed(provider.batches) if id.startswith(KIND)]
    ids, more = page(newest_first, arrival.query.get("after"), limit_of(arrival, 100))
    data = [batch_object(provider.batches[id]) for id in ids]
    ends: Json = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
    return answer_json({"object": "list", "data": data, **ends, "has_more": more})


def limit_of(arrival: Arrival, most: int) -> int:
    given = arrival.query.get("limit", "20")
    return max(1, min(most, int(given))) if given.isdecimal() else 20
