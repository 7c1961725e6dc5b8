"""OpenAI's shapes: chat completions, models and errors, as its SDK's types have them."""

import hashlib
import json
from typing import Any

from generator.chat import Message, TokenLogprob, Usage
from solon.fake_provider.asked import (
    CHARACTERS,
    CONTEXT,
    DEFAULT_MOST,
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
    prompt_tokens,
)
from solon.fake_provider.faults import ErrorKind

CREATED = 1_788_220_800  # the same in every reply, so that one request always has one reply
LEAST_CACHED, CACHE_STEP = 1024, 128  # tokens
KNOWN = frozenset(
    """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity
    web_search_options""".split()
)
FINISHES = {"stop": "stop", "length": "length", "window": "length", "content_filter": "content_filter"}
BAD = "invalid_request_error"
QUOTA = (429, "You exceeded your current quota: see your plan and billing details.", "insufficient_quota",
         "insufficient_quota")  # fmt: skip
ERRORS: dict[ErrorKind, tuple[int, str, str, str | None]] = {  # status, message, type, code
    "rate-limit": (429, "Rate limit reached on requests per min. Please try again later.", "requests",
                   "rate_limit_exceeded"),
    "quota": QUOTA,
    "credit": QUOTA,
    "auth": (401, "Incorrect API key provided.", BAD, "invalid_api_key"),
    "forbidden": (403, "You have insufficient permissions for this operation.", BAD, "insufficient_permissions"),
    "unknown-model": (404, "The model does not exist or you do not have access to it.", BAD, "model_not_found"),
    "overflow": (400, f"This model's maximum context length is {CONTEXT} tokens. Please reduce the length of the "
                 "messages.", BAD, "context_length_exceeded"),
    "bad-request": (400, "Invalid value in the request.", BAD, "invalid_value"),
    "too-large": (413, "The data transmitted exceeds the capacity limit.", BAD, None),
    "server-error": (500, "The server had an error while processing your request.", "server_error", None),
    "unavailable": (503, "The service is temporarily unavailable.", "server_error", "service_unavailable"),
    "overloaded": (529, "The engine is currently overloaded, please try again later.", "server_error", "overloaded"),
}  # fmt: skip


def error(kind: ErrorKind) -> Answer:
    return failure(*ERRORS[kind])


def failure(status: int, message: str, type: str = BAD, code: str | None = None, param: str | None = None) -> Answer:
    fields = {"message": message, "type": type, "param": param, "code": code}
    return Answer(status, json.dumps({"error": fields}).encode())


def refuse(message: str, param: str, code: str | None, status: int = 400) -> Refused:
    return Refused(failure(status, message, BAD, code, param))


def read(body: Json, custom_id: str = "") -> Asked:
    """The call that ``body`` asks for.

    Raises:
        Refused: as the service would.
    """
    model = model_of(body)
    check_values(body)
    if is_reasoning(model):
        check_reasoning(body)
    messages = read_messages(body.get("messages"))
    prompt = prompt_tokens(message.content for message in messages)
    if prompt > CONTEXT:
        raise refuse(f"This model's maximum context length is {CONTEXT} tokens. However, your messages resulted in "
                     f"{prompt} tokens.", "messages", "context_length_exceeded")  # fmt: skip
    field, choices = held_to(body.get("response_format"))
    temperature = body.get("temperature")
    return Asked(
        model,
        messages,
        prompt,
        temperature=1.0 if temperature is None else temperature,
        most=body.get("max_completion_tokens") or body.get("max_tokens") or DEFAULT_MOST,
        variety=variety_of(body, custom_id),
        top_logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        field=field,
        choices=choices,
        prefixes=prefixes_of(messages, prompt),
    )


def model_of(body: Json) -> str:
    """The model's name, from a body with nothing in it that the service does not know."""
    if unknown := sorted(body.keys() - KNOWN):
        raise Refused(failure(400, f"Unrecognized request argument supplied: {', '.join(unknown)}"))
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise refuse("you must provide a model parameter", "model", None)
    if is_unknown(model):
        raise refuse(f"The model `{model}` does not exist or you do not have access to it.", "model",
                     "model_not_found", 404)  # fmt: skip
    return model


def variety_of(body: Json, custom_id: str) -> int:
    """The seed; a batch row without one is told apart by its custom_id."""
    seed = body.get("seed")
    return seed if isinstance(seed, int) else int(hashlib.sha256(custom_id.encode()).hexdigest()[:8], 16)


def check_values(body: Json) -> None:
    if body.get("stream") or (body.get("n") or 1) != 1 or body.get("tools"):
        raise refuse("This fake provider neither streams nor gives several choices nor calls tools.", "stream",
                     "unsupported_parameter")  # fmt: skip
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("top_logprobs", 0, 20)):
        value = body.get(name)
        if value is not None and not is_number(value, low, high):
            raise refuse(f"Invalid '{name}': expected a number from {low} to {high}.", name, "invalid_value")
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise refuse(f"Invalid '{name}': integer below minimum value, expected a value >= 1.", name,
                         "integer_below_min_value")  # fmt: skip
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise refuse("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs", None)


