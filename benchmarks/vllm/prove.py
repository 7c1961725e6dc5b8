"""The vLLM backend against vLLM alone, on the same calls: what each costs, and whether the replies are right.

    python benchmarks/vllm/prove.py MODEL_FOLDER

Each part runs in a process of its own, since an engine keeps its memory: `raw` is vLLM's own `LLM.chat`,
`backend` the engine in Solon's process, `server` a server that Solon starts.
"""

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from constitution.files import find, load
from generator.chat import Backend, CallFailure, ChatReply, ChatRequest, Outcome, call_key, sampling_seed
from generator.models.openai import OpenAIBackend
from generator.models.vllm import QUIET, VllmBackend, engine_settings
from generator.models.vllm_server import VllmServer
from generator.models.weights import folder_identity
from generator.prompts import Prompt
from judge.asking import LABELS, Asking, verdict_request
from solon.inputs import read_prompts

ROOT = Path(__file__).parents[2]
SAMPLES = 2
MAX_TOKENS = 64
JUDGED = 8  # prompts whose two samples are judged, under every principle, in both orders
ROUNDS = 3  # of drafts; the fastest counts, being the least disturbed by whatever else the machine does
WARM_UP = 4  # calls before the clock starts


def prompts_of(count: int) -> tuple[Prompt, ...]:
    return read_prompts(["*.jsonl"], ROOT / "examples/prompts", "examples")[:count]


def drafts(prompts: Sequence[Prompt], round_: int = 0) -> list[ChatRequest]:
    samples = range(SAMPLES * round_, SAMPLES * (round_ + 1))
    return [ChatRequest(p.messages, 0.8, MAX_TOKENS, sample=n) for p in prompts for n in samples]


def verdicts(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[ChatRequest]:
    """The pair first and the principle last, all calls about a pair after one another."""
    principles = load(find("helpful-honest", ROOT)).principles
    asking = Asking(seed=0, shared=True)
    asked = []
    for index, prompt in enumerate(prompts[:JUDGED]):
        one, two = texts[SAMPLES * index : SAMPLES * index + 2]
        for first, second in ((one, two), (two, one)):
            asked += [verdict_request(prompt, first, second, principle, asking) for principle in principles]
    return asked


def raw(model: str, prompts: Sequence[Prompt]) -> dict[str, object]:
    """vLLM's own batch interface, with the same settings, prompts and seeds."""
    from vllm import LLM, SamplingParams

    identity = folder_identity(Path(model))
    llm = LLM(model, disable_log_stats=True, **engine_settings())

    def chat(requests: Sequence[ChatRequest]) -> int:
        turns = [[{"role": m.role, "content": m.content} for m in request.messages] for request in requests]
        seeds = [sampling_seed(call_key(identity, request)) for request in requests]
        params = [SamplingParams(temperature=0.8, max_tokens=MAX_TOKENS, seed=seed) for seed in seeds]
        return sum(len(o.outputs[0].token_ids) for o in llm.chat(turns, params, use_tqdm=False))

    chat(drafts(prompts)[-WARM_UP:])
    rates = []
    for round_ in range(ROUNDS):
        start = time.perf_counter()
        tokens = chat(drafts(prompts, round_))
        rates.append(tokens / (time.perf_counter() - start))
    return {"tokens_per_second": max(rates), "slowest": min(rates)}


async def all_of(backend: Backend, requests: Sequence[ChatRequest]) -> list[Outcome]:
    async def one(request: ChatRequest) -> Outcome:
        key = call_key(backend.identity, request)
        got = await backend.send(key, request)
        return got if isinstance(got, CallFailure) else backend.read(key, request, got)

    return list(await asyncio.gather(*map(one, requests)))


async def measured(backend: Backend, prompts: Sequence[Prompt]) -> dict[str, object]:
    await all_of(backend, drafts(prompts)[-WARM_UP:])
    rates, texts = [], []
    for round_ in range(ROUNDS):
        start = time.perf_counter()
        written = sound(await all_of(backend, drafts(prompts, round_)))
        rates.append(sum(reply.usage.completion for reply in written) / (time.perf_counter() - start))
        texts += [reply.text for reply in written]
    start = time.perf_counter()
    judged = sound(await all_of(backend, verdicts(prompts, texts)))
    judging = time.perf_counter() - start
    for reply in judged:
        require_verdict(reply)
    read = sum(reply.usage.prompt for reply in judged)
    return {
        "tokens_per_second": max(rates), "slowest": min(rates),
        "verdicts": len(judged), "verdicts_per_second": len(judged) / judging,
        "cached_share": sum(reply.usage.cached for reply in judged) / read,
        "texts": texts, "preferred": [reply.text for reply in judged],
    }  # fmt: skip


def sound(outcomes: Sequence[Outcome]) -> list[ChatReply]:
    replies = [outcome for outcome in outcomes if isinstance(outcome, ChatReply)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, CallFailure)]
    assert not failures, f"{len(failures)} calls failed, the first so: {failures[0]}"
    return replies


