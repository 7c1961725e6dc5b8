"""Every endpoint of both services, and what stands behind it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from solon.fake_provider import anthropic_desk, openai_desk
from solon.fake_provider.asked import Answer
from solon.fake_provider.provider import ANTHROPIC, OPENAI, Arrival, Provider, Service

Action: TypeAlias = Callable[[Provider, Arrival], Answer]
NO_SUCH_PATH = b'{"error":{"message":"Invalid URL","type":"invalid_request_error","param":null,"code":null}}'


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: str
    action: Action
    service: Service | None = None  # None: a header tells whose it is


def no_such_path(provider: Provider, arrival: Arrival) -> Answer:
    return Answer(404, NO_SUCH_PATH)


def whose(endpoint: Endpoint, headers: Mapping[str, str]) -> Service:
    return endpoint.service or (ANTHROPIC if "anthropic-version" in headers else OPENAI)


ENDPOINTS = (
    Endpoint("GET", "/v1/models", Provider.models),
    Endpoint("GET", "/v1/models/{id}", Provider.model),
    Endpoint("POST", "/v1/chat/completions", Provider.call, OPENAI),
    Endpoint("POST", "/v1/files", openai_desk.upload, OPENAI),
    Endpoint("GET", "/v1/files/{id}", openai_desk.show_file, OPENAI),
    Endpoint("GET", "/v1/files/{id}/content", openai_desk.file_content, OPENAI),
    Endpoint("POST", "/v1/batches", openai_desk.create_batch, OPENAI),
    Endpoint("GET", "/v1/batches", openai_desk.list_batches, OPENAI),
    Endpoint("GET", "/v1/batches/{id}", openai_desk.show_batch, OPENAI),
    Endpoint("POST", "/v1/batches/{id}/cancel", openai_desk.cancel_batch, OPENAI),
    Endpoint("POST", "/v1/messages", Provider.call, ANTHROPIC),
    Endpoint("POST", "/v1/messages/batches", anthropic_desk.create_batch, ANTHROPIC),
    Endpoint("GET", "/v1/messages/batches", anthropic_desk.list_batches, ANTHROPIC),
    Endpoint("GET", "/v1/messages/batches/{id}", anthropic_desk.show_batch, ANTHROPIC),
    Endpoint("GET", "/v1/messages/batches/{id}/results", anthropic_desk.results, ANTHROPIC),
    Endpoint("POST", "/v1/messages/batches/{id}/cancel", anthropic_desk.cancel_batch, ANTHROPIC),
    Endpoint("*", "/{rest:.*}", no_such_path),
)
