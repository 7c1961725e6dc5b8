"""`solon convert`: a policy as GGUF, written only where llama.cpp then says what transformers says."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from constitution.errors import InputError, ModelError, StorageError
from constitution.identity import file_hash
from generator.chat import ChatRequest, Message
from generator.models.llamacpp import SPIN_LITTLE, Weights, start_llamacpp
from solon.cli.telling import Told
from solon.folder import make_folder
from solon.training.places import record_of
from trainer.gguf.writing import OTHERWISE, Kind, convert_to_gguf
from trainer.models.chat import prompt_tokens
from trainer.models.policies import Policy, disk_full, load_policy

# Nats between the two that are rounding's own. SmolLM2 shows 0.014, 0.014 and 0.33; a wrong layout shows several.
BOUNDS: dict[Kind, float] = {"f32": 0.05, "f16": 0.1, "q8_0": 1.0}
TOP = 20  # of the likeliest first tokens are compared
PROMPTS = (
    (Message("user", "What is the capital of France?"),),
    (Message("user", "Add 12 and 345, then take 6.78 away."),),
    (Message("user", "Wie heißt „Käse“ auf Japanisch? 日本語 🙂"),),
    (Message("user", "def f(x):\n\treturn  x  # two   spaces\n\n\n"),),
    (Message("system", "Be brief."), Message("user", "Why do cats purr?")),
    (Message("user", "Hi"), Message("assistant", "Hello! It's me."), Message("user", "Who's that?")),
)


@dataclass(frozen=True, slots=True)
class FirstToken:
    """What a model says after a prompt: how many tokens it read, and the log-probs of tokens that may follow."""

    read: int
    logprobs: dict[int, float]  # by the token's number


def convert(model: Path, file: Path, kind: Kind) -> Told:
    """Writes the policy in the folder ``model`` as ``file``.

    Raises:
        InputError: there is no such policy, it cannot be converted, or ``file`` is there already.
        ModelError: llama.cpp says something else than transformers; nothing was written.
        StorageError: there is no room; nothing was written.
    """
    os.environ.setdefault(*SPIN_LITTLE)  # before torch comes, whose threads are of the same library
    require_convertible(model, file)
    make_folder(file.parent)
    with becoming(file) as new:
        convert_to_gguf(model, new, kind)
        largest = largest_difference(load_policy(model), new)
        if not largest <= BOUNDS[kind]:
            fact = f"in llama.cpp its log-probs differ by {largest:.3g} nats, and rounding explains {BOUNDS[kind]}"
            raise ModelError(f"{model}: {fact}: nothing was written; {OTHERWISE}")
    size = file.stat().st_size
    data = {
        "model": str(model), "file": str(file), "type": kind, "bytes": size, "sha256": file_hash(file),
        "prompts": len(PROMPTS), "largest_difference": largest, "bound": BOUNDS[kind],
    }  # fmt: skip
    told = (
        f"{file}: {size / 2**20:.0f} MiB as {kind}; over {len(PROMPTS)} prompts, the log-probs of first "
        f"tokens in llama.cpp are within {largest:.2g} nats of those in transformers"
    )
    return Told(data, told)


def require_convertible(model: Path, file: Path) -> None:
    if not model.is_dir():
        raise InputError(str(model), "is no folder", "name the folder of a trained policy")
    if file.exists():
        raise InputError(str(file), "is there already", "name a new file; nothing is overwritten")
    if (record_of(model) or {}).get("method") == "reward":
        raise InputError(str(model), "is a reward model, which llama.cpp cannot ask", "name a policy")
    for package, extra in (("gguf", "train"), ("transformers", "train"), ("xllamacpp", "local")):
        if find_spec(package) is None:
            raise InputError("convert", f"{package} is not installed", f"pip install 'solon[{extra}]'")


@contextmanager
def becoming(file: Path) -> Iterator[Path]:
    """A file to write to, which becomes ``file`` when all went well, and is removed when not."""
    new = file.with_name(f"{file.name}.new")
    try:
        yield new
        new.replace(file)
    except Exception as error:
        if not disk_full(error):
            raise
        raise StorageError(f"{file}: the disk is full: make room, and convert again") from error
    finally:
        new.unlink(missing_ok=True)


def largest_difference(policy: Policy, file: Path) -> float:
    """In nats, over all ``PROMPTS`` and the likeliest tokens after each; infinite where one is read otherwise."""
    theirs = asyncio.run(asked_of_llamacpp(file))
    return max(difference(asked_of(policy, prompt), told) for prompt, told in zip(PROMPTS, theirs, strict=True))


def difference(ours: FirstToken, theirs: FirstToken) -> float:
    if ours.read != theirs.read:
        return float("inf")
    return max(abs(ours.logprobs[token] - logprob) for token, logprob in theirs.logprobs.items())


def asked_of(policy: Policy, prompt: tuple[Message, ...]) -> FirstToken:
    import torch

    tokens = prompt_tokens(policy.tokenizer, prompt)
    model: Any = policy.model
    with torch.inference_mode():
        logits = model(torch.tensor([tokens])).logits[0, -1]
    return FirstToken(len(tokens), dict(enumerate(logits.float().log_softmax(-1).tolist())))


async def asked_of_llamacpp(file: Path) -> list[FirstToken]:
    try:
        backend = start_llamacpp(Weights(file, file.name), slots=1)
    except InputError as error:
        raise ModelError(f"llama.cpp cannot load what was written ({error.fact}): {OTHERWISE}") from None
    # It tells log-probs, from before any bias, only beside a token that is text: no end, no half of a character.
    backend.extra["logit_bias"] = [["a", 1000.0]]
    try:
        return [await asked_once(backend, prompt) for prompt in PROMPTS]
    finally:
        await backend.close()


async def asked_once(backend: Any, prompt: tuple[Message, ...]) -> FirstToken:
    raw = await backend.send("0" * 64, ChatRequest(prompt, temperature=0.0, max_tokens=1, top_logprobs=TOP))
    if not isinstance(raw, bytes):
        raise ModelError(f"llama.cpp: {raw.reason} ({raw.detail})")
    body = json.loads(raw)
    likeliest = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return FirstToken(body["usage"]["prompt_tokens"], {one["id"]: one["logprob"] for one in likeliest})
