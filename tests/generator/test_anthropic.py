import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from constitution.errors import InputError
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, Outcome, Usage, call_key
from generator.models.anthropic import AnthropicBackend, blocks, turns

SECRET = "sk-ant-0123456789"
REQUEST = ChatRequest((Message("system", "Be brief."), Message("user", "Hé “you”\n{x}")), 0.7, 160, sample=2, seed=1)
KEY = call_key("claude", REQUEST)
VERDICT = ChatRequest((Message("user", "Which is better?"),), 0.0, 2048, choices=("1", "2"))
SAYS_NO = "temperature: Extra inputs are not permitted"
CACHED = {"type": "ephemeral"}


def message(*texts: str, stop: object = "end_turn", **fields: object) -> dict[str, Any]:
    content = [{"type": "text", "text": text} for text in texts]
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-2026", "content": content,
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 4}, **fields,
    }  # fmt: skip


def raw_message(*texts: str, stop: object = "end_turn", **fields: object) -> bytes:
    return json.dumps(message(*texts, stop=stop, **fields)).encode()


def error(message: str = "no", type: str = "invalid_request_error", **fields: object) -> bytes:
    inner = {"type": type, "message": message, **fields}
    return json.dumps({"type": "error", "error": inner, "request_id": "req_1"}).encode()


