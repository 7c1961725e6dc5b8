"""Rewards over HTTP, as OpenRLHF's client asks for them: taken apart, answered in order, and never made up."""

import asyncio
import base64
import re
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.errors import NotFinished
from generator.chat import Message
from generator.prompts import Prompt
from solon.reward_server.batching import MOST, Batcher
from solon.reward_server.reading import Exchange, Known, Query, conversation, exchange, overlap

pytestmark = pytest.mark.skipif(find_spec("fastapi") is None, reason="not installed: fastapi")
Begin = Callable[..., subprocess.Popen[str]]
Cli = Callable[..., subprocess.CompletedProcess[str]]
WriteRun = Callable[..., Path]

CHATML = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
LLAMA = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
    "<|end_header_id|>\n\nWhy?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)
ZEPHYR = "<|system|>\nBe brief.</s>\n<|user|>\nWhy?</s>\n<|assistant|>\n"
GRANITE = (
    "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>Why?"
    "<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"
)
MISTRAL = "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Why?[/INST]"
GEMMA = "<bos><start_of_turn>user\nWhy?<end_of_turn>\n<start_of_turn>model\n"
ENDS = {CHATML: "<|im_end|>", LLAMA: "<|eot_id|>", ZEPHYR: "</s>", GRANITE: "<|end_of_text|>", MISTRAL: "</s>",
        GEMMA: "<end_of_turn>\n<eos>"}  # fmt: skip
WHY = (Message("system", "Be brief."), Message("user", "Why?"))
NOBODY = Known(())


@pytest.mark.parametrize("template", ENDS)
@pytest.mark.parametrize("with_prompt", [True, False])
def test_a_query_is_taken_apart_whatever_the_template(template: str, with_prompt: bool) -> None:
    text = f"{template}Because of\n\n<b>this</b>. {ENDS[template]}"
    found = exchange(Query(text, template if with_prompt else None), NOBODY)
    assert found
    assert found.completion == "Because of\n\n<b>this</b>."
    assert found.prompt.messages == (WHY[1:] if template == GEMMA else WHY)


def test_earlier_turns_stay_in_the_prompt() -> None:
    prompt = f"{CHATML}Because.<|im_end|>\n<|im_start|>user\nReally?<|im_end|>\n<|im_start|>assistant\n"
    found = exchange(Query(prompt + "Yes.<|im_end|>\n", prompt), NOBODY)
    assert found
    assert found.prompt.messages == (*WHY, Message("assistant", "Because."), Message("user", "Really?"))


def test_what_a_completion_says_in_another_role_is_never_taken_for_the_prompts() -> None:
    """A policy that writes the marks of further turns would else be rewarded for the last of them alone."""
    text = f"{CHATML}Bad.<|im_end|>\n<|im_start|>user\nReally?<|im_end|>\n<|im_start|>assistant\nGood.<|im_end|>"
    found = exchange(Query(text, CHATML), NOBODY)
    assert found
    assert found.completion.startswith("Bad.")
    asked = Prompt("p", WHY)
    assert exchange(Query(text, None, "p"), Known([asked])) is None
    several = Prompt("q", (*WHY, Message("assistant", "Bad."), Message("user", "Really?")))
    known = exchange(Query(text, None), Known([asked, several]))
    assert known == Exchange(several, "Good.")


def test_a_prompt_that_lost_its_beginning_is_still_told_from_the_completion() -> None:
    text = CHATML.replace("Why?", "Why so, and " + "why " * 50 + "why?")
    for cut in (1, 9, 60, len(text) - 25):
        found = exchange(Query("\ufffd\ufffd" + text[cut:] + "Because.<|im_end|>", text), NOBODY)
        assert found
        assert found.completion == "Because."
        assert found.prompt.text.startswith("Why so, and why")


def test_a_prompt_without_a_template_is_what_a_user_says() -> None:
    assert conversation("<s> Why?\n") == (Message("user", "Why?"),)
    assert exchange(Query("Why? Because.</s>", "Why?"), NOBODY) == exchange(Query("Why? Because.", "Why?"), NOBODY)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [("Why? Because.", None), (CHATML, None), ("Because.", CHATML), ("Because.", ""), ("? Because", "Why?"),
     ("<|im_start|>user\nWhy?<|im_end|>", None)],
)  # fmt: skip
def test_what_cannot_be_told_apart_is_not_guessed_at(text: str, prompt: str | None) -> None:
    assert exchange(Query(text, prompt), NOBODY) is None


def test_a_completion_that_says_nothing_is_still_one() -> None:
    found = exchange(Query(f"{CHATML}<|im_end|>", CHATML), NOBODY)
    assert found
    assert found.completion == ""


