"""From a section of the configuration to a backend, or to why there is none."""

import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from constitution.errors import InputError, ModelError
from constitution.identity import short_id
from generator.chat import Backend
from solon.config import Limits
from solon.endpoints import Endpoint
from solon.prices import EXTRA_MARK

MOST_SLOTS = 2  # of an embedded model: on a CPU more of them lose the prefix caches and gain nothing


def open_backend(endpoint: Endpoint, limits: Limits, beside: Path) -> Backend:
    """The backend that a section of the configuration names; paths are relative to ``beside``.

    Raises:
        InputError: the model, its weights, its package or its key is not there.
    """
    match endpoint.backend:
        case "scripted":
            return open_scripted(endpoint)
        case "llamacpp":
            from generator.models.llamacpp import find_weights, start_llamacpp

            slots = min(limits.in_flight, MOST_SLOTS)
            return start_llamacpp(find_weights(endpoint.model, beside), slots=slots, idle=limits.idle)
        case "openai" | "anthropic":
            return open_service(endpoint, limits, beside)
        case "transformers":
            from generator.models.transformers import TransformersBackend

            return TransformersBackend(beside / Path(endpoint.model).expanduser(), identity_of(endpoint, beside))
        case "vllm":
            return open_vllm(endpoint, limits, beside)


def open_scripted(endpoint: Endpoint) -> Backend:
    from generator.models.rambler import SCRIPTS
    from generator.models.scripted import ScriptedModel

    if endpoint.model not in SCRIPTS:
        raise InputError(f"backend 'scripted', model {endpoint.model!r}", "no such script", f"use {', '.join(SCRIPTS)}")
    return ScriptedModel(SCRIPTS[endpoint.model], f"scripted:{endpoint.model}", endpoint.latency)


def open_service(endpoint: Endpoint, limits: Limits, beside: Path) -> Backend:
    make: Callable[..., Backend]
    if endpoint.backend == "anthropic":
        from generator.models.anthropic import AnthropicBackend

        make = AnthropicBackend
    else:
        from generator.models.openai import OpenAIBackend

        make = OpenAIBackend
    return make(
        endpoint.model,
        endpoint.base_url,
        key_of(endpoint),
        identity=identity_of(endpoint, beside),
        idle=limits.idle,
        extra=endpoint.extra,
    )


def open_vllm(endpoint: Endpoint, limits: Limits, beside: Path) -> Backend:
    """vLLM as a server that runs already, as one that is started here, or in this process."""
    name, identity = weights_of(endpoint, beside), identity_of(endpoint, beside)
    if endpoint.base_url:
        return vllm_client(endpoint, endpoint.model, endpoint.base_url, key_of(endpoint), identity, limits)
    if endpoint.serve:
        from generator.models.vllm_server import VllmServer, options

        server = VllmServer.start(name, tuple(options(endpoint.settings)))
        return vllm_client(endpoint, name, server.url, server.key, identity, limits, server)
    from generator.models.vllm import VllmBackend

    return VllmBackend(name, identity, endpoint.settings)


def vllm_client(
    endpoint: Endpoint, model: str, url: str, key: str, identity: str, limits: Limits, server: object = None
) -> Backend:
    from generator.models.openai import OpenAIBackend

    return OpenAIBackend(
        model,
        url,
        key,
        identity=identity,
        idle=limits.idle,
        extra=endpoint.extra,
        holds_to_choices=True,
        keep_alive=server,
    )


def weights_of(endpoint: Endpoint, beside: Path) -> str:
    """The model as vLLM takes it: a folder where there is one of that name, else a hub's name."""
    folder = beside / Path(endpoint.model).expanduser()
    return str(folder) if folder.is_dir() else endpoint.model


def key_of(endpoint: Endpoint) -> str:
    """The API key from the environment; an endpoint that names no variable gets a word that is no secret.

    The variable's name stays out of the message: somebody may have put the key itself there.
    """
    if endpoint.api_key_env is None:
        return "none"
    key = os.environ.get(endpoint.api_key_env, "").strip()
    if not key:
        raise InputError("api_key_env", "the variable that it names is not set", "export it, then run again")
    return key