@dataclass
class Endpoint:
    """A real server that answers with the next of ``answers``, the last for ever, and remembers what it was sent."""

    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, raw_message("Hi"))])
    headers: dict[str, str] = field(default_factory=dict)  # of every answer
    bodies: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    delay: float = 0.0
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.raw.append(await request.read())
        self.bodies.append(json.loads(self.raw[-1]))
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        await asyncio.sleep(self.delay)
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, body=body, headers=self.headers, content_type="application/json")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint, app = Endpoint(), web.Application()
    app.router.add_post("/v1/messages", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield endpoint
    await runner.cleanup()


@pytest.fixture
async def backend(endpoint: Endpoint) -> AsyncIterator[AnthropicBackend]:
    backend = AnthropicBackend("claude", endpoint.url, SECRET)
    yield backend
    await backend.close()


async def ask(backend: AnthropicBackend, request: ChatRequest = REQUEST) -> Outcome:
    key = call_key("claude", request)
    raw = await backend.send(key, request)
    return raw if isinstance(raw, CallFailure) else backend.read(key, request, raw)


async def replied(backend: AnthropicBackend, request: ChatRequest = REQUEST) -> ChatReply:
    outcome = await ask(backend, request)
    assert isinstance(outcome, ChatReply), outcome
    return outcome


async def failed(backend: AnthropicBackend, request: ChatRequest = REQUEST) -> CallFailure:
    outcome = await ask(backend, request)
    assert isinstance(outcome, CallFailure), outcome
    assert outcome.key == call_key("claude", request)
    return outcome


# What is sent


async def test_what_is_sent_is_the_request_and_nothing_else(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    await ask(backend)
    assert endpoint.bodies == [
        {
            "model": "claude",
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hé “you”\n{x}"}]}],
            "max_tokens": 160,
            "temperature": 0.7,
        }
    ]


async def test_the_headers_are_those_that_the_sdk_sends(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    await ask(backend)
    await backend.client.messages.create(model="claude", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
    ours, theirs = endpoint.asked
    for name in ("authorization", "x-api-key", "anthropic-version", "content-type", "user-agent"):
        assert ours.get(name) == theirs.get(name)
    assert SECRET in f"{ours.get('authorization')} {ours.get('x-api-key')}"


async def test_turns_are_sent_as_they_are(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    said = [("user", "a"), ("user", "b"), ("assistant", "c"), ("system", "d"), ("assistant", "e")]
    await ask(backend, ChatRequest(tuple(Message(role, text) for role, text in said), 1.0, 5))
    (body,) = endpoint.bodies
    assert [(m["role"], "".join(b["text"] for b in m["content"])) for m in body["messages"]] == said
    assert "system" not in body


async def test_text_that_no_encoding_has_goes_out_and_comes_back(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    odd = "half an emoji \ud83d, a NUL \0, \u2028 and 😀"
    endpoint.answers = [(200, raw_message(odd))]
    reply = await replied(backend, ChatRequest((Message("system", odd), Message("user", odd)), 1.0, 10, shared=5))
    (body,) = endpoint.bodies
    assert reply.text == odd
    assert "".join(block["text"] for block in body["system"]) == body["messages"][0]["content"][0]["text"] == odd
    assert endpoint.raw[0].isascii()


async def test_log_probs_are_not_even_asked_for(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    failure = await failed(backend, ChatRequest(REQUEST.messages, 0.0, 2, top_logprobs=20, choices=("1", "2")))
    assert (failure.reason, failure.charged) == ("unsupported", False)
    assert endpoint.bodies == []


@pytest.mark.parametrize("temperature", [1.01, 2.0, -0.1, float("nan")])
async def test_a_temperature_that_the_api_does_not_have_is_bad_input(
    endpoint: Endpoint, backend: AnthropicBackend, temperature: float
) -> None:
    with pytest.raises(InputError, match=r"claude: temperature .* is out of range: set it from 0 to 1"):
        await backend.send("k", ChatRequest(REQUEST.messages, temperature, 5))
    assert endpoint.bodies == []


@pytest.mark.parametrize(
    "said",
    [SAYS_NO, "`temperature` is deprecated for this model.", "Temperature is not supported for this model."],
)
async def test_a_model_without_temperature_is_asked_without_it_ever_after(
    endpoint: Endpoint, backend: AnthropicBackend, said: str
) -> None:
    endpoint.answers = [(400, error(said)), (200, raw_message("Hi"))]
    assert (await replied(backend)).text == "Hi"
    assert (await replied(backend, VERDICT)).text == "Hi"
    assert ["temperature" in body for body in endpoint.bodies] == [True, False, False]
    assert {**endpoint.bodies[1], "temperature": 0.7} == endpoint.bodies[0]


@pytest.mark.parametrize(
    ("status", "said"),
    [(500, SAYS_NO), (400, "prompt is too long: 9 tokens > 8 maximum; temperature 0.7"), (400, "messages: bad")],
)
async def test_only_a_refusal_that_names_a_parameter_leaves_it_out(
    endpoint: Endpoint, backend: AnthropicBackend, status: int, said: str
) -> None:
    endpoint.answers = [(status, error(said))]
    await failed(backend)
    assert len(endpoint.bodies) == 1
    assert backend.left_out == set()


async def test_a_parameter_that_is_refused_though_it_is_not_sent_ends_the_call(
    endpoint: Endpoint, backend: AnthropicBackend
) -> None:
    endpoint.answers = [(400, error(SAYS_NO))]
    failure = await failed(backend)
    assert (failure.reason, len(endpoint.bodies)) == ("bad request", 2)


# The mark for the cache


def text_of(content: list[dict[str, Any]]) -> str:
    return "".join(block["text"] for block in content)


TEXTS = st.text(st.sampled_from("ab é\n😀\ud83d"), max_size=6)


@given(st.lists(TEXTS, min_size=1, max_size=5), st.data())
def test_the_blocks_are_the_conversation_and_the_marked_one_ends_where_what_is_shared_ends(
    texts: list[str], data: st.DataObject
) -> None:
    whole = "".join(texts)
    shared = data.draw(st.integers(0, len(whole)))
    messages = (Message("system", texts[0]), *(Message("user", text) for text in texts[1:]))
    sent = turns(ChatRequest(messages, 0.0, 1, shared=shared))
    every = [block for turn in sent for block in turn["content"]]
    assert [text_of(turn["content"]) for turn in sent] == texts
    assert all(block["text"] for block in every)
    marks = [number for number, block in enumerate(every, 1) if "cache_control" in block]
    assert len(marks) <= 1
    for number in marks:
        assert every[number - 1]["cache_control"] == CACHED
        assert text_of(every[:number]) == whole[:shared]
    split = [turn for turn in sent if len(turn["content"]) > 1]
    assert all(block["text"].strip() for turn in split for block in turn["content"])
    if shared and all(not character.isspace() for character in whole):
        assert marks


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        (0, [{"type": "text", "text": "ab c"}]),
        (-1, [{"type": "text", "text": "ab c"}]),
        (1, [{"type": "text", "text": "a", "cache_control": CACHED}, {"type": "text", "text": "b c"}]),
        (4, [{"type": "text", "text": "ab c", "cache_control": CACHED}]),
        (5, [{"type": "text", "text": "ab c"}]),
    ],
)
def test_a_text_is_split_only_where_what_is_shared_ends(shared: int, expected: object) -> None:
    assert blocks("ab c", shared) == expected


@pytest.mark.parametrize(("text", "shared"), [("  ab", 2), ("ab \n", 2), ("  ", 2)])
def test_no_block_is_cut_off_that_has_nothing_but_white_space(text: str, shared: int) -> None:
    assert blocks(text, shared) == [{"type": "text", "text": text}]


async def test_what_is_shared_may_end_in_the_system_message(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    await ask(backend, ChatRequest(REQUEST.messages, 1.0, 5, shared=len("Be brief.")))
    (body,) = endpoint.bodies
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": CACHED}]
    assert [list(block) for block in body["messages"][0]["content"]] == [["type", "text"]]


# What comes back


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
    ],
)
async def test_how_a_reply_ended_is_kept(endpoint: Endpoint, backend: AnthropicBackend, stop: str, finish: str) -> None:
    endpoint.answers = [(200, raw_message("Hi ", "there", stop=stop))]
    assert await ask(backend) == ChatReply(KEY, "Hi there", finish, "claude-2026", Usage(9, 4))


@pytest.mark.parametrize("stop", ["tool_use", "pause_turn", "tired", None, ["end_turn"]])
async def test_an_end_that_a_plain_call_cannot_have_is_unreadable(
    endpoint: Endpoint, backend: AnthropicBackend, stop: object
) -> None:
    endpoint.answers = [(200, raw_message("Hi", stop=stop))]
    failure = await failed(backend)
    assert (failure.reason, failure.charged) == ("unreadable", True)


@pytest.mark.parametrize(("stop", "finish"), [("refusal", "refusal"), ("max_tokens", "length")])
async def test_a_refusal_or_a_cut_before_the_first_word_is_a_reply(
    endpoint: Endpoint, backend: AnthropicBackend, stop: str, finish: str
) -> None:
    endpoint.answers = [(200, raw_message(stop=stop))]
    reply = await replied(backend)
    assert (reply.text, reply.finish) == ("", finish)


@pytest.mark.parametrize("texts", [(), ("",), (" \n", "")])
async def test_a_reply_without_text_is_empty_and_paid_for(
    endpoint: Endpoint, backend: AnthropicBackend, texts: tuple[str, ...]
) -> None:
    endpoint.answers = [(200, raw_message(*texts))]
    failure = await failed(backend)
    assert (failure.reason, failure.charged) == ("empty", True)


async def test_thinking_is_no_text(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    content = [
        {"type": "thinking", "thinking": "Hm, 2.", "signature": "s"},
        {"type": "text", "text": "1"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "!"},
    ]
    endpoint.answers = [(200, raw_message(content=content))]
    assert (await replied(backend)).text == "1!"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 5, "output_tokens": 7}, Usage(5, 7)),
        (
            {
                "input_tokens": 5,
                "cache_creation_input_tokens": 20,
                "cache_read_input_tokens": 300,
                "output_tokens": 7,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 0},
                "output_tokens_details": {"thinking_tokens": 3},
            },
            Usage(325, 7, 300, 20),
        ),
        ({"input_tokens": 5, "cache_creation_input_tokens": None, "cache_read_input_tokens": None}, Usage(5)),
        (None, Usage()),
    ],
)
async def test_what_a_cache_gave_and_took_is_part_of_the_prompt(
    endpoint: Endpoint, backend: AnthropicBackend, usage: object, expected: Usage
) -> None:
    endpoint.answers = [(200, raw_message("Hi", usage=usage))]
    assert (await replied(backend)).usage == expected


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
        error("busy", "overloaded_error"),
        raw_message("Hi", content="Hi"),
        raw_message("Hi", content=None),
        raw_message("Hi", content={"type": "text"}),
        raw_message("Hi", content=[{"type": "text"}]),
        raw_message("Hi", content=[{"type": "text", "text": None}]),
        raw_message("Hi", content=[{"type": "text", "text": ["Hi"]}]),
        raw_message("Hi", usage=[1]),
        raw_message("Hi", usage={"input_tokens": "many"}),
        raw_message("Hi", usage={"input_tokens": float("inf")}),
    ],
)
async def test_a_body_that_is_not_as_promised_is_unreadable(
    endpoint: Endpoint, backend: AnthropicBackend, raw: bytes
) -> None:
    endpoint.answers = [(200, raw)]
    assert await backend.send(KEY, REQUEST) == raw
    failure = await failed(backend)
    assert (failure.reason, failure.charged) == ("unreadable", True)


