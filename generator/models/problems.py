"""What an endpoint's refusal means: who must act, and whether asking again can help."""

import json
from dataclasses import dataclass

from generator.chat import CallFailure, FailureReason
from generator.models.wire import Answer, asked_to_wait

BY_STATUS: dict[int, FailureReason] = {
    401: "auth", 402: "quota", 403: "auth", 404: "unknown model", 408: "timeout", 409: "server error",
    413: "context overflow", 425: "rate limit", 429: "rate limit", 503: "overloaded", 529: "overloaded",
}  # fmt: skip
BY_CODE: dict[str, FailureReason] = {
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "billing_error": "quota",
    "enforced_spend_limit_reached": "quota",  # Anthropic, with a 429
    "contract_spend_limit_reached": "quota",
    "invalid_api_key": "auth",
    "model_not_found": "unknown model",
    "context_length_exceeded": "context overflow",
    "content_filter": "filtered",  # Azure
    "exceed_context_size_error": "context overflow",  # llama.cpp
    "request_too_large": "context overflow",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
}
# Refusals that some services give no code of their own, only words.
BY_WORDS: tuple[tuple[str, FailureReason], ...] = (
    ("credit balance", "quota"),
    ("API usage limits", "quota"),
    ("prompt is too long", "context overflow"),
    ("exceed context limit", "context overflow"),
    ("maximum context length", "context overflow"),
    ("context window", "context overflow"),
    ("max_model_len", "context overflow"),
    ("maximum model length", "context overflow"),
)
LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """An error body, in whichever of the usual shapes it came."""

    status: int
    codes: tuple[str, ...]  # whatever stands for a machine to read
    param: str | None
    message: str

    @property
    def reason(self) -> FailureReason:
        for code in self.codes:
            if code in BY_CODE:
                return BY_CODE[code]
        if self.status in (400, 413, 422):
            for words, reason in BY_WORDS:
                if words in self.message:
                    return reason
        return BY_STATUS.get(self.status, "server error" if self.status >= 500 else "bad request")

    def failure(self, key: str, answer: Answer) -> CallFailure:
        """A gateway that ran out of time may stand before a model that did not, and charges for it."""
        said = f"status {self.status}: {self.message}"[:LONGEST_MESSAGE]
        charged = self.status in (408, 504)
        return CallFailure(key, self.reason, said, asked_to_wait(answer.headers), charged)


def problem_of(answer: Answer) -> Problem:
    """What stands in an error's body: OpenAI's, Anthropic's and llama.cpp's shapes, or any text."""
    text = answer.body[: 20 * LONGEST_MESSAGE].decode("utf-8", "replace")
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = None
    inner = said.get("error", said) if isinstance(said, dict) else said
    if not isinstance(inner, dict):
        return Problem(answer.status, (), None, " ".join(str(inner if inner is not None else text).split()))
    details = inner.get("details")
    cause = details.get("error_code") if isinstance(details, dict) else None  # Anthropic's
    codes = tuple(code for code in (cause, inner.get("code"), inner.get("type")) if isinstance(code, str))
    param = inner.get("param")
    message = text if inner.get("message") is None else str(inner["message"])
    return Problem(answer.status, codes, param if isinstance(param, str) else None, message)