def check_reasoning(body: Json) -> None:
    if "max_tokens" in body:
        raise refuse("Unsupported parameter: 'max_tokens' is not supported with this model. "
                     "Use 'max_completion_tokens' instead.", "max_tokens", "unsupported_parameter")  # fmt: skip
    for name in ("logprobs", "top_logprobs"):
        if body.get(name):
            raise refuse(f"Unsupported parameter: '{name}' is not supported with this model.", name,
                         "unsupported_parameter")  # fmt: skip
    if body.get("temperature", 1) != 1:
        raise refuse(f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. "
                     "Only the default (1) value is supported.", "temperature", "unsupported_value")  # fmt: skip


def read_messages(messages: object) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        raise refuse("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    return tuple(read_message(message, f"messages[{index}]") for index, message in enumerate(messages))


def read_message(message: Any, place: str) -> Message:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("system", "developer", "user", "assistant"):
        raise refuse(f"Invalid value for '{place}.role'.", f"{place}.role", "invalid_value")
    content = message.get("content")
    if isinstance(content, list) and all(isinstance(b, dict) and isinstance(b.get("text"), str) for b in content):
        content = "".join(block["text"] for block in content)
    if not isinstance(content, str):
        raise refuse(f"Invalid type for '{place}.content': expected text.", f"{place}.content", "invalid_type")
    return Message("system" if role == "developer" else role, content)


def held_to(format: Any) -> tuple[str, tuple[object, ...]]:
    if not format or format.get("type") == "text":
        return "", ()
    schema = format.get("json_schema")
    found = enum_of(schema.get("schema") if isinstance(schema, dict) else None)
    if found is None:
        raise refuse("This fake provider keeps only a json_schema whose one property is an enum.", "response_format",
                     "unsupported_value")  # fmt: skip
    return found


def prefixes_of(messages: tuple[Message, ...], prompt: int) -> tuple[Prefix, ...]:
    """What the service caches on its own: long prompts only, in steps."""
    if prompt < LEAST_CACHED:
        return ()
    text = "".join(f"{WRAP}{message.content}" for message in messages).encode("utf-8", "surrogatepass")
    digest, begun, prefixes = hashlib.sha256(), 0, []
    for length in range(LEAST_CACHED, prompt + 1, CACHE_STEP):
        digest.update(text[begun : length * CHARACTERS])
        begun = length * CHARACTERS
        prefixes.append(Prefix(digest.hexdigest(), length))
    return tuple(prefixes)


WRAP = "\x1e" * 4 * CHARACTERS  # what a message costs beside its text


def write(asked: Asked, said: Said, name: str) -> bytes:
    """The body of a chat completion; ``name`` is the hash of the request."""
    refused = said.finish == "refusal"
    message: Json = {
        "role": "assistant",
        "content": None if refused else said.text,
        "refusal": said.text if refused else None,
        "annotations": [],
    }
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None if asked.top_logprobs is None else logprobs(asked.top_logprobs, said),
        "finish_reason": "stop" if refused else FINISHES[said.finish],
    }
    body = {
        "id": f"chatcmpl-{name[:24]}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": [choice],
        "usage": usage(said.usage, said.hidden),
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }
    return json.dumps(body, separators=(",", ":")).encode()


def usage(spent: Usage, hidden: int) -> Json:
    return {
        "prompt_tokens": spent.prompt,
        "completion_tokens": spent.completion,
        "total_tokens": spent.prompt + spent.completion,
        "prompt_tokens_details": {"cached_tokens": spent.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": hidden,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprobs(top: int, said: Said) -> Json:
    text = said.text or ""
    pieces = [text[begin : begin + CHARACTERS] for begin in range(0, len(text), CHARACTERS)]
    content = [token(piece, -0.1) | {"top_logprobs": [token(piece, -0.1)][:top]} for piece in pieces]
    if content and said.first_token:
        content[0] = token(said.first_token[0].token, said.first_token[0].logprob)
        content[0]["top_logprobs"] = [token(t.token, t.logprob) for t in most_likely(said.first_token)[:top]]
    return {"content": content, "refusal": None}


def most_likely(tokens: tuple[TokenLogprob, ...]) -> list[TokenLogprob]:
    return sorted(tokens, key=lambda token: -token.logprob)


def token(text: str, logprob: float) -> Json:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "surrogatepass"))}


def model_object(model: str) -> Json:
    return {"id": model, "object": "model", "created": CREATED, "owned_by": "fake-provider"}


def model_list(models: tuple[str, ...]) -> Json:
    return {"object": "list", "data": [model_object(model) for model in models]}
