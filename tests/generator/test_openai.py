import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from generator.chat import (
    LARGEST_COUNT,
    CallFailure,
    ChatReply,
    ChatRequest,
    Message,
    Outcome,
    TokenLogprob,
    Usage,
    call_key,
    sampling_seed,
)
from generator.models.calling import Patience, Persistent
from generator.models.door import Door
from generator.models.openai import OpenAIBackend, read_reply

HASTY = Patience(deadline=10, attempts=3, longest_pause=0.001)
REQUEST = ChatRequest((Message("system", "Be brief."), Message("user", "Hé “you”\n{x}")), 0.7, 160, sample=2, seed=1)
KEY = call_key("tiny", REQUEST)
VERDICT = ChatRequest((Message("user", "Which?"),), 0.0, 2, top_logprobs=20, choices=("1", "2"))
BODY = b'{ "id":"1", "model":"tiny-2026",\n "choices":[{"message":{"content":"Hi \\u00e9"},"finish_reason":"stop"}]}'


def completion(content: object = "Hi", finish: str = "stop", **choice: object) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"model": "tiny-2026", "choices": [{"message": message, "finish_reason": finish, **choice}]}


def logprobs(*tokens: tuple[str, float]) -> dict[str, Any]:
    first = [{"token": token, "logprob": logprob} for token, logprob in tokens]
    later = [{"token": "later", "logprob": -0.5}]
    return {"content": [{"top_logprobs": first}, {"top_logprobs": later}]}


NOWHERE = OpenAIBackend("tiny", "http://127.0.0.1:1/v1", "k")


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


def test_counts_that_cannot_be_are_brought_within_bounds() -> None:
    usage = {"prompt_tokens": -5, "completion_tokens": 10**30, "prompt_tokens_details": {"cached_tokens": None}}
    assert read_reply("k", {**completion(), "usage": usage}).usage == Usage(0, LARGEST_COUNT, 0)


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
def test_a_body_that_is_not_as_promised_is_unreadable(raw: bytes) -> None:
    read = NOWHERE.read("key", REQUEST, raw)
    assert isinstance(read, CallFailure)
    assert (read.key, read.reason, read.charged) == ("key", "unreadable", True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)
PLACES = [
    (), ("model",), ("usage",), ("usage", "prompt_tokens"), ("usage", "prompt_tokens_details"), ("choices",),
    ("choices", 0), ("choices", 0, "message"), ("choices", 0, "message", "content"), ("choices", 0, "finish_reason"),
    ("choices", 0, "message", "refusal"), ("choices", 0, "logprobs"), ("choices", 0, "logprobs", "content"),
    ("choices", 0, "logprobs", "content", 0), ("choices", 0, "logprobs", "content", 0, "top_logprobs"),
    ("choices", 0, "logprobs", "content", 0, "top_logprobs", 0, "logprob"), ("custom_id",), ("response",),
]  # fmt: skip


def put(body: Any, place: tuple[Any, ...], value: object) -> Any:
    if not place:
        return value
    first, *rest = place
    if isinstance(first, int):
        return [put(body[first], tuple(rest), value), *body[1:]]
    return {**body, first: put(body.get(first, {}) if rest else None, tuple(rest), value)}


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_in_a_body_reading_it_gives_an_outcome(place: tuple[Any, ...], value: object) -> None:
    body = put({**completion(logprobs=logprobs(("1", -0.1))), "usage": {"prompt_tokens": 1}}, place, value)
    outcome = NOWHERE.read("key", REQUEST, json.dumps(body).encode())
    assert outcome.key == "key"
    if isinstance(outcome, ChatReply):
        assert isinstance(outcome.text, str)
        assert all(0 <= n <= LARGEST_COUNT for n in (outcome.usage.prompt, outcome.usage.completion))
        assert all(-9999 < token.logprob <= 0.001 for token in outcome.first_token)
    else:
        assert (outcome.reason in ("unreadable", "empty"), outcome.charged) == (True, True)


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_reply_without_text_that_nothing_cut_off_is_empty(text: str | None) -> None:
    read = NOWHERE.read("key", REQUEST, json.dumps(completion(text)).encode())
    assert read == CallFailure("key", "empty", "a reply without text", charged=True)