# Choices


async def test_a_request_with_choices_holds_the_model_to_them(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    endpoint.answers = [(200, raw_message('{"choice":', ' "2"}'))]
    reply = await replied(backend, VERDICT)
    assert (reply.text, reply.held) == ("2", True)
    schema = {
        "type": "object",
        "properties": {"choice": {"type": "string", "enum": ["1", "2"]}},
        "required": ["choice"],
        "additionalProperties": False,
    }
    assert endpoint.bodies[0]["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


async def test_more_of_the_body_adds_to_what_stands_there(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    endpoint.answers = [(200, raw_message('{"choice": "2"}'))]
    backend.extra = {"output_config": {"effort": "low"}, "thinking": {"type": "disabled"}}
    await replied(backend, VERDICT)
    body = endpoint.bodies[0]
    assert (body["output_config"].keys(), body["thinking"]) == ({"format", "effort"}, {"type": "disabled"})


@pytest.mark.parametrize(
    "said",
    [
        "output_config: Extra inputs are not permitted",
        "output_config.format: Extra inputs are not permitted",
        "'claude' does not support output format.",
        "This model does not support structured outputs.",
    ],
)
async def test_a_model_that_cannot_be_held_is_asked_in_words_ever_after(
    endpoint: Endpoint, backend: AnthropicBackend, said: str
) -> None:
    endpoint.answers = [(400, error(said)), (200, raw_message("1"))]
    replies = [await replied(backend, VERDICT), await replied(backend, VERDICT)]
    assert [(reply.text, reply.held) for reply in replies] == [("1", False)] * 2
    assert ["output_config" in body for body in endpoint.bodies] == [True, False, False]


async def test_both_refusals_may_come_one_after_the_other(endpoint: Endpoint, backend: AnthropicBackend) -> None:
    endpoint.answers = [(400, error(SAYS_NO)), (400, error("output_config: no")), (200, raw_message("1"))]
    assert (await replied(backend, VERDICT)).text == "1"
    assert backend.left_out == {"temperature", "output_config"}
    assert endpoint.bodies[-1].keys() == {"model", "messages", "max_tokens"}


HOSTILE = [
    '{"choice": "3"}',
    '{"choice": 1}',
    '{"choice": ["1"]}',
    '{"choice": {"choice": "1"}}',
    '{"choice": "1", "why": "better"}',
    '{"choice": "2", "choice": "1"}',
    '{"Choice": "1"}',
    '[["choice", "1"]]',
    '[{"choice": "1"}]',
    '"1"',
    "{}",
    '{"choice": "1"} {"choice": "2"}',
    '```json\n{"choice": "1"}\n```',
    '{"choice": "1"',
    "[" * 100_000,
    "9" * 10_000,
    "Both are good.",
]


@pytest.mark.parametrize("said", HOSTILE)
async def test_whatever_is_not_exactly_a_choice_stays_as_it_is(
    endpoint: Endpoint, backend: AnthropicBackend, said: str
) -> None:
    endpoint.answers = [(200, raw_message(said))]
    reply = await replied(backend, VERDICT)
    assert (reply.text, reply.held) == (said, False)


@pytest.mark.parametrize(("request_", "stop"), [(REQUEST, "end_turn"), (VERDICT, "max_tokens"), (VERDICT, "refusal")])
async def test_a_choice_counts_only_in_a_whole_reply_to_a_request_that_has_it(
    endpoint: Endpoint, backend: AnthropicBackend, request_: ChatRequest, stop: str
) -> None:
    endpoint.answers = [(200, raw_message('{"choice": "1"}', stop=stop))]
    reply = await replied(backend, request_)
    assert (reply.text, reply.held) == ('{"choice": "1"}', False)


# Batches


def line(custom_id: str = KEY, **result: object) -> bytes:
    return json.dumps({"custom_id": custom_id, "result": {"type": "succeeded", **result}}).encode()


async def test_a_line_of_a_batch_reads_like_the_reply_itself(backend: AnthropicBackend) -> None:
    plain = backend.read(KEY, REQUEST, raw_message("Hi"))
    assert isinstance(plain, ChatReply)
    assert backend.read(KEY, REQUEST, line(message=message("Hi"))) == plain


@pytest.mark.parametrize(
    "raw",
    [
        line("another", message=message("Hi")),
        line(type="expired"),
        line(type="errored", error={"type": "error", "error": {"type": "api_error", "message": "no"}}),
        line(type="canceled", message=message("Hi")),
        line(),
        json.dumps({"custom_id": KEY, "result": None}).encode(),
    ],
)
async def test_a_line_of_another_call_or_without_a_reply_is_unreadable(backend: AnthropicBackend, raw: bytes) -> None:
    failure = backend.read(KEY, REQUEST, raw)
    assert isinstance(failure, CallFailure)
    assert (failure.key, failure.reason) == (KEY, "unreadable")


# Errors


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, error("messages: roles must alternate"), "bad request"),
        (400, error("prompt is too long: 210000 tokens > 200000 maximum"), "context overflow"),
        (400, error("input length and `max_tokens` exceed context limit: 9 + 9 > 10"), "context overflow"),
        (400, error("Your credit balance is too low to access the Anthropic API."), "quota"),
        (400, error("You have reached your specified API usage limits."), "quota"),
        (401, error("invalid x-api-key", "authentication_error"), "auth"),
        (402, error("billing", "billing_error"), "quota"),
        (403, error("no permission", "permission_error"), "auth"),
        (404, error("model: claude", "not_found_error"), "unknown model"),
        (413, error("Request exceeds the maximum size", "request_too_large"), "context overflow"),
        (429, error("slower", "rate_limit_error"), "rate limit"),
        (429, error("cap", "rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "quota"),
        (429, error("cap", "rate_limit_error", details="none"), "rate limit"),
        (500, error("broken", "api_error"), "server error"),
        (504, error("late", "timeout_error"), "timeout"),
        (529, error("busy", "overloaded_error"), "overloaded"),
        (529, b"<html>", "overloaded"),
    ],
)
async def test_each_error_says_who_must_act_after_one_request(
    endpoint: Endpoint, backend: AnthropicBackend, status: int, body: bytes, reason: str
) -> None:
    endpoint.answers, endpoint.headers = [(status, body)], {"retry-after": "7"}
    failure = await failed(backend)
    assert (failure.reason, failure.wait, failure.charged) == (reason, 7.0, status == 504)
    assert len(endpoint.bodies) == 1


async def test_the_key_is_struck_out_of_what_an_endpoint_says_back(
    endpoint: Endpoint, backend: AnthropicBackend
) -> None:
    endpoint.answers = [
        (401, error(f"bad key {SECRET}", "authentication_error")),
        (200, raw_message(f"It is {SECRET}")),
    ]
    failure, reply = await failed(backend), await replied(backend)
    assert failure.detail == "status 401: bad key [API key]"
    assert reply.text == "It is [API key]"


async def test_an_endpoint_that_is_not_there_is_a_connection_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        port = closing.getsockname()[1]
    backend = AnthropicBackend("claude", f"http://127.0.0.1:{port}", SECRET)
    failure = await failed(backend)
    await backend.close()
    assert (failure.reason, failure.charged) == ("connection", False)


async def test_an_endpoint_that_says_nothing_for_too_long_is_a_timeout(endpoint: Endpoint) -> None:
    endpoint.delay = 30
    backend = AnthropicBackend("claude", endpoint.url, SECRET, idle=0.1)
    failure = await failed(backend)
    await backend.close()
    assert (failure.reason, failure.charged) == ("timeout", True)


async def test_a_model_is_known_by_its_name_wherever_it_runs() -> None:
    here, there = (AnthropicBackend("claude", f"http://{host}", "k") for host in ("127.0.0.1:1", "127.0.0.1:2"))
    assert here.identity == there.identity == "claude"
    assert isinstance(here.client, anthropic.AsyncAnthropic)
    await here.close()
    await there.close()
