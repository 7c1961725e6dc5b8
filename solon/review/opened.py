"""A run's review where it lies."""

from contextlib import AbstractContextManager

from solon.folder import RunFolder
from solon.review.storage.store import Store


def open_review(folder: RunFolder) -> Store:
    """The review, made where there is none."""
    return Store.open(folder.review, folder.id)


def begun_review(folder: RunFolder) -> AbstractContextManager[Store] | None:
    """The review, to be read only, if there is one: nothing is made beside a run that nobody reviews."""
    file = folder.review.path
    if file is not None and not file.is_file():
        return None
    return Store.open_to_read(folder.review, folder.id)
