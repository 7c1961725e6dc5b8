"""The wire and the log: what a client sees when things break, and what the server remembers."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from constitution.errors import InputError
from solon.fake_provider.faults import Fault, Faults
from solon.fake_provider.log import Record
from solon.fake_provider.server import Server, serving

CHAT = "/v1/chat/completions"
ASK = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
KEY = {"Authorization": "Bearer secret"}


async def post(provider: Server, body: Any = ASK, path: str = CHAT, timeout: float = 10) -> tuple[int, bytes]:
    limit = aiohttp.ClientTimeout(timeout)
    async with (
        aiohttp.ClientSession(timeout=limit, headers=KEY) as session,
        session.post(f"{provider.url}{path}", json=body) as response,
    ):
        return response.status, await response.read()


async def whole(body: Any = ASK) -> bytes:
    async with serving() as provider:
        return (await post(provider, body))[1]


async def the_end(provider: Server) -> Record:
    """The log's last record, once no request is under way any more."""
    while provider.in_flight:
        await asyncio.sleep(0.001)
    return provider.requests[-1]


async def test_a_request_is_logged_when_it_was_read_and_when_its_answer_was_sent() -> None:
    async with serving() as provider:
        status, _ = await post(provider)
        begin, end = provider.requests
    assert (begin.event, begin.number, begin.method, begin.path, begin.body) == ("begin", 1, "POST", CHAT, ASK)
    assert (begin.status, begin.usage, begin.in_flight, begin.fault) == (None, None, 1, None)
    assert begin.credential == hashlib.sha256(b"secret").hexdigest()[:8]
    assert (end.event, end.number, end.status, end.in_flight) == ("end", 1, status, 0)
    assert end.usage == {"prompt": 5, "completion": 18, "cached": 0, "stored": 0}
    assert 0 <= begin.at <= end.at


async def test_requests_in_flight_are_counted() -> None:
    async with serving(latency=0.05) as provider:
        await asyncio.gather(*(post(provider) for _ in range(5)))
        begun = [r for r in provider.requests if r.event == "begin"]
        ended = [r for r in provider.requests if r.event == "end"]
    assert sorted(r.number for r in begun) == sorted(r.number for r in ended) == [1, 2, 3, 4, 5]
    assert max(r.in_flight for r in begun) == 5
    assert ended[-1].in_flight == 0


async def test_the_log_file_has_every_line_at_once_and_no_key(tmp_path: Path) -> None:
    log = tmp_path / "server.jsonl"
    async with serving(Faults(0, (Fault("rate-limit", first=1),)), log=log) as provider:
        await post(provider)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert [(line["event"], line["status"], line["fault"]) for line in lines] == [
            ("begin", None, "rate-limit"),
            ("end", 429, "rate-limit"),
        ]
        assert lines[0].keys() == {
            "event", "number", "at", "method", "path", "body", "credential", "fault", "status", "usage", "in_flight",
        }  # fmt: skip
    assert b"secret" not in log.read_bytes()
    async with serving(log=log) as provider:
        await post(provider)
    assert len(log.read_text().splitlines()) == 4


async def test_a_log_that_cannot_be_written_and_a_port_that_is_taken_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        async with serving(log=tmp_path):
            pass
    async with serving() as provider:
        port = int(provider.url.rpartition(":")[2])
        with pytest.raises(InputError, match=f"port {port}: cannot be listened on"):
            async with serving(port=port):
                pass


async def test_a_connection_is_reset_in_the_middle_of_the_body_and_the_call_billed() -> None:
    async with serving(Faults(0, (Fault("reset", first=1),))) as provider:
        with pytest.raises((aiohttp.ClientPayloadError, ConnectionResetError)):
            await post(provider)
        end = await the_end(provider)
        assert (end.event, end.fault) == ("end", "reset")
        assert end.usage
        assert (await post(provider))[0] == 200


async def test_a_drip_comes_whole_in_the_end() -> None:
    async with serving(Faults(0, (Fault("drip", seconds=0.3),))) as provider:
        assert await post(provider) == (200, await whole())
        begin, end = provider.requests
    assert end.at - begin.at >= 0.3


async def test_a_hanging_call_ends_only_when_the_client_goes() -> None:
    async with serving(Faults(0, (Fault("hang"),))) as provider:
        with pytest.raises(TimeoutError):
            await post(provider, timeout=0.2)
        end = await the_end(provider)
    assert (end.event, end.fault, end.status) == ("end", "hang", None)
    assert end.usage


async def test_a_client_that_leaves_early_is_logged_without_a_status() -> None:
    async with serving(latency=30) as provider:
        with pytest.raises(TimeoutError):
            await post(provider, timeout=0.1)
        assert (await the_end(provider)).status is None


async def test_a_server_that_is_told_to_stop_does_not_wait_for_a_hanging_call() -> None:
    async with serving(Faults(0, (Fault("hang"),))) as provider:
        call = asyncio.create_task(post(provider))
        while not provider.in_flight:
            await asyncio.sleep(0.001)
    with pytest.raises(aiohttp.ClientError):
        await call
    assert provider.requests[-1].event == "end"


async def test_a_truncated_body_keeps_http_and_breaks_json() -> None:
    async with serving(Faults(0, (Fault("truncated"),))) as provider:
        status, body = await post(provider)
    assert status == 200
    assert (await whole()).startswith(body)
    with pytest.raises(ValueError, match=r"."):
        json.loads(body)


async def test_a_page_in_place_of_a_reply_and_an_error_that_succeeds_bill_nothing() -> None:
    for kind, begins in (("invalid", b"<!doctype html>"), ("wrong-shape", b'{"error": {')):
        async with serving(Faults(0, (Fault(kind),))) as provider:  # type: ignore[arg-type]
            status, body = await post(provider)
            assert (status, body[: len(begins)]) == (200, begins)
            assert provider.requests[-1].usage is None


async def test_slow_comes_on_top_of_the_latency() -> None:
    async with serving(Faults(0, (Fault("slow", seconds=0.1),)), latency=0.1) as provider:
        await post(provider)
        begin, end = provider.requests
    assert end.at - begin.at >= 0.2


async def test_a_call_that_is_sent_again_is_drawn_anew() -> None:
    async with serving(Faults(0, (Fault("server-error", share=0.5),))) as provider:
        statuses = {(await post(provider))[0] for _ in range(12)}
    assert statuses == {200, 500}


async def test_other_paths_can_be_struck_too() -> None:
    async with (
        serving(Faults(0, (Fault("unavailable", on="GET /v1/models"),))) as provider,
        aiohttp.ClientSession() as session,
        session.get(f"{provider.url}/v1/models") as response,
    ):
        assert response.status == 503
        assert (await post(provider))[0] == 200


async def test_a_body_that_is_no_json_and_a_path_that_is_not_there_are_errors() -> None:
    async with serving() as provider, aiohttp.ClientSession() as session:
        async with session.post(f"{provider.url}{CHAT}", data=b'{"model": ') as response:
            assert response.status == 400
            assert (await response.json())["error"]["type"] == "invalid_request_error"
        async with session.post(f"{provider.url}/v1/responses", json={}) as response:
            assert response.status == 404
        assert [r.body for r in provider.requests] == [None, None, {}, {}]