def test_the_runs_own_prompt_is_found_by_label_or_by_what_it_says() -> None:
    tagged = Prompt("p1", (Message("user", "Why?"),), ("factual",))
    other = Prompt("p2", (Message("system", "Be brief."), Message("user", "How?")), ("plain",))
    known = Known([tagged, other])
    assert known.find("p2", WHY) is other
    assert known.find(None, WHY) is tagged  # the template brought a system message of its own
    assert known.find(7, (Message("system", "Be brief."), Message("user", "How? "))) is other
    unknown = known.find("p3", (Message("user", "How?"),))
    assert (unknown.tags, unknown.messages) == ((), (Message("user", "How?"),))
    assert unknown.id not in ("p1", "p2", "p3")


@given(st.text("ab", max_size=12), st.text("ab", max_size=12))
def test_the_overlap_is_the_longest_there_is(prompt: str, text: str) -> None:
    longest = max(n for n in range(len(prompt) + 1) if text.startswith(prompt[len(prompt) - n :]))
    assert overlap(prompt, text) == longest


@dataclass
class Counting:
    """Rewards a completion by its length, has nothing to say of silence, and notes what it was asked together."""

    pause: float = 0.0
    error: Exception | None = None
    asked: list[list[str]] = field(default_factory=list)
    tags: list[tuple[str, ...]] = field(default_factory=list)
    name: str = "counting"

    def __call__(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> list[float | None]:
        self.asked.append([*completions])
        self.tags += [prompt.tags for prompt in prompts]
        time.sleep(self.pause)
        if self.error:
            raise self.error
        return [float(len(text)) if text != "silence" else None for text in completions]


@asynccontextmanager
async def serving(reward: Any, key: str | None = None, known: Known = NOBODY, at_once: int = 1) -> AsyncIterator[str]:
    """The address of the server over ``reward``, in a thread of its own."""
    import uvicorn

    from solon.reward_server.app import Desk, create_app
    from solon.web.serve import listen

    app = create_app(Desk(reward, known, key, at_once))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none"))
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await asyncio.to_thread(thread.join)


async def asked(url: str, completions: Sequence[str], **more: Any) -> dict[str, Any]:
    """As OpenRLHF's rollout asks: what the tokenizer decoded, the prompt it was sampled to, and the row's label."""
    payload = {
        "query": [f"{CHATML}{text}<|im_end|>" for text in completions],
        "prompts": [CHATML] * len(completions),
        "labels": [""] * len(completions),
    }
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=payload | more) as response:
        response.raise_for_status()
        told: dict[str, Any] = await response.json()
        return told


async def test_rewards_come_back_in_the_order_asked() -> None:
    async with serving(Counting()) as url:
        told = await asked(f"{url}/get_reward", ["Because.", "So.", "It is so."])
        assert told == {"rewards": [8.0, 3.0, 9.0], "scores": [8.0, 3.0, 9.0], "extra_logs": {"words": [1.0, 1.0, 3.0]}}
        one = await asked(f"{url}/get_reward", ["So."], prompts=None, labels=None, query=f"{CHATML}So.<|im_end|>")
        assert one["rewards"] == [3.0]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
            assert await response.json() == {"reward": "counting", "rewarded": 4, "without_verdict": 0}


async def test_what_arrives_while_the_reward_is_busy_is_asked_together_and_told_apart() -> None:
    reward = Counting(pause=0.05)
    async with serving(reward) as url:
        texts = ["x" * n for n in range(1, 41)]
        told = await asyncio.gather(*(asked(f"{url}/get_reward", [text]) for text in texts))
    assert [one["rewards"] for one in told] == [[float(len(text))] for text in texts]
    assert len(reward.asked) < 20


async def test_no_more_than_so_many_are_asked_together_and_one_callers_stay_together() -> None:
    reward = Counting(pause=0.02)
    batcher = Batcher(reward, at_once=1)
    wanted = [[f"{n}-{place}" for place in range(size)] for n, size in enumerate((1, 40, 30, 20, 100))]
    said = [[Exchange(Prompt("p", WHY), text) for text in texts] for texts in wanted]
    told = await asyncio.gather(*(batcher.rewards(exchanges) for exchanges in said))
    assert told == [[float(len(text)) for text in texts] for texts in wanted]
    assert [len(texts) for texts in reward.asked] == [1, 40, 50, 100]
    assert MOST == 64


async def test_the_runs_tags_reach_the_reward() -> None:
    reward = Counting()
    async with serving(reward, known=Known([Prompt("p1", WHY, ("factual",))])) as url:
        await asked(f"{url}/get_reward", ["So.", "So."], labels=["p1", ""])
    assert reward.tags == [("factual",), ("factual",)]


