"""Batches of both services, through the real SDKs."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from solon.fake_provider import anthropic_batches, openai_batches
from solon.fake_provider.anthropic_batches import read_rows as read_anthropic_rows
from solon.fake_provider.asked import Refused
from solon.fake_provider.faults import BatchFaults, Fault, Faults
from solon.fake_provider.openai_batches import read_rows, upload_fault
from solon.fake_provider.server import Server, serving

QUICK = 0.02


@asynccontextmanager
async def clients(
    *faults: Fault, **batch: Any
) -> AsyncIterator[tuple[openai.AsyncOpenAI, anthropic.AsyncAnthropic, Server]]:
    made = Faults(0, faults, BatchFaults(**{"seconds": QUICK, **batch}))
    one, other = (httpx2.AsyncClient(verify=False, timeout=20) for _ in range(2))
    async with (
        serving(made) as provider,
        openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="k", max_retries=0, http_client=one) as theirs,
        anthropic.AsyncAnthropic(base_url=provider.url, api_key="k", max_retries=0, http_client=other) as others,
    ):
        yield theirs, others, provider


def ask(number: int, model: str = "echo") -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": f"prompt {number}"}]}


def jsonl(*requests: dict[str, Any]) -> bytes:
    lines = [
        {"custom_id": f"row-{n}", "method": "POST", "url": "/v1/chat/completions", "body": request}
        for n, request in enumerate(requests)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def digest(number: int) -> str:
    return hashlib.sha256(f"prompt {number}".encode()).hexdigest()


async def submit(client: openai.AsyncOpenAI, content: bytes, **metadata: str) -> openai.types.Batch:
    file = await client.files.create(file=("rows.jsonl", content), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata=metadata
    )


async def ended(client: openai.AsyncOpenAI, batch: str) -> openai.types.Batch:
    while (now := await client.batches.retrieve(batch)).status in ("validating", "in_progress", "finalizing"):
        await asyncio.sleep(0.005)
    return now


async def rows_of(client: openai.AsyncOpenAI, file: str | None) -> list[dict[str, Any]]:
    if file is None:
        return []
    return [json.loads(line) for line in (await client.files.content(file)).text.splitlines()]


async def test_an_openai_batch_goes_from_a_file_to_a_file() -> None:
    async with clients() as (client, _, provider):
        file = await client.files.create(file=("rows.jsonl", jsonl(ask(0), ask(1))), purpose="batch")
        assert (await client.files.retrieve(file.id)).bytes == len(jsonl(ask(0), ask(1)))
        made = await submit(client, jsonl(ask(0), ask(1)), run="demo", chunk="1")
        assert (made.status, made.output_file_id, made.metadata) == ("validating", None, {"run": "demo", "chunk": "1"})
        done = await ended(client, made.id)
        assert (done.status, done.metadata, done.error_file_id) == ("completed", {"run": "demo", "chunk": "1"}, None)
        assert done.request_counts
        assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (2, 2, 0)
        assert done.created_at <= (done.in_progress_at or 0) <= (done.completed_at or 0)
        rows = await rows_of(client, done.output_file_id)
        for number, row in enumerate(rows):
            assert (row["custom_id"], row["error"], row["response"]["status_code"]) == (f"row-{number}", None, 200)
            assert digest(number) in row["response"]["body"]["choices"][0]["message"]["content"]
        logged = [r for r in provider.requests if r.event == "row"]
        assert [(r.custom_id, r.batch, r.status, r.body) for r in logged] == [
            (f"row-{n}", made.id, 200, ask(n)) for n in range(2)
        ]
        assert all(r.usage and r.usage["completion"] == 18 for r in logged)


async def test_batches_are_listed_page_by_page_the_newest_first() -> None:
    async with clients() as (client, others, _):
        made = [(await submit(client, jsonl(ask(0)))).id for _ in range(3)]
        theirs = [(await create(others, 1)).id for _ in range(3)]
        assert [batch.id async for batch in client.batches.list(limit=2)] == made[::-1]
        assert [batch.id async for batch in others.messages.batches.list(limit=2)] == theirs[::-1]
        page = await client.batches.list(limit=2)
        assert (page.has_more, [batch.id for batch in page.data]) == (True, made[:0:-1])


async def test_an_input_file_with_mistakes_fails_as_a_whole_with_their_lines() -> None:
    row = json.loads(jsonl(ask(0)))
    wrong = [
        row,
        row,
        {**row, "custom_id": "b", "url": "/v1/embeddings"},
        {**row, "custom_id": "c", "body": ask(0, "x")},
    ]
    async with clients() as (client, _, provider):
        made = await submit(client, "".join(json.dumps(line) + "\n" for line in wrong).encode() + b"{]\n")
        done = await ended(client, made.id)
        assert (done.status, done.output_file_id) == ("failed", None)
        assert done.errors
        assert [(error.code, error.line) for error in done.errors.data or []] == [
            ("duplicate_custom_id", 2),
            ("url_mismatch", 3),
            ("model_mismatch", 4),
            ("invalid_json_line", 5),
        ]
        assert not [r for r in provider.requests if r.event == "row"]


async def test_a_row_that_the_model_refuses_comes_in_the_error_file() -> None:
    async with clients() as (client, _, _provider):
        done = await ended(client, (await submit(client, jsonl({**ask(0), "temperature": 9}))).id)
        (row,) = await rows_of(client, done.error_file_id)
        assert (done.status, done.output_file_id) == ("completed", None)
        assert row["response"]["status_code"] == 400
        assert row["response"]["body"]["error"]["param"] == "temperature"


async def test_rows_of_an_openai_batch_meet_their_fates() -> None:
    shares = {"missing": 0.15, "doubled": 0.15, "failed": 0.15, "expired": 0.15, "forged": 0.15}
    async with clients(**shares) as (client, _, provider):
        done = await ended(client, (await submit(client, jsonl(*map(ask, range(200))))).id)
        out, errors = await rows_of(client, done.output_file_id), await rows_of(client, done.error_file_id)
        sent = {f"row-{n}" for n in range(200)}
        seen = Counter(row["custom_id"] for row in out)
        assert done.status == "expired"
        assert all(15 <= count <= 50 for count in (
            sum(seen[name] == 2 for name in seen),
            len(seen.keys() - sent),
            sum(row["response"] is None and row["error"]["code"] == "batch_expired" for row in errors),
            sum(row["response"] is not None and row["response"]["status_code"] == 500 for row in errors),
            len(sent - seen.keys() - {row["custom_id"] for row in errors}) - len(seen.keys() - sent),
        ))  # fmt: skip
        faults = Counter(r.fault for r in provider.requests if r.event == "row")
        assert faults["missing"] + faults["doubled"] + faults["forged"] + faults[None] == sum(faults.values())


async def test_results_come_in_another_order_where_they_are_shuffled() -> None:
    async with clients(shuffled=True) as (client, others, _):
        done = await ended(client, (await submit(client, jsonl(*map(ask, range(20))))).id)
        names = [row["custom_id"] for row in await rows_of(client, done.output_file_id)]
        made = (await create(others, 20)).id
        theirs = [custom_id for custom_id, _ in await results(others, made)]
        for order in (names, theirs):
            assert order != [f"row-{n}" for n in range(20)]
            assert sorted(order) == sorted(f"row-{n}" for n in range(20))


@pytest.mark.parametrize("whole", ["failed", "expired"])
async def test_a_batch_can_go_wrong_as_a_whole(whole: Any) -> None:
    async with clients(whole=whole) as (client, others, provider):
        done = await ended(client, (await submit(client, jsonl(ask(0), ask(1)))).id)
        assert (done.status, done.output_file_id) == (whole, None)
        assert bool(done.errors) is (whole == "failed")
        errors = await rows_of(client, done.error_file_id)
        assert [row["error"]["code"] for row in errors] == ([] if whole == "failed" else ["batch_expired"] * 2)
        made = (await create(others, 2)).id
        assert [kind for _, kind in await results(others, made)] == ["errored" if whole == "failed" else "expired"] * 2
        assert not [r for r in provider.requests if r.event == "row"]


async def test_what_models_say_wrong_they_say_in_batches_too() -> None:
    async with clients(Fault("refusal"), Fault("server-error")) as (client, others, _):
        done = await ended(client, (await submit(client, jsonl(ask(0)))).id)
        (row,) = await rows_of(client, done.output_file_id)
        assert row["response"]["body"]["choices"][0]["message"]["refusal"]
        made = (await create(others, 1)).id
        await finished(others, made)
        async for result in await others.messages.batches.results(made):
            assert result.result.type == "succeeded"
            assert result.result.message.stop_reason == "refusal"


async def test_a_cancelled_batch_does_no_more_rows() -> None:
    async with clients(seconds=0.3) as (client, others, provider):
        made = (await submit(client, jsonl(*map(ask, range(3))))).id
        theirs = (await create(others, 3)).id
        assert (await client.batches.cancel(made)).status == "cancelling"
        assert (await others.messages.batches.cancel(theirs)).processing_status == "canceling"
        while (done := await client.batches.retrieve(made)).status != "cancelled":
            await asyncio.sleep(0.01)
        assert [row["error"]["code"] for row in await rows_of(client, done.error_file_id)] == ["batch_cancelled"] * 3
        assert [kind for _, kind in await results(others, theirs)] == ["canceled"] * 3
        assert not [r for r in provider.requests if r.event == "row"]


async def test_what_is_not_there_is_not_found() -> None:
    async with clients() as (client, others, _):
        for call in (
            client.files.retrieve("file-x"),
            client.files.content("file-x"),
            client.batches.retrieve("batch_x"),
        ):
            with pytest.raises(openai.NotFoundError):
                await call
        with pytest.raises(openai.BadRequestError):
            await client.batches.create(
                input_file_id="file-x", endpoint="/v1/chat/completions", completion_window="24h"
            )
        with pytest.raises(anthropic.NotFoundError):
            await others.messages.batches.retrieve("msgbatch_x")
        theirs = (await create(others, 1)).id
        with pytest.raises(openai.NotFoundError):
            await client.batches.retrieve(theirs)


def test_the_limits_of_an_input_file_are_openais() -> None:
    assert (openai_batches.MOST_ROWS, openai_batches.MOST_BYTES) == (50_000, 200_000_000)
    line = jsonl(ask(0)).strip()
    _, errors = read_rows(b"\n".join([line] * 50_001))
    assert [error["code"] for error in errors] == ["too_many_tasks"]
    assert read_rows(b"")[1][0]["code"] == "empty_file"
    refused = upload_fault("rows.jsonl", "batch", bytes(200_000_001))
    assert refused
    assert refused.status == 400
    assert upload_fault("rows.jsonl", "batch", bytes(1000)) is None
    assert upload_fault("rows.txt", "batch", b"")


def test_the_limits_of_a_message_batch_are_anthropics() -> None:
    assert (anthropic_batches.MOST_ROWS, anthropic_batches.MOST_BYTES) == (100_000, 256 * 2**20)
    row = {"custom_id": "a", "params": {}}
    for body, size, status in (
        ({"requests": [row] * 100_001}, 9, 400),
        ({"requests": [row]}, 256 * 2**20 + 1, 413),
        ({"requests": [row, row]}, 9, 400),
        ({"requests": [{**row, "custom_id": "with blank"}]}, 9, 400),
        ({"requests": [{**row, "custom_id": "x" * 65}]}, 9, 400),
        ({"requests": []}, 9, 400),
    ):
        with pytest.raises(Refused) as refusal:
            read_anthropic_rows(body, size)
        assert refusal.value.answer.status == status
    assert len(read_anthropic_rows({"requests": [{**row, "custom_id": "x" * 64}]}, 9)) == 1


async def create(client: anthropic.AsyncAnthropic, count: int) -> Any:
    requests: Any = [{"custom_id": f"row-{n}", "params": ask(n)} for n in range(count)]
    return await client.messages.batches.create(requests=requests)


async def finished(client: anthropic.AsyncAnthropic, batch: str) -> Any:
    while (now := await client.messages.batches.retrieve(batch)).processing_status != "ended":
        await asyncio.sleep(0.005)
    return now


async def results(client: anthropic.AsyncAnthropic, batch: str) -> list[tuple[str, str]]:
    await finished(client, batch)
    return [(row.custom_id, row.result.type) async for row in await client.messages.batches.results(batch)]


async def test_a_message_batch_goes_from_requests_to_results() -> None:
    async with clients() as (_, client, provider):
        made = await create(client, 3)
        assert (made.processing_status, made.results_url, made.request_counts.processing) == ("in_progress", None, 3)
        done = await finished(client, made.id)
        assert (done.request_counts.processing, done.request_counts.succeeded) == (0, 3)
        assert done.ended_at >= done.created_at
        async for row in await client.messages.batches.results(made.id):
            assert row.result.type == "succeeded"
            (block,) = row.result.message.content
            assert block.type == "text"
            assert digest(int(row.custom_id.removeprefix("row-"))) in block.text
        assert [r.custom_id for r in provider.requests if r.event == "row"] == ["row-0", "row-1", "row-2"]


async def test_rows_of_a_message_batch_meet_their_fates() -> None:
    shares = {"missing": 0.15, "doubled": 0.15, "failed": 0.15, "expired": 0.15, "forged": 0.15}
    async with clients(**shares) as (_, client, _provider):
        made = (await create(client, 200)).id
        listed = await results(client, made)
        counts = (await client.messages.batches.retrieve(made)).request_counts
        kinds, names = Counter(kind for _, kind in listed), Counter(name for name, _ in listed)
        assert (counts.errored, counts.expired) == (kinds["errored"], kinds["expired"])
        assert counts.succeeded + counts.errored + counts.expired == 200
        assert all(15 <= count <= 50 for count in (kinds["errored"], kinds["expired"]))
        assert 15 <= sum(count == 2 for count in names.values()) <= 50
        assert 15 <= len(names.keys() - {f"row-{n}" for n in range(200)}) <= 50


async def test_a_row_without_a_model_of_this_name_is_an_error_of_its_own() -> None:
    async with clients() as (_, client, _provider):
        requests: Any = [{"custom_id": "a", "params": ask(0, "unknown-1")}, {"custom_id": "b", "params": ask(1)}]
        made = await client.messages.batches.create(requests=requests)
        assert await results(client, made.id) == [("a", "errored"), ("b", "succeeded")]
