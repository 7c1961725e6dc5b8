"""OpenRLHF's own rollout asks the reward server, and gets each completion's reward."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from generator.prompts import Prompt

agent = pytest.importorskip("openrlhf.utils.agent")
uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")


class Heard:
    """Rewards a completion by its length, and notes what it was asked."""

    name = "heard"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        self.asked += [(prompt.text, text) for prompt, text in zip(prompts, completions, strict=True)]
        return [float(len(text)) for text in completions]


class Engine:
    """Says one thing, as vLLM would."""

    def __init__(self, tokenizer: Any, text: str) -> None:
        self.tokens = tokenizer(f"{text}<|im_end|>", add_special_tokens=False)["input_ids"]

    async def generate(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=self.tokens, finish_reason="stop", logprobs=None)])


def test_a_rollouts_completions_are_rewarded_also_where_the_prompt_lost_its_beginning(tokenizer: Any) -> None:
    from solon.reward_server.app import Desk, create_app
    from solon.reward_server.reading import Known

    reward = Heard()
    app = create_app(Desk(reward, Known(()), "s3cret", 1))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    asked = "Tell me. " * 40 + "Why is the sky blue?"
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}], tokenize=False, add_generation_prompt=True
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        url = f"http://solon:s3cret@127.0.0.1:{listening.getsockname()[1]}/get_reward"
        try:
            executor = agent.SingleTurnAgentExecutor([url])
            params = SimpleNamespace(max_tokens=32, logprobs=None)
            engine = Engine(tokenizer, "It scatters blue light.")
            answers = [
                asyncio.run(executor.execute(prompt, "", params, length, tokenizer, engine)) for length in (512, 100)
            ]
        finally:
            server.should_exit = True
            thread.join()
    for answer in answers:
        assert (answer["reward"], answer["scores"], answer["extra_logs"]) == ([23.0], [23.0], {"words": [4.0]})
    assert reward.asked == [(asked, "It scatters blue light.")] * 2
