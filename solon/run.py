"""A run: every prompt through the pipeline, once, with everything that was paid for kept."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from constitution.errors import InputError, SolonError
from constitution.identity import full_hash
from constitution.principle import Constitution, Principle
from generator.gather import Generation
from generator.prompts import Prompt
from judge.judging import Judging
from solon.config import Endpoint, load_config, meaning
from solon.engines.local import run_prompts
from solon.folder import RunFolder, save_config
from solon.journal import Journal
from solon.models import Draining, Gate, JournaledModel, Meter, open_backend
from solon.pipeline import Recipe, Row, dump_row, load_row, process
from solon.progress import Reporter, reporting

FIRST_FILES = ("run.lock", "journal.db", "config.toml")  # all that a run killed at its very beginning leaves behind
UNFINISHED = ""  # the recipe noted with a row in which a call failed: it matches none, so the row is made again


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went; what it made is in the folder."""

    meter: Meter
    seconds: float
    interrupted: bool


def check_continues(folder: RunFolder, journal: Journal, accept_changes: bool) -> None:
    """Refuses to go on with a run whose configuration means something else by now.

    Raises:
        InputError: it does, and ``accept_changes`` is not set; the message says what changed.
    """
    now = meaning(folder.config)
    begun = journal.note("meaning")
    before: dict[str, Any] = json.loads(begun) if begun else now
    changed = [
        f"{key} was {json.dumps(before.get(key))}, is {json.dumps(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed and not accept_changes and journal.call("", limit=1):  # else nothing is paid for that could be lost
        raise InputError(
            str(folder.path),
            f"the configuration changed since this run began: {'; '.join(changed)}",
            "change it back, give the run a new name, or accept with --accept-changes (replies that still fit are used)",
        )
    journal.set_note("meaning", json.dumps(now))


def check_own(folder: RunFolder) -> None:
    """Refuses a folder that holds another run, or something that is no run at all."""
    if folder.config_file.is_file():
        other = load_config(folder.config_file).name
        if other != folder.config.name:
            raise InputError(
                str(folder.path), f"holds the run {other!r}", f"choose another folder for {folder.config.name!r}"
            )
    elif folder.path.exists() and (
        not folder.path.is_dir() or not all(p.name.startswith(FIRST_FILES) for p in folder.path.iterdir())
    ):
        raise InputError(str(folder.path), "holds something that is no run", "choose an empty or a new folder")


def note_principles(constitution: Constitution, journal: Journal) -> list[str]:
    """What changed in the principles since they were last noted, in plain words."""
    now = {principle.id: full_hash(wording(principle)) for principle in constitution.principles}
    begun = journal.note("principles")
    before: dict[str, str] = json.loads(begun) if begun else now
    journal.set_note("principles", json.dumps(now))
    return [
        *(f"{name} added" for name in now if name not in before),
        *(f"{name} removed" for name in before if name not in now),
        *(f"{name} changed" for name in now if before.get(name, now[name]) != now[name]),
    ]


def wording(principle: Principle) -> dict[str, Any]:
    """What of a principle can reach a call or a label; examples and reasons cannot."""
    return {k: v for k, v in asdict(principle).items() if k not in ("tags", "rationale", "examples")}


def recipe_hash(folder: RunFolder, constitution: Constitution, prompt: Prompt) -> str:
    """Names everything that a row of ``prompt`` depends on, so that a row made from it need not be made again."""
    principles = sorted((wording(p) for p in constitution.principles), key=lambda p: str(p["id"]))
    return full_hash([meaning(folder.config), principles, asdict(prompt)])


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
        self.known = journal.recipes()
        self.done = self.pairs = self.drops = 0

    async def carry_out(self) -> Outcome:
        """Every prompt once. An error that stops the run is raised only after what was in flight is recorded."""
        began = time.monotonic()
        config = self.folder.config
        async with AsyncExitStack() as stack:
            recipe = self.recipe(stack)
            with reporting(config.name, len(self.prompts)) as reporter, self.interruptible(reporter):
                try:
                    workers = max(1, config.limits.in_flight // config.candidates.completions)
                    await run_prompts(self.prompts, lambda prompt: self.work(prompt, recipe, reporter), workers)
                except* SolonError as group:
                    raise first_cause(group) from None
                finally:
                    self.gate.shut_down()
                    await self.gate.settled()
        return Outcome(self.meter, time.monotonic() - began, interrupted=self.done < len(self.prompts))

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
        judging = Judging(model(config.judge), config.judge.principles, config.pairs.policy, config.seed)
        return Recipe(self.constitution, generation, judging, config.pairs.min_margin)

    async def work(self, prompt: Prompt, recipe: Recipe, reporter: Reporter) -> None:
        name = recipe_hash(self.folder, self.constitution, prompt)
        if self.known.get(prompt.id) != name:
            try:
                row = await process(prompt, recipe)
            except* Draining:
                row = None
            if row is None:
                return
            await self.journal.save_row(prompt.id, name if row.complete else UNFINISHED, dump_row(row))
            self.pairs += len(row.pairs)
            self.drops += len(row.drops)
        self.done += 1
        reporter.at(self.done, self.facts())

    def facts(self) -> str:
        meter = self.meter
        tokens = meter.prompt_tokens + meter.completion_tokens
        return f"{meter.sent} calls, {meter.reused} reused, {tokens} tokens, {self.pairs} pairs, {self.drops} drops" + (
            f", {meter.failures.total()} failed" if meter.failures else ""
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
    journal.forget_rows_except([prompt.id for prompt in prompts])

    async def carry_out() -> Outcome:
        return await Run(folder, constitution, prompts, journal).carry_out()

    return asyncio.run(carry_out())


def stored_rows(journal: Journal) -> Iterator[Row]:
    """Every row of the run, in the order of prompt ids, so that nothing made from them hangs on when they came."""
    for body in journal.bodies(sorted(journal.recipes())):
        yield load_row(body)
