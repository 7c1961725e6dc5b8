"""``run.toml``: its schema, and what of it decides a run's meaning."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter

from constitution.checks import STRICT
from constitution.errors import InputError
from constitution.tables import line_of, read_table
from generator.sampling import Sampling
from judge.pairs import PairPolicy

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(ge=0, le=5)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Seconds = Annotated[float, Field(gt=0)]
Backend = Literal["openai", "anthropic", "vllm", "transformers", "llamacpp", "scripted"]


@dataclass(frozen=True, slots=True)
class Prompts:
    __pydantic_config__ = STRICT
    files: Annotated[tuple[str, ...], Field(min_length=1)]  # paths or globs, relative to the file that names them


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is and what it is called."""

    backend: Backend
    model: str
    base_url: str | None = None
    api_key_env: Variable | None = None  # the variable that holds the key; the key itself stands in no file
    latency: Annotated[float, Field(ge=0)] = 0.0  # seconds a call of the scripted backend takes
    batch: bool = False  # through the service's batch API: cheaper, and within a day
    serve: bool = False  # vllm: as a server that the run starts and stops, not in this process
    extra: dict[str, Any] = field(default_factory=dict)  # more of the request's body, as the endpoint calls it
    settings: dict[str, Any] = field(default_factory=dict)  # vllm: the engine's, where the run starts it

    @property
    def takes_extra(self) -> bool:
        """Whether its calls are requests to a server."""
        return self.backend in ("openai", "anthropic") or (self.backend == "vllm" and bool(self.base_url or self.serve))

    @property
    def address(self) -> tuple[str, str | None, str | None]:
        """What two models have in common that share one endpoint's limits."""
        return self.backend, self.base_url, self.api_key_env


@dataclass(frozen=True, slots=True)
class Model(Endpoint):
    __pydantic_config__ = STRICT
    temperature: Temperature = 1.0
    max_tokens: Positive = 256

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.max_tokens)


@dataclass(frozen=True, slots=True)
class Critic:
    """The keys of ``[policy]``, each of which defaults to the policy's."""

    __pydantic_config__ = STRICT
    backend: Backend | None = None
    model: str | None = None
    base_url: str | None = None
    api_key_env: Variable | None = None
    latency: Annotated[float, Field(ge=0)] | None = None
    batch: bool | None = None
    serve: bool | None = None
    extra: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    temperature: Temperature | None = None
    max_tokens: Positive | None = None


@dataclass(frozen=True, slots=True)
class Judge(Endpoint):
    __pydantic_config__ = STRICT
    mode: Literal["pairwise"] = "pairwise"
    principles: Literal["one", "all"] = "one"  # of those without a check: one drawn for each couple, or all
    share: Share = 1.0  # of the couples that the model sees, drawn by seed; checks see all of them
    verdict_tokens: Positive = 2048  # for a verdict in words, hidden reasoning included, where there are no log-probs


@dataclass(frozen=True, slots=True)
class Completions:
    __pydantic_config__ = STRICT
    completions: Positive = 2
    rounds: Count = 1


@dataclass(frozen=True, slots=True)
class Pairs:
    __pydantic_config__ = STRICT
    policy: PairPolicy = "best-vs-worst"
    min_margin: Share = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    __pydantic_config__ = STRICT
    in_flight: Positive = 64  # calls at once to one endpoint
    deadline: Seconds = 300.0  # for all tries of one call and the pauses between
    idle: Seconds = 120.0  # without a byte from the endpoint
    requests_per_minute: Positive | None = None  # to one endpoint
    tokens_per_minute: Positive | None = None  # read and written, at one endpoint


@dataclass(frozen=True, slots=True)
class BudgetCap:
    __pydantic_config__ = STRICT
    usd: Annotated[float, Field(gt=0)] | None = None  # for the run in all, whatever happens
    tokens: Positive | None = None  # read and written, in all
    prices: str = "prices.toml"  # beside the file that names it


@dataclass(frozen=True, slots=True)
class Batch:
    __pydantic_config__ = STRICT
    wait: Annotated[float, Field(ge=0)] = 86400.0  # seconds to wait for batches; then the run says to come back
    poll: Seconds = 30.0  # seconds between two looks at a batch


@dataclass(frozen=True, slots=True)
class Export:
    __pydantic_config__ = STRICT
    test_share: Share = 0.1  # of the prompts


@dataclass(frozen=True, slots=True)
class Dpo:
    __pydantic_config__ = STRICT
    base: str | None = None  # the weights to train, a model folder or a GGUF file; the embedded policy's if not given
    beta: Annotated[float, Field(gt=0)] = 0.1
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    epochs: Positive = 1
    batch_size: Positive = 4  # pairs at once; a step sees gradient_accumulation times as many
    gradient_accumulation: Positive = 2
    max_length: Positive = 1024  # tokens of prompt and completion
    bf16: bool = True  # matrix products in bfloat16; weights stay float32
    train_embeddings: bool = False  # the vocabulary's matrices too


