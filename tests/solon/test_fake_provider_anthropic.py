"""Both services' model calls, through the real SDKs: this file has Anthropic's."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2
import pytest

from judge.asking import ASK, LAYOUT, fill
from solon.fake_provider.faults import Fault, Faults
from solon.fake_provider.server import Server, serving

HI: Any = [{"role": "user", "content": "hi"}]
TEXTS = {"prompt": "Why?", "first": "It is.", "second": "It is " * 50}
PAIR = fill(LAYOUT, fence="a1b2c3d4", question="Which is brief?", ask=ASK, **TEXTS)
CHOICE = {
    "type": "object",
    "properties": {"verdict": {"type": "string", "enum": ["1", "2"]}},
    "required": ["verdict"],
    "additionalProperties": False,
}
MARK: Any = {"cache_control": {"type": "ephemeral"}}


@asynccontextmanager
async def client_of(*faults: Fault, key: str | None = None) -> AsyncIterator[tuple[anthropic.AsyncAnthropic, Server]]:
    plain = httpx2.AsyncClient(verify=False, timeout=10)  # no certificates to load: that takes longer than a test
    async with (
        serving(Faults(0, faults), key=key) as provider,
        anthropic.AsyncAnthropic(base_url=provider.url, api_key="secret", max_retries=0, http_client=plain) as client,
    ):
        yield client, provider


@pytest.fixture
async def client() -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with client_of() as (client, _):
        yield client


def text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


async def test_a_message_is_what_the_sdk_expects_of_one(client: anthropic.AsyncAnthropic) -> None:
    reply = await client.messages.create(model="echo", max_tokens=50, messages=HI, system="Be brief.")
    assert (reply.type, reply.role, reply.model, reply.stop_reason) == ("message", "assistant", "echo", "end_turn")
    assert hashlib.sha256(b"hi").hexdigest() in text_of(reply)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 18)
    assert (reply.usage.cache_creation_input_tokens, reply.usage.cache_read_input_tokens) == (0, 0)


async def test_only_metadata_tells_apart_calls_that_are_otherwise_the_same(client: anthropic.AsyncAnthropic) -> None:
    replies = [
        text_of(await client.messages.create(model="m", max_tokens=500, messages=HI, metadata={"user_id": user}))
        for user in ("1", "1", "2", "3", "4")
    ]
    assert replies[0] == replies[1]
    assert len(set(replies)) > 1


async def test_a_judge_is_known_by_its_layout_and_can_be_held_to_a_schema(client: anthropic.AsyncAnthropic) -> None:
    asked: Any = {"model": "m", "max_tokens": 20, "messages": [{"role": "user", "content": PAIR}]}
    assert text_of(await client.messages.create(**asked)) == "1"
    format: Any = {"type": "json_schema", "schema": CHOICE}
    assert text_of(await client.messages.create(**asked, output_config={"format": format})) == '{"verdict": "1"}'


async def test_what_was_marked_for_the_cache_costs_less_the_next_time(client: anthropic.AsyncAnthropic) -> None:
    def asked(end: str) -> Any:
        shared = {"type": "text", "text": "shared " * 40, **MARK}
        return [{"role": "user", "content": [shared, {"type": "text", "text": end}]}]

    async def spent(end: str, model: str = "m") -> tuple[int | None, int | None, int]:
        usage = (await client.messages.create(model=model, max_tokens=9, messages=asked(end))).usage
        return usage.cache_creation_input_tokens, usage.cache_read_input_tokens, usage.input_tokens

    assert await spent("one") == (74, 0, 5)
    assert await spent("another") == (0, 74, 6)
    assert await spent("one", "another model") == (74, 0, 5)


async def test_a_longer_prefix_builds_on_a_shorter_one(client: anthropic.AsyncAnthropic) -> None:
    system: Any = [{"type": "text", "text": "s" * 400, **MARK}]
    await client.messages.create(model="m", max_tokens=9, system=system, messages=HI)
    marked: Any = [{"role": "user", "content": [{"type": "text", "text": "u" * 40, **MARK}]}]
    usage = (await client.messages.create(model="m", max_tokens=9, system=system, messages=marked)).usage
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens, usage.input_tokens) == (104, 14, 0)


async def test_a_mark_on_the_whole_request_marks_its_last_block(client: anthropic.AsyncAnthropic) -> None:
    both = [(await client.messages.create(model="m", max_tokens=9, messages=HI, **MARK)).usage for _ in range(2)]
    assert [(u.cache_creation_input_tokens, u.cache_read_input_tokens) for u in both] == [(5, 0), (0, 5)]


async def test_a_reasoning_model_thinks_and_takes_no_temperature(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="`temperature` is deprecated"):
        await client.messages.create(
            model="reasoning-echo", max_tokens=90, messages=HI, extra_body={"temperature": 0.0}
        )
    for most, stop in ((15, "max_tokens"), (200, "end_turn")):
        reply = await client.messages.create(model="reasoning-echo", max_tokens=most, messages=HI)
        assert (reply.stop_reason, bool(reply.content)) == (stop, stop == "end_turn")
        assert reply.usage.output_tokens_details
        assert 0 < reply.usage.output_tokens_details.thinking_tokens <= reply.usage.output_tokens <= most


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"model": "unknown-1"}, anthropic.NotFoundError, "model: unknown-1"),
        ({"messages": []}, anthropic.BadRequestError, "at least one message"),
        ({"messages": [{"role": "system", "content": "hi"}]}, anthropic.BadRequestError, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, anthropic.BadRequestError, "non-empty"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "max_tokens"),
        ({"extra_body": {"temperature": 1.5}}, anthropic.BadRequestError, "temperature: range: 0..1"),
        ({"extra_body": {"seed": 1}}, anthropic.BadRequestError, "seed: Extra inputs are not permitted"),
        ({"messages": [{"role": "user", "content": "w " * 260_000}]}, anthropic.BadRequestError, "prompt is too long"),
        ({"system": [{"type": "text", "text": "s", **MARK}] * 5}, anthropic.BadRequestError, "maximum of 4 blocks"),
    ],
)
async def test_what_the_service_would_not_take_is_refused(
    client: anthropic.AsyncAnthropic, changes: Any, error: type[anthropic.APIStatusError], told: str
) -> None:
    with pytest.raises(error) as refusal:
        await client.messages.create(**{"model": "m", "max_tokens": 9, "messages": HI, **changes})
    assert told in (refusal.value.api_message or "")


@pytest.mark.parametrize(
    ("kind", "error", "status", "type"),
    [
        ("rate-limit", anthropic.RateLimitError, 429, "rate_limit_error"),
        ("quota", anthropic.RateLimitError, 429, "rate_limit_error"),
        ("credit", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("auth", anthropic.AuthenticationError, 401, "authentication_error"),
        ("forbidden", anthropic.PermissionDeniedError, 403, "permission_error"),
        ("unknown-model", anthropic.NotFoundError, 404, "not_found_error"),
        ("overflow", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("bad-request", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("too-large", anthropic.ContentTooLargeError, 413, "request_too_large"),
        ("server-error", anthropic.InternalServerError, 500, "api_error"),
        ("bad-gateway", anthropic.InternalServerError, 502, None),
        ("unavailable", anthropic.ServiceUnavailableError, 503, "api_error"),
        ("overloaded", anthropic.OverloadedError, 529, "overloaded_error"),
    ],
)
async def test_an_error_has_the_services_shape(kind: Any, error: Any, status: int, type: str | None) -> None:
    async with client_of(Fault(kind, first=1)) as (client, _):
        with pytest.raises(error) as raised:
            await client.messages.create(model="echo", max_tokens=9, messages=HI)
        assert (raised.value.status_code, raised.value.type) == (status, type)
        assert ("credit balance" in str(raised.value.api_message)) is (kind == "credit")
        assert (raised.value.error_code == "enforced_spend_limit_reached") is (kind == "quota")
        await client.messages.create(model="echo", max_tokens=9, messages=HI)


@pytest.mark.parametrize(
    ("kind", "text", "stop", "explained"),
    [
        ("empty", "", "end_turn", False),
        ("filter", None, "refusal", True),
        ("refusal", "I cannot help with that.", "refusal", True),
        ("length", "echo 8f434346648f6b96df89dda901c51", "max_tokens", False),
        ("window", "echo 8f434346648f6b96df89dda901c51", "model_context_window_exceeded", False),
    ],
)
async def test_a_reply_that_is_none_says_why(kind: Any, text: str | None, stop: str, explained: bool) -> None:
    async with client_of(Fault(kind)) as (client, _):
        reply = await client.messages.create(model="echo", max_tokens=50, messages=HI)
        assert (text_of(reply) if reply.content else None, reply.stop_reason) == (text, stop)
        assert (reply.stop_details is not None) is explained


async def test_no_content_at_all_can_come() -> None:
    async with client_of(Fault("null")) as (client, _):
        raw = await client.messages.with_raw_response.create(model="echo", max_tokens=50, messages=HI)
        assert b'"content":null' in await raw.read()


async def test_the_models_are_listed_in_the_services_own_shape(client: anthropic.AsyncAnthropic) -> None:
    listed = [model.id async for model in client.models.list()]
    assert {"echo", "rambler", "judge-first", "judge-longer"} <= set(listed)
    assert (await client.models.retrieve("m")).lifecycle == "active"
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("unknown-1")


async def test_only_the_one_good_key_is_let_in() -> None:
    async with client_of(key="another") as (client, provider):
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model="echo", max_tokens=9, messages=HI)
        assert provider.requests[0].credential == hashlib.sha256(b"secret").hexdigest()[:8]
