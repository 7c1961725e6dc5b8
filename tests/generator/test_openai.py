import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from generator.chat import CallFailure, ChatReply, ChatRequest, Message, TokenLogprob, Usage, call_key, sampling_seed
from generator.models.calling import Patience
from generator.models.openai import OpenAIBackend, read_reply

HASTY = Patience(deadline=10, attempts=3, longest_pause=0.001)
REQUEST = ChatRequest((Message("system", "Be brief."), Message("user", "Hé “you”\n{x}")), 0.7, 160, sample=2, seed=1)
KEY = call_key("tiny", REQUEST)
BODY = b'{ "id":"1", "model":"tiny-2026",\n "choices":[{"message":{"content":"Hi \\u00e9"},"finish_reason":"stop"}]}'


def completion(content: object = "Hi", finish: str = "stop", **choice: object) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"model": "tiny-2026", "choices": [{"message": message, "finish_reason": finish, **choice}]}


def logprobs(*tokens: tuple[str, float]) -> dict[str, Any]:
    first = [{"token": token, "logprob": logprob} for token, logprob in tokens]
    later = [{"token": "later", "logprob": -0.5}]
    return {"content": [{"top_logprobs": first}, {"top_logprobs": later}]}


def test_a_reply_is_read_with_who_gave_it_and_what_it_took() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}
    assert read_reply("k", {**completion(), "usage": usage}) == ChatReply(
        "k", "Hi", "stop", "tiny-2026", Usage(9, 4, 5)
    )


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens_details": None}, {"prompt_tokens_details": {"cached_tokens": None}}]
)
def test_usage_that_is_not_given_is_nothing(usage: object) -> None:
    assert read_reply("k", {**completion(), "usage": usage}).usage == Usage(0, 0, 0)


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter"])
def test_how_a_reply_ended_is_kept(finish: str) -> None:
    assert read_reply("k", completion(finish=finish)).finish == finish


def test_a_refusal_is_a_way_to_end() -> None:
    body = completion(None)
    body["choices"][0]["message"]["refusal"] = "I cannot."
    reply = read_reply("k", body)
    assert (reply.text, reply.finish) == ("I cannot.", "refusal")


def test_no_content_is_empty_text() -> None:
    assert read_reply("k", completion(None)).text == ""


def test_only_the_first_tokens_log_probs_are_read() -> None:
    tokens = read_reply("k", completion(logprobs=logprobs((" 1", -0.25), ("2", -1.5)))).first_token
    assert tokens == (TokenLogprob(" 1", -0.25), TokenLogprob("2", -1.5))


def test_log_probs_that_stand_for_minus_infinity_are_left_out() -> None:
    tokens = ("1", -0.1), ("2", -9999.0), ("3", -10000.0), ("4", float("-inf")), ("5", float("nan")), ("6", -9998.0)
    assert [t.token for t in read_reply("k", completion(logprobs=logprobs(*tokens))).first_token] == ["1", "6"]


@pytest.mark.parametrize("given", [None, {}, {"content": None}, {"content": []}, {"content": [{"top_logprobs": []}]}])
def test_log_probs_that_are_not_given_are_none(given: object) -> None:
    assert read_reply("k", completion(logprobs=given)).first_token == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>busy</html>",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"{}",
        b'{"model": "m", "choices": []}',
        b'{"model": "m", "choices": [{"message": {}, "finish_reason": "stop"}]}',
        json.dumps(completion(["a", "list"])).encode(),
        json.dumps(completion({"a": "table"})).encode(),
        json.dumps(completion(finish="tired")).encode(),
        json.dumps(completion(logprobs=3)).encode(),
        json.dumps(completion(logprobs=logprobs(("1", None)))).encode(),
        json.dumps({"choices": completion()["choices"]}).encode(),
    ],
)
async def test_a_body_that_is_not_as_promised_is_unreadable(raw: bytes) -> None:
    backend = OpenAIBackend("tiny", "http://127.0.0.1:1/v1", "k")
    read = backend.read("key", raw)
    await backend.close()
    assert isinstance(read, CallFailure)
    assert (read.key, read.reason) == ("key", "unreadable")


