"""The scripted backend's one character: a policy that rambles, a critic and a judge that like it short.

Everything it says is computed from the call alone. It lets a new user see a whole run with no model,
no key and no waiting; the data that it makes is good for nothing else.
"""

import math
import random
import re
from collections.abc import Mapping, Sequence

from constitution.checks import sentences, words
from generator.chat import ChatReply, ChatRequest, Message, TokenLogprob, Usage, call_key, sampling_seed

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
    r"^=== (?P<fence>\w+) completion(?: (?P<slot>[12]))?\n(?P<text>.*?)\n(?==== (?P=fence) )", re.S | re.M
)
LONG = 60  # words from which on it calls a completion bad


def ramble(request: ChatRequest) -> ChatReply:
    """Plays whichever part the request asks for: judge, policy, critic or reviser."""
    shown = material(request.messages)
    if request.top_logprobs or wants_label(request.messages):
        return verdict(request, shown)
    if shown:
        return reply(request, " ".join(f"Completion {slot} takes {length} words." for slot, length in shown.items()))
    chance = random.Random(sampling_seed(call_key("rambler", request)))
    turns = [message.content for message in request.messages if message.role == "assistant"]
    if not turns:
        text = draft(request.messages[-1].content, chance)
    elif len(turns) == 1:
        text = f"It takes {len(words(turns[0]))} words, and could be said in fewer."
    else:
        text = " ".join(sentences(turns[0])[-2:])
    return reply(request, text)


def material(messages: Sequence[Message]) -> dict[str, int]:
    """How many words each completion has that a judge is shown last, by its slot; "" where it stands alone."""
    for message in reversed(messages):
        shown = {match["slot"] or "": len(words(match["text"])) for match in CANDIDATE.finditer(message.content)}
        if shown and message.role == "user":
            return shown
    return {}


def wants_label(messages: Sequence[Message]) -> bool:
    """Whether a judge is asked to decide now, and not to reason first."""
    return bool(material(messages)) and last_line(messages).startswith("Reply with")


def last_line(messages: Sequence[Message]) -> str:
    return messages[-1].content.rpartition("\n")[2]


def draft(prompt: str, chance: random.Random) -> str:
    subject = max(words(prompt) or ["this"], key=len)
    thoughts = chance.choices(THOUGHTS, k=chance.randint(2, 9))
    return chance.choice(OPENINGS) + " ".join(thought.format(subject) for thought in thoughts)


def verdict(request: ChatRequest, shown: Mapping[str, int]) -> ChatReply:
    """The likeliest label, and the chances of all of them."""
    asked = last_line(request.messages)
    if "" in shown:
        chances = yes_or_no(shown[""]) if "Yes or No" in asked else one_to_ten(shown[""])
    else:
        chances = comparison(shown.get("1", 0), shown.get("2", 0), ties="4 if" in asked)
    tokens = tuple(TokenLogprob(label, math.log(chance)) for label, chance in chances.items())
    return reply(request, max(chances, key=lambda label: chances[label]), tokens)


def comparison(first: int, second: int, ties: bool) -> dict[str, float]:
    """Prefers the shorter completion, the surer the greater the difference, and the slot 1 a little."""
    p_first = 1 / (1 + math.exp(min(max(-(second - first) / 20 - 0.2, -30), 30)))
    if not ties:
        return {"1": p_first, "2": 1 - p_first}
    tie = 0.9 if first == second else 0.05
    both_bad = 0.9 if first != second and min(first, second) >= LONG else 0.05
    rest = 1 - tie - both_bad
    return {"1": p_first * rest, "2": (1 - p_first) * rest, "3": tie, "4": both_bad}


def yes_or_no(length: int) -> dict[str, float]:
    no = 1 / (1 + math.exp(min(max((LONG - length) / 20, -30), 30)))
    return {"Yes": 1 - no, "No": no}


def one_to_ten(length: int) -> dict[str, float]:
    """A ten for silence, and one less for every ten words."""
    about = max(1.0, 10 - length / 10)
    weights = {str(n): math.exp(-abs(n - about)) for n in range(1, 11)}
    return {label: weight / sum(weights.values()) for label, weight in weights.items()}


def reply(request: ChatRequest, text: str, first_token: tuple[TokenLogprob, ...] = ()) -> ChatReply:
    prompt = sum(len(words(message.content)) for message in request.messages)
    return ChatReply("", text, "stop", "rambler", Usage(prompt, len(words(text))), first_token)


SCRIPTS = {"rambler": ramble, "second-rambler": ramble}  # two names, since several judges need one each
