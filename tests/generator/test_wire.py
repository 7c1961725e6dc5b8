import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.chat import CallFailure, ChatReply, ChatRequest, Message, call_key
from generator.models.calling import Patience, Persistent
from generator.models.door import Door
from generator.models.openai import OpenAIBackend
from generator.models.wire import LARGEST_REPLY, Answer, Wire, asked_to_wait

SECRET = "sk-0123456789abcdef"
REQUEST = ChatRequest((Message("user", "Hi"),), 0.7, 16)
KEY = call_key("m", REQUEST)

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class SDK:
    """What a wire takes from an SDK's client."""

    base_url: str
    default_headers: dict[str, object] = field(
        default_factory=lambda: {"Content-Type": "application/json", "X-Left-Out": object()}
    )
    auth_headers: dict[str, str] = field(default_factory=lambda: {"Authorization": f"Bearer {SECRET}"})


@dataclass
class Server:
    """Takes requests as they come, byte for byte, and does ``act`` after each."""

    act: Act
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/"

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.add(asyncio.create_task(self.handle(reader, writer)))

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length")
                )
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(length))
                await self.act(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def served(act: Act, kind: type[Server] = Server) -> AsyncIterator[Server]:
    server = kind(act)
    async with await asyncio.start_server(server.connected, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            await server.end()


def sends(*parts: bytes, then: Callable[[asyncio.StreamWriter], None] = lambda writer: None) -> Act:
    async def act(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
        then(writer)

    return act


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def post(url: str, body: dict[str, object] | None = None, idle: float = 5.0) -> Answer | CallFailure:
    wire = Wire(SDK(url), "chat/completions", idle=idle, secret=SECRET)
    try:
        return await wire.post("key", body or {"a": 1})
    finally:
        await wire.close()


async def answered(act: Act, idle: float = 5.0) -> Answer | CallFailure:
    async with served(act) as server:
        return await post(server.url, idle=idle)


async def failed(act: Act, idle: float = 5.0) -> CallFailure:
    answer = await answered(act, idle)
    assert isinstance(answer, CallFailure), answer
    assert answer.key == "key"
    return answer


# What goes out and what comes back


async def test_a_call_goes_to_the_sdks_address_under_its_headers() -> None:
    async with served(sends(http(b"{}"))) as server:
        await post(server.url, {"a": "é"})
    (head,), (body,) = server.heads, server.bodies
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in head
    assert b"Content-Type: application/json\r\n" in head
    assert b"X-Left-Out" not in head
    assert body == b'{"a":"\\u00e9"}'


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "500 Oh", "307 Elsewhere"])
async def test_every_answer_comes_back_whole_whatever_its_status(status: str) -> None:
    answer = await answered(sends(http(b"\xff\x00 body", "X-Said: this", status=status)))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.headers["x-SAID"]) == (int(status[:3]), b"\xff\x00 body", "this")


async def test_a_body_comes_back_the_same_in_chunks_in_gzip_or_up_to_the_end_of_the_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nHe\r\n3\r\nllo\r\n0\r\n\r\n"
    endless = b"HTTP/1.1 200 OK\r\n\r\nHello"
    for act in (
        sends(chunked),
        sends(http(gzip.compress(b"Hello"), "Content-Encoding: gzip")),
        sends(endless, then=hang_up),
    ):
        answer = await answered(act)
        assert isinstance(answer, Answer)
        assert answer.body == b"Hello"


async def test_a_call_of_many_megabytes_goes_out_whole() -> None:
    async with served(sends(http(b"{}"))) as server:
        assert isinstance(await post(server.url, {"a": "x" * 3_000_000}), Answer)
    assert (json.loads(server.bodies[0]), b"chunked" in server.heads[0]) == ({"a": "x" * 3_000_000}, False)
    assert b"Content-Type: application/json\r\n" in server.heads[0]


async def test_one_connection_serves_many_calls() -> None:
    async with served(sends(http(b"{}"))) as server:
        wire = Wire(SDK(server.url), "x", idle=5, secret=SECRET)
        for _ in range(3):
            assert isinstance(await wire.post("key", {}), Answer)
        await wire.close()
    assert (server.connections, len(server.bodies)) == (1, 3)


async def test_a_redirect_is_not_followed_because_it_would_take_the_key_along() -> None:
    async with served(sends(http(b"{}"))) as other:
        act = sends(http(b"", f"Location: {other.url}", status="307 Temporary Redirect"))
        answer = await answered(act)
    assert isinstance(answer, Answer)
    assert (answer.status, other.bodies) == (307, [])


async def test_what_a_netrc_file_says_of_the_host_does_not_replace_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with served(sends(http(b"{}"))) as server:
        await post(server.url)
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in server.heads[0]


async def test_calls_go_by_the_environments_proxy_but_not_where_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(sends(http(b"{}"))) as proxy, served(sends(http(b"{}"))) as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await post("http://nobody.invalid/v1")
        await post(server.url)
    assert [head.split(b"\r\n")[0] for head in proxy.heads] == [
        b"POST http://nobody.invalid/v1/chat/completions HTTP/1.1"
    ]
    assert len(server.heads) == 1


