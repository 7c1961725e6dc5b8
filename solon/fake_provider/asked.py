"""A model call as both services understand it, what can be wrong with one, and the answer to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from generator.chat import Message, TokenLogprob, Usage

Json: TypeAlias = dict[str, Any]
Finish = Literal["stop", "length", "window", "content_filter", "refusal"]

CONTEXT = 128_000  # tokens of prompt that every model takes
CHARACTERS = 4  # in a token
WRAPPING = 4  # tokens that every block of a prompt costs beside its text
DEFAULT_MOST = 4096  # tokens of a reply where the request sets no bound


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning of a prompt that a cache may hold."""

    name: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Asked:
    model: str
    messages: tuple[Message, ...]
    prompt_tokens: int
    temperature: float = 1.0
    most: int = DEFAULT_MOST  # tokens of the reply, hidden reasoning included
    variety: int = 0  # what else tells calls apart: the seed, the metadata, a batch row's custom_id
    top_logprobs: int | None = None  # None: no log-probs at all
    field: str = ""  # of the JSON object that the reply must be; "" for plain text
    choices: tuple[object, ...] = ()  # the values that the field may have
    prefixes: tuple[Prefix, ...] = ()  # shortest first


@dataclass(frozen=True, slots=True)
class Said:
    text: str | None
    finish: Finish
    usage: Usage
    hidden: int = 0  # tokens of reasoning, part of ``usage.completion``
    first_token: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out: a status, a body, and what it costs."""

    status: int
    body: bytes
    content_type: str = "application/json"
    usage: Usage | None = None  # None: nothing is billed
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The service does not take this request; ``answer`` says why in its own shape."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS)


def prompt_tokens(texts: Iterable[str]) -> int:
    return sum(WRAPPING + tokens(text) for text in texts)


def is_reasoning(model: str) -> bool:
    return model.startswith("reasoning-")


def is_unknown(model: str) -> bool:
    """Every other name is a model's: a test may call its models what it likes."""
    return model.startswith("unknown")


def is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def enum_of(schema: object) -> tuple[str, tuple[object, ...]] | None:
    """The one property of an object's schema and the values that it may have; None for any other schema."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(properties) != 1:
        return None
    ((name, inside),) = properties.items()
    values = inside.get("enum") if isinstance(inside, dict) else None
    return (name, tuple(values)) if isinstance(values, list) and values else None
