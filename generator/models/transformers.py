"""A local Hugging Face folder, such as a trained policy: many calls generated at once, in this process."""

import asyncio
import gc
import json
import math
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constitution.identity import canonical_json
from generator.chat import (
    CallFailure,
    ChatReply,
    ChatRequest,
    Finish,
    Outcome,
    TokenLogprob,
    Usage,
    sampling_seed,
)
from generator.models.decoding import Sampled, Stopped, Wanted, chat_text, decode, decoded, encoded, score, stop_tokens
from generator.models.folders import Chat, libraries, load_folder


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A call that waits for its reply."""

    key: str
    request: ChatRequest
    reply: asyncio.Future[bytes | CallFailure]


@dataclass(frozen=True, slots=True)
class Plan:
    """A call made ready. ``endings`` are the choices that it is held to, as the tokens that would say them."""

    key: str
    request: ChatRequest
    wanted: Wanted
    endings: dict[str, tuple[int, ...]]

    @property
    def apart(self) -> bool:
        """Whether the first token tells the choices apart; without choices there is nothing to tell."""
        return len({ending[0] for ending in self.endings.values()}) == len(self.endings)


class TransformersBackend:
    """A ``Backend`` over the model in ``folder``: on CUDA in bfloat16 where there is one, else float32.

    Args:
        identity: what every call's key knows the model by.
        most_at_once: the calls in a batch, at most. Memory grows with it.

    The model is loaded here and now, which takes seconds. Calls that wait are generated together by one
    thread of its own.

    Raises:
        InputError: the folder holds no chat model, or a package is missing.
    """

    def __init__(self, folder: Path, identity: str, *, most_at_once: int = 16) -> None:
        _, torch = libraries()
        on_gpu = torch.cuda.is_available()
        self.chat: Chat | None = load_folder(folder, "bfloat16" if on_gpu else "float32")
        model: Any = self.chat.model
        model.to("cuda" if on_gpu else "cpu")
        self.stops = stop_tokens(self.chat)
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.name = folder.resolve().name
        self.most_at_once = most_at_once
        self.waiting: list[Turn] = []
        self.working: asyncio.Task[None] | None = None
        self.closed = threading.Event()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")
        self._identity = identity

    @property
    def identity(self) -> str:
        return self._identity

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        if self.closed.is_set():
            return CallFailure(key, "server error", "the model has been closed")
        turn = Turn(key, request, asyncio.get_running_loop().create_future())
        self.waiting.append(turn)
        if self.working is None or self.working.done():
            self.working = asyncio.create_task(self.work())
        return await turn.reply

    async def work(self) -> None:
        """Batch after batch, until nobody waits."""
        while True:
            await asyncio.sleep(0)  # whoever is about to send, sends first
            self.waiting = [turn for turn in self.waiting if not turn.reply.done()]  # the others were cancelled
            batch = next_batch(self.waiting, self.most_at_once)
            if not batch:
                return
            self.waiting = [turn for turn in self.waiting if turn not in batch]
            calls = {turn.key: turn.request for turn in batch}
            replies = await asyncio.get_running_loop().run_in_executor(self.thread, self.answer, calls)
            for turn in batch:
                if not turn.reply.done():
                    turn.reply.set_result(replies[turn.key])

    def answer(self, calls: dict[str, ChatRequest]) -> dict[str, bytes | CallFailure]:
        """The reply to each call, by key. What goes wrong for the batch is its calls' failure, and no error."""
        replies: dict[str, bytes | CallFailure] = {}
        failed = ""
        try:
            plans = [self.plan(key, request) for key, request in calls.items()]
            replies |= {plan.key: plan for plan in plans if isinstance(plan, CallFailure)}
            replies |= self.generate([plan for plan in plans if isinstance(plan, Plan)])
        except Exception as error:  # out of memory, above all; the worker lives on
            failed = shortly(error)
        if failed:  # and the error is gone, whose traceback held on to the batch's tensors
            replies |= {key: CallFailure(key, "server error", failed) for key in calls if key not in replies}
            free_memory()
        return replies

    def plan(self, key: str, request: ChatRequest) -> Plan | CallFailure:
        assert self.chat is not None
        tokenizer = self.chat.tokenizer
        try:
            text = chat_text(tokenizer, request.messages)
            prompt = encoded(tokenizer, text)
            endings = {choice: self.ending(text, prompt, choice) for choice in request.choices}
            firsts = tuple(ending[0] for ending in endings.values())
        except Exception as error:  # the template, code that came with the model, or text that is not Unicode
            return CallFailure(key, "bad request", shortly(error))
        longest = max(map(len, endings.values()), default=request.max_tokens)
        if self.context is not None and len(prompt) + longest > self.context:
            told = f"{len(prompt)} tokens of prompt and {longest} of reply are more than the model's {self.context}"
            return CallFailure(key, "context overflow", told)
        if endings:
            return Plan(key, request, Wanted(prompt, 1, top=len(firsts), allowed=firsts), endings)
        seed, top = sampling_seed(key), request.top_logprobs
        return Plan(key, request, Wanted(prompt, request.max_tokens, request.temperature, seed, top), {})

    def ending(self, text: str, prompt: tuple[int, ...], choice: str) -> tuple[int, ...]:
        """``choice`` and the end of the turn, as the tokens that would follow ``prompt``, which says ``text``."""
        assert self.chat is not None
        whole = encoded(self.chat.tokenizer, text + choice)
        seam_holds = whole[: len(prompt)] == prompt
        said = whole[len(prompt) :] if seam_holds else encoded(self.chat.tokenizer, choice)
        end = self.chat.tokenizer.eos_token_id
        return said if end is None else (*said, end)

    def generate(self, plans: Sequence[Plan]) -> dict[str, bytes]:
        assert self.chat is not None
        if self.closed.is_set():
            raise Stopped("the model has been closed")
        model = self.chat.model
        together = [plan for plan in plans if plan.apart]
        wanted = [plan.wanted for plan in together]
        rows = decode(model, wanted, self.stops, self.closed.is_set) if wanted else ()
        replies = {plan.key: self.body(plan, row) for plan, row in zip(together, rows, strict=True)}
        for plan in plans:
            if not plan.apart:
                scores = score(model, plan.wanted.prompt, list(plan.endings.values()))
                replies[plan.key] = self.held_body(plan, shares(dict(zip(plan.endings, scores, strict=True))))
        return replies

    def body(self, plan: Plan, row: Sampled) -> bytes:
        assert self.chat is not None
        if plan.endings:
            by_token = {ending[0]: choice for choice, ending in plan.endings.items()}
            return self.held_body(plan, {by_token[token]: logprob for token, logprob in row.first})
        first = [(decoded(self.chat.tokenizer, [token], special=True), value) for token, value in row.first]
        text = decoded(self.chat.tokenizer, row.tokens)
        spent = len(row.tokens) + row.ended
        return self.spelled(plan, text, "stop" if row.ended else "length", spent, first, held=False)

    def held_body(self, plan: Plan, logprobs: dict[str, float]) -> bytes:
        """The choice that is drawn, whole; it counts as one token, since no more is generated for it."""
        choice = drawn_choice(logprobs, plan.request.temperature, sampling_seed(plan.key))
        first = sorted(logprobs.items(), key=lambda pair: -pair[1])
        return self.spelled(plan, choice, "stop", 1, first[: plan.request.top_logprobs], held=True)

    def spelled(
        self, plan: Plan, text: str, finish: Finish, spent: int, first: list[tuple[str, float]], *, held: bool
    ) -> bytes:
        usage = {"prompt": len(plan.wanted.prompt), "completion": spent}
        said = {"text": text, "finish": finish, "model": self.name, "usage": usage, "first_token": first, "held": held}
        return canonical_json(said)

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        try:
            said = json.loads(raw)
            first = tuple(TokenLogprob(token, value) for token, value in said["first_token"])
            usage = Usage(said["usage"]["prompt"], said["usage"]["completion"])
            reply = ChatReply(key, said["text"], said["finish"], said["model"], usage, first, said["held"])
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            return CallFailure(key, "unreadable", shortly(error))
        if reply.finish == "stop" and not reply.text.strip() and not reply.first_token and not reply.held:
            return CallFailure(key, "empty", "a reply without text")
        return reply

    async def close(self) -> None:
        """Frees the model. A batch in hand ends at its next token; its calls and those that wait fail."""
        self.closed.set()
        if self.working is not None and not self.working.done():
            await asyncio.wait({self.working})
        await asyncio.to_thread(self.thread.shutdown)
        self.chat = None
        free_memory()


