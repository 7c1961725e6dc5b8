"""How an answer goes out: whole, or in one of the ways in which the wire fails."""

import asyncio
import json
import socket
import struct
from dataclasses import replace

from aiohttp import web

from solon.fake_provider.asked import Answer
from solon.fake_provider.faults import Fault

PAGE = b"<!doctype html>\n<html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n"
RESET = struct.pack("ii", 1, 0)  # close at once, with a reset instead of an end


def html(status: int, title: bytes) -> Answer:
    return Answer(status, PAGE % (title, title), "text/html")


def error_that_succeeds() -> Answer:
    return Answer(200, json.dumps({"error": {"message": "upstream failed", "code": 502}}).encode())


async def deliver(request: web.Request, answer: Answer, fault: Fault | None) -> web.StreamResponse:
    """Sends the answer to its last byte, as far as ``fault`` lets it."""
    match fault.kind if fault else None:
        case "hang":
            await asyncio.Event().wait()  # until the client goes, which cancels this
        case "reset":
            return await broken_off(request, answer)
        case "drip":
            assert fault
            return await byte_by_byte(request, answer, fault.seconds)
        case "truncated":
            answer = replace(answer, body=answer.body[: len(answer.body) // 2])
    response = web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type, headers=answer.headers
    )
    await response.prepare(request)
    await response.write_eof()
    return response


async def started(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = answer.content_type
    response.content_length = len(answer.body)
    await response.prepare(request)
    return response


async def broken_off(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Half the body, then a connection reset."""
    response = await started(request, answer)
    await response.write(answer.body[: len(answer.body) // 2])
    transport = request.transport
    if transport is not None:
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport.abort()
    return response


async def byte_by_byte(request: web.Request, answer: Answer, seconds: float) -> web.StreamResponse:
    response = await started(request, answer)
    for number in range(len(answer.body)):
        await asyncio.sleep(seconds / len(answer.body))
        await response.write(answer.body[number : number + 1])
    await response.write_eof()
    return response
