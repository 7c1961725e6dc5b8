"""Any endpoint that speaks OpenAI's chat completions, through the ``openai`` SDK."""

import json
from typing import Any

import openai

from generator.chat import (
    CallFailure,
    ChatReply,
    ChatRequest,
    FailureReason,
    Finish,
    Outcome,
    TokenLogprob,
    Usage,
    call_key,
    sampling_seed,
)
from generator.models.calling import PATIENT, Patience, persist

FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
BY_STATUS: dict[int, FailureReason] = {
    400: "bad request", 401: "auth", 403: "auth", 404: "unknown model", 408: "timeout", 422: "bad request",
    429: "rate limit",
}  # fmt: skip
OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
LARGEST_LOGPROB = 1e-3  # rounding lifts a certain token's a little above 0
MISSING_LOGPROB = -9999.0  # vLLM's stand-in for minus infinity


class OpenAIBackend:
    """A ``Backend`` over one model of one endpoint.

    The model's name alone is its identity in every call's key, not the endpoint's address: a journal
    stays good when the same model moves.

    Args:
        keep_alive: whatever must live as long as the backend does, such as the server behind it.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None,
        api_key: str,
        *,
        patience: Patience = PATIENT,
        keep_alive: object = None,
    ) -> None:
        self.model = model
        self.patience = patience
        self.keep_alive = keep_alive
        self.client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=api_key,
            max_retries=0,  # ours are in `calling`, under one deadline
            timeout=patience.deadline,
            http_client=openai.DefaultAioHttpClient(),
        )

    @property
    def identity(self) -> str:
        return self.model

    async def send(self, request: ChatRequest) -> bytes | CallFailure:
        key = call_key(self.identity, request)
        return await persist(key, lambda: self.send_once(key, request), self.patience)

    async def send_once(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        try:
            response = await self.client.chat.completions.with_raw_response.create(**self.body(key, request))
        except UnicodeEncodeError as error:  # a lone surrogate, from a model's text
            return CallFailure(key, "bad request", f"not valid Unicode: {error}")
        except openai.APIStatusError as error:
            return CallFailure(key, reason_of(error), str(error)[:500])
        except openai.APIConnectionError as error:
            if timed_out(error):
                return CallFailure(key, "timeout", "the endpoint did not answer in time")
            return CallFailure(key, "connection", f"the endpoint cannot be reached ({error.__cause__})")
        return whole(key, response.content)

    def body(self, key: str, request: ChatRequest) -> dict[str, Any]:
        """What is sent; the sample's number becomes a seed, which is derived from the whole call."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "seed": sampling_seed(key),
        }
        if request.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        return body

    def read(self, key: str, raw: bytes) -> Outcome:
        try:
            return read_reply(key, json.loads(raw))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            return CallFailure(key, "unreadable", f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        await self.client.close()
        self.keep_alive = None


def whole(key: str, raw: bytes) -> bytes | CallFailure:
    """``raw`` where it is all there; what it says is for ``read``, since whatever came whole was paid for."""
    try:
        json.loads(raw)
    except (ValueError, RecursionError) as error:
        return CallFailure(key, "unreadable", f"{type(error).__name__}: {error}")
    return raw


def reason_of(error: openai.APIStatusError) -> FailureReason:
    if error.code in OVERFLOW_CODES or error.type in OVERFLOW_CODES:
        return "context overflow"
    if error.code == "insufficient_quota":
        return "quota"
    return BY_STATUS.get(error.status_code, "server error" if error.status_code >= 500 else "bad request")


def timed_out(error: openai.APIConnectionError) -> bool:
    """Whether it was time that ran out: the aiohttp transport calls every broken connection a timeout too."""
    beneath = error.__cause__.__cause__ if error.__cause__ else None
    return isinstance(error, openai.APITimeoutError) and (beneath is None or isinstance(beneath, TimeoutError))


def read_reply(key: str, body: dict[str, Any]) -> ChatReply:
    """The reply in a chat completion's body; whatever is not as promised raises."""
    choice = body["choices"][0]
    message = choice["message"]
    refused = bool(message.get("refusal"))
    text = message["refusal"] if refused else message["content"] or ""
    if not isinstance(text, str):
        raise TypeError(f"the content is {type(text).__name__}, not text")
    usage = body.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    return ChatReply(
        key,
        text,
        "refusal" if refused else FINISHES[choice["finish_reason"]],
        str(body["model"]),
        Usage(
            usage.get("prompt_tokens", 0),
            usage.get("completion_tokens", 0),
            details.get("cached_tokens", 0) or 0,
        ),
        first_token_of(choice),
    )


def first_token_of(choice: dict[str, Any]) -> tuple[TokenLogprob, ...]:
    content = (choice.get("logprobs") or {}).get("content") or []
    given = content[0]["top_logprobs"] if content else []
    tokens = [TokenLogprob(str(t["token"]), float(t["logprob"])) for t in given]
    if any(t.logprob > LARGEST_LOGPROB for t in tokens):
        raise ValueError("a log-prob above 0")
    return tuple(t for t in tokens if t.logprob > MISSING_LOGPROB)
