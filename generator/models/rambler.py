"""The scripted backend's one character: a policy that rambles, a critic and a judge that like it short.

Everything it says is computed from the call alone. It lets a new user see a whole run with no model,
no key and no waiting; the data that it makes is good for nothing else.
"""

import math
import random
import re

from constitution.checks import sentences, words
from generator.chat import ChatReply, ChatRequest, TokenLogprob, Usage, call_key, sampling_seed

OPENINGS = ("Certainly! ", "Great question! ", "", "", "")
THOUGHTS = (
    "There is more to {} than most people think.",
    "Many people have written about {} over the years.",
    "It helps to look at {} from more than one side.",
    "When it comes to {}, small things often matter most.",
    "Some say that {} is simple, and others disagree.",
    "In the end, {} comes down to a little care and patience.",
    "A good first step is to watch {} closely for a day.",
    "Whoever knows {} well will tell you that it takes time.",
    "Experts in {} tend to start with the basics.",
)
CANDIDATE = re.compile(
    r"^=== (?P<fence>\w+) completion (?P<slot>[12])\n(?P<text>.*?)\n(?==== (?P=fence) )", re.S | re.M
)


def ramble(request: ChatRequest) -> ChatReply:
    """Plays whichever part the request asks for: judge, policy, critic or reviser."""
    if request.top_logprobs:
        return verdict(request)
    chance = random.Random(sampling_seed(call_key("rambler", request)))
    turns = [message.content for message in request.messages if message.role == "assistant"]
    if not turns:
        text = draft(request.messages[-1].content, chance)
    elif len(turns) == 1:
        text = f"It takes {len(words(turns[0]))} words, and could be said in fewer."
    else:
        text = " ".join(sentences(turns[0])[-2:])
    return reply(request, text)


def draft(prompt: str, chance: random.Random) -> str:
    subject = max(words(prompt) or ["this"], key=len)
    thoughts = chance.choices(THOUGHTS, k=chance.randint(2, 9))
    return chance.choice(OPENINGS) + " ".join(thought.format(subject) for thought in thoughts)


def verdict(request: ChatRequest) -> ChatReply:
    """Prefers the shorter completion, the surer the greater the difference, and the slot 1 a little."""
    shown = {match["slot"]: len(words(match["text"])) for match in CANDIDATE.finditer(request.messages[-1].content)}
    lead = (shown.get("2", 0) - shown.get("1", 0)) / 20 + 0.2
    p_first = 1 / (1 + math.exp(-lead))
    tokens = (TokenLogprob("1", math.log(p_first)), TokenLogprob("2", math.log1p(-p_first)))
    return reply(request, "1" if p_first > 0.5 else "2", tokens)


def reply(request: ChatRequest, text: str, first_token: tuple[TokenLogprob, ...] = ()) -> ChatReply:
    prompt = sum(len(words(message.content)) for message in request.messages)
    return ChatReply("", text, "stop", "rambler", Usage(prompt, len(words(text))), first_token)


SCRIPTS = {"rambler": ramble}