def next_batch(waiting: Sequence[Turn], most: int) -> list[Turn]:
    """The call that waits longest and those nearest to it in length, which may take as many tokens."""
    if not waiting:
        return []
    oldest = waiting[0]
    alike = [turn for turn in waiting if turn.request.max_tokens == oldest.request.max_tokens]
    alike.sort(key=lambda turn: sum(len(message.content) for message in turn.request.messages))
    start = max(0, min(alike.index(oldest) - most // 2, len(alike) - most))
    return alike[start : start + most]


def shares(scores: dict[str, float]) -> dict[str, float]:
    """Log-probs of the choices alone, which add up to 1."""
    top = max(scores.values())
    whole = top + math.log(math.fsum(math.exp(value - top) for value in scores.values()))
    return {choice: value - whole for choice, value in scores.items()}


def drawn_choice(logprobs: dict[str, float], temperature: float, seed: int) -> str:
    top = max(logprobs, key=lambda choice: logprobs[choice])
    if temperature == 0:
        return top
    weights = [math.exp((value - logprobs[top]) / temperature) for value in logprobs.values()]
    return random.Random(seed).choices(list(logprobs), weights)[0]


def shortly(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]


def free_memory() -> None:
    """Hands the graphics card's unused memory back, once nothing refers to it."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
