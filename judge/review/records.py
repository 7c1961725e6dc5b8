"""The records of human review.

Completion 1 of an item is the candidate whose id sorts first, as everywhere else; what a person saw first is a matter
of the side that was drawn for that person.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from constitution.principle import Example

Choice: TypeAlias = Literal["1", "2", "tie", "both good", "both bad"]  # 1 and 2: the item's own completions
Side: TypeAlias = Literal[1, 2]  # the item's own completion that is shown first, on the left
Kind: TypeAlias = Literal["audit", "worth", "gold"]  # drawn at random; chosen by policy; its label is known

CHOICES: tuple[Choice, ...] = get_args(Choice)
STRENGTHS = (1, 2, 3, 4)  # how much better: slightly, somewhat, clearly, by far


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the prompt."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Guide:
    """A principle as people are shown it."""

    id: str
    rule: str
    rationale: str = ""
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """All that people are shown of an item: not a word of who wrote what, or of what judges said."""

    item: str
    prompt_id: str
    source: str  # of the prompt
    prompt: tuple[Turn, ...]
    completions: tuple[str, str]
    related: bool  # reads as a version of the other, so that a word diff tells something
    guides: tuple[Guide, ...]


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """What one person said of one item."""

    item: str
    annotator: str
    choice: Choice
    strength: int | None  # one of STRENGTHS for choices 1 and 2, if given
    rationale: str
    side: Side
    seconds: float  # from being shown to being saved
    at: float  # Unix time
    guidelines: int  # their version
    kind: Kind
    flag: str = ""  # why the person thinks that somebody should look at it
    source: str = ""  # the other tool that it was given in, if any


def shown_choice(choice: Choice, side: Side) -> Choice:
    """The choice with 1 and 2 as the person saw them; its own inverse."""
    if choice == "1":
        return "1" if side == 1 else "2"
    if choice == "2":
        return "2" if side == 1 else "1"
    return choice
