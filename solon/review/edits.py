"""What people made of completions, as candidates of the run."""

from collections.abc import Collection, Iterable, Mapping

from generator.candidates import Candidate
from solon.folder import RunFolder
from solon.journal import Journal
from solon.pipeline import load_row
from solon.review.opened import begun_review
from solon.review.records import Edit

Edits = Mapping[str, tuple[Candidate, ...]]  # by the prompt's id


def edits_of(folder: RunFolder) -> Edits:
    """All edits by people who are not dropped; none where nobody reviews the run."""
    review = begun_review(folder)
    if review is None:
        return {}
    with review as store:
        return as_candidates(store.edits(), store.dropped())


def as_candidates(edits: Iterable[Edit], dropped: Collection[str] = ()) -> Edits:
    """Each different edit once, in the order of their ids: several people may have made the same."""
    found: dict[tuple[str, str], Edit] = {}
    for edit in sorted(edits, key=lambda one: (one.prompt, one.id, one.annotator)):
        if edit.revises and edit.annotator not in dropped:  # else it is of an item that is not this run's
            found.setdefault((edit.prompt, edit.id), edit)
    candidates: dict[str, list[Candidate]] = {}
    for (prompt, _), edit in found.items():
        candidates.setdefault(prompt, []).append(candidate(edit))
    return {prompt: tuple(several) for prompt, several in candidates.items()}


def candidate(edit: Edit) -> Candidate:
    """Its place among the prompt's candidates is its own and moves with no other, so no other couple is asked anew."""
    own = int(edit.id[:12], 16)
    return Candidate(edit.id, edit.text, "stop", edit.call, own, 0, revises=edit.revises, author=edit.annotator)


def unjudged(edits: Edits, journal: Journal) -> frozenset[str]:
    """The ids of those that are in no row yet."""
    having = sorted(edits.keys() & journal.recipes().keys())
    judged = {one.id for body in journal.bodies(having) for one in load_row(body).made.candidates}
    return frozenset(one.id for several in edits.values() for one in several) - judged


def counted(edits: int) -> str:
    return f"{edits} edit{'s' * (edits != 1)} by {'people' if edits != 1 else 'a person'}"
