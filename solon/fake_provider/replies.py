"""What the models of the fake provider say: computed from the request alone."""

import hashlib
import json
import math
from dataclasses import replace

from constitution.identity import unit_interval
from generator.chat import ChatReply, ChatRequest, TokenLogprob, Usage
from generator.models.rambler import material, ramble, wants_label
from solon.fake_provider.asked import CHARACTERS, Asked, Finish, Said, is_reasoning, tokens

SHORTEST_THOUGHT = 16  # tokens: with fewer a reasoning model says nothing at all
LONGEST_THOUGHT = 64
REFUSAL = "I cannot help with that."
REVERSED = "\u202e"  # right-to-left override
HALF_AN_EMOJI = "\ud83d"


def say(asked: Asked) -> Said:
    """The reply, cut at the bound on its tokens; usage as if nothing of the prompt were cached."""
    hidden = thought(asked)
    room = asked.most - hidden
    text, first_token = speech(asked)
    finish: Finish = "stop"
    if tokens(text) > room:
        text, finish = text[: room * CHARACTERS], "length"
    return Said(text, finish, Usage(asked.prompt_tokens, hidden + tokens(text)), hidden, first_token)


def thought(asked: Asked) -> int:
    """Tokens of hidden reasoning: all that there are where they are few, else half of them at most."""
    if not is_reasoning(asked.model):
        return 0
    return asked.most if asked.most < SHORTEST_THOUGHT else min(asked.most // 2, LONGEST_THOUGHT)


def speech(asked: Asked) -> tuple[str, tuple[TokenLogprob, ...]]:
    """The whole text, and the candidates for its first token where log-probs are asked for."""
    character = asked.model.removeprefix("reasoning-")
    last = asked.messages[-1].content
    if character == "echo" and not asked.choices:
        return f"echo {sha256(last)}", ()
    spoken = judged(asked, character)
    text = held(asked, spoken.text) if asked.choices else spoken.text
    return text, () if asked.choices or asked.top_logprobs is None else spoken.first_token


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def judged(asked: Asked, character: str) -> ChatReply:
    """A verdict where two completions are to be compared, else whatever the rambler says."""
    shown, is_label = material(asked.messages), wants_label(asked.messages)
    if is_label and shown.keys() == {"1", "2"}:
        if character == "judge-first":
            return verdict(0.9)
        if character == "judge-longer":
            return verdict(1 / (1 + math.exp((shown["2"] - shown["1"]) / 20)))
    wanted = 0 if shown else asked.top_logprobs or 0
    return ramble(ChatRequest(asked.messages, asked.temperature, asked.most, 0, asked.variety, wanted))


def verdict(p_first: float) -> ChatReply:
    tokens = [TokenLogprob("1", math.log(p_first)), TokenLogprob("2", math.log1p(-p_first))]
    tokens.sort(key=lambda token: -token.logprob)
    return ChatReply("", tokens[0].token, "stop", "", first_token=tuple(tokens))


def held(asked: Asked, text: str) -> str:
    """A JSON object that keeps the schema: the choice that ``text`` names, else one drawn by the prompt."""
    named = [choice for choice in asked.choices if str(choice) == text]
    chance = unit_interval(asked.messages[-1].content, asked.variety)
    choice = named[0] if named else asked.choices[int(chance * len(asked.choices))]
    return json.dumps({asked.field: choice})


def spoiled(said: Said, kind: str) -> Said:
    """``said`` with a fault of the kinds that change what is said; any other kind leaves it as it is."""
    text = said.text or ""
    half = text[: len(text) // 2]
    match kind:
        case "empty":
            return replace(said, text="")
        case "null":
            return replace(said, text=None)
        case "length":
            return replace(said, text=half, finish="length")
        case "window":
            return replace(said, text=half, finish="window")
        case "filter":
            return replace(said, text=None, finish="content_filter")
        case "refusal":
            return replace(said, text=REFUSAL, finish="refusal")
        case "surrogate":
            return replace(said, text=text + HALF_AN_EMOJI)
        case "nul":
            return replace(said, text=text + "\x00")
        case "bidi":
            return replace(said, text=REVERSED + text)
    return said
