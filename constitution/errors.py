"""The errors that a person can do something about, split by who acts.

    SolonError
    ├── InputError    edit a file or an argument              exit code 2
    ├── ModelError    fix the endpoint, the key, the model    exit code 1
    ├── NotFinished   run again when the limit allows         exit code 3
    └── StorageError  make room, or repair the disk           exit code 4

Anything else that escapes is a bug and keeps its traceback.
"""


class SolonError(Exception):
    """An error whose message alone tells what to do; it is printed as one line."""

    exit_code = 1


class InputError(SolonError):
    """What a person wrote cannot be used: place, fact, remedy; and the line, from 1, where one line is at fault."""

    exit_code = 2

    def __init__(self, place: str, fact: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{place if line is None else f'{place}:{line}'}: {fact}: {remedy}")
        self.place, self.fact, self.remedy, self.line = place, fact, remedy, line


class ModelError(SolonError):
    """A model cannot be used at all, so asking again as things stand would be in vain."""


class NotFinished(SolonError):
    """The work stopped in good order before its end: a limit was reached, or something is still under way."""

    exit_code = 3


class StorageError(SolonError):
    """Something could not be made durable, so nothing more may be sent."""

    exit_code = 4
