"""The completions that compete for one prompt, and where each of them comes from."""

from dataclasses import dataclass

from constitution.identity import short_id
from generator.chat import Finish
from generator.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Critique:
    """What a critic found when it held a candidate against a principle."""

    principle: str  # its id
    text: str
    violated: bool
    call: str  # the journal's key


@dataclass(frozen=True, slots=True)
class Candidate:
    """One completion: a draft, a revision of another candidate of the same prompt, or a person's edit of one."""

    id: str
    text: str
    finish: Finish
    call: str  # the journal's key of the reply that it is; of an edit what stands for it
    sample: int  # which draft it is or descends from, from 0; of an edit a number of its own
    round: int  # 0 for a draft; the n-th round's revision has n
    revises: str | None = None  # id of the candidate that it revises
    principle: str | None = None  # id of the principle that it was revised for
    author: str = ""  # who wrote it, where a person did: an edit of what it revises

    @property
    def is_revision(self) -> bool:
        return self.revises is not None


@dataclass(frozen=True, slots=True)
class Critiqued:
    """A critique together with the candidate that it is about."""

    candidate: str
    critique: Critique


@dataclass(frozen=True, slots=True)
class Drop:
    """Something that did not become data, and why; every one is counted in the run's summary."""

    stage: str
    reason: str
    about: str  # id of the candidate or pair, or of the prompt
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """All candidates of one prompt, drafts first, in the order of sample and round."""

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    critiques: tuple[Critiqued, ...] = ()
    drops: tuple[Drop, ...] = ()


def candidate_id(prompt: Prompt, sample: int, number: int, call: str) -> str:
    """One call may serve several candidates, since equal requests are one call: sample and round tell them apart."""
    return short_id("candidate", prompt.id, sample, number, call)
