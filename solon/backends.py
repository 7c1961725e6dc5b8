"""From a section of the configuration to a backend, or to why there is none."""

import os
from pathlib import Path
from typing import Protocol

from constitution.errors import InputError
from generator.chat import Backend
from generator.models.calling import Patience
from solon.config import Endpoint, Limits

MOST_SLOTS = 2  # of an embedded model: on a CPU more of them lose the prefix caches and gain nothing


class OpenBackend(Backend, Protocol):
    """A backend that holds something open."""

    async def close(self) -> None: ...


def open_backend(endpoint: Endpoint, limits: Limits, beside: Path) -> OpenBackend:
    """The backend that a section of the configuration names; paths are relative to ``beside``.

    Raises:
        InputError: the model, its weights, its package or its key is not there.
    """
    patience = Patience(deadline=limits.deadline)
    match endpoint.backend:
        case "scripted":
            return open_scripted(endpoint)
        case "llamacpp":
            from generator.models.llamacpp import find_weights, start_llamacpp

            slots = min(limits.in_flight, MOST_SLOTS)
            return start_llamacpp(find_weights(endpoint.model, beside), slots=slots, patience=patience)
        case "openai":
            from generator.models.openai import OpenAIBackend

            return OpenAIBackend(endpoint.model, endpoint.base_url, key_of(endpoint), patience=patience)


def open_scripted(endpoint: Endpoint) -> OpenBackend:
    from generator.models.rambler import SCRIPTS
    from generator.models.scripted import ScriptedModel

    if endpoint.model not in SCRIPTS:
        raise InputError(f"backend 'scripted', model {endpoint.model!r}", "no such script", f"use {', '.join(SCRIPTS)}")
    return ScriptedModel(SCRIPTS[endpoint.model], f"scripted:{endpoint.model}", endpoint.latency)


def key_of(endpoint: Endpoint) -> str:
    """The API key from the environment; an endpoint that names no variable gets a word that is no secret."""
    if endpoint.api_key_env is None:
        return "none"
    key = os.environ.get(endpoint.api_key_env, "")
    if not key:
        raise InputError(
            f"api_key_env {endpoint.api_key_env!r}", "that variable is not set", "export it, then run again"
        )
    return key


def identity_of(endpoint: Endpoint, beside: Path) -> str:
    """The model's name in every call's key: for weights in a file, their content."""
    match endpoint.backend:
        case "scripted":
            return f"scripted:{endpoint.model}"
        case "llamacpp":
            from generator.models.llamacpp import find_weights

            return find_weights(endpoint.model, beside).identity
        case "openai":
            return endpoint.model


def probe(endpoint: Endpoint, beside: Path, ask: bool = True) -> str:
    """What can be found out of a model without a paid call, in a few words; ``ask`` allows a free one.

    Raises:
        InputError: it is not there.
    """
    match endpoint.backend:
        case "scripted":
            open_scripted(endpoint)
            return f"scripted, {endpoint.model}"
        case "llamacpp":
            from generator.models.llamacpp import find_weights

            return f"llama.cpp, {find_weights(endpoint.model, beside).path.name}"
        case "openai":
            key_of(endpoint)
            answer = f": {answer_of(endpoint)}" if ask else ""
            return f"{endpoint.model} at {endpoint.base_url or 'the default address'}{answer}"


def answer_of(endpoint: Endpoint) -> str:
    """What the endpoint says when it is asked for its models, which costs nothing."""
    import openai

    try:
        with openai.OpenAI(base_url=endpoint.base_url, api_key=key_of(endpoint), max_retries=0, timeout=10) as client:
            listed = sorted(model.id for model in client.models.list())
    except openai.APIConnectionError as error:
        place = endpoint.base_url or "the default address"
        raise InputError(place, f"nobody answers ({error.__cause__})", "start it, or correct base_url") from None
    except openai.APIStatusError as error:
        return f"it answers, but lists no models (status {error.status_code})"
    if endpoint.model in listed:
        return "it answers, and has it"
    return f"it answers, but lists only {', '.join(listed)[:200] or 'nothing'}"
