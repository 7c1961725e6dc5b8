"""What OpenRLHF sends, taken apart: which prompt, and what the policy said to it.

A query is the text of prompt and completion as the policy's tokenizer decodes it, with the marks of its chat template
and of its end. Nobody says which template that was; the common ones are known by their marks. The text between
them is data: nothing in it is carried out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from constitution.identity import short_id
from generator.chat import Message, Role
from generator.prompts import Prompt

ROLE = r"(?P<{}>[a-z]+)"
HEADS = re.compile(
    "|".join(
        (
            rf"<\|im_start\|>{ROLE.format('chatml')}\n",
            rf"<\|(?:start_header_id|header_start)\|>{ROLE.format('llama')}<\|(?:end_header_id|header_end)\|>\n\n",
            rf"<start_of_turn>{ROLE.format('gemma')}\n",
            rf"<\|start_of_role\|>{ROLE.format('granite')}<\|end_of_role\|>",
            r"<\|(?P<zephyr>system|user|assistant)\|>\n?",
            r"(?P<mistral>\[INST\]|\[/INST\]|\[SYSTEM_PROMPT\])",
        )
    )
)
MARK = r"<\|[A-Za-z0-9_]{1,40}\|>|<｜[^<>｜]{1,40}｜>|</?s>|<(?:bos|eos|pad|end_of_turn|endoftext)>|\[/SYSTEM_PROMPT\]"
AT_END = re.compile(rf"(?:\s|{MARK})+\Z")
AT_START = re.compile(rf"\A(?:\s|{MARK})+")
ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "[SYSTEM_PROMPT]": "system",
    "assistant": "assistant", "model": "assistant", "[/INST]": "assistant",
}  # fmt: skip  # whoever else speaks is a user
LEAST_SHARED = 8  # characters of a prompt's end that are no accident: a template's own last mark is longer
BROKEN = "\ufffd"  # what is left of a character whose first bytes were cut off


@dataclass(frozen=True, slots=True)
class Query:
    """One completion to reward; ``prompt`` is the text of the prompt alone where the caller gave it."""

    text: str
    prompt: str | None
    label: object = None


@dataclass(frozen=True, slots=True)
class Exchange:
    prompt: Prompt
    completion: str


class Known:
    """A run's prompts, found by id or by what they say, so that tags and messages are those of the run."""

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        self.by_id = {prompt.id: prompt for prompt in prompts}
        self.by_text = {said(prompt.messages): prompt for prompt in self.by_id.values()}

    def find(self, label: object, messages: Sequence[Message]) -> Prompt:
        """The run's prompt of that id or with these messages, a template's own system message aside; else a new one."""
        if isinstance(label, str) and label in self.by_id:
            return self.by_id[label]
        known = self.saying(messages)
        return known or Prompt(short_id("prompt", [[m.role, m.content] for m in messages]), tuple(messages))

    def saying(self, messages: Sequence[Message]) -> Prompt | None:
        without = messages[1:] if messages[0].role == "system" else messages
        return self.by_text.get(said(messages)) or self.by_text.get(said(without))


def said(messages: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    return tuple((message.role, message.content.strip()) for message in messages)


def exchange(query: Query, known: Known) -> Exchange | None:
    """What was asked and what was said; None where the two cannot be told apart.

    Without the prompt, what looks like an earlier turn may be the completion's own words: then only a prompt of the
    run's is taken for one that has such turns.
    """
    if query.prompt is None:
        turns = conversation(query.text)
        if len(turns) < 2 or turns[-1].role != "assistant":
            return None
        if any(turn.role == "assistant" for turn in turns[:-1]) and known.saying(turns[:-1]) is None:
            return None
        return Exchange(known.find(query.label, turns[:-1]), turns[-1].content)
    completion, asked = after(query.text, query.prompt), conversation(query.prompt)
    if completion is None or not asked:
        return None
    return Exchange(known.find(query.label, asked), AT_END.sub("", completion).strip())


def after(text: str, prompt: str) -> str | None:
    """What stands in ``text`` after the prompt, whose beginning may have been cut off; None where it is not there."""
    if text.startswith(prompt):
        return text[len(prompt) :]
    whole = text.lstrip(BROKEN)
    shared = overlap(prompt, whole)
    return whole[shared:] if shared >= LEAST_SHARED else None


def overlap(prompt: str, text: str) -> int:
    """The length of the longest end of ``prompt`` that ``text`` begins with; time is linear in both.

    The failure function of Knuth, Morris and Pratt 1977, over the text, run along the prompt.
    """
    pattern = text[: len(prompt)]
    fall = [0] * len(pattern)
    matched = 0
    for place in range(1, len(pattern)):
        while matched and pattern[place] != pattern[matched]:
            matched = fall[matched - 1]
        matched += pattern[place] == pattern[matched]
        fall[place] = matched
    matched = 0
    for sign in prompt:
        while matched and (matched == len(pattern) or sign != pattern[matched]):
            matched = fall[matched - 1]
        matched += bool(pattern) and sign == pattern[matched]
    return matched


def conversation(text: str) -> tuple[Message, ...]:
    """The turns of a chat template's text, oldest first, without an empty one at the end that is still to be said.

    A text without any known mark is what a user says; an empty one is nothing.
    """
    heads = list(HEADS.finditer(text))
    if not heads:
        plain = bare(text)
        return (Message("user", plain),) if plain else ()
    ends = [head.start() for head in heads[1:]] + [len(text)]
    turns = [
        Message(ROLES.get(role_of(head), "user"), bare(text[head.end() : end]))
        for head, end in zip(heads, ends, strict=True)
    ]
    return tuple(turns if turns[-1].content or turns[-1].role != "assistant" else turns[:-1])


def role_of(head: re.Match[str]) -> str:
    return next(role for role in head.groupdict().values() if role)


def bare(text: str) -> str:
    """``text`` without blanks and marks around it."""
    return AT_START.sub("", AT_END.sub("", text))
