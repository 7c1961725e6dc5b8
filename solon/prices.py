"""``prices.toml``: what models cost. People keep it; Solon knows no price of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from constitution.checks import STRICT
from constitution.errors import InputError
from constitution.tables import read_table
from generator.chat import ChatRequest, Usage

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
NANO_IN_MICRO = 1000  # a price in dollars a million tokens is one in micro-dollars a token
TOKENS_A_MESSAGE, TOKENS_A_CALL = 32, 512  # at most, of what an endpoint adds: a chat template, a schema


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    __pydantic_config__ = STRICT
    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None  # of tokens read from a cache; `input` if not given
    stored_input: Dollars | None = None  # of tokens put into a cache; `input` if not given
    batch: Annotated[float, Field(gt=0, le=1)] = 1.0  # what the same call costs in a batch, as a share

    def of(self, usage: Usage, batch: bool = False) -> int:
        """Nano-dollars for ``usage``, rounded up."""
        cached = self.input if self.cached_input is None else self.cached_input
        stored = self.input if self.stored_input is None else self.stored_input
        plain = max(0, usage.prompt - usage.cached - usage.stored)
        parts = ((plain, self.input), (usage.cached, cached), (usage.stored, stored), (usage.completion, self.output))
        return nanodollars(parts, self.batch if batch else 1.0)

    def at_most(self, request: ChatRequest, batch: bool = False) -> int:
        """Nano-dollars that the call can cost, whatever the endpoint does with it."""
        dearest = max(self.input, self.cached_input or 0.0, self.stored_input or 0.0)
        parts = ((most_prompt_tokens(request), dearest), (request.max_tokens, self.output))
        return nanodollars(parts, self.batch if batch else 1.0)


def nanodollars(parts: Iterable[tuple[int, float]], share: float) -> int:
    """Tokens at their prices, rounded up; in decimals, so that 0.1 is what a person means by it."""
    micro = sum((tokens * Decimal(repr(price)) for tokens, price in parts), Decimal(0))
    return int((micro * NANO_IN_MICRO * Decimal(repr(share))).to_integral_value(ROUND_CEILING))


def most_prompt_tokens(request: ChatRequest) -> int:
    """More than any tokenizer makes of the call: a token stands for one byte of text at the least."""
    text = sum(len(m.content.encode("utf-8", "surrogatepass")) + TOKENS_A_MESSAGE for m in request.messages)
    return text + TOKENS_A_CALL


@dataclass(frozen=True, slots=True)
class Prices:
    __pydantic_config__ = STRICT
    as_of: date
    model: dict[str, Price] = field(default_factory=dict)


EXTRA_MARK = "#"  # in a model's identity, before what its section's `extra` adds to its name


def price_of(prices: Mapping[str, Price], identity: str) -> Price | None:
    """The price of the model behind a call's identity."""
    return prices.get(identity.partition(EXTRA_MARK)[0])


PRICES = TypeAdapter(Prices)


def load_prices(path: Path) -> dict[str, Price]:
    """Prices by model; none where there is no such file.

    Raises:
        InputError: the file is there and cannot be read, with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "correct it, or remove it") from None
    return read_table(text, PRICES, str(path)).model