@dataclass(frozen=True, slots=True)
class Evaluate:
    __pydantic_config__ = STRICT
    files: tuple[str, ...] = ()  # held-out prompts, never trained on
    max_tokens: Positive = 160


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run as its file describes it, every default filled in."""

    __pydantic_config__ = STRICT
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    constitution: str
    prompts: Prompts
    policy: Model
    judge: Judge
    seed: int = 0
    engine: Literal["local"] = "local"
    critic: Critic = field(default_factory=Critic)
    candidates: Completions = field(default_factory=Completions)
    pairs: Pairs = field(default_factory=Pairs)
    limits: Limits = field(default_factory=Limits)
    budget: BudgetCap = field(default_factory=BudgetCap)
    batch: Batch = field(default_factory=Batch)
    export: Export = field(default_factory=Export)
    dpo: Dpo = field(default_factory=Dpo)
    evaluate: Evaluate = field(default_factory=Evaluate)

    @property
    def critic_model(self) -> Model:
        """The policy with what ``[critic]`` says instead; another address never gets the policy's key."""
        given = {f.name: getattr(self.critic, f.name) for f in fields(self.critic)}
        said = {name: value for name, value in given.items() if value is not None}
        if said.keys() & {"base_url", "backend"}:
            said = {
                "base_url": None,
                "api_key_env": None,
                "batch": False,
                "serve": False,
                "extra": {},
                "settings": {},
                **said,
            }
        return replace(self.policy, **said)


CONFIG = TypeAdapter(RunConfig)

# What a call is made of already, or would make it cost more than is put aside for it.
OURS = frozenset({"model", "messages", "system", "stream", "n", "seed", "temperature", "max_tokens",
                  "max_completion_tokens", "logprobs", "top_logprobs", "structured_outputs"})  # fmt: skip

# How a run is carried out, and what is done with its labels afterwards: none of it changes a call or a label.
OPERATIONAL = frozenset(
    {"name", "engine", "prompts", "constitution", "limits", "budget", "batch", "export", "dpo", "evaluate"}
)
OPERATIONAL_KEYS = frozenset({"base_url", "api_key_env", "latency", "batch", "serve", "settings"})


def load_config(path: Path) -> RunConfig:
    """The run that the file at ``path`` describes.

    Raises:
        InputError: the file cannot be read, or a key is unknown, missing or wrong; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            str(path), f"cannot be read ({error})", "name a run.toml; `solon init DIR` makes one"
        ) from None
    config = read_table(text, CONFIG, str(path))
    for section in ("policy", "critic", "judge"):
        model: Endpoint = config.critic_model if section == "critic" else getattr(config, section)
        if model.backend in ("openai", "anthropic") and not (model.base_url or model.api_key_env):
            place = f"{path}:{line_of(text, (section,))}"
            raise InputError(place, f"[{section}] says neither where the model is nor whose key to use",
                             "give base_url, api_key_env, or both")  # fmt: skip
        if taken := model.extra.keys() & OURS:
            place = f"{path}:{line_of(text, (section, 'extra'))}"
            raise InputError(
                place, f"'{section}.extra' sets {', '.join(sorted(taken))}, which is Solon's to set", "remove it"
            )
        if model.extra and not model.takes_extra:
            place = f"{path}:{line_of(text, (section, 'extra'))}"
            raise InputError(
                place, f"backend {model.backend!r} sends no request that 'extra' could be part of", "remove it"
            )
        if model.settings and not (model.backend == "vllm" and not model.base_url):
            place = f"{path}:{line_of(text, (section, 'settings'))}"
            raise InputError(place, f"'{section}.settings' are a vLLM engine's, and the run starts none", "remove them")
        if model.batch and model.backend not in ("openai", "anthropic"):
            place = f"{path}:{line_of(text, (section, 'batch'))}"
            raise InputError(place, f"backend {model.backend!r} has no batches", "set batch = false")
        if model.base_url and not is_plain_address(model.base_url):
            place = f"{path}:{line_of(text, (section, 'base_url'))}"
            raise InputError(place, f"'{section}.base_url' must be http://HOST/PATH or https://HOST/PATH and no more",
                             "a key belongs into the variable that api_key_env names")  # fmt: skip
    return config


def is_plain_address(url: str) -> bool:
    """Whether the address holds no user, password, query or fragment: a key may stand in any of them."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return plain and not (parts.username or parts.password or "@" in parts.netloc or "?" in url or "#" in url)


@contextmanager
def blamed_on(path: Path, *keys: str) -> Iterator[None]:
    """Whatever bad input turns up inside is told with the line of ``path`` that asked for it."""
    try:
        yield
    except InputError as error:
        line = line_of(path.read_text(encoding="utf-8"), keys)
        raise InputError(f"{path}:{line}", ".".join(keys), str(error)) from None


def meaning(config: RunConfig) -> dict[str, Any]:
    """What decides the calls and labels, flat: ``section.key`` to value.

    Prompts and principles are not in it: they are data, and a run takes up their edits call by call.
    """
    sections = {k: v for k, v in asdict(config).items() if k not in OPERATIONAL} | {
        "critic": asdict(config.critic_model)
    }
    flat: dict[str, Any] = {}
    for name, value in sections.items():
        inner = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name}.{key}": v for key, v in inner if key not in OPERATIONAL_KEYS}
        if not isinstance(value, dict):
            flat[name] = value
    return flat
