"""The labels of a run's review as a file, for whatever reads files of labels."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from constitution.errors import InputError
from solon.folder import RunFolder
from solon.review.labels import labels_csv, people_of
from solon.review.opened import begun_review
from solon.review.storage.store import Store


@contextmanager
def review_labels(folder: RunFolder, without: Collection[str] = ()) -> Iterator[Path | None]:
    """The labels of the run's review as a file that is gone afterwards; None where nobody labelled anything."""
    review, text = begun_review(folder), None
    if review is not None:
        with review as store:
            require_known(store, without)
            text = labels_csv(store, without) if people_of(store, without) else None
    elif without:
        raise InputError(f"--without {min(without)}", "nobody reviews this run", "leave it out")
    if text is None:
        yield None
        return
    with TemporaryDirectory() as place:
        file = Path(place) / "labels.csv"
        file.write_text(text, encoding="utf-8")
        try:
            yield file
        except InputError as error:  # tells of a file that nobody can look into
            raise InputError(
                error.place.replace(str(file), "the run's review"), error.fact, error.remedy, error.line
            ) from error


def require_known(store: Store, without: Collection[str]) -> None:
    known = {one.name for one in store.annotators()} | {edit.annotator for edit in store.edits()}
    known |= {decision.by for decision in store.decisions()}
    for name in sorted(set(without) - known):
        whom = f"choose among {', '.join(sorted(known))}" if known else "leave it out"
        raise InputError(f"--without {name}", "nobody of that name reviews this run", whom)