@pytest.mark.parametrize(
    "body",
    [
        completion("", "length"),  # hidden reasoning took all the tokens
        completion("", "content_filter"),
        completion("", logprobs={"content": [{"top_logprobs": [{"token": "1", "logprob": -0.1}]}]}),
    ],
)
def test_a_reply_that_says_something_else_than_text_is_not_empty(body: dict[str, Any]) -> None:
    assert isinstance(NOWHERE.read("key", REQUEST, json.dumps(body).encode()), ChatReply)


def test_a_batchs_line_is_read_as_the_reply_in_it() -> None:
    line = {"id": "b", "custom_id": "key", "response": {"status_code": 200, "body": completion("Hi")}, "error": None}
    assert NOWHERE.read("key", REQUEST, json.dumps(line).encode()) == ChatReply("key", "Hi", "stop", "tiny-2026")


@pytest.mark.parametrize(
    "line",
    [
        {"custom_id": "other", "response": {"body": completion("Hi")}},
        {"custom_id": None, "response": {"body": completion("Hi")}},
        {"custom_id": "key", "response": None, "error": {"code": "batch_expired"}},
        {"custom_id": "key", "response": {"status_code": 500, "body": {"error": {"message": "no"}}}},
        {"custom_id": "key", **completion("Hi")},
    ],
)
def test_a_line_of_another_call_or_without_a_reply_is_unreadable(line: dict[str, Any]) -> None:
    outcome = NOWHERE.read("key", REQUEST, json.dumps(line).encode())
    assert isinstance(outcome, CallFailure)
    assert outcome.reason == "unreadable"


@pytest.mark.parametrize("holds", [True, False])
def test_a_reply_is_held_only_where_the_server_held_it_to_choices(holds: bool) -> None:
    backend = OpenAIBackend("tiny", "http://127.0.0.1:1/v1", "k", holds_to_choices=holds)
    raw = json.dumps(completion("1")).encode()
    for request, held in ((VERDICT, holds), (REQUEST, False)):
        read = backend.read("key", request, raw)
        assert isinstance(read, ChatReply)
        assert read.held is held


@dataclass
class Endpoint:
    """A real server that answers with the next of ``answers``, the last for ever, and remembers what it was sent."""

    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, BODY)])
    refuses: dict[str, bytes] = field(default_factory=dict)  # parameters, and what it says of them with a 400
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    delay: float = 0.0
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        await asyncio.sleep(self.delay)
        for name, said in self.refuses.items():
            if name in self.bodies[-1]:
                return web.Response(status=400, body=said, content_type="application/json")
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
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
    backend = OpenAIBackend("tiny", endpoint.url, "secret")
    yield backend
    await backend.close()


def error(message: str = "no", **fields: object) -> bytes:
    return json.dumps({"error": {"message": message, **fields}}).encode()


async def ask(backend: OpenAIBackend, request: ChatRequest = REQUEST, patience: Patience | None = None) -> Outcome:
    key = call_key("tiny", request)
    model = Persistent(backend, Door(4), patience) if patience else backend
    raw = await model.send(key, request)
    return raw if isinstance(raw, CallFailure) else backend.read(key, request, raw)


async def failed(
    backend: OpenAIBackend, request: ChatRequest = REQUEST, patience: Patience | None = None
) -> CallFailure:
    outcome = await ask(backend, request, patience)
    assert isinstance(outcome, CallFailure), outcome
    assert outcome.key == call_key("tiny", request)
    return outcome


# What is sent


async def test_what_is_sent_is_the_request_and_nothing_else(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    await ask(backend)
    assert endpoint.bodies == [
        {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hé “you”\n{x}"}],
            "temperature": 0.7,
            "max_tokens": 160,
            "seed": sampling_seed(KEY),
        }
    ]


async def test_the_headers_are_those_that_the_sdk_sends(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    await ask(backend)
    await backend.client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "Hi"}])
    ours, theirs = endpoint.asked
    for name in ("authorization", "content-type", "accept", "user-agent"):
        assert ours[name] == theirs[name]
    assert ours["authorization"] == "Bearer secret"


