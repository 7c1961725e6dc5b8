"""A run: every prompt through the pipeline, once, with everything that was paid for kept."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from constitution.errors import SolonError
from constitution.principle import Constitution
from generator.gather import Generation
from generator.prompts import Prompt
from judge.judging import Judging
from solon.backends import open_backend
from solon.config import Endpoint
from solon.continuity import UNFINISHED, begin, row_name
from solon.engines.local import run_prompts
from solon.folder import RunFolder, save_config
from solon.journal import Journal
from solon.models import Draining, Gate, JournaledModel, Meter
from solon.pipeline import Recipe, Row, dump_row, load_row, process
from solon.progress import Reporter, showing

TICK = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went; what it made is in the folder."""

    meter: Meter
    seconds: float
    interrupted: bool


class Run:
    """The prompts of one run on their way, with the models, the gate and the count of them."""

    def __init__(
        self, folder: RunFolder, constitution: Constitution, prompts: Sequence[Prompt], journal: Journal
    ) -> None:
        self.folder = folder
        self.constitution = constitution
        self.prompts = prompts
        self.journal = journal
        self.meter = Meter()
        self.gate = Gate(folder.config.limits.in_flight)
        self.recipe_name = begin(folder, constitution, prompts, journal)
        known = journal.recipes()
        self.pending = [p for p in prompts if known.get(p.id) != row_name(self.recipe_name, p)]
        self.done = len(prompts) - len(self.pending)
        self.began = time.monotonic()
        self.pairs = self.drops = 0

    async def carry_out(self) -> Outcome:
        """Every pending prompt once. An error that stops the run is raised after what was in flight is recorded."""
        if self.pending:
            async with AsyncExitStack() as stack:
                recipe = self.recipe(stack)
                with showing(self.folder.config.name, len(self.prompts), self.done) as reporter:
                    await self.process_all(recipe, reporter)
        return Outcome(self.meter, time.monotonic() - self.began, interrupted=self.done < len(self.prompts))

    async def process_all(self, recipe: Recipe, reporter: Reporter) -> None:
        config = self.folder.config
        workers = max(1, config.limits.in_flight // config.candidates.completions)
        ticking = asyncio.create_task(self.tick(reporter))
        with self.interruptible(reporter):
            try:
                await run_prompts(self.pending, lambda prompt: self.work(prompt, recipe, reporter), workers)
            except* SolonError as group:
                raise first_cause(group) from None
            finally:
                self.gate.shut_down()
                await self.gate.settled()
                ticking.cancel()

    def recipe(self, stack: AsyncExitStack) -> Recipe:
        config = self.folder.config
        opened: dict[Endpoint, JournaledModel] = {}

        def model(section: Endpoint) -> JournaledModel:
            """One for each endpoint, however many sections name it."""
            endpoint = Endpoint(*(getattr(section, name) for name in Endpoint.__slots__))
            if endpoint not in opened:
                backend = open_backend(endpoint, config.limits, self.folder.beside)
                stack.push_async_callback(backend.close)
                opened[endpoint] = JournaledModel(backend, self.journal, self.gate, self.meter)
            return opened[endpoint]

        critic = config.critic_model
        generation = Generation(
            model(config.policy), model(critic), config.policy.sampling, critic.sampling,
            config.candidates.completions, config.candidates.rounds, config.seed,
        )  # fmt: skip
        judge = config.judge
        judging = Judging(model(judge), judge.principles, config.pairs.policy, config.seed, judge.share)
        return Recipe(self.constitution, generation, judging, config.pairs.min_margin)

    async def work(self, prompt: Prompt, recipe: Recipe, reporter: Reporter) -> None:
        """Processes one prompt and keeps its row; leaves it for the next session where the gate was shut."""
        row: Row | None = None
        try:
            row = await process(prompt, recipe)
        except* Draining:
            pass
        if row is None:
            return
        name = row_name(self.recipe_name, prompt)
        await self.journal.save_row(prompt.id, name if row.complete else UNFINISHED, dump_row(row))
        self.pairs += len(row.pairs)
        self.drops += len(row.drops)
        self.done += 1
        reporter.at(self.done, self.facts())

    async def tick(self, reporter: Reporter) -> None:
        """Tells how far the run is between two prompts too: one may take long."""
        while True:
            await asyncio.sleep(TICK)
            reporter.at(self.done, self.facts())

    def facts(self) -> str:
        meter = self.meter
        rate = meter.sent / (time.monotonic() - self.began)
        tokens = meter.prompt_tokens + meter.completion_tokens
        failed = f", {meter.failures.total()} failed" if meter.failures else ""
        return (
            f"{meter.sent} calls ({rate:.1f}/s), {meter.reused} reused{failed}, {tokens:,} tokens, "
            f"{self.pairs} pairs, {self.drops} drops"
        )

    @contextmanager
    def interruptible(self, reporter: Reporter) -> Iterator[None]:
        """The first Ctrl-C lets calls in flight finish; the second ends the process where it stands.

        Nothing that was acknowledged is lost by the second: the journal has it already.
        """
        loop = asyncio.get_running_loop()

        def on_interrupt() -> None:
            if self.gate.shut:
                os._exit(130)
            self.gate.shut_down()
            reporter.note(f"finishing {len(self.gate.out)} calls in flight; Ctrl-C again stops now")

        loop.add_signal_handler(signal.SIGINT, on_interrupt)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)


def first_cause(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first error inside nested groups, which is what a person is told."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def start(folder: RunFolder, constitution: Constitution, prompts: Sequence[Prompt], journal: Journal) -> Outcome:
    """Carries the run out in this thread, and leaves the folder's copies of what it used behind."""
    save_config(folder)
    folder.principles_file.write_bytes(folder.source_principles().read_bytes())

    async def carry_out() -> Outcome:
        return await Run(folder, constitution, prompts, journal).carry_out()

    return asyncio.run(carry_out())


def stored_rows(journal: Journal) -> Iterator[Row]:
    """Every row of the run, in the order of prompt ids, so that nothing made from them hangs on when they came."""
    for body in journal.bodies(sorted(journal.recipes())):
        yield load_row(body)
