"""What formats are made of: pairs, completions to imitate, completions that are good or bad, rankings."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import groupby, pairwise
from typing import Literal, TypeVar

from generator.chat import Message
from trainer.pairs.rows import TrainingRow, worth_imitating
from trainer.settings import Take

Kind = Literal["pairs", "demonstrations", "marked"]
Conversation = tuple[Message, ...]
Fault = Callable[[Conversation, Sequence[str]], str]  # why completions of a prompt cannot be used; "" where they can
Example = TypeVar("Example")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A completion to imitate."""

    prompt: Conversation
    completion: str
    prompt_id: str
    completion_id: str
    pair_id: str  # the first of the pairs in which it was chosen
    revised: bool  # whether it revises another completion


@dataclass(frozen=True, slots=True)
class Marked:
    """A completion that is good where it was chosen more often than rejected, and bad where less."""

    prompt: Conversation
    completion: str
    prompt_id: str
    completion_id: str
    chosen: int = 0  # in so many pairs
    rejected: int = 0

    @property
    def label(self) -> bool:
        return self.chosen > self.rejected


@dataclass(frozen=True, slots=True)
class Ranking:
    """All completions of a prompt, best first, where its pairs leave one order only."""

    prompt: Conversation
    prompt_id: str
    completions: tuple[str, ...]
    completion_ids: tuple[str, ...]
    chances: tuple[float, ...]  # that each but the last is better than the next


@dataclass(frozen=True, slots=True)
class Side:
    """The training or the test half of a dataset; a kind that a format has no use for is empty."""

    pairs: tuple[TrainingRow, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    marked: tuple[Marked, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.pairs or self.demonstrations or self.marked)


@dataclass(frozen=True, slots=True)
class Sifted:
    side: Side
    dropped: Mapping[Kind, Counter[str]]  # what was left out, by kind and reason


def sifted(rows: Sequence[TrainingRow], kinds: Sequence[Kind], take: Take, fault: Fault) -> Sifted:
    """The examples of ``kinds`` that ``fault`` finds nothing against; ``take`` as ``demonstrations`` has it."""

    def unfit(one: Demonstration | Marked) -> str:
        if isinstance(one, Marked) and one.chosen == one.rejected:
            return "as often chosen as rejected"
        return fault(one.prompt, (one.completion,))

    def unfit_pair(row: TrainingRow) -> str:
        return fault(row.prompt, (row.chosen[0].content, row.rejected[0].content))

    dropped: dict[Kind, Counter[str]] = {kind: Counter() for kind in kinds}
    side = Side()
    if "pairs" in kinds:
        side = replace(side, pairs=kept(rows, unfit_pair, dropped["pairs"]))
    if "demonstrations" in kinds:
        side = replace(side, demonstrations=kept(demonstrations(rows, take), unfit, dropped["demonstrations"]))
    if "marked" in kinds:
        side = replace(side, marked=kept(marked(rows), unfit, dropped["marked"]))
    return Sifted(side, dropped)


def kept(examples: Iterable[Example], unfit: Callable[[Example], str], dropped: Counter[str]) -> tuple[Example, ...]:
    """Those that ``unfit`` gives no reason against; the others are counted into ``dropped``."""
    found = []
    for example in examples:
        if why := unfit(example):
            dropped[why] += 1
        else:
            found.append(example)
    return tuple(found)


def demonstrations(rows: Sequence[TrainingRow], take: Take) -> Iterator[Demonstration]:
    """Every chosen completion once, in the order of ``rows``; of ``take`` "revisions" only those that revise."""
    for place in worth_imitating(((row.prompt, row.chosen[0].content, row.revised) for row in rows), take):
        row = rows[place]
        yield Demonstration(
            row.prompt, row.chosen[0].content, row.prompt_id, row.chosen_id, row.pair_id, row.revised
        )  # fmt: skip


def marked(rows: Iterable[TrainingRow]) -> tuple[Marked, ...]:
    """Every completion once, in the order in which ``rows`` name them."""
    found: dict[tuple[Conversation, str], Marked] = {}
    for row in rows:
        for text, name, chosen in (
            (row.chosen[0].content, row.chosen_id, 1),
            (row.rejected[0].content, row.rejected_id, 0),
        ):
            one = found.setdefault((row.prompt, text), Marked(row.prompt, text, row.prompt_id, name))
            counted = replace(one, chosen=one.chosen + chosen, rejected=one.rejected + 1 - chosen)
            found[row.prompt, text] = counted
    return tuple(found.values())


def rankings(rows: Iterable[TrainingRow]) -> Iterator[Ranking]:
    """One for each prompt whose pairs put all its completions in one order, in the order of ``rows``.

    That is so where no circle is among them and each completion is compared with the next in the order.
    Rows of a prompt stand together.
    """
    for _, of_prompt in groupby(rows, key=lambda row: row.prompt_id):
        pairs = {(row.chosen_id, row.rejected_id): row for row in of_prompt}
        below: dict[str, set[str]] = {}
        for better, worse in pairs:
            below.setdefault(worse, set()).add(better)
        try:
            order = tuple(TopologicalSorter(below).static_order())
        except CycleError:
            continue
        steps = [pairs.get(couple) for couple in pairwise(order)]
        if any(step is None for step in steps):
            continue
        found = [step for step in steps if step]
        texts = (*(step.chosen[0].content for step in found), found[-1].rejected[0].content)
        chances = tuple(step.p_chosen for step in found)
        yield Ranking(found[0].prompt, found[0].prompt_id, texts, order, chances)