async def test_log_probs_are_asked_for_where_a_request_wants_them(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    await ask(backend, VERDICT)
    assert (endpoint.bodies[0]["logprobs"], endpoint.bodies[0]["top_logprobs"]) == (True, 20)


async def test_only_a_server_that_holds_to_choices_is_told_of_them(endpoint: Endpoint) -> None:
    for holds in (True, False):
        backend = OpenAIBackend("tiny", endpoint.url, "secret", holds_to_choices=holds)
        await ask(backend, VERDICT)
        await ask(backend)
        await backend.close()
    assert [body.get("structured_outputs") for body in endpoint.bodies] == [{"choice": ["1", "2"]}, None, None, None]


async def test_calls_that_begin_alike_are_sent_to_the_same_cache(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    pair = "\ud83d the pair"
    for end, shared in (("one", len(pair)), ("other", len(pair)), ("one", len(pair) - 1), ("one", 0)):
        await ask(backend, ChatRequest((Message("user", f"{pair}{end}"),), 0.0, 2, shared=shared))
    one, other, elsewhere, none = (body.get("prompt_cache_key") for body in endpoint.bodies)
    assert one == other != elsewhere
    assert none is None
    assert 0 < len(one) <= 64


async def test_the_body_is_given_exactly_as_received(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    raw = await backend.send(KEY, REQUEST)
    assert raw == BODY
    assert backend.read(KEY, REQUEST, BODY) == ChatReply(KEY, "Hi é", "stop", "tiny-2026")


def test_a_model_is_known_by_its_name_wherever_it_runs() -> None:
    here, there = (OpenAIBackend("tiny", f"http://{host}/v1", "k") for host in ("127.0.0.1:1", "127.0.0.1:2"))
    assert here.identity == there.identity == "tiny"
    assert OpenAIBackend("tiny", "http://127.0.0.1:1/v1", "k", identity="weights").identity == "weights"


# What is refused


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
        (422, error(), "bad request"),
        (429, error(code="insufficient_quota"), "quota"),
        (307, b"", "bad request"),
    ],
)
async def test_an_error_that_no_retry_cures_is_told_after_one_try(
    endpoint: Endpoint, backend: OpenAIBackend, status: int, body: bytes, reason: str
) -> None:
    endpoint.answers = [(status, body), (200, BODY)]
    failure = await failed(backend, patience=HASTY)
    assert (failure.reason, failure.charged) == (reason, False)
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (408, error(), "timeout"),
        (409, error(), "server error"),
        (429, error(), "rate limit"),
        (500, error("out of memory"), "server error"),
        (503, b"<html>", "overloaded"),
        (200, b"<html>", "unreadable"),
        (200, b'{"choices": [', "unreadable"),
        (200, b'{"choices": []}', "unreadable"),
    ],
)
async def test_an_error_that_lasts_is_told_after_every_attempt(
    endpoint: Endpoint, backend: OpenAIBackend, status: int, body: bytes, reason: str
) -> None:
    endpoint.answers = [(status, body)]
    assert (await failed(backend, patience=HASTY)).reason == reason
    assert len(endpoint.bodies) == HASTY.attempts


