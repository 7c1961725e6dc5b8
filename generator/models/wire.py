"""JSON to one address and bytes back, to an SDK's address and under its headers.

The SDKs build and check records around every call, which takes 0.5 ms of CPU where the sending itself takes
0.15. A call here needs none of that: what is sent is ours already, and what comes back is kept as bytes. So
the SDK says where to send, who is asking and in which version of the API, and aiohttp, which carries the
SDK's own traffic too, sends: no more bytes are taken back than are allowed, and every fault keeps its name.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from generator.chat import CallFailure

LARGEST_REPLY = 32 * 2**20  # bytes; a chat completion with log-probs has some ten thousand
IDLE = 120.0  # seconds without a byte, if nothing else is said
CONNECT_WITHIN = 15.0  # seconds
IN_ONE_PIECE = 2**20  # bytes; more of them would hold up the event loop
LONGEST_DETAIL = 300  # characters
SHORTEST_SECRET = 16  # characters; shorter ones are placeholders such as `none`


class SDKClient(Protocol):
    """What both SDKs' clients have in common."""

    @property
    def base_url(self) -> object: ...

    @property
    def default_headers(self) -> dict[str, Any]: ...

    @property
    def auth_headers(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered, whatever it thinks of the call."""

    status: int
    headers: Mapping[str, str]  # whose names may be asked for in any case
    body: bytes


class Wire:
    """The way to one address of an endpoint. Redirects are not followed: they would take the key along.

    Args:
        idle: seconds without a byte, after which the endpoint counts as gone.
        secret: the API key, which is struck out of whatever comes back.
    """

    def __init__(self, sdk: SDKClient, path: str, *, idle: float, secret: str) -> None:
        self.url = f"{str(sdk.base_url).rstrip('/')}/{path}"
        said = {**sdk.default_headers, **sdk.auth_headers}
        self.headers = {name: value for name, value in said.items() if isinstance(value, str)}
        self.proxy = proxy_for(self.url)
        spellings = {secret, secret.replace("/", "\\/")} if len(secret) >= SHORTEST_SECRET else ()
        self.secrets = tuple(spelling.encode() for spelling in spellings)  # as JSON may escape it, too
        self.timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=min(idle, CONNECT_WITHIN), sock_read=idle
        )
        self.session: aiohttp.ClientSession | None = None

    async def post(self, key: str, body: dict[str, Any]) -> Answer | CallFailure:
        """The whole answer, or why there is none. Text goes out as ASCII, so that no character is unfit to send."""
        content = json.dumps(body, separators=(",", ":")).encode("ascii")
        data = content if len(content) < IN_ONE_PIECE else BytesIO(content)
        try:
            async with self.opened().post(self.url, data=data, proxy=self.proxy, allow_redirects=False) as response:
                received = await whole(response.content)
                if received is None:
                    return CallFailure(key, "unreadable", f"more than {LARGEST_REPLY:,} bytes", charged=True)
                return Answer(response.status, response.headers, self.without_secret(received))
        except (aiohttp.ClientError, TimeoutError, UnicodeError) as error:
            failure = broken(key, error)
            told = self.without_secret(failure.detail.encode("utf-8", "replace")).decode()
            return replace(failure, detail=told[:LONGEST_DETAIL])

    def opened(self) -> aiohttp.ClientSession:
        """The session, which can only be made while the event loop runs."""
        if self.session is None:
            connector = aiohttp.TCPConnector(limit=0)  # how many at once is the door's to say
            self.session = aiohttp.ClientSession(connector=connector, headers=self.headers, timeout=self.timeout)
        return self.session

    def without_secret(self, body: bytes) -> bytes:
        for secret in self.secrets:
            if secret in body:
                body = body.replace(secret, b"[API key]")
        return body

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()


def proxy_for(url: str) -> str | None:
    """The environment's proxy; none for what runs on this machine.

    aiohttp would find it too, but with it a .netrc that overrules the key.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


async def whole(content: aiohttp.StreamReader) -> bytes | None:
    """Everything that comes, or None where it is more than ``LARGEST_REPLY`` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in content.iter_any():
        size += len(part)
        if size > LARGEST_REPLY:
            return None
        parts.append(part)
    return b"".join(parts)


def broken(key: str, error: Exception) -> CallFailure:
    """What became of a call that brought no whole answer; charged wherever the endpoint may have received it.

    The SDKs wrap what aiohttp raises, and call every broken connection a timeout: what lies beneath counts.
    """
    beneath = error if isinstance(error, aiohttp.ClientError) else error.__cause__ or error
    said = " ".join(str(beneath).split()) or type(beneath).__name__
    match beneath:
        case aiohttp.ClientConnectorError() | aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | UnicodeError():
            return CallFailure(key, "connection", f"nobody answers ({said})")
        case aiohttp.ConnectionTimeoutError():
            return CallFailure(key, "timeout", "no connection in time")
        case TimeoutError():
            return CallFailure(key, "timeout", "the endpoint sent nothing for too long", charged=True)
        case _:
            return CallFailure(key, "connection", f"broke off ({said})", charged=True)


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that an endpoint asks to wait: given in ms, in seconds or as a date; None where it makes no sense.

    A date is held against the endpoint's own clock, where it tells that too.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if name in headers:
            try:
                seconds = float(headers[name]) * unit
            except ValueError:
                continue
            return seconds if seconds >= 0 else None  # also without sense: nan
    until = moment(headers.get("retry-after"))
    if until is None:
        return None
    return max(0.0, until - (moment(headers.get("date")) or time.time()))


def moment(date: str | None) -> float | None:
    """An HTTP date in seconds since 1970."""
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None
