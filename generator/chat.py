"""What is asked of a chat model and what comes back, as values.

Two protocols. Stages see a ``ChatModel``. Behind it stands a ``Backend``, which separates receiving
bytes from reading them, so that the shell can make the bytes durable in between.
"""

from dataclasses import asdict, dataclass
from typing import Literal, Protocol, TypeAlias

from constitution.identity import full_hash

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "content_filter", "refusal"]

FailureReason = Literal[
    "auth",  # the key or the permission is wrong: a person must act
    "unknown model",  # the endpoint has no such model: a person must act
    "quota",  # no credit left: a person must act
    "bad request",  # the endpoint refuses what is sent: a bug or a wrong setting
    "context overflow",  # this one prompt is too long for the model
    "rate limit",  # the endpoint asks to wait
    "server error",  # the endpoint is in trouble
    "connection",  # the endpoint cannot be reached
    "timeout",  # no reply within the deadline
    "unreadable",  # a reply came that is not what the API promises
]

STOPS_THE_RUN: frozenset[FailureReason] = frozenset({"auth", "unknown model", "quota"})
WORTH_RETRYING: frozenset[FailureReason] = frozenset(
    {"rate limit", "server error", "connection", "timeout", "unreadable"}
)


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


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counts them; ``cached`` is the part of ``prompt`` that it reused."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


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


@dataclass(frozen=True, slots=True)
class CallFailure:
    key: str
    reason: FailureReason
    detail: str


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

    async def send(self, request: ChatRequest) -> bytes | CallFailure:
        """The reply's body, exactly as received."""
        ...

    def read(self, key: str, raw: bytes) -> Outcome:
        """What the body says. Pure: the same bytes always read the same."""
        ...


def call_key(identity: str, request: ChatRequest) -> str:
    """The call's name: the hash of everything that decides its reply, and of nothing else."""
    return full_hash({"model": identity, **asdict(request)})


def sampling_seed(key: str) -> int:
    """The seed sent with a call, for endpoints that take one: decided by the call's own content."""
    return int(key[:8], 16) & 0x7FFFFFFF