@dataclass
class Endpoint:
    """A real server that answers with the next of ``answers``, and remembers what it was sent."""

    answers: list[tuple[int, bytes]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    delay: float = 0.0
    hangs_up: bool = False
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.keys.append(request.headers["Authorization"])
        await asyncio.sleep(self.delay)
        if self.hangs_up and request.transport:
            request.transport.close()
            return web.Response()
        status, body = self.answers.pop(0)
        return web.Response(status=status, body=body, content_type="application/json")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint, app = Endpoint(), web.Application()
    app.router.add_post("/v1/chat/completions", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield endpoint
    await runner.cleanup()


@pytest.fixture
async def backend(endpoint: Endpoint) -> AsyncIterator[OpenAIBackend]:
    backend = OpenAIBackend("tiny", endpoint.url, "secret", patience=HASTY)
    yield backend
    await backend.close()


def error(message: str = "no", **fields: str) -> bytes:
    return json.dumps({"error": {"message": message, **fields}}).encode()


async def test_what_is_sent_is_the_request_and_nothing_else(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.answers = [(200, BODY)]
    await backend.send(REQUEST)
    assert endpoint.bodies == [
        {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hé “you”\n{x}"}],
            "temperature": 0.7,
            "max_tokens": 160,
            "seed": sampling_seed(KEY),
        }
    ]
    assert endpoint.keys == ["Bearer secret"]


async def test_log_probs_are_asked_for_where_a_request_wants_them(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.answers = [(200, BODY)]
    await backend.send(ChatRequest(REQUEST.messages, 0.0, 4, top_logprobs=20))
    assert (endpoint.bodies[0]["logprobs"], endpoint.bodies[0]["top_logprobs"]) == (True, 20)


async def test_the_body_is_given_exactly_as_received(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.answers = [(200, BODY)]
    raw = await backend.send(REQUEST)
    assert raw == BODY
    assert backend.read(KEY, BODY) == ChatReply(KEY, "Hi é", "stop", "tiny-2026")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, error(), "bad request"),
        (400, error(code="context_length_exceeded"), "context overflow"),
        (400, error(type="exceed_context_size_error"), "context overflow"),
        (401, error(), "auth"),
        (403, error(), "auth"),
        (404, error(), "unknown model"),
        (404, b"not even JSON", "unknown model"),
        (409, error(), "bad request"),
        (422, error(), "bad request"),
        (429, error(code="insufficient_quota"), "quota"),
    ],
)
async def test_an_error_that_no_retry_cures_is_told_after_one_try(
    endpoint: Endpoint, backend: OpenAIBackend, status: int, body: bytes, reason: str
) -> None:
    endpoint.answers = [(status, body), (200, BODY)]
    failure = await backend.send(REQUEST)
    assert isinstance(failure, CallFailure)
    assert (failure.key, failure.reason) == (KEY, reason)
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (408, error(), "timeout"),
        (429, error(), "rate limit"),
        (500, error("out of memory"), "server error"),
        (503, b"<html>", "server error"),
        (200, b"<html>", "unreadable"),
        (200, b'{"choices": [', "unreadable"),
    ],
)
async def test_an_error_that_lasts_is_told_after_every_attempt(
    endpoint: Endpoint, backend: OpenAIBackend, status: int, body: bytes, reason: str
) -> None:
    endpoint.answers = [(status, body)] * 9
    failure = await backend.send(REQUEST)
    assert isinstance(failure, CallFailure)
    assert (failure.key, failure.reason) == (KEY, reason)
    assert len(endpoint.bodies) == HASTY.attempts


async def test_an_error_that_passes_is_not_seen(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.answers = [(500, error()), (200, b"half a bo"), (200, BODY)]
    assert await backend.send(REQUEST) == BODY
    assert endpoint.bodies[0] == endpoint.bodies[1] == endpoint.bodies[2]


async def test_an_endpoint_that_is_not_there_is_a_connection_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    backend = OpenAIBackend("tiny", f"http://127.0.0.1:{port}/v1", "k", patience=HASTY)
    failure = await backend.send(REQUEST)
    await backend.close()
    assert isinstance(failure, CallFailure)
    assert failure.reason == "connection"
    assert str(port) in failure.detail


async def test_an_endpoint_that_hangs_up_is_a_connection_failure(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.hangs_up = True
    failure = await backend.send(REQUEST)
    assert isinstance(failure, CallFailure)
    assert failure.reason == "connection"
    assert len(endpoint.bodies) == HASTY.attempts


async def test_an_endpoint_that_is_too_slow_is_a_timeout(endpoint: Endpoint) -> None:
    endpoint.answers, endpoint.delay = [(200, BODY)], 30
    backend = OpenAIBackend("tiny", endpoint.url, "k", patience=Patience(deadline=0.2))
    failure = await backend.send(REQUEST)
    backend.client.timeout = 0.2
    one_try = await backend.send_once(KEY, REQUEST)
    await backend.close()
    assert one_try == CallFailure(KEY, "timeout", "the endpoint did not answer in time")
    assert isinstance(failure, CallFailure)
    assert failure.reason == "timeout"


async def test_text_that_cannot_be_sent_fails_its_own_call_only(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.answers = [(200, BODY)]
    request = ChatRequest((Message("user", "half an emoji: \ud83d"),), 1.0, 10)
    failure = await backend.send(request)
    assert isinstance(failure, CallFailure)
    assert (failure.key, failure.reason) == (call_key("tiny", request), "bad request")
    assert await backend.send(REQUEST) == BODY


def test_a_model_is_known_by_its_name_wherever_it_runs() -> None:
    here, there = (OpenAIBackend("tiny", f"http://{host}/v1", "k") for host in ("127.0.0.1:1", "127.0.0.1:2"))
    assert here.identity == there.identity == "tiny"


async def test_a_body_that_came_whole_was_paid_for_and_is_handed_on_whatever_it_says(
    endpoint: Endpoint, backend: OpenAIBackend
) -> None:
    endpoint.answers = [(200, b'{"choices": []}')]
    raw = await backend.send(REQUEST)
    assert raw == b'{"choices": []}'
    read = backend.read(KEY, raw)
    assert isinstance(read, CallFailure)
    assert read.reason == "unreadable"
    assert len(endpoint.bodies) == 1