def identity_of(endpoint: Endpoint, beside: Path) -> str:
    """The model's name in every call's key; with a mark where ``extra`` makes its calls other calls."""
    mark = f"{EXTRA_MARK}{short_id(endpoint.extra)}" if endpoint.extra else ""
    return name_of(endpoint, beside) + mark


def name_of(endpoint: Endpoint, beside: Path) -> str:
    """What the model is called: for weights in a file or a folder, their content.

    Backends that keep replies in other forms give it other names: one could not read what the other recorded.
    """
    match endpoint.backend:
        case "scripted":
            return f"scripted:{endpoint.model}"
        case "llamacpp":
            from generator.models.llamacpp import find_weights

            return find_weights(endpoint.model, beside).identity
        case "transformers":
            from generator.models.weights import folder_identity

            return f"transformers:{folder_identity(beside / Path(endpoint.model).expanduser())}"
        case "anthropic":
            return f"anthropic:{endpoint.model}"
        case "vllm" if not endpoint.base_url and (place := Path(weights_of(endpoint, beside))).is_dir():
            from generator.models.weights import folder_identity

            return folder_identity(place)
        case _:
            return endpoint.model


def is_billed(endpoint: Endpoint) -> bool:
    """Whether somebody pays for this model's calls: it is elsewhere, and takes a key."""
    if endpoint.backend not in ("openai", "anthropic") or endpoint.api_key_env is None:
        return False
    return not is_loopback(urlsplit(endpoint.base_url or "").hostname or "")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # any other name: it may be anywhere


def probe(endpoint: Endpoint, beside: Path, ask: bool = True) -> str:
    """What can be found out of a model without a paid call, in a few words; ``ask`` allows a free one.

    Raises:
        InputError: it is not there.
    """
    where = f" at {endpoint.base_url or 'the default address'}"
    match endpoint.backend:
        case "scripted":
            open_scripted(endpoint)
            return f"scripted, {endpoint.model}"
        case "llamacpp":
            from generator.models.llamacpp import find_weights

            return f"llama.cpp, {find_weights(endpoint.model, beside).path.name}"
        case "transformers":
            identity_of(endpoint, beside)
            return f"transformers, {endpoint.model}"
        case "vllm" if not endpoint.base_url:
            identity_of(endpoint, beside)
            return f"vLLM{', as a server' if endpoint.serve else ' in this process'}, {endpoint.model}"
        case _:
            key_of(endpoint)
            return f"{endpoint.model}{where}{f': {answer_of(endpoint)}' if ask else ''}"


def answer_of(endpoint: Endpoint) -> str:
    """What the endpoint says when it is asked for its models, which costs nothing.

    Raises:
        ModelError: it does not take the key.
    """
    import anthropic
    import openai

    api, name = (anthropic, "Anthropic") if endpoint.backend == "anthropic" else (openai, "OpenAI")
    key = key_of(endpoint)
    client = getattr(api, name)(base_url=endpoint.base_url, api_key=key, max_retries=0, timeout=10)
    try:
        with client:
            listed = sorted(model.id for model in client.models.list())
    except (openai.APIConnectionError, anthropic.APIConnectionError) as error:
        place = endpoint.base_url or "the default address"
        raise InputError(place, f"nobody answers ({error.__cause__})", "start it, or correct base_url") from None
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        if error.status_code == 401:
            raise ModelError(f"{endpoint.model}: the endpoint does not take the key (status 401)") from None
        return f"it answers, but lists no models (status {error.status_code})"
    except (openai.OpenAIError, anthropic.AnthropicError, AttributeError, TypeError, ValueError):
        return "it answers, but not as the API does: correct base_url (does it end in the API's version, as in /v1?)"
    if endpoint.model in listed:
        return "it answers, and has it"
    named = ", ".join(listed).replace(key, "[API key]")
    return f"it answers, but lists only {named[:200] or 'nothing'}"
