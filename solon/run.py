"""A run: every prompt through the pipeline, once, with everything that was paid for kept."""

import asyncio
import os
import signal
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from constitution.errors import NotFinished, SolonError
from constitution.principle import Constitution
from generator.models.door import Closed
from generator.prompts import Prompt
from judge.cascade import Trust, try_out
from solon.budget import NANO
from solon.continuity import UNFINISHED, begin
from solon.engines.local import run_prompts
from solon.figures import FigureCount, Figures, figures
from solon.folder import RunFolder, save_config
from solon.journal import Journal
from solon.models import Gate, Meter
from solon.pipeline import Recipe, Row, dump_row, load_row, process
from solon.progress import Reporter, showing
from solon.recipes import recipe_of, trials_of
from solon.review.edits import counted, edits_of, unjudged
from solon.supply import Supply, places

TICK = 0.5  # seconds
CASCADE = "cascade"  # the journal's note of how a cascade's trials went when the rows were made


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went; what it made is in the folder."""

    meter: Meter
    figures: Figures  # of all rows in the folder
    seconds: float
    finished: bool  # whether every prompt was worked on
    limit: str = ""  # why the run stopped in good order before its end, where a limit made it
    told: tuple[str, ...] = ()  # what else a person should know


class Run:
    """The prompts of one run on their way, with the models, the gate and the count of them."""

    def __init__(
        self,
        folder: RunFolder,
        constitution: Constitution,
        prompts: Sequence[Prompt],
        journal: Journal,
        only: Container[str] | None = None,
    ) -> None:
        self.folder = folder
        self.constitution = constitution
        self.prompts = prompts
        self.journal = journal
        self.meter = Meter()
        self.gate = Gate()
        self.trials = trials_of(folder)
        self.edits = edits_of(folder)
        self.new_edits = unjudged(self.edits, journal)
        self.judged_edits = 0  # of the new ones
        self.names = begin(folder, constitution, prompts, journal, *map(repr, self.trials), edits=self.edits)
        known = journal.recipes()
        self.wanted = [p for p in prompts if only is None or p.id in only]
        self.pending = [p for p in self.wanted if known.get(p.id) != self.names[p.id]]
        self.done = len(self.wanted) - len(self.pending)
        self.began = time.monotonic()
        self.figures = FigureCount(constitution)
        self.supply: Supply | None = None
        self.trust: Trust | None = None  # in a cascade's first judge, where it was tried

    async def carry_out(self) -> Outcome:
        """Every pending prompt once. An error that stops the run is raised after what was in flight is recorded."""
        limit = ""
        told: tuple[str, ...] = ()
        if self.pending:
            async with Supply(self.folder, self.journal, self.gate, self.meter) as supply:
                self.supply = supply
                with showing(self.folder.config.name, len(self.wanted), self.done) as reporter:
                    try:
                        await self.process_all(supply, reporter)
                    except NotFinished as reached:
                        limit = str(reached)
                told = supply.told()
        seconds = time.monotonic() - self.began
        told += self.cascade_told() + self.edits_told()
        return Outcome(self.meter, self.all_figures(), seconds, self.done == len(self.wanted), limit, told)

    def all_figures(self) -> Figures:
        """Of the rows just made, where these are all of them; else of what is stored."""
        if self.figures.tally.rows == len(self.prompts):
            return self.figures.told()
        return figures(stored_rows(self.journal), self.constitution)

    async def process_all(self, supply: Supply, reporter: Reporter) -> None:
        config = self.folder.config
        # Some more prompts than keep the endpoint busy: a prompt whose reply or row is being written asks nothing.
        most = max(places(endpoint, config.limits.in_flight) for endpoint in config.endpoints.values())
        workers = max(1, most // config.candidates.completions + most // 4)
        if any(section.batch for section in config.endpoints.values()):
            workers = len(self.pending)  # a batch is worth its wait only when every prompt's call is in it
        ticking = asyncio.create_task(self.tick(reporter))
        with self.interruptible(reporter):
            try:
                made_by = recipe_of(self.folder.config, self.constitution, supply)
                recipe = await self.tried(replace(made_by, edits=self.edits))
                wanted = takewhile(lambda _: not self.gate.shut, self.pending)
                await run_prompts(wanted, lambda prompt: self.work(prompt, recipe, reporter), workers)
            except* Closed:
                pass  # interrupted while the cascade was tried: nothing was begun
            except* SolonError as group:
                raise first_cause(group) from None
            finally:
                self.gate.shut_down()
                await self.gate.settled()
                ticking.cancel()

    async def tried(self, recipe: Recipe) -> Recipe:
        """The recipe without its cascade, where labelled trials show that its first judge is not to be believed.

        Rows of an earlier session in which the trials went otherwise, because calls had failed, are made again.
        """
        if not self.trials:
            return recipe
        cascade = self.folder.config.cascade
        assert cascade
        self.trust = await try_out(self.trials, self.constitution, recipe.judging, cascade.least_agreement)
        if self.journal.note(CASCADE) not in (None, self.trust.told()):
            self.journal.forget_rows_except([])
            self.pending, self.done = self.wanted, 0
        await self.journal.put_note(CASCADE, self.trust.told())
        return recipe if self.trust.earned else replace(recipe, judging=replace(recipe.judging, first=None))

    def cascade_told(self) -> tuple[str, ...]:
        """How the trials went, in this session or in the one that made the rows."""
        told = self.trust.told() if self.trust else self.journal.note(CASCADE)
        return (told,) if self.trials and told else ()

    def edits_told(self) -> tuple[str, ...]:
        """What people wrote that this session judged first."""
        now = self.judged_edits
        return (f"{counted(now)} {'are' if now > 1 else 'is'} judged now",) if now else ()

    async def work(self, prompt: Prompt, recipe: Recipe, reporter: Reporter) -> None:
        """Processes one prompt and keeps its row; leaves it for the next session where the gate was shut."""
        row: Row | None = None
        try:
            row = await process(prompt, recipe)
        except* Closed:
            pass
        if row is None:
            return
        name = self.names[prompt.id]
        await self.journal.save_row(prompt.id, name if row.complete else UNFINISHED, dump_row(row))
        self.figures.add(row)
        self.judged_edits += sum(candidate.id in self.new_edits for candidate in row.made.candidates)
        self.done += 1
        reporter.at(self.done, self.facts())

    async def tick(self, reporter: Reporter) -> None:
        """Tells how far the run is between two prompts too: one may take long."""
        while True:
            await asyncio.sleep(TICK)
            reporter.at(self.done, self.facts())

    def facts(self) -> str:
        meter, tally = self.meter, self.figures.tally
        rate = meter.sent / (time.monotonic() - self.began)
        tokens = meter.prompt_tokens + meter.completion_tokens
        cost = f", {meter.nanodollars / NANO:.4f} USD" if meter.nanodollars else ""
        failed = f", {meter.failures.total()} failed" if meter.failures else ""
        waiting = self.supply.in_batches if self.supply else 0
        batches = f", {waiting} in batches" if waiting else ""
        return (
            f"{meter.sent} calls ({rate:.1f}/s), {meter.reused} reused{failed}{batches}, {tokens:,} tokens{cost}, "
            f"{tally.pairs} pairs, {tally.drops.total()} drops"
        )

    @contextmanager
    def interruptible(self, reporter: Reporter) -> Iterator[None]:
        """The first Ctrl-C lets calls in flight finish; the second ends the process where it stands.

        Nothing that was acknowledged is lost by the second: the journal has it already.
        """
        loop = asyncio.get_running_loop()

        def on_interrupt() -> None:
            if self.gate.shut:
                reporter.abandon()
                os._exit(130)
            self.gate.shut_down()
            left = self.supply.in_batches if self.supply else 0
            batches = f", leaving {left} in batches where they are" if left else ""
            flying = sum(door.out for door in self.gate.doors)
            reporter.note(f"finishing {flying} calls in flight{batches}; Ctrl-C again stops now")

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


def start(
    folder: RunFolder,
    constitution: Constitution,
    prompts: Sequence[Prompt],
    journal: Journal,
    only: Container[str] | None = None,
) -> Outcome:
    """Carries the run out in this thread, and leaves the folder's copies of what it used behind.

    Args:
        only: ids of the prompts to work on; all of them if not given.
    """
    save_config(folder)
    folder.principles_file.write_bytes(folder.source_principles().read_bytes())

    async def carry_out() -> Outcome:
        return await Run(folder, constitution, prompts, journal, only).carry_out()

    return asyncio.run(carry_out())


def stored_rows(journal: Journal) -> Iterator[Row]:
    """Every row of the run, in the order of prompt ids, so that nothing made from them hangs on when they came."""
    for body in journal.bodies(sorted(journal.recipes())):
        yield load_row(body)