async def test_an_error_that_passes_is_not_seen(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.answers = [(500, error()), (200, b"half a bo"), (200, BODY)]
    assert isinstance(await ask(backend, patience=HASTY), ChatReply)
    assert endpoint.bodies[0] == endpoint.bodies[1] == endpoint.bodies[2]


async def test_an_endpoint_that_is_not_there_is_a_connection_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    backend = OpenAIBackend("tiny", f"http://127.0.0.1:{port}/v1", "k")
    failure = await failed(backend)
    await backend.close()
    assert failure.reason == "connection"
    assert str(port) in failure.detail


async def test_an_endpoint_that_is_too_slow_is_a_timeout(endpoint: Endpoint) -> None:
    endpoint.delay = 30
    for idle, patience in ((0.1, None), (30, Patience(deadline=0.2))):
        backend = OpenAIBackend("tiny", endpoint.url, "k", idle=idle)
        assert (await failed(backend, patience=patience)).reason == "timeout"
        await backend.close()


# What a model does not take

UNSUPPORTED = "Unsupported parameter: '{0}' is not supported with this model. Use 'other' instead."
FORBIDDEN = {"detail": [{"type": "extra_forbidden", "loc": ["body", "{0}"], "msg": "Extra inputs are not permitted"}]}


def worded(wording: str, name: str) -> bytes:
    said: dict[str, object] = {
        "by param": {"error": {"message": "no", "param": name, "code": "unsupported_parameter"}},
        "by message": {"error": {"message": UNSUPPORTED.format(name), "param": None}},
        "as vLLM": {"object": "error", "message": UNSUPPORTED.format(name), "code": 400},
        "as FastAPI": json.loads(json.dumps(FORBIDDEN).replace("{0}", name)),
        "in bare words": {"error": {"message": f"Unrecognized request argument supplied: {name}", "param": None}},
        "in backticks": {"error": {"message": f"`{name}` is not supported"}},
    }[wording]
    return json.dumps(said).encode()


WORDINGS = ["by param", "by message", "as vLLM", "as FastAPI", "in bare words", "in backticks"]


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize(
    ("name", "instead"),
    [("max_tokens", "max_completion_tokens"), ("temperature", None), ("seed", None), ("prompt_cache_key", None)],
)
async def test_a_parameter_that_a_model_refuses_is_left_out_at_once_and_ever_after(
    endpoint: Endpoint, backend: OpenAIBackend, name: str, instead: str | None, wording: str
) -> None:
    endpoint.refuses = {name: worded(wording, name)}
    request = replace(REQUEST, shared=4)
    for _ in range(2):
        assert isinstance(await ask(backend, request), ChatReply)
    first, *others = endpoint.bodies
    value = first.pop(name)
    assert others == [{**first, **({instead: value} if instead else {})}] * 2
    assert backend.left_out == {name}


async def test_several_parameters_can_be_refused_one_after_another(endpoint: Endpoint, backend: OpenAIBackend) -> None:
    endpoint.refuses = {name: worded("by message", name) for name in ("seed", "temperature", "max_tokens")}
    outcomes = await asyncio.gather(*(ask(backend, replace(REQUEST, sample=n)) for n in range(5)))
    assert all(isinstance(outcome, ChatReply) for outcome in outcomes)
    assert backend.left_out == {"seed", "temperature", "max_tokens"}
    assert endpoint.bodies[-1].keys() == {"model", "messages", "max_completion_tokens"}


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("name", ["logprobs", "top_logprobs"])
async def test_a_model_that_refuses_log_probs_is_not_asked_for_them_again(
    endpoint: Endpoint, backend: OpenAIBackend, name: str, wording: str
) -> None:
    endpoint.refuses = {name: worded(wording, name)}
    for _ in range(3):
        failure = await failed(backend, VERDICT, HASTY)
        assert (failure.reason, failure.charged) == ("unsupported", False)
    assert len(endpoint.bodies) == 1
    assert isinstance(await ask(backend), ChatReply)


TOO_LONG = "'max_tokens' is too large: 160. This model's maximum context length is 100 tokens."
QUOTED = (
    "[{'type': 'value_error', 'loc': ('body',), 'msg': 'no', 'input': {'messages': [], 'seed': 1, 'max_tokens': 2}}]"
)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, error(UNSUPPORTED.format("temperature"))),
        (401, error(UNSUPPORTED.format("temperature"))),
        (400, error(TOO_LONG)),
        (400, error(QUOTED)),
        (400, error("no", param="messages")),
        (400, error("say more of 'seed'", param="messages")),
        (400, error("the temperature in your seed")),
        (400, error("Expected a value <= 2, but got 3", code="decimal_above_max_value", param="temperature")),
        (400, error("'temperature' must be at most 2", param="temperature")),
        (400, error(UNSUPPORTED.format("logprobs"))),  # which was not sent
    ],
)
async def test_nothing_is_left_out_for_a_refusal_that_is_about_something_else(
    endpoint: Endpoint, backend: OpenAIBackend, status: int, said: bytes
) -> None:
    endpoint.answers = [(status, said)]
    await failed(backend)
    assert (len(endpoint.bodies), backend.left_out) == (1, set())


async def test_a_parameter_that_is_refused_although_it_is_not_sent_ends_the_call(
    endpoint: Endpoint, backend: OpenAIBackend
) -> None:
    endpoint.answers = [(400, error(UNSUPPORTED.format("seed")))]
    assert (await failed(backend)).reason == "bad request"
    assert len(endpoint.bodies) == 2
