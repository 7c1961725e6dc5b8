"""From a run's rows to what people are shown, and to what their labels would be worth."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import sqrt

from constitution.identity import unit_interval
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate
from generator.prompts import Prompt
from judge.alarm import ChosenCount, ends_of
from judge.label import Label
from judge.pairs import couple_id, is_unicode
from judge.review.records import Guide, Task, Turn
from judge.review.words import alike
from judge.review.worth import Couple
from judge.verdict import Judgement
from solon.pipeline import Row

MOST_ALIKE = 100  # couples that are suspicious for one reason: so many tell what is behind all of its kind


def task_of(row: Row, label: Label, constitution: Constitution) -> Task:
    prompt, one, other = row.made.prompt, *both(row, label)
    turns = tuple(Turn(message.role, message.content) for message in prompt.messages)
    return Task(
        couple_id(label.a, label.b), prompt.id, prompt.source, turns, (one.text, other.text),
        alike(one.text, other.text), guides_of(prompt, constitution),
    )  # fmt: skip


def guides_of(prompt: Prompt, constitution: Constitution) -> tuple[Guide, ...]:
    """The principles that apply, those first that are heard first, and of these the weightiest."""

    def rank(principle: Principle) -> tuple[bool, int, float, str]:
        return not principle.hard, -principle.priority, -principle.weight, principle.id

    principles = sorted(constitution.applying_to(prompt.tags), key=rank)
    return tuple(Guide(one.id, one.rule, one.rationale, one.examples) for one in principles)


def couples_of(rows: Sequence[Row], chances: Mapping[str, float] | None = None) -> tuple[Couple, ...]:
    """Every couple of the run that can be shown to people, in the order of the rows.

    Args:
        chances: of completion 1, by item, where people's labels so far tell more than the run's own label.
    """
    suspicious = suspects(rows)
    return tuple(couple(row, label, chances or {}, suspicious) for row in rows for label in showable(row))


def showable(row: Row) -> Iterator[Label]:
    """The row's couples; a text with half a character, which no page and no dataset can hold, is in none."""
    whole = {candidate.id for candidate in row.made.candidates if is_unicode(candidate.text)}
    if all(is_unicode(message.content) for message in row.made.prompt.messages):
        yield from (label for label in row.labels if label.a in whole and label.b in whole)


def couple(row: Row, label: Label, chances: Mapping[str, float], suspicious: set[str]) -> Couple:
    item, prompt = couple_id(label.a, label.b), row.made.prompt
    p = label.p_a if label.p_a is None else chances.get(item, label.p_a)
    margin = 0.0 if p is None else abs(2 * p - 1)
    apart = disagreement(label, row.judgements)
    return Couple(item, prompt.id, prompt.source, p, margin, label.orders_agree, apart, item in suspicious)


def disagreement(label: Label, judgements: Iterable[Judgement]) -> float:
    """Between the verdicts that decided the label: 1 where half of their weight is wholly on either side."""
    heard = [
        (one.weight, one.p_a)
        for one in judgements
        if (one.a, one.b) == (label.a, label.b)
        and one.heard
        and one.p_a is not None
        and one.principle in label.decided_by
    ]
    total = sum(weight for weight, _ in heard)
    if not heard or total <= 0:
        return 0.0
    mean = sum(weight * p for weight, p in heard) / total
    return min(1.0, 2 * sqrt(sum(weight * (p - mean) ** 2 for weight, p in heard) / total))


def suspects(rows: Sequence[Row]) -> set[str]:
    """Couples won by a text that speaks to the judge or is chosen for many prompts; a fair sample of each sort."""
    chosen = ChosenCount()
    for row in rows:
        for pair in row.pairs:
            chosen.add(row.made.prompt.id, pair.chosen.text)
    repeated = {text.excerpt.casefold() for text in chosen.told()}
    alike: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for label in row.labels:
            for mark in marks(row, label, repeated):
                alike[mark].append(couple_id(label.a, label.b))
    return {item for items in alike.values() for item in sorted(items, key=lambda one: unit_interval(one))[:MOST_ALIKE]}


def marks(row: Row, label: Label, repeated: set[str]) -> set[str]:
    """What is suspicious of the completion that the label prefers."""
    preferred = label.preferred
    if preferred is None:
        return set()
    flags = {flagged.flag for flagged in row.flags if flagged.candidate == preferred}
    text = next(candidate.text for candidate in row.made.candidates if candidate.id == preferred)
    return flags | ({excerpt.casefold() for _, excerpt in ends_of(text)} & repeated if repeated else set())


def both(row: Row, label: Label) -> tuple[Candidate, Candidate]:
    """Completions 1 and 2: the candidate whose id sorts first is the first."""
    found = {candidate.id: candidate for candidate in row.made.candidates}
    return found[label.a], found[label.b]
