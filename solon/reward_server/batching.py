"""Many callers, one reward: what arrives while it is busy is asked about together."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from generator.prompts import Prompt
from solon.reward_server.reading import Exchange
from trainer.rewards import Reward

MOST = 64  # completions asked about together; one caller's stay together


@dataclass(frozen=True, slots=True)
class Waiting:
    exchanges: Sequence[Exchange]
    told: asyncio.Future[list[float | None]]


class Batcher:
    """Asks the reward in threads of its own, ``at_once`` questions at a time."""

    def __init__(self, reward: Reward, at_once: int) -> None:
        self.reward = reward
        self.at_once = at_once
        self.waiting: deque[Waiting] = deque()
        self.asking: set[asyncio.Task[None]] = set()

    async def rewards(self, exchanges: Sequence[Exchange]) -> list[float | None]:
        """One each, in their order. Raises what the reward raises."""
        told: asyncio.Future[list[float | None]] = asyncio.get_running_loop().create_future()
        self.waiting.append(Waiting(exchanges, told))
        self._ask()
        return await told

    def _ask(self) -> None:
        while self.waiting and len(self.asking) < self.at_once:
            batch = [self.waiting.popleft()]
            while self.waiting and sum(len(w.exchanges) for w in batch) + len(self.waiting[0].exchanges) <= MOST:
                batch.append(self.waiting.popleft())
            task = asyncio.create_task(self._answer(batch))
            self.asking.add(task)
            task.add_done_callback(self._asked)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self.asking.discard(task)
        self._ask()

    async def _answer(self, batch: Sequence[Waiting]) -> None:
        exchanges = [exchange for waiting in batch for exchange in waiting.exchanges]
        try:
            told = iter(await asyncio.to_thread(self.reward, *columns(exchanges)))
        except Exception as error:  # whoever waits raises it
            for waiting in batch:
                if not waiting.told.done():
                    waiting.told.set_exception(error)
            return
        for waiting in batch:
            own = [next(told) for _ in waiting.exchanges]
            if not waiting.told.done():  # its caller may have gone
                waiting.told.set_result(own)


def columns(exchanges: Sequence[Exchange]) -> tuple[list[Prompt], list[str]]:
    return [exchange.prompt for exchange in exchanges], [exchange.completion for exchange in exchanges]
