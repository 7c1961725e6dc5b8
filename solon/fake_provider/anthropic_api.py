"""Anthropic's shapes: messages, models and errors, as its SDK's types have them."""

import hashlib
import json
from typing import Any

from constitution.identity import canonical_json
from generator.chat import Message, Role, Usage
from solon.fake_provider.asked import (
    CONTEXT,
    WRAPPING,
    Answer,
    Asked,
    Json,
    Prefix,
    Refused,
    Said,
    enum_of,
    is_number,
    is_reasoning,
    is_unknown,
    tokens,
)
from solon.fake_provider.faults import ErrorKind

KNOWN = frozenset(
    """cache_control container diagnostics inference_geo max_tokens messages metadata model output_config service_tier
    speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p""".split()
)
MOST_BREAKPOINTS = 4
SAMPLING = ("temperature", "top_p", "top_k")  # which the latest models no longer take
CREATED_AT = "2026-09-01T00:00:00Z"
FINISHES = {
    "stop": "end_turn", "length": "max_tokens", "window": "model_context_window_exceeded",
    "content_filter": "refusal", "refusal": "refusal",
}  # fmt: skip
BAD = "invalid_request_error"
ERRORS: dict[ErrorKind, tuple[int, str, str]] = {  # status, type, message
    "rate-limit": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "quota": (429, "rate_limit_error", "Your organization has reached its API usage threshold for this month."),
    "credit": (400, BAD, "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."),
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "unknown-model": (404, "not_found_error", "model: not found"),
    "overflow": (400, BAD, f"prompt is too long: {CONTEXT + 1} tokens > {CONTEXT} maximum"),
    "bad-request": (400, BAD, "messages: Input should be a valid list"),
    "too-large": (413, "request_too_large", "Request exceeds the maximum size"),
    "server-error": (500, "api_error", "Internal server error"),
    "unavailable": (503, "api_error", "Service temporarily unavailable"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}
SPEND_LIMIT = "enforced_spend_limit_reached"


def error(kind: ErrorKind) -> Answer:
    details = {"details": {"error_code": SPEND_LIMIT}} if kind == "quota" else {}
    return failure(*ERRORS[kind], details)


def failure(status: int, type: str, message: str, details: Json | None = None) -> Answer:
    body = {"type": "error", "error": {"type": type, "message": message, **(details or {})}, "request_id": None}
    return Answer(status, json.dumps(body).encode())


def refuse(message: str) -> Refused:
    return Refused(failure(400, BAD, message))


def read(body: Json, custom_id: str = "") -> Asked:
    """The call that ``body`` asks for.

    Raises:
        Refused: as the service would.
    """
    model = model_of(body)
    check_values(body, model)
    blocks = blocks_of(body)
    prefixes, prompt = cacheable(blocks, bool(body.get("cache_control")))
    if prompt > CONTEXT:
        raise refuse(f"prompt is too long: {prompt} tokens > {CONTEXT} maximum")
    field, choices = held_to(body.get("output_config"))
    return Asked(
        model,
        merged(blocks),
        prompt,
        temperature=body.get("temperature", 1.0),
        most=body["max_tokens"],
        variety=variety_of(body, custom_id),
        field=field,
        choices=choices,
        prefixes=prefixes,
    )


def model_of(body: Json) -> str:
    """The model's name, from a body with nothing in it that the service does not know."""
    if unknown := sorted(body.keys() - KNOWN):
        raise refuse(f"{unknown[0]}: Extra inputs are not permitted")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise refuse("model: Field required")
    if is_unknown(model):
        raise Refused(failure(404, "not_found_error", f"model: {model}"))
    return model


def variety_of(body: Json, custom_id: str) -> int:
    """The service takes no seed: calls that are otherwise the same differ by metadata or custom_id, or not at all."""
    told_apart = canonical_json([body.get("metadata"), custom_id])
    return int(hashlib.sha256(told_apart).hexdigest()[:8], 16)


def check_values(body: Json, model: str) -> None:
    most = body.get("max_tokens")
    if most is None:
        raise refuse("max_tokens: Field required")
    if not isinstance(most, int) or most < 1:
        raise refuse("max_tokens: Input should be greater than or equal to 1")
    if body.get("stream") or body.get("tools"):
        raise refuse("stream: this fake provider neither streams nor calls tools")
    for name in ("temperature", "top_p"):
        if name in body and not is_number(body[name], 0, 1):
            raise refuse(f"{name}: range: 0..1")
    if is_reasoning(model):
        for name in SAMPLING:
            if body.get(name, 1) != 1:
                raise refuse(f"`{name}` is deprecated for this model.")


def blocks_of(body: Json) -> list[tuple[Role, Json]]:
    """Every text block of the request in the order in which it is read, with who says it."""
    blocks: list[tuple[Role, Json]] = [("system", block) for block in texts(body.get("system") or [], "system")]
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refuse("messages: Field required" if messages is None else "messages: at least one message is required")
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant"):
            raise refuse(f"messages.{index}.role: Input should be 'user' or 'assistant'")
        blocks += [(role, block) for block in texts(message.get("content"), f"messages.{index}.content")]
    return blocks


def texts(content: Any, place: str) -> list[Json]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise refuse(f"{place}: Input should be a valid list")
    for index, block in enumerate(content):
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            raise refuse(f"{place}.{index}: this fake provider reads text blocks only")
        if not block["text"]:
            raise refuse(f"{place}: text content blocks must be non-empty")
    return content


def merged(blocks: list[tuple[Role, Json]]) -> tuple[Message, ...]:
    """Blocks of one turn are one text."""
    messages: list[Message] = []
    for role, block in blocks:
        if messages and messages[-1].role == role:
            messages[-1] = Message(role, messages[-1].content + block["text"])
        else:
            messages.append(Message(role, block["text"]))
    return tuple(messages)


def cacheable(blocks: list[tuple[Role, Json]], at_the_end: bool) -> tuple[tuple[Prefix, ...], int]:
    """The prefixes that the request marks for the cache, and the tokens of the whole prompt."""
    digest, read, prefixes = hashlib.sha256(), 0, []
    for number, (role, block) in enumerate(blocks, 1):
        read += WRAPPING + tokens(block["text"])
        digest.update(canonical_json([role, block["text"]]))
        if block.get("cache_control") or (at_the_end and number == len(blocks)):
            prefixes.append(Prefix(digest.hexdigest(), read))
    if len(prefixes) > MOST_BREAKPOINTS:
        raise refuse(f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. "
                     f"Found {len(prefixes)}.")  # fmt: skip
    return tuple(prefixes), read


def held_to(config: Any) -> tuple[str, tuple[object, ...]]:
    format = config.get("format") if isinstance(config, dict) else None
    if not format:
        return "", ()
    found = enum_of(format.get("schema"))
    if format.get("type") != "json_schema" or found is None:
        raise refuse("output_config.format: this fake provider keeps only a json_schema whose one property is an enum")
    return found


def write(asked: Asked, said: Said, name: str) -> bytes:
    """The body of a message; ``name`` is the hash of the request."""
    refused = said.finish in ("refusal", "content_filter")
    body = {
        "id": f"msg_{name[:24]}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content_of(said),
        "stop_reason": FINISHES[said.finish],
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": None, "explanation": None} if refused else None,
        "usage": usage(said.usage, said.hidden),
    }
    return json.dumps(body, separators=(",", ":")).encode()


def content_of(said: Said) -> list[Json] | None:
    if said.finish == "content_filter" or (said.hidden and not said.text):
        return []
    return None if said.text is None else [{"type": "text", "text": said.text}]


def usage(spent: Usage, hidden: int) -> Json:
    """Here the input tokens are those that the cache had no part in."""
    return {
        "input_tokens": spent.prompt - spent.cached - spent.stored,
        "cache_creation_input_tokens": spent.stored,
        "cache_read_input_tokens": spent.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": spent.stored, "ephemeral_1h_input_tokens": 0},
        "output_tokens": spent.completion,
        "output_tokens_details": {"thinking_tokens": hidden},
        "service_tier": "standard",
    }


def model_object(model: str) -> Json:
    return {
        "type": "model",
        "id": model,
        "display_name": model,
        "created_at": CREATED_AT,
        "lifecycle": "active",
        "max_input_tokens": CONTEXT,
        "max_tokens": CONTEXT,
    }


def model_list(models: tuple[str, ...]) -> Json:
    data = [model_object(model) for model in models]
    return {"data": data, "has_more": False, "first_id": models[0], "last_id": models[-1]}