ODD = ["half an emoji \ud83d, the other \ude00", "a NUL \0 and \x1b", "\u202eright to left\u202c", "\u2028\ufeff 😀 é"]


@pytest.mark.parametrize("odd", ODD)
async def test_any_text_goes_out_and_comes_back_unchanged(odd: str) -> None:
    said = {"model": "m", "choices": [{"message": {"content": odd}, "finish_reason": "stop"}]}
    request = ChatRequest((Message("system", odd), Message("user", odd)), 0.7, 16, shared=3)
    async with served(sends(http(json.dumps(said).encode()))) as server:
        backend = OpenAIBackend("m", server.url, SECRET)
        raw = await backend.send(KEY, request)
        await backend.close()
    assert isinstance(raw, bytes)
    assert backend.read(KEY, request, raw) == ChatReply(KEY, odd, "stop", "m")
    assert server.bodies[0].isascii()
    assert [message["content"] for message in json.loads(server.bodies[0])["messages"]] == [odd, odd]


# What breaks


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(sends(then=hang_up), id="no word"),
        pytest.param(sends(then=reset), id="reset"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\nContent-", then=hang_up), id="half a head"),
        pytest.param(sends(http(b"Hello", length=100), then=hang_up), id="short body"),
        pytest.param(sends(http(b"Hello", length=100), then=reset), id="reset in the body"),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHel", then=hang_up), id="half a chunk"
        ),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nHello\r\n", then=hang_up),
            id="no chunk",
        ),
        pytest.param(sends(b"HELLO WHO IS THERE\r\n\r\n", then=hang_up), id="garbage status line"),
        pytest.param(sends(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 9, then=hang_up), id="another protocol"),
        pytest.param(sends(http(b"not gzip", "Content-Encoding: gzip")), id="bad gzip"),
        pytest.param(sends(http(b"Hello", "Content-Length: 6")), id="two lengths"),
        pytest.param(sends(http(b"Hello", "X: " + 10**6 * "x")), id="an endless header"),
    ],
)
async def test_what_breaks_off_is_a_broken_connection_that_may_have_been_charged(act: Act) -> None:
    failure = await failed(act)
    assert (failure.reason, failure.charged) == ("connection", True)
    assert failure.detail.startswith("broke off (")
    assert len(failure.detail) < 400


async def test_a_server_that_refuses_connections_has_charged_nothing() -> None:
    async with served(sends()) as server:
        pass
    failure = await post(server.url)
    assert isinstance(failure, CallFailure)
    assert (failure.reason, failure.charged) == ("connection", False)
    assert str(server.port) in failure.detail


@pytest.mark.parametrize(
    "url", ["http://nobody.invalid", "http://" + "x" * 70 + ".invalid", "ftp://a.invalid", "nobody"]
)
async def test_an_address_that_leads_nowhere_has_charged_nothing(url: str) -> None:
    failure = await post(url)
    assert isinstance(failure, CallFailure)
    assert (failure.reason, failure.charged) == ("connection", False)


async def stays_silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)
    writer.close()


async def falls_silent(writer: asyncio.StreamWriter) -> None:
    await sends(http(b"Hel", length=5))(writer)
    await stays_silent(writer)


@pytest.mark.parametrize("act", [stays_silent, falls_silent])
async def test_silence_is_a_timeout_that_may_have_been_charged(act: Act) -> None:
    failure = await failed(act, idle=0.1)
    assert (failure.reason, failure.charged) == ("timeout", True)


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(http(b"", length=10**6))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_a_reply_that_only_drips_ends_with_the_deadline() -> None:
    async with served(drips) as server:
        backend = OpenAIBackend("m", server.url, SECRET, idle=5)
        began = time.monotonic()
        failure = await Persistent(backend, Door(1), Patience(deadline=0.3)).send(KEY, REQUEST)
        took = time.monotonic() - began
        await backend.close()
    assert failure == CallFailure(KEY, "timeout", "no reply within 0.3 s", charged=True)
    assert 0.3 <= took < 1.3


ZEROS = bytes(LARGEST_REPLY + 1)


@pytest.mark.parametrize(
    "act",
    [
        sends(http(ZEROS)),
        sends(b"HTTP/1.1 200 OK\r\n\r\n" + ZEROS, then=hang_up),
        sends(http(gzip.compress(ZEROS, 1), "Content-Encoding: gzip")),
    ],
    ids=["said beforehand", "not said", "as gzip"],
)
async def test_no_more_is_taken_than_a_reply_may_have(act: Act) -> None:
    failure = await failed(act)
    assert (failure.reason, failure.charged) == ("unreadable", True)
    assert "33,554,432" in failure.detail


async def test_the_largest_reply_is_still_taken() -> None:
    answer = await answered(sends(http(ZEROS[1:])))
    assert isinstance(answer, Answer)
    assert len(answer.body) == LARGEST_REPLY


