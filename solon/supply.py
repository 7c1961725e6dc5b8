"""A run's models, each with what stands around it: patience, a door, a purse, the journal, the meter."""

from contextlib import AsyncExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from constitution.errors import InputError
from constitution.identity import full_hash
from generator.chat import Backend
from generator.models.calling import PATIENT, Patience, Persistent
from generator.models.door import Door
from solon.backends import MOST_SLOTS, identity_of, is_billed, open_backend
from solon.budget import NOTHING, Amount, Budget, Cap, ModelPurse, amount_of
from solon.config import RunConfig
from solon.endpoints import Endpoint
from solon.folder import RunFolder
from solon.journal import Journal
from solon.models import Gate, JournaledModel, Meter
from solon.prices import Price, load_prices, price_of

if TYPE_CHECKING:
    from generator.models.batches import BatchTransport
    from solon.batching.session import Batching

# Calls at once that a backend has a use for. transformers: two batches; more would only wait in line, with their
# deadlines running. llamacpp: one a slot; more would drive each other's prefixes out of its cache.
PLACES = {"transformers": 32, "llamacpp": MOST_SLOTS}
UNACCOUNTED = "unaccounted"  # the journal's note of what may have been charged without a reply to show for it


@runtime_checkable
class Particular(Protocol):
    """A backend whose model refuses parameters that others take."""

    @property
    def left_out(self) -> set[str]: ...


