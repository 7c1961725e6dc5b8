"""What is asked of a chat model and what comes back, as values.

Two protocols. Stages see a ``ChatModel``. Behind it stands a ``Backend``, which separates receiving
bytes from reading them, so that the shell can make the bytes durable in between.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from constitution.identity import bytes_hash, canonical_json

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "content_filter", "refusal"]

FailureReason = Literal[
    "auth",  # the key or the permission is wrong: a person must act
    "unknown model",  # the endpoint has no such model: a person must act
    "quota",  # no credit left: a person must act
    "bad request",  # the endpoint refuses what is sent: a bug or a wrong setting
    "unsupported",  # this model does not give log-probs: ask for a text instead
    "context overflow",  # this one prompt is too long for the model
    "filtered",  # the endpoint will not have this one prompt
    "rate limit",  # the endpoint asks to wait
    "overloaded",  # the endpoint has too much to do
    "server error",  # the endpoint is in trouble
    "connection",  # the endpoint cannot be reached, or broke off
    "timeout",  # no reply in time
    "unreadable",  # a reply came that is not what the API promises
    "empty",  # a reply came with no text, though nothing cut it off
    "expired",  # a batch ended before this call's turn
]

STOPS_THE_RUN: frozenset[FailureReason] = frozenset({"auth", "unknown model", "quota"})
MAY_PASS: frozenset[FailureReason] = frozenset(
    {"rate limit", "overloaded", "server error", "connection", "timeout", "unreadable", "expired"}
)  # at another time the same call may do: the next session tries it again
UNSETTLED: frozenset[FailureReason] = MAY_PASS | {"bad request"}  # which a person may have mended by then
WORTH_RETRYING: frozenset[FailureReason] = MAY_PASS | {"empty"}


LARGEST_COUNT = 2**53  # of tokens: no true one comes near, and a database holds it


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call, complete: what is not in here is not sent."""

    messages: tuple[Message, ...]
    temperature: float
    max_tokens: int
    sample: int = 0  # tells apart several calls that are otherwise the same
    seed: int = 0  # the run's seed
    top_logprobs: int = 0  # above 0: also the log-probs of that many first tokens
    choices: tuple[str, ...] = ()  # the only replies that mean anything: a backend that can holds the model to them
    # How many characters, from the conversation's first on, other calls begin with too: a hint for prefix
    # caches. It changes no reply, so it is no part of the call's key.
    shared: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counts them.

    ``prompt`` is all that was read; ``cached`` the part of it that came from a cache, ``stored`` the
    part that was put into one at a price of its own. ``completion`` includes hidden reasoning.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    stored: int = 0


def token_count(said: Any) -> int:
    """A number of tokens as an endpoint gives it, brought within bounds; what is no number raises."""
    return min(max(0, int(said or 0)), LARGEST_COUNT)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A candidate for a reply's first token and its natural log-probability (<= 0)."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True)
class ChatReply:
    key: str  # of the call that it answers
    text: str
    finish: Finish
    model: str  # who really answered, in the endpoint's words
    usage: Usage = Usage()
    first_token: tuple[TokenLogprob, ...] = ()  # most likely first; empty where none were asked for or given
    held: bool = False  # to the request's choices: then the log-probs are shares of the choices alone


@dataclass(frozen=True, slots=True)
class CallFailure:
    key: str
    reason: FailureReason
    detail: str
    wait: float | None = None  # seconds that the endpoint asks to wait
    charged: bool = False  # whether the endpoint may have done the work, and may charge for it


Outcome: TypeAlias = ChatReply | CallFailure


class ChatModel(Protocol):
    """A model as the stages see it."""

    async def reply(self, request: ChatRequest) -> Outcome: ...


class Backend(Protocol):
    """A model as the shell sees it.

    ``identity`` enters every call's key: two backends with one identity must be interchangeable.
    """

    @property
    def identity(self) -> str: ...

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        """The reply's body, exactly as received."""
        ...

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        """What the body says. Pure: the same arguments always read the same."""
        ...

    async def close(self) -> None: ...


def spelled(request: ChatRequest) -> dict[str, Any]:
    """The request as a JSON value: everything that decides the reply."""
    return {
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "sample": request.sample,
        "seed": request.seed,
        "top_logprobs": request.top_logprobs,
        "choices": request.choices,
    }


def call_spelling(identity: str, request: ChatRequest) -> bytes:
    """The call in canonical JSON: everything that decides its reply, and nothing else."""
    return canonical_json({"model": identity, **spelled(request)})


def call_key(identity: str, request: ChatRequest) -> str:
    """The call's name: the hash of its spelling, 64 hex digits."""
    return bytes_hash(call_spelling(identity, request))


def sampling_seed(key: str) -> int:
    """The seed sent with a call, for endpoints that take one: decided by the call's own content."""
    return int(key[:8], 16) & 0x7FFFFFFF
