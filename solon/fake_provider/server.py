"""The fake provider on a port: requests in, answers out, every one of them logged."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from aiohttp import web

from constitution.errors import InputError
from solon.fake_provider.asked import Answer
from solon.fake_provider.delivery import deliver, error_that_succeeds, html
from solon.fake_provider.endpoints import ENDPOINTS, Endpoint, whose
from solon.fake_provider.faults import CALLS, ErrorKind, Fault, Faults
from solon.fake_provider.log import Log, Record, fingerprint
from solon.fake_provider.provider import ANTHROPIC, Arrival, Provider, Service, billed

HOST = "127.0.0.1"
LARGEST_BODY = 300 * 2**20  # bytes; the services' own limits lie below
GRACE = 0.2  # seconds that answers under way have to go out when the server is told to stop
WAITING = 1024  # connections that may wait to be taken
ERROR_KINDS: frozenset[str] = frozenset(get_args(ErrorKind))
NO_FAULTS = Faults()


class Server:
    """A running fake provider.

    ``url`` is where it is: OpenAI's clients want ``{url}/v1`` for a base URL, Anthropic's ``url`` itself.
    """

    def __init__(self, faults: Faults, latency: float, log: Log, key: str | None) -> None:
        self.url = ""
        self.latency = latency
        self.log = log
        self.key = key
        self.started = time.monotonic()
        self.provider = Provider(faults, log, self.started)
        self.number = 0
        self.in_flight = 0

    @property
    def requests(self) -> list[Record]:
        """What the log says so far; empty where no records are kept."""
        return self.log.kept or []

    async def handle(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        raw, form, too_large = await read(request)
        body, key = parsed(raw), key_of(request.headers)
        service = whose(endpoint, request.headers)
        answer, fault, sent = self.turned_away(service, key, too_large), None, False
        self.number += 1
        target = f"{request.method} {request.path}"
        if answer is None:
            fault = self.provider.strikes.draw(
                self.number, target, body.get("model") if isinstance(body, dict) else None
            )
        record = self.begin(request, body, key, fault)
        try:
            if answer is None:
                url = f"http://{request.host}"
                parts, query = request.match_info, request.query
                answer = self.answer(
                    endpoint, Arrival(record.number, service, raw, body, parts, query, url, form, fault)
                )
            await self.wait(target, fault)
            response = await deliver(request, with_id(answer, service, record.number), fault)
            sent = True
            return response
        finally:  # also where the client goes, which cancels this
            self.end(record, answer, sent)

    def turned_away(self, service: Service, key: str, too_large: bool) -> Answer | None:
        if too_large:
            return service.error("too-large")
        return service.error("auth") if self.key is not None and key != self.key else None

    def begin(self, request: web.Request, body: Any, key: str, fault: Fault | None) -> Record:
        self.in_flight += 1
        record = Record(
            "begin",
            self.number,
            time.monotonic() - self.started,
            request.method,
            request.path,
            body,
            fingerprint(key) if key else None,
            fault.kind if fault else None,
            in_flight=self.in_flight,
        )
        self.log.write(record)
        return record

    def answer(self, endpoint: Endpoint, arrival: Arrival) -> Answer:
        """What the fault puts in the place of an answer, or the answer."""
        fault = arrival.fault
        if fault and (fault.kind == "bad-gateway" or fault.kind in ERROR_KINDS):
            bad_gateway = fault.kind == "bad-gateway"
            kind = cast(ErrorKind, fault.kind)
            error = html(502, b"502 Bad Gateway") if bad_gateway else arrival.service.error(kind)
            return replace(error, headers={fault.header: fault.retry_after} if fault.retry_after is not None else {})
        if fault and fault.kind == "invalid":
            return html(200, b"Just a moment")
        if fault and fault.kind == "wrong-shape":
            return error_that_succeeds()
        return endpoint.action(self.provider, arrival)

    async def wait(self, target: str, fault: Fault | None) -> None:
        latency = self.latency if target in CALLS else 0.0
        if fault and fault.kind == "slow":
            latency += fault.seconds
        if latency:
            await asyncio.sleep(latency)

    def end(self, record: Record, answer: Answer | None, sent: bool) -> None:
        self.in_flight -= 1
        self.log.write(
            replace(
                record,
                event="end",
                at=time.monotonic() - self.started,
                status=answer.status if answer and sent else None,
                usage=billed(answer.usage) if answer else None,
                in_flight=self.in_flight,
            )
        )


async def read(request: web.Request) -> tuple[bytes, Mapping[str, Any], bool]:
    """The body, the fields of an upload, and whether there is more of it than anybody takes."""
    try:
        if request.content_type == "multipart/form-data":
            return b"", await request.post(), False
        return await request.read(), {}, False
    except web.HTTPRequestEntityTooLarge:
        return b"", {}, True


def parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return None


def with_id(answer: Answer, service: Service, number: int) -> Answer:
    name = "request-id" if service is ANTHROPIC else "x-request-id"
    return replace(answer, headers={**answer.headers, name: f"req_{number}"})


def key_of(headers: Mapping[str, str]) -> str:
    return headers.get("x-api-key") or headers.get("Authorization", "").removeprefix("Bearer ")


@asynccontextmanager
async def serving(
    faults: Faults = NO_FAULTS,
    *,
    latency: float = 0.0,
    log: Path | None = None,
    key: str | None = None,
    port: int = 0,
    keep: bool = True,
) -> AsyncIterator[Server]:
    """A fake provider in this event loop, until the block is left.

    Args:
        latency: seconds that a model call takes.
        log: a file that the log goes to the end of.
        key: the only API key that is good; None takes any.
        port: of 127.0.0.1; 0 picks a free one.
        keep: whether ``requests`` holds the log's records.

    Raises:
        InputError: the port is taken, or the log cannot be written.
    """
    server = Server(faults, latency, Log(log, keep), key)
    app = web.Application(client_max_size=LARGEST_BODY)
    for endpoint in ENDPOINTS:
        app.router.add_route(endpoint.method, endpoint.path, partial(server.handle, endpoint))
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=GRACE)
    await runner.setup()
    try:
        await listen(runner, port)
        server.url = f"http://{HOST}:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
        await server.provider.close()
        server.log.close()


async def listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port, backlog=WAITING).start()
    except OSError as error:
        raise InputError(f"port {port}", f"cannot be listened on ({error.strerror})", "choose another, or 0") from None
