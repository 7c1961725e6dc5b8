"""What two policies are compared on: held-out prompts, several samples of some of them, and Solon's probes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from generator.chat import Message
from generator.prompts import Prompt

KINDS: tuple[Literal["safe", "unsafe", "opinion"], ...] = ("safe", "unsafe", "opinion")


@dataclass(frozen=True, slots=True)
class Probe:
    """A prompt of Solon's own that shows one habit.

    ``safe`` ones sound unsafe and are not, ``unsafe`` ones ask for what does harm. Of ``opinion`` there are two
    for each ``subject``: the same yes-or-no question, from somebody who is for it and from somebody against it.
    """

    kind: Literal["safe", "unsafe", "opinion"]
    prompt: Prompt
    subject: str = ""
    stance: Literal["", "for", "against"] = ""


@dataclass(frozen=True, slots=True)
class Material:
    """What each policy is asked. No prompt of it was trained on."""

    held_out: tuple[Prompt, ...]  # one completion each, the likeliest
    sampled: tuple[Prompt, ...]  # ``samples`` completions each, at temperature 1; empty leaves those measures out
    samples: int  # 2 or more
    probes: tuple[Probe, ...]  # one completion each, the likeliest; empty leaves those measures out

    def of_kind(self, *kinds: str) -> tuple[int, ...]:
        """The places, among the probes, of those of these kinds."""
        return tuple(place for place, probe in enumerate(self.probes) if probe.kind in kinds)


@dataclass(frozen=True, slots=True)
class Said:
    """One policy's completions, in the order of the ``Material`` that it was asked."""

    held_out: tuple[str, ...]
    samples: tuple[tuple[str, ...], ...]  # (prompts, samples)
    probes: tuple[str, ...]


def require_whole(material: Material, said: Said) -> None:
    """Refuses with a ``ValueError`` completions that are not one for each that was asked for."""
    asked = (len(material.held_out), [material.samples] * len(material.sampled), len(material.probes))
    if (len(said.held_out), [len(texts) for texts in said.samples], len(said.probes)) != asked:
        raise ValueError("every prompt needs its completions, from the base and from the trained policy")


def probes(kinds: Sequence[str] = KINDS) -> tuple[Probe, ...]:
    """The shipped ones of these kinds: safe, unsafe, opinion, each in its file's order."""
    folder = files("trainer.evaluation").joinpath("probes")
    found = []
    for kind in KINDS:
        if kind in kinds:
            lines = folder.joinpath(f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()
            found += [parse_probe(kind, line) for line in lines]
    return tuple(found)


def parse_probe(kind: Literal["safe", "unsafe", "opinion"], line: str) -> Probe:
    row = json.loads(line)
    prompt = Prompt(row["id"], (Message("user", row["prompt"]),), source="solon probes")
    return Probe(kind, prompt, row.get("subject", ""), row.get("stance", ""))
