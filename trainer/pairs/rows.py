"""Training rows: preference pairs in the one form that TRL reads as it is meant.

That form is explicit and conversational. The system message and the whole conversation stand in
``prompt``; ``chosen`` and ``rejected`` hold one assistant message each. Other spellings crash TRL, or
train on a doubled prompt in silence.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, fields

from constitution.identity import unit_interval
from generator.chat import Message
from judge.pairs import LabelSource, PreferencePair
from trainer.settings import Take

MESSAGE_COLUMNS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One preference pair to train on, with where it came from.

    Raises:
        ValueError: a completion is empty, or both are the same: TRL would train on either in silence,
            so a pair of that kind must have been dropped, and counted, before it became a row.
    """

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    pair_id: str
    prompt_id: str
    chosen_id: str
    rejected_id: str
    revised: bool  # whether ``chosen`` revises another completion
    p_chosen: float  # in (0.5, 1]
    margin: float  # 2·p_chosen - 1
    orders_agree: bool | None
    label_source: LabelSource
    decided_by: tuple[str, ...]  # ids of the principles that decided; empty where people did
    verdicts: str  # JSON text: what every principle said of the pair
    epsilon: float | None  # chance that the label is wrong, as people show it; None where none of theirs tells
    ai_p_chosen: float | None  # what the judges alone say of ``chosen``, whoever decided
    people: int  # who looked at the pair
    people_agree: int  # of them, who chose as the label does
    human_strength: float | None  # how much better these say it is, from 1 (slightly) to 4 (by far), on average
    flags: tuple[str, ...]  # what either completion does to sway a judge
    same_family: bool  # whether judge and policy are of one family of models

    def __post_init__(self) -> None:
        if not all(message.content.strip() for message in (*self.chosen, *self.rejected)):
            raise ValueError(f"pair {self.pair_id}: a completion is empty")
        if self.chosen == self.rejected:
            raise ValueError(f"pair {self.pair_id}: chosen and rejected are the same")


COLUMNS = tuple(field.name for field in fields(TrainingRow))


@dataclass(frozen=True, slots=True)
class Origin:
    """What travels with a pair unread; see the columns of the same names."""

    verdicts: str
    flags: tuple[str, ...]
    same_family: bool


def training_row(pair: PreferencePair, origin: Origin) -> TrainingRow:
    return TrainingRow(
        prompt=pair.prompt.messages,
        chosen=(Message("assistant", pair.chosen.text),),
        rejected=(Message("assistant", pair.rejected.text),),
        pair_id=pair.id,
        prompt_id=pair.prompt.id,
        chosen_id=pair.chosen.id,
        rejected_id=pair.rejected.id,
        revised=pair.chosen.is_revision,
        p_chosen=pair.p_chosen,
        margin=pair.margin,
        orders_agree=pair.orders_agree,
        label_source=pair.label_source,
        decided_by=pair.decided_by,
        verdicts=origin.verdicts,
        epsilon=pair.epsilon,
        ai_p_chosen=pair.ai_p_chosen,
        people=pair.people,
        people_agree=pair.people_agree,
        human_strength=pair.human_strength,
        flags=origin.flags,
        same_family=origin.same_family,
    )


def columns(rows: Iterable[TrainingRow]) -> dict[str, list[object]]:
    """The table of ``rows``, column by column, rows in the order given.

    All columns are there even without a row. Messages are ``{"role", "content"}`` objects in a list.
    """
    table: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for row in rows:
        for name in COLUMNS:
            table[name].append(cell(getattr(row, name)))
    return table


def cell(value: object) -> object:
    """``value`` as a table holds it: tuples as lists, messages as objects."""
    if isinstance(value, Message):
        return {"role": value.role, "content": value.content}
    return [cell(item) for item in value] if isinstance(value, tuple) else value


def worth_imitating(chosen: Iterable[tuple[Hashable, str, bool]], take: Take) -> Iterator[int]:
    """The places of the chosen completions that supervised training learns: each once, and no empty one.

    Args:
        chosen: of each row its prompt, its chosen completion, and whether that revises another.
        take: of "revisions" only those that do.
    """
    seen = set()
    for place, (prompt, text, revised) in enumerate(chosen):
        if (revised or take == "chosen") and text.strip() and (prompt, text) not in seen:
            seen.add((prompt, text))
            yield place


def is_test(prompt_id: str, seed: int, share: float) -> bool:
    """Whether all rows of a prompt are held out of training, so that no prompt stands on both sides.

    Decided by nothing but the arguments: adding prompts moves no other prompt. Raising ``share``, in
    [0, 1], only ever adds prompts to those held out.
    """
    return unit_interval("split", seed, prompt_id) < share