async def test_a_call_that_is_called_off_leaves_the_way_open_for_others() -> None:
    async def act(writer: asyncio.StreamWriter) -> None:
        if len(server.bodies) == 1:
            await stays_silent(writer)
        await sends(http(b"{}"))(writer)

    async with served(act) as server:
        wire = Wire(SDK(server.url), "x", idle=5, secret=SECRET)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.post("key", {}), 0.1)
        assert isinstance(await wire.post("key", {}), Answer)
        await wire.close()
    assert server.connections == 2


class Early(Server):
    """Answers before it has read more than the head."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await self.act(writer)
        try:
            await stays_silent(writer)
        finally:
            writer.transport.abort()


async def test_an_answer_that_comes_before_all_was_sent_is_taken() -> None:
    act = sends(http(b"too large", status="413 Too Large"))
    async with served(act, Early) as server:
        answer = await post(server.url, {"a": "x" * 10**7})
    assert isinstance(answer, Answer)
    assert answer.status == 413


async def test_a_wire_that_was_never_used_closes_too() -> None:
    await Wire(SDK("http://127.0.0.1:1"), "x", idle=5, secret=SECRET).close()


# The key


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "500 Oh"])
async def test_the_key_is_struck_out_of_whatever_comes_back(status: str) -> None:
    said = json.dumps({"error": {"message": f"{SECRET} and Bearer {SECRET}"}}).encode()
    answer = await answered(sends(http(said, status=status)))
    assert isinstance(answer, Answer)
    assert json.loads(answer.body) == {"error": {"message": "[API key] and Bearer [API key]"}}


@pytest.mark.parametrize(
    "act",
    [
        sends(f"HTTP/1.1 {SECRET}\r\n\r\n".encode(), then=hang_up),
        sends(f"{SECRET}\r\n\r\n".encode(), then=hang_up),
        sends(http(b"Hello", f"{SECRET}"), then=hang_up),
        sends(http(b"Hello", f"Content-Length: {SECRET}"), then=hang_up),
        sends(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n".encode(), then=hang_up),
    ],
)
async def test_no_failure_tells_the_key(act: Act) -> None:
    assert SECRET not in (await failed(act)).detail


@pytest.mark.parametrize("status", [400, 401, 404, 500])
async def test_no_failure_that_the_endpoint_words_tells_the_key(status: int) -> None:
    said = json.dumps({"error": {"message": f"Incorrect API key: {SECRET}", "code": SECRET, "param": SECRET}})
    async with served(sends(http(said.encode(), status=f"{status} No"))) as server:
        backend = OpenAIBackend("m", server.url, SECRET)
        failure = await backend.send(KEY, REQUEST)
        await backend.close()
    assert isinstance(failure, CallFailure)
    assert SECRET not in repr(failure)
    assert "[API key]" in failure.detail


async def test_a_word_that_stands_in_for_a_key_is_left_in_the_text() -> None:
    async with served(sends(http(b"none of them"))) as server:
        wire = Wire(SDK(server.url), "x", idle=5, secret="none")
        answer = await wire.post("key", {})
        await wire.close()
    assert isinstance(answer, Answer)
    assert answer.body == b"none of them"


# How long to wait

NOW = 1_800_000_000
FORMS = st.one_of(
    st.text(st.characters(max_codepoint=0x2FF), max_size=40),
    st.floats().map(str),
    st.sampled_from(["inf", "-inf", "nan", "1e999", "-1", "1_0", "0x1", "infinity", "soon", "", " 5 ", "５", "-0.0"]),
    st.integers(-(10**15), 10**15).map(str),
    st.builds(
        lambda *parts: "{}, {} {} {} {}:{}:{} {}".format(*parts),
        st.sampled_from(["Mon", "xyz", ""]),
        st.integers(-1, 99),
        st.sampled_from(["Jan", "Feb", "zzz", ""]),
        st.sampled_from(["0", "1", "69", "1969", "2030", "9999", "10000", "99999999999"]),
        *[st.integers(-1, 70)] * 3,
        st.sampled_from(["GMT", "-0000", "+9999", "-9959", "EST", "", "+1", "x"]),
    ),
)


@given(st.dictionaries(st.sampled_from(["retry-after-ms", "retry-after", "date"]), FORMS))
def test_whatever_an_endpoint_says_of_waiting_is_a_time_or_nothing(headers: dict[str, str]) -> None:
    seconds = asked_to_wait(headers)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": formatdate(NOW + 30, usegmt=True), "date": formatdate(NOW, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True), "date": formatdate(NOW, usegmt=True)}, 0.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:09 GMT"}, 0.0),
    ],
)
def test_the_time_to_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_to_wait(headers) == seconds


def test_a_date_is_held_against_our_own_clock_where_the_endpoint_shows_none() -> None:
    for date in ({}, {"date": "today"}):
        seconds = asked_to_wait({"retry-after": formatdate(time.time() + 600, usegmt=True), **date})
        assert seconds is not None
        assert 500 < seconds <= 600
