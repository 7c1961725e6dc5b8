"""``run.toml`` read from its file; whatever is wrong is told with the line that says it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from constitution.errors import InputError
from constitution.tables import line_of, read_table
from solon.config import CONFIG, RunConfig
from solon.endpoints import Endpoint
from trainer.settings import Fitting, Method, Online

Fault = tuple[str, str, str]  # the key that is at fault, the fact, the remedy

# What a call is made of already, or would make it cost more than is put aside for it.
OURS = frozenset({"model", "messages", "system", "stream", "n", "seed", "temperature", "max_tokens",
                  "max_completion_tokens", "logprobs", "top_logprobs", "structured_outputs"})  # fmt: skip


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
    for key, fact, remedy in faults(config):
        raise InputError(str(path), fact, remedy, line_of(text, toml_path(key)))
    return config


def faults(config: RunConfig) -> Iterator[Fault]:
    """What no single key's type can tell, in the order of the roles."""
    for role, endpoint in config.endpoints.items():
        yield from endpoint_faults(role, endpoint)
    yield from judging_faults(config)
    yield from training_faults(config)


def endpoint_faults(role: str, model: Endpoint) -> Iterator[Fault]:
    remote = model.backend in ("openai", "anthropic")
    if remote and not (model.base_url or model.api_key_env):
        yield (
            role,
            f"[{role}] says neither where the model is nor whose key to use",
            "give base_url, api_key_env, or both",
        )
    if taken := model.extra.keys() & OURS:
        yield f"{role}.extra", f"'{role}.extra' sets {', '.join(sorted(taken))}, which is Solon's to set", "remove it"
    if model.extra and not model.takes_extra:
        yield f"{role}.extra", f"backend {model.backend!r} sends no request that 'extra' could be part of", "remove it"
    if model.settings and not (model.backend == "vllm" and not model.base_url):
        yield f"{role}.settings", f"'{role}.settings' are a vLLM engine's, and the run starts none", "remove them"
    if model.batch and not remote:
        yield f"{role}.batch", f"backend {model.backend!r} has no batches", "set batch = false"
    if model.base_url and not is_plain_address(model.base_url):
        fact = f"'{role}.base_url' must be http://HOST/PATH or https://HOST/PATH and no more"
        yield f"{role}.base_url", fact, "a key belongs into the variable that api_key_env names"


def judging_faults(config: RunConfig) -> Iterator[Fault]:
    judge, cascade = config.judge, config.cascade
    yield from idle_keys(config)
    if cascade and judge.mode == "pointwise":
        yield "cascade", "a cascade compares, and mode is 'pointwise'", "remove the section"
    if cascade and judge.reason_first and cascade.sure > judge.clamp:
        fact = (
            f"'cascade.sure' is {cascade.sure}, and after reasoning no verdict is surer than judge.clamp, {judge.clamp}"
        )
        yield "cascade.sure", fact, "lower it, or raise judge.clamp"
    judges = [(role, one.model) for role, one in config.endpoints.items() if role not in ("policy", "critic", "judge")]
    for number, (role, model) in enumerate(judges):
        if model in {judge.model, *(other for _, other in judges[:number])}:
            yield f"{role}.model", f"{model!r} judges already", "name another model, or give the one more weight"
    if not judge.allow_same_family:
        yield from kin_faults(config)


def idle_keys(config: RunConfig) -> Iterator[Fault]:
    """Keys that say something which nobody would read."""
    judge = config.judge
    compares, ranks = judge.mode != "pointwise", judge.mode == "ranked"
    for key, given, read, use in (
        ("ties", judge.ties, compares, "comparisons"),
        ("reason_first", judge.reason_first, compares, "comparisons"),
        ("few_shot", judge.few_shot, compares, "comparisons"),
        ("scale", judge.scale != "yes-no", not compares, "grades"),
        ("tournament", judge.tournament != "all", ranks, "rankings"),
    ):
        if given and not read:
            yield f"judge.{key}", f"'judge.{key}' is for {use}, and mode is {judge.mode!r}", "remove it"
    if judge.comparisons and not (ranks and judge.tournament == "adaptive"):
        fact = "'judge.comparisons' bounds an adaptive tournament, and there is none"
        yield "judge.comparisons", fact, "remove it, or set mode = 'ranked' and tournament = 'adaptive'"


def kin_faults(config: RunConfig) -> Iterator[Fault]:
    for role, family in config.kin.items():
        fact = f"[{role}] and [policy] are of one family ({family}), and a judge favours its own family"
        yield f"{role}.model", fact, "take another judge, or set judge.allow_same_family = true"


def training_faults(config: RunConfig) -> Iterator[Fault]:
    for method in get_args(Method):
        settings: Fitting = getattr(config, method)
        if settings.lora_rank and settings.train_embeddings:
            key = f"{method}.train_embeddings"
            yield key, f"{key!r} and '{method}.lora_rank' are both set, and adapters leave embeddings alone", "drop one"
        if isinstance(settings, Online) and settings.max_tokens >= settings.max_length:
            key = f"{method}.max_tokens"
            yield key, f"{key!r} fills {method}.max_length, and no prompt has room", "lower it, or raise max_length"
    yield from later_faults(config)


def later_faults(config: RunConfig) -> Iterator[Fault]:
    """In what comes after a training."""
    evaluate, iterate = config.evaluate, config.iterate
    if evaluate.judge and not evaluate.constitution:
        fact = "'evaluate.judge' judges by evaluate.constitution, and there is none"
        yield "evaluate.judge", fact, "name principles that did not make the labels, or remove it"
    for guard in ("win_rate", "adjusted_win_rate"):
        if getattr(config.guards, guard) and not evaluate.constitution:
            fact = f"'guards.{guard}' is on, and nothing measures it without evaluate.constitution"
            yield f"guards.{guard}", fact, "name principles that did not make the labels, or set it to 0"
    if evaluate.judge:
        yield from endpoint_faults("evaluate.judge", evaluate.judge)
    method = getattr(config, iterate.method)
    if isinstance(method, Online) and method.reward == "model" and not iterate.reward:
        fact = f"'iterate.reward' is off, and [{iterate.method}] is rewarded by the model that it would fit"
        yield "iterate.reward", fact, f'remove it, or set {iterate.method}.reward = "constitution"'


def toml_path(key: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in key.split("."))


def is_plain_address(url: str) -> bool:
    """Whether the address holds no user, password, query or fragment: a key may stand in any of them."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return plain and not (parts.username or parts.password or "@" in parts.netloc or "?" in url or "#" in url)


@contextmanager
def blamed_on(path: Path, *keys: str | int) -> Iterator[None]:
    """Whatever bad input turns up inside is told with the line of ``path`` that asked for it."""
    try:
        yield
    except InputError as error:
        line = line_of(path.read_text(encoding="utf-8"), keys)
        raise InputError(str(path), ".".join(map(str, keys)), str(error), line) from None