async def refused(url: str, **request: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(f"{url}/get_reward", **request) as response:
        return response.status, (await response.json())["detail"]


async def test_a_completion_without_a_verdict_gets_no_number(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Counting()) as url:
        body = {"query": [f"{CHATML}silence<|im_end|>", f"{CHATML}So."], "prompts": [CHATML] * 2, "labels": ["", ""]}
        for _ in range(2):
            told = "counting gives no verdict on a completion, and none is made up"
            assert await refused(url, json=body) == (503, told)
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
            assert (await response.json())["without_verdict"] == 2
    assert [record.message for record in caplog.records if record.name.startswith("solon")] == [f"503: {told}"]


async def test_what_stops_the_judge_is_told_to_the_caller() -> None:
    async with serving(Counting(error=NotFinished("the budget is spent"))) as url:
        body = {"query": [f"{CHATML}So."], "prompts": [CHATML]}
        assert await refused(url, json=body) == (503, "the budget is spent")


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        ({"json": {"query": []}}, 422, "query"),
        ({"json": {"prompts": ["x"]}}, 422, "query"),
        ({"json": {"query": ["x"], "prompts": ["a", "b"]}}, 422, "not of one length"),
        ({"json": {"query": ["Why? So."]}}, 422, "cannot be told apart"),
        ({"json": [1]}, 422, "body"),
        ({"data": b"{", "headers": {"content-type": "application/json"}}, 422, "body"),
        ({"data": b"{}", "headers": {"content-type": "text/plain"}}, 415, "application/json"),
        ({"data": BytesIO(b"x" * (17 * 2**20)), "headers": {"content-type": "application/json"}}, 413, "than 16 MiB"),
    ],
)
async def test_what_is_no_question_is_refused(request_: dict[str, Any], status: int, said: str) -> None:
    reward = Counting()
    async with serving(reward) as url:
        answered, detail = await refused(url, **request_)
    assert (answered, reward.asked) == (status, [])
    assert said in detail


async def test_with_a_key_only_whoever_sends_it_is_answered() -> None:
    key = "s3cret"
    async with serving(Counting(), key=key) as url:
        body = {"query": [f"{CHATML}So."], "prompts": [CHATML]}
        wrong = base64.b64encode(b"solon:other").decode()
        for header in ({}, {"Authorization": "Bearer other"}, {"Authorization": f"Basic {wrong}"},
                       {"Authorization": "Basic !"}, {"Authorization": key}):  # fmt: skip
            assert (await refused(url, json=body, headers=header))[0] == 401
        with_key = url.replace("http://", f"http://solon:{key}@")  # all that OpenRLHF can be given is an address
        assert (await asked(f"{with_key}/get_reward", ["So."]))["rewards"] == [3.0]
        bearer = aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"})
        async with bearer as session, session.post(f"{url}/get_reward", json=body) as response:
            assert response.status == 200


def begun(config: Path) -> Path:
    """The folder of a run that has begun, as far as a reward is concerned."""
    from solon.config_file import load_config
    from solon.folder import RunFolder, save_config

    folder = RunFolder(config.parent / "runs" / "demo", load_config(config), config.parent)
    folder.path.mkdir(parents=True)
    save_config(folder)
    folder.principles_file.write_bytes(folder.source_principles().read_bytes())
    return folder.path


async def test_the_verb_serves_a_runs_constitution_until_it_is_stopped(begin: Begin, write_run: WriteRun) -> None:
    run = begun(write_run({}))
    process = begin("serve-reward", run, "--reward", "constitution", "--port", 0, "--key-env", "KEY", KEY="abc")
    assert process.stdout
    listening, named = process.stdout.readline(), process.stdout.readline()
    assert re.fullmatch(r"reward: principles \(\w{8}\), judged by rambler\n", named)
    url = listening.removeprefix("listening on http://").strip()
    told = await asked(f"http://x:abc@{url}", ["So.", "word " * 90])
    assert told["rewards"][0] > 0.9 > 0.2 > told["rewards"][1] > 0
    process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert process.stdout.read() == "stopped\n"
    assert process.stderr
    assert process.stderr.read() == ""


def test_the_verb_refuses_in_one_line(cli: Cli, write_run: WriteRun) -> None:
    run = begun(write_run({}))
    none = cli("serve-reward", run)
    assert (none.returncode, none.stderr.count("\n")) == (2, 1)
    assert "models/reward: no such folder: train one: solon train reward RUN" in none.stderr
    no_key = cli("serve-reward", run, "--reward", "constitution", "--key-env", "KEY", KEY=" ")
    assert (no_key.returncode, no_key.stderr.split(": ")[1]) == (2, "--key-env KEY")
