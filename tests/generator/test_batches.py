import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.chat import Backend, CallFailure, ChatReply, ChatRequest, Message, call_key
from generator.models.anthropic import AnthropicBackend
from generator.models.anthropic_batches import AnthropicBatches
from generator.models.batches import Limits, Matched, lines_of, match, split
from generator.models.openai import OpenAIBackend
from generator.models.openai_batches import OpenAIBatches

Style = Literal["openai", "anthropic"]
STYLES: tuple[Style, ...] = ("openai", "anthropic")
K = "0a" * 32
EXPIRED = {"code": "batch_expired", "message": "not in time"}


def asking(text: str, **more: Any) -> ChatRequest:
    return ChatRequest((Message("user", text),), 1.0, 50, **more)


@dataclass
class Service:
    """One of the two services: its transport and what its results look like."""

    style: Style
    transport: OpenAIBatches | AnthropicBatches
    backend: Backend

    def reply(self, key: str, text: str) -> bytes:
        if self.style == "openai":
            body = {"model": "m", "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
            response = {"status_code": 200, "request_id": "r", "body": body}
            return dumped({"id": "1", "custom_id": key, "response": response, "error": None})
        message = {"model": "m", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
        return dumped({"custom_id": key, "result": {"type": "succeeded", "message": message}})

    def refusal(self, key: str, status: int, **error: Any) -> bytes:
        if self.style == "openai":
            response = {"status_code": status, "request_id": "r", "body": {"error": error}}
            return dumped({"id": "1", "custom_id": key, "response": response, "error": None})
        return dumped({"custom_id": key, "result": {"type": "errored", "error": {"type": "error", "error": error}}})

    def expiry(self, key: str) -> bytes:
        if self.style == "openai":
            return dumped({"id": "1", "custom_id": key, "response": None, "error": EXPIRED})
        return dumped({"custom_id": key, "result": {"type": "expired"}})

    def matched(self, keys: set[str], lines: list[bytes]) -> Matched:
        return match(keys, lines, self.transport.read)


def dumped(line: object) -> bytes:
    return json.dumps(line).encode()


def made(style: Style) -> Service:
    if style == "openai":
        openai = OpenAIBackend("tiny", "http://127.0.0.1:9/v1", "none")
        return Service(style, OpenAIBatches(openai), openai)
    anthropic = AnthropicBackend("tiny", "http://127.0.0.1:9", "none")
    return Service(style, AnthropicBatches(anthropic), anthropic)


@pytest.fixture(params=STYLES)
def service(request: pytest.FixtureRequest) -> Service:
    return made(request.param)


SERVICES = {style: made(style) for style in STYLES}  # to read with, which changes nothing but what is left out


async def test_a_line_is_the_call_as_it_would_go_out_alone(service: Service) -> None:
    request = asking("Hé “you”", shared=3, choices=("1", "2"))
    key = call_key("tiny", request)
    line = service.transport.line(key, request)
    assert isinstance(line, bytes)
    assert line.isascii()
    assert b"\n" not in line
    said = json.loads(line)
    assert said["custom_id"] == key
    if isinstance(service.backend, OpenAIBackend):
        assert said == {"custom_id": key, "method": "POST", "url": "/v1/chat/completions",
                        "body": service.backend.body(key, request)}  # fmt: skip
    elif isinstance(service.backend, AnthropicBackend):
        assert said == {"custom_id": key, "params": service.backend.body(request)}


async def test_a_line_leaves_out_what_the_model_turned_out_to_refuse(service: Service) -> None:
    before = service.transport.line(K, asking("hi"))
    message = "Unsupported parameter: 'temperature' is not supported with this model."
    code = {"code": "unsupported_parameter"} if service.style == "openai" else {}
    refusal = service.refusal(K, 400, message=message, type="invalid_request_error", param="temperature", **code)
    matched = service.matched({K}, [refusal])
    assert matched.failures[K].reason == "bad request"
    after = service.transport.line(K, asking("hi"))
    assert isinstance(before, bytes)
    assert isinstance(after, bytes)
    assert b"temperature" in before
    assert b"temperature" not in after


async def test_log_probs_that_the_model_does_not_give_are_not_asked_for_again(service: Service) -> None:
    if service.style == "openai":
        refusal = service.refusal(K, 400, message="no 'logprobs' with this model", param="logprobs")
        assert service.matched({K}, [refusal]).failures[K].reason == "unsupported"
    line = service.transport.line(K, asking("hi", top_logprobs=5))
    assert line == CallFailure(K, "unsupported", "tiny gives no log-probs")


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, "authentication_error", "auth"),
        (402, "billing_error", "quota"),
        (404, "not_found_error", "unknown model"),
        (429, "rate_limit_error", "rate limit"),
        (500, "api_error", "server error"),
        (529, "overloaded_error", "overloaded"),
        (400, "invalid_request_error", "bad request"),
    ],
)
async def test_an_error_line_says_what_the_same_answer_would(
    service: Service, status: int, kind: str, reason: str
) -> None:
    matched = service.matched({"k"}, [service.refusal("k", status, message="no", type=kind)])
    assert (matched.failures["k"].key, matched.failures["k"].reason) == ("k", reason)
    assert matched.replies == {}


async def test_a_call_that_had_no_turn_has_expired(service: Service) -> None:
    assert service.matched({"k"}, [service.expiry("k")]).failures["k"].reason == "expired"


