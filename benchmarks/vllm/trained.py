"""A policy that Solon trained, asked by vLLM: what it says first must be what transformers says of the same weights.

    python benchmarks/vllm/trained.py train MODEL_FOLDER NEW_FOLDER     where solon[train] is installed
    python benchmarks/vllm/trained.py ask MODEL_FOLDER NEW_FOLDER       where vLLM is

The training is two steps on one sentence, so that the policy has moved where everybody can see it.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from generator.chat import Backend, ChatReply, ChatRequest, call_key
from generator.models.transformers import TransformersBackend
from generator.models.vllm import VllmBackend
from solon.inputs import read_prompts

ROOT = Path(__file__).parents[2]
PROMPTS = 8
TOP = 20  # likeliest first tokens that are compared
NEAR = 0.02  # nats: both count in float32, so that only the order of sums is left
TAUGHT = "Briefly: it depends. Ask me for more."
Logprobs = dict[str, float]  # of a first token, by its text


def requests() -> list[ChatRequest]:
    prompts = read_prompts(["everyday.jsonl"], ROOT / "examples/prompts", "examples")[:PROMPTS]
    return [ChatRequest(prompt.messages, 0.0, 1, top_logprobs=TOP) for prompt in prompts]


def train(base: Path, new: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    from trainer.models.policies import load_policy
    from trainer.settings import SftSettings
    from trainer.sft import train_sft
    from trainer.steps import Job

    asked = [[{"role": m.role, "content": m.content} for m in request.messages] for request in requests()]
    table = {
        "prompt": asked,
        "chosen": [[{"role": "assistant", "content": TAUGHT}]] * PROMPTS,
        "rejected": [[{"role": "assistant", "content": "No."}]] * PROMPTS,
        "revised": [True] * PROMPTS,
    }
    shutil.rmtree(new, ignore_errors=True)
    with tempfile.TemporaryDirectory() as rows:
        parquet.write_table(pyarrow.table(table), Path(rows) / "train.parquet")
        settings = SftSettings(learning_rate=1e-4, epochs=2, batch_size=PROMPTS, gradient_accumulation=1)
        trained = train_sft(load_policy(base), settings, Job(Path(rows), new, 0, lambda step: None))
    losses = [step.figures["loss"] for step in trained.steps]
    print(f"trained: loss {losses[0]:.2f} to {losses[-1]:.2f} in {trained.seconds:.0f} s")


async def first_tokens(backend: Backend) -> list[Logprobs]:
    async def one(request: ChatRequest) -> Logprobs:
        raw = await backend.send(key := call_key(backend.identity, request), request)
        assert isinstance(raw, bytes), raw
        reply = backend.read(key, request, raw)
        assert isinstance(reply, ChatReply), reply
        return {token.token: token.logprob for token in reply.first_token}

    return list(await asyncio.gather(*map(one, requests())))


def by_transformers(folder: Path) -> list[Logprobs]:
    async def ask() -> list[Logprobs]:
        backend = TransformersBackend(folder, folder.name)
        try:
            return await first_tokens(backend)
        finally:
            await backend.close()

    return asyncio.run(ask())


def by_vllm(folder: Path) -> list[Logprobs]:
    async def ask() -> list[Logprobs]:
        backend = VllmBackend(str(folder), folder.name, {"dtype": "float32", "max_model_len": 512})
        try:
            return await first_tokens(backend)
        finally:
            await backend.close()

    return asyncio.run(ask())


def farthest(one: Sequence[Logprobs], other: Sequence[Logprobs]) -> float:
    """In nats, over the tokens that both tell of: at the end of the list, near ones may change places."""
    both = [(first, second, first.keys() & second.keys()) for first, second in zip(one, other, strict=True)]
    return max(abs(first[token] - second[token]) for first, second, shared in both for token in shared)


def ask(base: Path, new: Path) -> None:
    before, after, served = by_transformers(base), by_transformers(new), by_vllm(new)
    moved, apart = farthest(before, after), farthest(after, served)
    shared = min(len(one.keys() & other.keys()) for one, other in zip(after, served, strict=True))
    told = {"prompts": PROMPTS, "shared": shared, "moved_by_training": round(moved, 3), "apart": round(apart, 5)}
    print(f"a trained policy in vLLM: {json.dumps(told)}")
    assert shared >= TOP - 2, told
    assert apart < NEAR < moved / 10, told


if __name__ == "__main__":  # the engine's processes read this file again
    {"train": train, "ask": ask}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
