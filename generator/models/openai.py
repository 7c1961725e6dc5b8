"""Any endpoint that speaks OpenAI's chat completions, through the ``openai`` SDK."""

import re
from collections.abc import Mapping
from typing import Any

import openai

from constitution.identity import short_id
from generator.chat import (
    CallFailure,
    ChatReply,
    ChatRequest,
    Finish,
    Outcome,
    TokenLogprob,
    Usage,
    sampling_seed,
    token_count,
)
from generator.models.problems import Problem, problem_of
from generator.models.replies import ask_without_refused, read_safely
from generator.models.wire import IDLE, Answer, Wire

FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
LARGEST_LOGPROB = 1e-3  # rounding lifts a certain token's a little above 0
MISSING_LOGPROB = -9999.0  # vLLM's stand-in for minus infinity

# What some models and servers refuse, though the API has it, and what is sent in its place.
CAN_BE_LEFT_OUT: dict[str, str | None] = {
    "max_tokens": "max_completion_tokens",
    "temperature": None,
    "seed": None,
    "prompt_cache_key": None,
}
OUT_OF_RANGE = re.compile(
    r"\b(too (large|big|small|high|low|many|few)|(greater|less|more|fewer) than|at (most|least)|maximum|minimum)\b"
    r"|(above_max|below_min)|out of range",
    re.IGNORECASE,
)
LOGPROBS = ("logprobs", "top_logprobs")


class OpenAIBackend:
    """A ``Backend`` over one model of one endpoint; sends each call once.

    The model's name alone is its identity in every call's key, not the endpoint's address: a journal
    stays good when the same model moves.

    Args:
        extra: more of the request's body, the same in every call; the identity must tell of it.
        holds_to_choices: whether the server can hold a reply to a request's choices, as vLLM's does.
        keep_alive: whatever must live as long as the backend does, such as the server behind it.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None,
        api_key: str,
        *,
        identity: str | None = None,
        idle: float = IDLE,
        extra: Mapping[str, Any] | None = None,
        holds_to_choices: bool = False,
        keep_alive: object = None,
    ) -> None:
        self.model = model
        self._identity = identity or model
        self.extra = dict(extra or {})
        self.holds_to_choices = holds_to_choices
        self.keep_alive = keep_alive
        self.left_out: set[str] = set()  # parameters that this model turned out to refuse
        http = openai.DefaultAioHttpClient()
        self.client = openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0, http_client=http)
        self.wire = Wire(self.client, "chat/completions", idle=idle, secret=api_key)

    @property
    def identity(self) -> str:
        return self._identity

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        """The reply; a model that refuses a parameter is asked again without it, and ever after."""

        def make() -> dict[str, Any] | CallFailure:
            return self.refusal(key, request) or self.body(key, request)

        return await ask_without_refused(self.wire, key, make, refused_parameter, self.left_out)

    def refusal(self, key: str, request: ChatRequest) -> CallFailure | None:
        if request.top_logprobs and self.left_out.intersection(LOGPROBS):
            return CallFailure(key, "unsupported", f"{self.model} gives no log-probs")
        return None

    def body(self, key: str, request: ChatRequest) -> dict[str, Any]:
        """What is sent; the sample's number becomes a seed, which is derived from the whole call."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "seed": sampling_seed(key),
        }
        if request.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        if request.choices and self.holds_to_choices:
            body["structured_outputs"] = {"choice": list(request.choices)}
        if request.shared:
            body["prompt_cache_key"] = cache_key(request)
        body |= self.extra
        for name in self.left_out & body.keys():
            value = body.pop(name)
            if instead := CAN_BE_LEFT_OUT.get(name):
                body[instead] = value
        return body

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        held = bool(request.choices) and self.holds_to_choices
        return read_safely(key, raw, lambda body: read_reply(key, unwrapped(key, body), held), charged=True)

    async def close(self) -> None:
        await self.wire.close()
        await self.client.close()
        self.keep_alive = None


def cache_key(request: ChatRequest) -> str:
    """The same for all calls that begin alike, so that an endpoint can send them where their beginning is cached."""
    return short_id("".join(message.content for message in request.messages)[: request.shared])


def refused_parameter(answer: Answer, body: dict[str, Any]) -> str | None:
    """The parameter that the endpoint will not take, where it says so and the call can do without it.

    Some servers quote the whole call in their refusal: only one that names a single parameter is about it.
    """
    problem = problem_of(answer)
    if answer.status not in (400, 422) or problem.reason != "bad request" or is_about_a_value(problem):
        return None
    named = {problem.param} & body.keys() or {name for name in body if mentions(problem.message, name)}
    if len(named - set(LOGPROBS)) + bool(named & set(LOGPROBS)) != 1:
        return None
    return next((name for name in (*LOGPROBS, *CAN_BE_LEFT_OUT) if name in named), None)


def is_about_a_value(problem: Problem) -> bool:
    """Whether the parameter is known, and only what it was set to is out of range: then a person must set it."""
    return any(OUT_OF_RANGE.search(said) for said in (*problem.codes, problem.message))


def mentions(message: str, name: str) -> bool:
    return any(f"{quote}{name}{quote}" in message for quote in "'\"`") or message.endswith(f"supplied: {name}")


def unwrapped(key: str, body: dict[str, Any]) -> dict[str, Any]:
    """The chat completion, also where it came as a line of a batch; a line of another call raises."""
    if "custom_id" not in body:
        return body
    if body["custom_id"] != key:
        raise ValueError("the line answers another call")
    completion: dict[str, Any] = body["response"]["body"]
    return completion


def read_reply(key: str, body: dict[str, Any], held: bool = False) -> ChatReply:
    """The reply in a chat completion's body; whatever is not as promised raises."""
    choice = body["choices"][0]
    message = choice["message"]
    refused = bool(message.get("refusal"))
    text = message["refusal"] if refused else message["content"] or ""
    if not isinstance(text, str):
        raise TypeError(f"the content is {type(text).__name__}, not text")
    return ChatReply(
        key,
        text,
        "refusal" if refused else FINISHES[choice["finish_reason"]],
        str(body["model"]),
        read_usage(body.get("usage") or {}),
        first_token_of(choice),
        held,
    )


def read_usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    counts = usage.get("prompt_tokens"), usage.get("completion_tokens"), details.get("cached_tokens")
    return Usage(*map(token_count, counts))


def first_token_of(choice: dict[str, Any]) -> tuple[TokenLogprob, ...]:
    content = (choice.get("logprobs") or {}).get("content") or []
    given = content[0]["top_logprobs"] if content else []
    tokens = [TokenLogprob(str(t["token"]), float(t["logprob"])) for t in given]
    if any(t.logprob > LARGEST_LOGPROB for t in tokens):
        raise ValueError("a log-prob above 0")
    return tuple(t for t in tokens if t.logprob > MISSING_LOGPROB)
