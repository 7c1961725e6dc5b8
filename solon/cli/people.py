"""Which labels of people an export or an audit takes: those of a file, or those of the run's own review."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from solon.cli.auditing import gone_told, is_whole, require_extra
from solon.export import Promised
from solon.folder import RunFolder
from solon.journal import Journal
from solon.pipeline import Row
from solon.review.edits import counted, edits_of, unjudged
from solon.review.files import review_labels
from solon.run import stored_rows
from solon.show import couples_of

if TYPE_CHECKING:
    from solon.auditing.relabel import Heard

NONE = Path("none")  # what stands for no labels, whatever the review holds


@dataclass(frozen=True, slots=True)
class Asked:
    """What people's labels are to do in an export."""

    file: Path | None  # of labels
    review: bool  # whether it holds those of the run's review
    agreement: float | None  # to be promised


@dataclass(frozen=True, slots=True)
class Labelled:
    """The rows to export, and what people's labels did to them."""

    rows: Iterable[Row]
    file: Path | None  # of the labels that are in them
    promised: Promised | None = None
    text: str = ""
    data: dict[str, Any] | None = None


def rows_labelled(folder: RunFolder, journal: Journal, asked: Asked) -> Labelled:
    """The run's rows, with people's labels put in where there are any, and what these let us promise.

    Raises:
        InputError: agreement is to be promised with people who have said nothing, or the labels cannot be used.
    """
    if asked.file is None:
        if asked.agreement is not None:
            remedy = "add --labels L.csv" if asked.review else f"leave out --labels {NONE}"
            raise InputError("--agreement", "is agreement with people, who have said nothing", remedy)
        return Labelled(stored_rows(journal), None)
    require_extra("export")
    from solon.auditing.relabel import Terms, anchored, promising, relabelled
    from solon.auditing.voices import voices

    rows, terms = list(stored_rows(journal)), Terms(folder.config, folder.principles())
    labelled = voices(asked.file).merged.keys() if asked.review else frozenset()
    couples = couples_of(rows)
    if asked.review and asked.agreement is None and not couples & labelled:
        return Labelled(rows, None, text="people's labels in the review are of no couple that the run holds now")
    found = (
        anchored(rows, asked.file) if asked.agreement is None else promising(rows, asked.file, asked.agreement, terms)
    )
    data = {"from": "review" if asked.review else str(asked.file), "couples": found.labelled, "people": found.people}
    gone = gone_told(len(labelled - couples), is_whole(journal))
    text = "\n".join(filter(None, (told(found, "the review" if asked.review else asked.file.name), gone)))
    return Labelled(relabelled(rows, found, terms), asked.file, found.promised, text, data)


def told(found: "Heard", where: str) -> str:
    couples = f"{found.labelled} couple{'s' * (found.labelled != 1)}"
    people = f"{found.people} {'people' if found.people != 1 else 'person'}"
    few = "" if found.weights else "; too few to anchor the judges on, whose other labels stay as they are"
    return f"people's labels from {where} are in it: of {couples}, by {people}{few}"


@contextmanager
def labels_for_export(folder: RunFolder, asked: Path | None, without: Sequence[str]) -> Iterator[Path | None]:
    """The file ``asked`` for, or the review's labels in one that is gone afterwards; None where there is none.

    Raises:
        InputError: somebody in ``without`` is nobody's name, or is to be left out of a file.
    """
    if asked is not None:
        if without:
            remedy = "delete that person's rows in the file" if asked != NONE else "leave it out"
            raise InputError("--without", "is for the labels of the run's review", remedy)
        yield None if asked == NONE else asked
        return
    with review_labels(folder, without) as labels:
        yield labels


def waiting(folder: RunFolder, journal: Journal) -> str:
    """What to tell of edits that no judge has seen yet; empty where there are none."""
    having = journal.recipes().keys()
    left = len(unjudged({prompt: edits for prompt, edits in edits_of(folder).items() if prompt in having}, journal))
    return f"{counted(left)} wait{'s' * (left == 1)} to be judged: `solon run` does so" if left else ""
