"""The engine of one machine: some workers that share one stream of prompts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from generator.prompts import Prompt


async def run_prompts(prompts: Iterable[Prompt], work: Callable[[Prompt], Awaitable[None]], workers: int) -> None:
    """Awaits ``work`` once for each prompt, at most ``workers`` at a time, started in order.

    Raises:
        ExceptionGroup: of whatever ``work`` raised; the other workers are cancelled then.
    """
    stream = iter(prompts)

    async def worker() -> None:
        for prompt in stream:
            await work(prompt)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
