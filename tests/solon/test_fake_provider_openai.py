"""Both services' model calls, through the real SDKs: this file has OpenAI's."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest

from judge.asking import ASK, LAYOUT, fill
from solon.fake_provider.faults import Fault, Faults
from solon.fake_provider.server import Server, serving

HI: Any = [{"role": "user", "content": "hi"}]
TEXTS = {"prompt": "Why?", "first": "It is.", "second": "It is " * 50}
PAIR = fill(LAYOUT, fence="a1b2c3d4", question="Which is brief?", ask=ASK, **TEXTS)
CHOICE = {"type": "object", "properties": {"verdict": {"type": "string", "enum": ["1", "2"]}}}


@asynccontextmanager
async def client_of(*faults: Fault, key: str | None = None) -> AsyncIterator[tuple[openai.AsyncOpenAI, Server]]:
    plain = httpx2.AsyncClient(verify=False, timeout=10)  # no certificates to load: that takes longer than a test
    async with (
        serving(Faults(0, faults), key=key) as provider,
        openai.AsyncOpenAI(base_url=f"{provider.url}/v1", api_key="secret", max_retries=0, http_client=plain) as client,
    ):
        yield client, provider


@pytest.fixture
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of() as (client, _):
        yield client


async def test_a_chat_completion_is_what_the_sdk_expects_of_one(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model="echo", messages=HI, max_tokens=50, temperature=0, seed=1)
    choice = reply.choices[0]
    assert (reply.object, reply.model, choice.finish_reason, choice.message.refusal) == (
        "chat.completion", "echo", "stop", None
    )  # fmt: skip
    assert hashlib.sha256(b"hi").hexdigest() in (choice.message.content or "")
    assert reply.usage
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (5, 18, 23)
    assert reply.usage.prompt_tokens_details
    assert reply.usage.prompt_tokens_details.cached_tokens == 0


async def test_the_same_request_has_the_same_bytes_for_an_answer(client: openai.AsyncOpenAI) -> None:
    sent = client.chat.completions.with_raw_response
    bodies = [(await sent.create(model="gpt-x", messages=HI, seed=seed)).content for seed in (1, 1, 2)]
    assert bodies[0] == bodies[1] != bodies[2]


async def test_a_long_prompt_read_again_comes_out_of_the_cache(client: openai.AsyncOpenAI) -> None:
    long: Any = [{"role": "system", "content": "rule " * 2000}, *HI]
    spent = [(await client.chat.completions.create(model=m, messages=long)).usage for m in ("a", "a", "b")]
    cached = [u.prompt_tokens_details.cached_tokens if u and u.prompt_tokens_details else None for u in spent]
    assert cached[0] == cached[2] == 0
    assert cached[1]
    assert cached[1] % 128 == 0
    assert 2000 < cached[1] <= 2600


async def test_a_judge_gives_its_label_and_as_many_log_probs_as_are_asked_for(client: openai.AsyncOpenAI) -> None:
    asked: Any = {"model": "gpt-x", "messages": [{"role": "user", "content": PAIR}], "max_tokens": 2}
    reply = await client.chat.completions.create(**asked, logprobs=True, top_logprobs=20)
    assert reply.choices[0].message.content == "1"
    assert reply.choices[0].logprobs
    (token,) = reply.choices[0].logprobs.content or []
    assert [t.token for t in token.top_logprobs] == ["1", "2"]
    assert token.logprob == token.top_logprobs[0].logprob > token.top_logprobs[1].logprob
    bare = await client.chat.completions.create(**asked)
    assert (bare.choices[0].message.content, bare.choices[0].logprobs) == ("1", None)


async def test_a_reply_can_be_held_to_a_schema(client: openai.AsyncOpenAI) -> None:
    format: Any = {"type": "json_schema", "json_schema": {"name": "v", "strict": True, "schema": CHOICE}}
    asked: Any = [{"role": "user", "content": PAIR}]
    reply = await client.chat.completions.create(model="gpt-x", messages=asked, response_format=format)
    assert reply.choices[0].message.content == '{"verdict": "1"}'


async def test_a_reply_is_cut_where_its_tokens_end(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model="echo", messages=HI, max_tokens=5)
    assert (reply.choices[0].finish_reason, len(reply.choices[0].message.content or "")) == ("length", 20)


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"max_tokens": 100}, "max_tokens", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"temperature": 0.5}, "temperature", "unsupported_value"),
    ],
)
async def test_a_reasoning_model_refuses_what_those_models_refuse(
    client: openai.AsyncOpenAI, changes: Any, param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.chat.completions.create(model="reasoning-echo", messages=HI, **changes)
    assert (refusal.value.param, refusal.value.code, refusal.value.type) == (param, code, "invalid_request_error")


async def test_a_reasoning_model_thinks_before_it_speaks(client: openai.AsyncOpenAI) -> None:
    for most, finish in ((15, "length"), (200, "stop")):
        reply = await client.chat.completions.create(
            model="reasoning-echo", messages=HI, max_completion_tokens=most, temperature=1
        )
        assert reply.usage
        assert reply.usage.completion_tokens_details
        hidden = reply.usage.completion_tokens_details.reasoning_tokens or 0
        assert reply.choices[0].finish_reason == finish
        assert (reply.choices[0].message.content == "") is (finish == "length")
        assert 0 < hidden <= reply.usage.completion_tokens <= most


@pytest.mark.parametrize(
    ("changes", "error", "param"),
    [
        ({"model": "unknown-1"}, openai.NotFoundError, "model"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens"),
        ({"top_logprobs": 5}, openai.BadRequestError, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, openai.BadRequestError, "top_logprobs"),
        ({"messages": [{"role": "user", "content": "word " * 120_000}]}, openai.BadRequestError, "messages"),
        ({"stream": True}, openai.BadRequestError, "stream"),
        ({"extra_body": {"structured_outputs": {"choice": ["1"]}}}, openai.BadRequestError, None),
    ],
)
async def test_what_the_service_would_not_take_is_refused(
    client: openai.AsyncOpenAI, changes: Any, error: type[openai.APIStatusError], param: str | None
) -> None:
    with pytest.raises(error) as refusal:
        await client.chat.completions.create(**{"model": "gpt-x", "messages": HI, **changes})
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("kind", "error", "status", "code"),
    [
        ("rate-limit", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, 429, "insufficient_quota"),
        ("credit", openai.RateLimitError, 429, "insufficient_quota"),
        ("auth", openai.AuthenticationError, 401, "invalid_api_key"),
        ("forbidden", openai.PermissionDeniedError, 403, "insufficient_permissions"),
        ("unknown-model", openai.NotFoundError, 404, "model_not_found"),
        ("overflow", openai.BadRequestError, 400, "context_length_exceeded"),
        ("bad-request", openai.BadRequestError, 400, "invalid_value"),
        ("too-large", openai.APIStatusError, 413, None),
        ("server-error", openai.InternalServerError, 500, None),
        ("bad-gateway", openai.InternalServerError, 502, None),
        ("unavailable", openai.InternalServerError, 503, "service_unavailable"),
        ("overloaded", openai.InternalServerError, 529, "overloaded"),
    ],
)
async def test_an_error_has_the_services_shape(kind: Any, error: Any, status: int, code: str | None) -> None:
    async with client_of(Fault(kind, first=1)) as (client, provider):
        with pytest.raises(error) as raised:
            await client.chat.completions.create(model="echo", messages=HI)
        assert (raised.value.status_code, raised.value.code) == (status, code)
        assert (raised.value.response.headers["content-type"] == "text/html") is (kind == "bad-gateway")
        assert provider.requests[-1].usage is None
        await client.chat.completions.create(model="echo", messages=HI)


@pytest.mark.parametrize("header", ["retry-after", "retry-after-ms"])
@pytest.mark.parametrize("wait", ["2", "Fri, 20 Nov 2026 09:00:00 GMT", "soon"])
async def test_how_long_to_wait_is_said_word_for_word(wait: str, header: Any) -> None:
    async with client_of(Fault("rate-limit", retry_after=wait, header=header)) as (client, _):
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="echo", messages=HI)
    assert raised.value.response.headers[header] == wait


@pytest.mark.parametrize(
    ("kind", "content", "finish", "refusal"),
    [
        ("empty", "", "stop", None),
        ("null", None, "stop", None),
        ("filter", None, "content_filter", None),
        ("refusal", None, "stop", "I cannot help with that."),
        ("length", "echo 8f434346648f6b96df89dda901c51", "length", None),
        ("window", "echo 8f434346648f6b96df89dda901c51", "length", None),
    ],
)
async def test_a_reply_that_is_none_is_still_billed(
    kind: Any, content: str | None, finish: str, refusal: str | None
) -> None:
    async with client_of(Fault(kind)) as (client, provider):
        choice = (await client.chat.completions.create(model="echo", messages=HI)).choices[0]
        assert (choice.message.content, choice.finish_reason, choice.message.refusal) == (content, finish, refusal)
        assert provider.requests[-1].usage == {"prompt": 5, "completion": 18, "cached": 0, "stored": 0}


@pytest.mark.parametrize(("kind", "escaped"), [("surrogate", b"\\ud83d"), ("nul", b"\\u0000"), ("bidi", b"\\u202e")])
async def test_odd_characters_come_escaped(kind: Any, escaped: bytes) -> None:
    async with client_of(Fault(kind)) as (client, _):
        raw = await client.chat.completions.with_raw_response.create(model="echo", messages=HI)
        assert escaped in raw.content


async def test_a_huge_reply_has_just_the_bytes_that_were_asked_for() -> None:
    async with client_of(Fault("huge", bytes=100_000)) as (client, _):
        raw = await client.chat.completions.with_raw_response.create(model="echo", messages=HI)
        assert len(raw.content) == 100_000
        assert raw.parse().choices[0].finish_reason == "stop"


async def test_the_models_are_listed_and_any_other_is_known_but_those_called_unknown(
    client: openai.AsyncOpenAI,
) -> None:
    listed = [model.id async for model in client.models.list()]
    assert {"echo", "rambler", "judge-first", "judge-longer"} <= set(listed)
    assert (await client.models.retrieve("gpt-x")).id == "gpt-x"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("unknown-1")


async def test_only_the_one_good_key_is_let_in() -> None:
    async with client_of(key="another") as (client, provider):
        with pytest.raises(openai.AuthenticationError) as raised:
            await client.chat.completions.create(model="echo", messages=HI)
        assert raised.value.code == "invalid_api_key"
        assert provider.requests[0].credential == hashlib.sha256(b"secret").hexdigest()[:8]
    async with client_of(key="secret") as (client, _):
        await client.chat.completions.create(model="echo", messages=HI)
