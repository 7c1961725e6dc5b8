"""A model that says what it is told to say: for tests, for starters, and for trying a run without paying."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict

from generator.chat import CallFailure, ChatReply, ChatRequest, Outcome, TokenLogprob, Usage, call_key

Script = Callable[[ChatRequest], ChatReply | CallFailure | str]


class ScriptedModel:
    """A ``ChatModel`` and a ``Backend`` in one, which records every request in ``calls``.

    Args:
        script: the reply to a request, computed; or a mapping from the last message's content to the
            text of the reply, where a request that is not in it fails as "bad request".
        latency: seconds that a call takes.
    """

    def __init__(self, script: Script | Mapping[str, str], identity: str = "scripted", latency: float = 0.0) -> None:
        self.script = script
        self.latency = latency
        self.calls: list[ChatRequest] = []
        self._identity = identity

    @property
    def identity(self) -> str:
        return self._identity

    async def reply(self, request: ChatRequest) -> Outcome:
        key = call_key(self.identity, request)
        raw = await self.send(key, request)
        return raw if isinstance(raw, CallFailure) else self.read(key, request, raw)

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        self.calls.append(request)
        if self.latency:
            await asyncio.sleep(self.latency)
        said = self.said(key, request)
        if isinstance(said, CallFailure):
            return said
        reply = ChatReply("", said, "stop", self.identity) if isinstance(said, str) else said
        return json.dumps(asdict(reply)).encode()

    def said(self, key: str, request: ChatRequest) -> ChatReply | CallFailure | str:
        if callable(self.script):
            return self.script(request)
        last = request.messages[-1].content
        if last in self.script:
            return self.script[last]
        return CallFailure(key, "bad request", f"not in the script: {last[:80]!r}")

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        said = json.loads(raw)
        first_token = tuple(TokenLogprob(**token) for token in said.pop("first_token"))
        usage = Usage(**said.pop("usage"))
        return ChatReply(**{**said, "key": key}, usage=usage, first_token=first_token)

    async def close(self) -> None:
        """Nothing to let go of."""
