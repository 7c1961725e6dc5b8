"""What people said of couples, a line each, as ``solon show`` tells it beside what judges said."""

from collections.abc import Collection, Iterator, Mapping

from judge.review.merge import Voice, merge
from judge.review.records import Choice
from solon.review.labels import ADJUDICATION, Reviewed, Word, words_of
from solon.review.records import Skip
from solon.review.storage.store import Store

IN_WORDS: Mapping[Choice, str] = {
    "1": "a is better", "2": "b is better", "tie": "a tie", "both good": "both are good", "both bad": "both are bad",
}  # fmt: skip
STRENGTHS = ("", "slightly", "somewhat", "clearly", "by far")


def told_of(store: Store, couples: Collection[str]) -> dict[str, tuple[str, ...]]:
    """By couple, of those that somebody spoke of; a is the couple's first candidate, completion 1 of the item."""
    gone, known = store.dropped(), {one.item: one.task.known for one in store.tasks(couples) if one.task.known}
    skips = [one for one in store.skips() if one.item in couples]
    counted = list(all_words(store, couples, gone))
    every = sorted(all_words(store, couples, ()), key=lambda one: (one.item, one.decided, one.annotator))
    found: dict[str, list[str]] = {}
    for word in every:
        found.setdefault(word.item, []).append(said(word, word not in counted))
    for skip in skips:
        found.setdefault(skip.item, []).append(skipped(skip, skip.annotator in gone))
    for item, choice in known.items():
        found.setdefault(item, []).append(f"it checks annotators, and its label is known: {IN_WORDS[choice]}")
    return {
        item: (*lines, *([] if item in known else [wins([word for word in counted if word.item == item])]))
        for item, lines in found.items()
    }


def all_words(store: Reviewed, couples: Collection[str], gone: Collection[str]) -> Iterator[Word]:
    """What an export takes in, as far as it is of ``couples``."""
    kinds = {task.item: task.task.kind for task in store.tasks()}
    return (word for word in words_of(store, kinds, gone) if word.item in couples)


def said(word: Word, left_out: bool) -> str:
    name = word.annotator.removeprefix(ADJUDICATION)
    who = f"decided by {name}" if word.decided else name
    strength = f", {STRENGTHS[word.strength]}" if word.strength else ""
    how = ", by an edit of the other" if word.kind == "edit" else ""
    parts = [who + aside(left_out), IN_WORDS[word.choice] + strength + how]
    parts += [in_one_line(word.rationale)] if word.rationale else []
    return ": ".join(parts) + (f" (FLAGGED: {in_one_line(word.flag)})" if word.flag else "")


def skipped(skip: Skip, left_out: bool) -> str:
    return f"{skip.annotator}{aside(left_out)} skipped it: {in_one_line(skip.reason)}"


def wins(words: Collection[Word]) -> str:
    """Which label the couple has in an export."""
    over = [Voice(word.annotator.removeprefix(ADJUDICATION), word.choice) for word in words if word.decided]
    voices = [Voice(word.annotator, word.choice, word.strength) for word in words if not word.decided]
    merged = merge(voices, over[0] if over else None)
    if merged is None:
        return "an export takes the judges' label"
    whose = "the adjudicator's" if merged.adjudicated else f"people's, {merged.agree} of {merged.people}"
    return f"an export takes this label: {IN_WORDS[merged.choice]} ({whose})"


def aside(left_out: bool) -> str:
    return " (left out)" if left_out else ""


def in_one_line(text: str) -> str:
    return " ".join(text.split())
