"""What takes seconds, done in a process of its own, so that nobody who labels waits for it.

``python -m solon.review.lead.apart figures|page|draw`` reads JSON from standard input and writes its result to standard
output. Where the input is to blame it writes the reason instead, and ends with status 2.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from constitution.errors import InputError
from solon.folder import open_folder
from solon.review.drawing import DrawAsked, RoundTold, draw_round
from solon.review.lead.figures import FIGURES, MEASURED

NICE = 10  # whoever labels goes first
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Draw:
    """A round to be drawn."""

    folder: Path
    asked: DrawAsked
    at: float


DRAW, TOLD = TypeAdapter(Draw), TypeAdapter(RoundTold)


def carried_out(what: str, given: bytes) -> bytes:
    """The packages that only figures need are loaded for these alone."""
    if what == "draw":
        return TOLD.dump_json(drawn(DRAW.validate_json(given)))
    if what == "page":
        from solon.auditing.page import page

        return page(json.loads(given)).encode()
    from solon.review.lead.measured import measured

    return MEASURED.dump_json(measured(FIGURES.validate_json(given)))


def drawn(wanted: Draw) -> RoundTold:
    from solon.journal import Journal
    from solon.review.opened import open_review

    folder = open_folder(wanted.folder)
    with open_review(folder) as store, Journal.open(folder.journal, read_only=True) as journal:
        return draw_round(folder, journal, store, wanted.asked, now=wanted.at)


def main() -> None:
    os.nice(NICE)
    try:
        sys.stdout.buffer.write(carried_out(sys.argv[1], sys.stdin.buffer.read()))
    except InputError as error:
        sys.stdout.buffer.write(str(error).encode())
        sys.stdout.flush()
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
