"""Checks: code that decides a verifiable principle better than a model does.

A check says of one completion whether it keeps its rule. It sees the prompt too, never a model.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid", strict=True)

WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+")
SENTENCE_CLOSERS = "\"'”’)]*_"
LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)

FILLER_OPENINGS = (
    "absolutely", "as an ai", "certainly", "good question", "great question", "happy to help", "here are",
    "here is", "here's", "i'd be happy", "i'm happy", "of course", "sure", "that's a great", "what a great",
)  # fmt: skip

# Too common to show that a completion stays on its subject.
FUNCTION_WORDS = frozenset(
    """
    about above after again also always because been before being best better between both cannot come could
    does doing done down during each easily easy ever every find from give good great have help here into just
    keep know less like long longer look made make many more most much must need never often only other over
    people really same should simple some something soon still such take tell than that their them then there
    these they thing things this those through time under until upon usually very want well were what when
    where whether which while without will with work would your yourself
    """.split()
)


def words(text: str) -> list[str]:
    """The words of ``text`` in order, lowercased, apostrophes straight; numbers count, punctuation does not."""
    return [match.lower().replace("’", "'") for match in WORD.findall(text)]


def sentences(text: str) -> list[str]:
    """The sentences of ``text`` in order, split at closing punctuation and at line ends."""
    parts = (part.strip() for line in text.splitlines() for part in SENTENCE_END.split(line))
    return [part for part in parts if part]


def subject_stems(text: str) -> frozenset[str]:
    """The first five letters of each content word, so that 'volcano' meets 'volcanoes'."""
    return frozenset(word[:5] for word in words(text) if len(word) > 3 and word not in FUNCTION_WORDS)


@dataclass(frozen=True, slots=True)
class MaxWords:
    """At most ``words`` words."""

    __pydantic_config__ = STRICT
    name: Literal["max_words"]
    words: Annotated[int, Field(ge=1)]

    def kept(self, prompt: str, completion: str) -> bool:
        return len(words(completion)) <= self.words


@dataclass(frozen=True, slots=True)
class MinWords:
    """At least ``words`` words: the counterweight to brevity."""

    __pydantic_config__ = STRICT
    name: Literal["min_words"]
    words: Annotated[int, Field(ge=1)]

    def kept(self, prompt: str, completion: str) -> bool:
        return len(words(completion)) >= self.words


@dataclass(frozen=True, slots=True)
class MaxSentences:
    """At most ``sentences`` sentences."""

    __pydantic_config__ = STRICT
    name: Literal["max_sentences"]
    sentences: Annotated[int, Field(ge=1)]

    def kept(self, prompt: str, completion: str) -> bool:
        return len(sentences(completion)) <= self.sentences


@dataclass(frozen=True, slots=True)
class NoOpening:
    """Does not open with one of ``phrases``, whatever the case and the punctuation around them."""

    __pydantic_config__ = STRICT
    name: Literal["no_opening"]
    phrases: tuple[str, ...] = FILLER_OPENINGS

    def kept(self, prompt: str, completion: str) -> bool:
        opening = words(completion)
        return not any(phrase and opening[: len(phrase)] == phrase for phrase in map(words, self.phrases))


@dataclass(frozen=True, slots=True)
class NoRepeatedSentence:
    """No sentence stands twice."""

    __pydantic_config__ = STRICT
    name: Literal["no_repeated_sentence"]

    def kept(self, prompt: str, completion: str) -> bool:
        spoken = [tuple(words(sentence)) for sentence in sentences(completion)]
        spoken = [sentence for sentence in spoken if len(sentence) > 2]
        return len(set(spoken)) == len(spoken)


@dataclass(frozen=True, slots=True)
class EndsSentence:
    """Ends where a sentence ends, so that it was not cut off."""

    __pydantic_config__ = STRICT
    name: Literal["ends_sentence"]

    def kept(self, prompt: str, completion: str) -> bool:
        return completion.rstrip().rstrip(SENTENCE_CLOSERS).endswith((".", "!", "?", "…"))


@dataclass(frozen=True, slots=True)
class NoLists:
    """Running text: no bullet points and no numbered lines."""

    __pydantic_config__ = STRICT
    name: Literal["no_lists"]

    def kept(self, prompt: str, completion: str) -> bool:
        return LIST_LINE.search(completion) is None


@dataclass(frozen=True, slots=True)
class OnSubject:
    """Takes up at least ``words`` of the prompt's content words, or all of them where it has fewer."""

    __pydantic_config__ = STRICT
    name: Literal["on_subject"]
    words: Annotated[int, Field(ge=1)] = 1

    def kept(self, prompt: str, completion: str) -> bool:
        subject = subject_stems(prompt)
        return len(subject & subject_stems(completion)) >= min(self.words, len(subject))


@dataclass(frozen=True, slots=True)
class AvoidsPhrases:
    """None of ``phrases`` occurs, as whole words, whatever the case."""

    __pydantic_config__ = STRICT
    name: Literal["avoids_phrases"]
    phrases: Annotated[tuple[str, ...], Field(min_length=1)]

    def kept(self, prompt: str, completion: str) -> bool:
        text = f" {' '.join(words(completion))} "
        return not any(f" {' '.join(words(phrase))} " in text for phrase in self.phrases)


Check: TypeAlias = Annotated[
    MaxWords
    | MinWords
    | MaxSentences
    | NoOpening
    | NoRepeatedSentence
    | EndsSentence
    | NoLists
    | OnSubject
    | AvoidsPhrases,
    Field(discriminator="name"),
]
