import asyncio

import pytest

from generator.chat import Message
from generator.prompts import Prompt
from solon.engines.local import run_prompts

PROMPTS = [Prompt(f"p{n}", (Message("user", f"Why {n}?"),)) for n in range(20)]


@pytest.mark.parametrize("workers", [1, 3, 50])
async def test_every_prompt_is_worked_on_once_in_order_and_no_more_at_once_than_there_are_workers(workers: int) -> None:
    begun: list[str] = []
    out = most = 0

    async def work(prompt: Prompt) -> None:
        nonlocal out, most
        begun.append(prompt.id)
        out += 1
        most = max(most, out)
        await asyncio.sleep(0.001 * (1 + hash(prompt.id) % 3))
        out -= 1

    await run_prompts(iter(PROMPTS), work, workers)
    assert begun == [prompt.id for prompt in PROMPTS]
    assert most == min(workers, len(PROMPTS))


async def test_an_error_in_one_prompt_cancels_the_others_and_is_raised() -> None:
    ended: list[str] = []

    async def work(prompt: Prompt) -> None:
        if prompt.id == "p3":
            raise LookupError(prompt.id)
        try:
            await asyncio.sleep(10)
        finally:
            ended.append(prompt.id)

    with pytest.raises(ExceptionGroup) as raised:
        await run_prompts(PROMPTS, work, 5)
    assert [str(error) for error in raised.value.exceptions] == ["p3"]
    assert sorted(ended) == ["p0", "p1", "p2", "p4"]
