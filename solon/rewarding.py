"""Rewards as a run has them: its reward model, any other, or its constitution with its judge."""

import asyncio
import math
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from constitution.errors import SolonError
from constitution.identity import short_id
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate
from generator.chat import ChatModel
from generator.prompts import Prompt
from judge.grades import Grade
from judge.pointwise import judge_pointwise
from solon.folder import RunFolder
from solon.journal import Journal
from solon.models import Gate, Meter
from solon.recipes import asking_of
from solon.run import first_cause
from solon.supply import Supply, require_prices
from trainer.models.reward_model import load_reward_model
from trainer.rewards import CheckReward, ModelReward, Reward, checked, combined, name_of

CONSTITUTION, MODEL = "constitution", "model"
Result = TypeVar("Result")


@contextmanager
def open_reward(folder: RunFolder, name: str) -> Iterator[Reward]:
    """The reward that the configuration or the command line calls ``name``; for whoever holds the folder.

    "constitution" is that of the run, of which its [judge] is asked what no check decides; "model" is the run's own
    reward model; anything else is the path of one, from where the run.toml lies.

    Raises:
        InputError: there is no such model, or the judge cannot be opened.
    """
    if name != CONSTITUTION:
        yield ModelReward(load_reward_model(reward_place(folder, name)))
        return
    if not asks_judge(folder, name):
        yield CheckReward(folder.principles())
        return
    with JudgeReward(folder, folder.principles()) as reward:
        yield reward


def reward_place(folder: RunFolder, name: str) -> Path:
    """Where the reward model of that name lies."""
    return folder.model("reward") if name == MODEL else folder.beside / Path(name).expanduser()


def asks_judge(folder: RunFolder, name: str) -> bool:
    """Whether the reward of that name asks a model, which writes to the run's journal."""
    return name == CONSTITUTION and not all(principle.check for principle in folder.principles().principles)


class JudgeReward:
    """A constitution's reward, in which the run's [judge] grades a completion under every principle without a check.

    Calls go through the run's journal and under its budget, so none is paid for twice. They are carried out by an
    event loop in a thread of its own, which begins with the first question; several threads may ask at once.
    """

    def __init__(self, folder: RunFolder, constitution: Constitution) -> None:
        require_prices(folder, no_budget=True)
        self.folder = folder
        self.constitution = constitution
        self.meter = Meter()
        self._asking = asking_of(folder.config)
        self._gate = Gate()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="reward", daemon=True)
        self._beginning = Lock()
        self._open = AsyncExitStack()
        self._judge: ChatModel | None = None
        self._stopped_by: BaseException | None = None

    @property
    def name(self) -> str:
        return f"{name_of(self.constitution)}, judged by {self.folder.config.judge.model}"

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        """One each, in their order; None where the judge said nothing that can be read.

        Raises:
            SolonError: what stops the asking for good: a key that is refused, a budget that is spent, a full disk.
        """
        with self._beginning:
            judge = self._judge or self._begin()
        return self._carried_out(self._all(judge, list(zip(prompts, completions, strict=True))))

    async def _all(self, judge: ChatModel, asked: Sequence[tuple[Prompt, str]]) -> list[float | None]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._worth(judge, *one)) for one in asked]
        except BaseExceptionGroup as errors:
            raise self._what_stops(errors) from None
        return [task.result() for task in tasks]

    async def _worth(self, judge: ChatModel, prompt: Prompt, completion: str) -> float | None:
        applying = self.constitution.applying_to(prompt.tags)
        values = checked(self.constitution, prompt, completion)
        unchecked = [principle for principle in applying if not principle.check]
        said = await self._graded(judge, prompt, completion, unchecked)
        return combined(applying, values | said)

    async def _graded(
        self, judge: ChatModel, prompt: Prompt, completion: str, principles: Sequence[Principle]
    ) -> dict[str, float | None]:
        """By principle. The first one goes ahead: it leaves the completion in the judge's prefix cache."""
        candidate = Candidate(short_id("completion", prompt.id, completion), completion, "stop", "", 0, 0)
        asking = replace(self._asking, shared=len(principles) > 1)

        async def grade(principle: Principle) -> float | None:
            scale = self.folder.config.judge.scale
            said = await judge_pointwise(prompt, candidate, principle, judge, asking, scale)
            return share_of(said) if isinstance(said, Grade) else None

        ahead = [await grade(principle) for principle in principles[:1]]
        async with asyncio.TaskGroup() as group:
            rest = [group.create_task(grade(principle)) for principle in principles[1:]]
        values = ahead + [task.result() for task in rest]
        return {principle.id: value for principle, value in zip(principles, values, strict=True)}

    def _what_stops(self, errors: BaseExceptionGroup[BaseException]) -> BaseException:
        """The first error that a person can mend, also for whoever finds only the doors that it has closed."""
        told = errors.subgroup(SolonError)
        if told and self._stopped_by is None:
            self._stopped_by = first_cause(told)
        return self._stopped_by or first_cause(errors)

    def _begin(self) -> ChatModel:
        self._thread.start()
        self._judge = self._carried_out(self._open_judge())
        return self._judge

    async def _open_judge(self) -> ChatModel:
        journal = self._open.enter_context(Journal.open(self.folder.journal))
        supply = await self._open.enter_async_context(Supply(self.folder, journal, self._gate, self.meter))
        return supply.model(replace(self.folder.config.judge, batch=False))  # a trainer waits for each answer

    def _carried_out(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Waits for the calls that are out, so that what is paid for is on record."""
        if self._thread.is_alive():
            self._carried_out(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._gate.shut_down()
        await self._gate.settled()
        await self._open.aclose()
        await self._loop.shutdown_default_executor()


def share_of(grade: Grade) -> float:
    """A grade as a value in [0, 1]: the chance of Yes, or how far up the scale from 1 to 10."""
    if grade.scale == "yes-no":
        return 1 / (1 + math.exp(-grade.value))
    return (grade.value - 1) / 9