def require_verdict(reply: ChatReply) -> None:
    """One of the labels, with the log-probs of the labels alone, which add up to 1."""
    assert reply.held, reply
    assert reply.text in LABELS, reply
    assert {token.token for token in reply.first_token} <= set(LABELS), reply
    assert math.isclose(sum(math.exp(token.logprob) for token in reply.first_token), 1, abs_tol=1e-3), reply


async def backend(model: str, prompts: Sequence[Prompt]) -> dict[str, object]:
    inside = VllmBackend(model, folder_identity(Path(model)))
    try:
        return await measured(inside, prompts)
    finally:
        await inside.close()


async def server(model: str, prompts: Sequence[Prompt]) -> dict[str, object]:
    served = VllmServer.start(model)
    identity = folder_identity(Path(model))
    client = OpenAIBackend(model, served.url, served.key, identity=identity, holds_to_choices=True)
    try:
        return await measured(client, prompts)
    finally:
        await client.close()
        served.stop()


PARTS: dict[str, Callable[[str, Sequence[Prompt]], dict[str, object] | Awaitable[dict[str, object]]]] = {
    "raw": raw,
    "backend": backend,
    "server": server,
}


def run_part(part: str, model: str, count: int) -> dict[str, object]:
    """What the part printed on its last line, from a process of its own."""
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        str(Path(model).resolve()),
        "--prompts",
        str(count),
        "--part",
        part,
    ]
    environment = QUIET | dict(os.environ)  # vLLM alone would log to where the figures are told
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=environment)
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


def agreement(one: object, two: object) -> str:
    assert isinstance(one, list)
    assert isinstance(two, list)
    return f"{sum(a == b for a, b in zip(one, two, strict=True)) / len(one):.0%}"


def report(told: dict[str, dict[str, object]]) -> None:
    for part, said in told.items():
        figures = ", ".join(f"{k} {v:.3g}" for k, v in said.items() if isinstance(v, int | float))
        print(f"{part}: {figures}")
    rate = {part: said["tokens_per_second"] for part, said in told.items()}
    print(", ".join(f"{part} / raw: {rate[part] / rate['raw']:.2f}" for part in rate if "raw" in rate))
    if {"backend", "server"} <= told.keys():
        inside, outside = told["backend"], told["server"]
        texts, preferred = (agreement(inside[name], outside[name]) for name in ("texts", "preferred"))
        print(f"in process and served: the same texts {texts}, the same verdicts {preferred}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a model folder")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    arguments = parser.parse_args()
    parts = arguments.part or list(PARTS)
    if arguments.part and len(parts) == 1:
        result = PARTS[parts[0]](arguments.model, prompts_of(arguments.prompts))
        print(json.dumps(asyncio.run(result) if asyncio.iscoroutine(result) else result))
        return
    report({part: run_part(part, arguments.model, arguments.prompts) for part in parts})


if __name__ == "__main__":  # the engine's processes read this file again
    main()
