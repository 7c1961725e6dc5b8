"""Anthropic's message batches: what each of their endpoints does."""

import time

from constitution.identity import short_id
from solon.fake_provider.anthropic_api import failure
from solon.fake_provider.anthropic_batches import batch_object, read_rows, result_lines
from solon.fake_provider.asked import Answer, Refused
from solon.fake_provider.batches import Batch, handed_out, page
from solon.fake_provider.openai_desk import limit_of
from solon.fake_provider.provider import ANTHROPIC, Arrival, Provider, answer_json

KIND = "msgbatch_"


def create_batch(provider: Provider, arrival: Arrival) -> Answer:
    try:
        rows = read_rows(arrival.body if isinstance(arrival.body, dict) else {}, len(arrival.raw))
    except Refused as refused:
        return refused.answer
    batch = Batch(f"{KIND}{short_id('anthropic', arrival.number)}", arrival.number, rows, time.time())
    provider.begin(batch, nothing_more, ANTHROPIC)
    return answer_json(batch_object(batch, arrival.url))


def nothing_more(batch: Batch) -> None:
    """Results are read off the batch itself."""


def show_batch(provider: Provider, arrival: Arrival) -> Answer:
    batch = find(provider, arrival)
    return answer_json(batch_object(batch, arrival.url)) if batch else missing(arrival)


def results(provider: Provider, arrival: Arrival) -> Answer:
    batch = find(provider, arrival)
    if batch is None:
        return missing(arrival)
    if not batch.ended:
        return failure(400, "invalid_request_error", "The batch has not ended, so it has no results yet.")
    return Answer(200, result_lines(handed_out(batch, provider.faults)), "application/x-jsonl")


def cancel_batch(provider: Provider, arrival: Arrival) -> Answer:
    batch = find(provider, arrival)
    if batch is None:
        return missing(arrival)
    if not batch.ended:
        batch.cancelled_at = batch.cancelled_at or time.time()
    return answer_json(batch_object(batch, arrival.url))


def find(provider: Provider, arrival: Arrival) -> Batch | None:
    id = arrival.parts["id"]
    return provider.batches.get(id) if id.startswith(KIND) else None


def missing(arrival: Arrival) -> Answer:
    return failure(404, "not_found_error", f"Message batch {arrival.parts['id']} was not found.")


def list_batches(provider: Provider, arrival: Arrival) -> Answer:
    newest_first = [id for id in reversed(provider.batches) if id.startswith(KIND)]
    ids, more = page(newest_first, arrival.query.get("after_id"), limit_of(arrival, 1000))
    data = [batch_object(provider.batches[id], arrival.url) for id in ids]
    first, last = (ids[0], ids[-1]) if ids else (None, None)
    return answer_json({"data": data, "has_more": more, "first_id": first, "last_id": last})