class Supply:
    """Opens the models that the configuration names, each once, and closes them all.

    Models at one address share a door, so that what one learns of the endpoint holds for the others.
    """

    def __init__(self, folder: RunFolder, journal: Journal, gate: Gate, meter: Meter) -> None:
        self.folder = folder
        self.journal = journal
        self.gate = gate
        self.meter = meter
        self.prices = prices_of(folder)
        self.budget = self.open_budget()
        self.doors: dict[tuple[str, str | None, str | None], Door] = {}
        self.opened: dict[str, JournaledModel] = {}
        self.backends: list[Backend] = []
        self.batching: Batching | None = None  # of all models that have batches
        self.stack = AsyncExitStack()

    def open_budget(self) -> Budget | None:
        cap = cap_of(self.folder.config)
        if not cap:
            return None
        unaccounted = Amount.load(self.journal.note(UNACCOUNTED) or NOTHING.dump())

        async def note(amount: Amount) -> None:
            await self.journal.put_note(UNACCOUNTED, amount.dump())

        budget = Budget(cap, recorded(self.journal, self.prices), unaccounted, note)
        budget.park(in_open_batches(self.journal))
        return budget

    def model(self, section: Endpoint) -> JournaledModel:
        """The model of a section; sections that name the same endpoint and model share it."""
        endpoint = Endpoint(*(getattr(section, f.name) for f in fields(Endpoint)))
        name = full_hash(asdict(endpoint))
        if name not in self.opened:
            self.opened[name] = self.open(endpoint)
        return self.opened[name]

    def open(self, endpoint: Endpoint) -> JournaledModel:
        limits = self.folder.config.limits
        backend = open_backend(endpoint, limits, self.folder.beside)
        self.backends.append(backend)
        price = self.prices.get(endpoint.model)
        purse = ModelPurse(self.budget, price, endpoint.batch) if self.budget else None
        through = self.batched(endpoint, backend, purse) if endpoint.batch else self.patient(endpoint, backend, purse)
        self.stack.push_async_callback(through.close)
        kept = purse.kept if purse else None
        return JournaledModel(through, self.journal, self.gate, self.meter, price, endpoint.batch, kept)

    def patient(self, endpoint: Endpoint, backend: Backend, purse: ModelPurse | None) -> Backend:
        limits = self.folder.config.limits
        attempts = 1 if endpoint.backend == "scripted" else PATIENT.attempts
        patience = Patience(deadline=limits.deadline, attempts=attempts)
        return Persistent(backend, self.door(endpoint), patience, purse)

    def batched(self, endpoint: Endpoint, backend: Backend, purse: ModelPurse | None) -> Backend:
        from solon.batching.backend import BatchedBackend
        from solon.batching.session import Batching, Times

        if self.batching is None:
            times = self.folder.config.batch
            self.batching = Batching(self.journal, Times(wait=times.wait, poll=times.poll), lambda: len(self.gate.out))
        return BatchedBackend(backend, transport_of(backend), self.batching, self.door(endpoint).closed, purse)

    def door(self, endpoint: Endpoint) -> Door:
        if endpoint.address not in self.doors:
            limits = self.folder.config.limits
            door = Door(
                places(endpoint, limits.in_flight),
                give_up_after=limits.deadline,
                requests_per_minute=limits.requests_per_minute,
                tokens_per_minute=limits.tokens_per_minute,
            )
            self.gate.doors.append(door)
            self.doors[endpoint.address] = door
        return self.doors[endpoint.address]

    @property
    def in_batches(self) -> int:
        """Calls that lie in batches at a service."""
        return self.batching.under_way if self.batching else 0

    def told(self) -> tuple[str, ...]:
        """What turned out about the models that a person should know."""
        return tuple(
            f"{backend.identity} does not take {' and '.join(sorted(backend.left_out))}: its calls went out without"
            for backend in self.backends
            if isinstance(backend, Particular) and backend.left_out
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()
        if self.budget:
            await self.budget.close()


def transport_of(backend: Backend) -> "BatchTransport":
    """The way to the batch API of the endpoint behind ``backend``, which is one that has such a thing."""
    from generator.models.anthropic import AnthropicBackend
    from generator.models.anthropic_batches import AnthropicBatches
    from generator.models.openai import OpenAIBackend
    from generator.models.openai_batches import OpenAIBatches

    if isinstance(backend, AnthropicBackend):
        return AnthropicBatches(backend)
    assert isinstance(backend, OpenAIBackend)
    return OpenAIBatches(backend)


def places(endpoint: Endpoint, in_flight: int) -> int:
    """How many calls at once the endpoint is sent."""
    return min(in_flight, PLACES.get(endpoint.backend, in_flight))


def cap_of(config: RunConfig) -> Cap:
    return Cap(config.budget.usd, config.budget.tokens)


def prices_file(folder: RunFolder) -> Path:
    return folder.beside / folder.config.budget.prices


def prices_of(folder: RunFolder) -> dict[str, Price]:
    """Prices by model, and by the identity under which the journal knows each of the run's models.

    A judge of evaluations is one of them: its calls are in the same journal.
    """
    config, prices = folder.config, load_prices(prices_file(folder))
    asked = [*config.endpoints.values(), *([config.evaluate.judge] if config.evaluate.judge else [])]
    priced = [section for section in asked if section.model in prices]
    return prices | {identity_of(section, folder.beside): prices[section.model] for section in priced}


def recorded(journal: Journal, prices: dict[str, Price]) -> Amount:
    """What every recorded reply cost, by the prices of today."""
    total = NOTHING
    for spent in journal.spent():
        total += amount_of(spent.receipt.usage, price_of(prices, spent.model), spent.receipt.batch)
    return total


def in_open_batches(journal: Journal) -> Amount:
    """What the calls that earlier sessions left in batches may still cost, whether anybody asks for them or not."""
    total = NOTHING
    for batch in journal.batches():
        if batch.state != "done" and batch.dearest:
            total += Amount.load(batch.dearest) * len(journal.lacking(batch.keys))
    return total


def require_prices(folder: RunFolder, no_budget: bool) -> dict[str, Price]:
    """The prices, where there is one for every model that somebody pays for.

    Raises:
        InputError: one is missing, and ``no_budget`` is not set or a budget is.
    """
    config, prices = folder.config, load_prices(prices_file(folder))
    for section in config.endpoints.values():
        if section.model in prices or not is_billed(section):
            continue
        if config.budget.usd is not None or not no_budget:
            raise InputError(
                str(prices_file(folder)),
                f"has no price for {section.model!r}",
                "write it there (docs/budget.md shows how)"
                + ("" if config.budget.usd is not None else ", or go without with --no-budget"),
            )
    return prices_of(folder)
