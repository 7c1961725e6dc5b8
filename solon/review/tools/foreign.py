"""What the formats of other labelling tools have in common: how an item is shown, and how what was said comes back.

A file shows each item in one order, drawn by seed as for a person; that order stands nowhere in it. What comes back
is matched by the item's id, and left and right by the texts themselves: no seed is needed, and none can be wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from judge.review.records import Choice, Guide, HumanLabel, Side, Task, Turn, shown_choice
from judge.review.sides import side
from solon.review.records import NewTask

CHOICES: Mapping[str, Choice] = {
    "left": "1", "right": "2", "tie": "tie", "both good": "both good", "both bad": "both bad",
}  # fmt: skip
STRENGTHS: Mapping[str, int] = {"slightly": 1, "somewhat": 2, "clearly": 3, "by far": 4}

# Why something that is in a file became no label.
SKIPPED = "skipped"
DRAFT = "not submitted"
UNKNOWN_ITEM = "of no item of this review"
OTHER_TEXTS = "of other texts than the item has"
NO_CHOICE = "without a choice"
SAID_AGAIN = "said again later by the same person"


@dataclass(frozen=True, slots=True)
class Brought:
    """What people said in another tool: labels by item and annotator, and how much was left out, by reason."""

    labels: tuple[HumanLabel, ...]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Said:
    """What one person said of one item, in the words that the tool showed."""

    annotator: str
    choice: str
    strength: str
    rationale: str
    seconds: float
    at: float


def shown(task: Task, seed: int, tool: str) -> dict[str, str]:
    """The texts of an item, as a file of ``tool`` holds them."""
    first, second = (plain(text) for text in task.completions)
    left, right = (first, second) if side(seed, task.item, tool) == 1 else (second, first)
    return {
        "prompt": plain(transcript(task.prompt)),
        "principles": plain("\n\n".join(map(principle, task.guides))),
        "left": left,
        "right": right,
    }


def transcript(turns: Iterable[Turn]) -> str:
    """The user's words alone, where there is nothing else."""
    said = tuple(turns)
    if len(said) == 1:
        return said[0].content
    return "\n\n".join(f"{turn.role.capitalize()}:\n{turn.content}" for turn in said)


def principle(guide: Guide) -> str:
    examples = (f"Prompt: {one.prompt}\nBetter: {one.better}\nWorse: {one.worse}" for one in guide.examples)
    return "\n\n".join(filter(None, (guide.rule, guide.rationale, *examples)))


def plain(text: str) -> str:
    """The text with a mark for what PostgreSQL or UTF-8 cannot hold: the other tool would refuse the whole file."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


def side_shown(task: Task, left: str, right: str) -> Side | None:
    """Which of the item's completions was on the left; None if these are not its completions."""
    first, second = (plain(text) for text in task.completions)
    if first == second:
        return None
    if (left, right) == (first, second):
        return 1
    return 2 if (left, right) == (second, first) else None


def label(task: NewTask, shown_first: Side, said: Said, tool: str) -> HumanLabel | None:
    """None where there is no choice, or one that the tool was not told to offer."""
    if said.choice not in CHOICES:
        return None
    choice = shown_choice(CHOICES[said.choice], shown_first)
    strength = STRENGTHS.get(said.strength) if choice in ("1", "2") else None
    return HumanLabel(
        item=task.item, annotator=said.annotator, choice=choice, strength=strength, rationale=plain(said.rationale),
        side=shown_first, seconds=max(0.0, said.seconds), at=said.at, guidelines=0, kind=task.kind,
        source=tool,
    )  # fmt: skip


def brought(labels: Iterable[HumanLabel], left_out: Counter[str]) -> Brought:
    """With the last word of each person on each item."""
    last: dict[tuple[str, str], HumanLabel] = {}
    for one in labels:
        key = (one.item, one.annotator)
        if key in last:
            left_out[SAID_AGAIN] += 1
        if key not in last or one.at >= last[key].at:
            last[key] = one
    return Brought(tuple(last[key] for key in sorted(last)), dict(sorted(left_out.items())))