async def test_of_equal_lines_the_first_is_taken_and_the_others_are_counted(service: Service) -> None:
    line = service.reply("k", "hi")
    matched = service.matched({"k"}, [line + b" ", line, line])
    assert matched.replies == {"k": line + b" "}
    assert matched.doubled == 2


async def test_two_replies_that_differ_are_none_wherever_they_stand(service: Service) -> None:
    lines = [service.reply("k", "one"), service.reply("k", "two"), service.reply("k", "one"), service.expiry("k")]
    for _ in range(10):
        random.Random(0).shuffle(lines)
        matched = service.matched({"k"}, lines)
        assert matched.replies == {}
        failure = matched.failures["k"]
        assert (failure.reason, failure.charged) == ("unreadable", True)


async def test_a_reply_counts_before_a_failure_of_the_same_call(service: Service) -> None:
    for lines in ([service.expiry("k"), service.reply("k", "hi")], [service.reply("k", "hi"), service.expiry("k")]):
        matched = service.matched({"k"}, lines)
        assert (matched.replies, matched.failures) == ({"k": service.reply("k", "hi")}, {})


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"null", b"[]", b"7", b"\xff\xfe", b"{}", b'{"custom_id":"k"}', b'{"custom_id":7,"result":{}}',
        b'{"custom_id":["k"],"response":{"status_code":200,"body":{}}}', b'{"custom_id":"k","result":{"type":"new"}}',
        b'{"custom_id":"k","response":null,"error":null}', b'{"custom_id":"k","response":{"status_code":"x"}}',
        b"[" * 100_000,
    ],
)  # fmt: skip
async def test_a_line_that_says_nothing_is_counted_and_not_used(service: Service, line: bytes) -> None:
    matched = service.matched({"k"}, [line])
    assert matched == Matched({}, {}, frozenset({"k"}), unreadable=1)


Bend = Callable[[Service, str, random.Random], list[bytes]]
OTHER = "f" * 64


def named(key: str) -> str:
    return f"this is for {key}"


BENDS: dict[str, Bend] = {
    "whole": lambda s, key, r: [s.reply(key, named(key))],
    "missing": lambda s, key, r: [],
    "doubled": lambda s, key, r: [s.reply(key, named(key))] * r.randint(2, 3),
    "expired": lambda s, key, r: [s.expiry(key)],
    "failed": lambda s, key, r: [s.refusal(key, 500, message=named(key), type="api_error")],
    "forged": lambda s, key, r: [s.reply(key[::-1] + "f", named(key))],
    "truncated": lambda s, key, r: [s.reply(key, named(key))[: r.randint(1, 60)]],
    "disputed": lambda s, key, r: [s.reply(key, named(key)), s.reply(key, named(OTHER))],
    "garbled": lambda s, key, r: [r.randbytes(r.randint(1, 40))],
    "cased": lambda s, key, r: [s.reply(key.upper() + "X", named(key))],
    "position": lambda s, key, r: [s.reply(str(r.randint(0, 9)), named(OTHER))],
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(style=st.sampled_from(STYLES), seed=st.integers(0, 2**32), kinds=st.sets(st.sampled_from(sorted(BENDS))))
def test_no_reply_stands_at_a_call_that_it_does_not_name_in_100_000_rows(
    style: Style, seed: int, kinds: set[str]
) -> None:
    chance = random.Random(seed)
    service = SERVICES[style]
    fates = {f"{chance.getrandbits(256):064x}": chance.choice(["whole", *sorted(kinds)]) for _ in range(1000)}
    lines = [line for key, fate in fates.items() for line in BENDS[fate](service, key, chance)]
    chance.shuffle(lines)
    matched = service.matched(set(fates), lines)
    parts = [set(matched.replies), set(matched.failures), set(matched.missing)]
    assert set.union(*parts) == fates.keys()
    assert sum(map(len, parts)) == len(fates)
    for key, line in matched.replies.items():
        reply = service.backend.read(key, asking(""), line)
        assert isinstance(reply, ChatReply)
        assert (reply.key, reply.text) == (key, named(key))
    assert all(failure.key == key for key, failure in matched.failures.items())
    expected = {"whole": 0, "doubled": 0, "expired": 1, "failed": 1, "disputed": 1}
    for key, fate in fates.items():
        assert key in parts[expected.get(fate, 2)], fate


@given(sizes=st.lists(st.integers(1, 30), max_size=60), most=st.integers(1, 9), room=st.integers(1, 60))
def test_files_hold_every_line_once_in_order_and_within_the_limits(sizes: list[int], most: int, room: int) -> None:
    lines = {str(n): b"x" * size for n, size in enumerate(sizes)}
    files = split(lines, Limits(most, room))
    assert [item for file in files for item in file.items()] == list(lines.items())
    for file in files:
        assert 0 < len(file) <= most
        assert len(file) == 1 or sum(len(line) + 1 for line in file.values()) <= room


@given(
    lines=st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: b"\n" not in b and b.strip() == b)),
    cuts=st.lists(st.integers(0, 200)),
)
async def test_lines_are_whole_however_the_body_was_cut(lines: list[bytes], cuts: list[int]) -> None:
    body = b"\n".join(lines)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})

    async def chunks() -> AsyncIterator[bytes]:
        for begin, end in pairwise(edges):
            yield body[begin:end]

    assert await lines_of(chunks(), 100) == lines


async def test_of_a_line_without_end_only_the_beginning_is_kept() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 50
        yield b"\nshort\n"

    long, short = await lines_of(chunks(), 100)
    assert (len(long), short) == (100, b"short")
