"""Items whose label is known, to check annotators by: people's comparisons of other texts, or couples of the run."""

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constitution.errors import InputError
from constitution.identity import short_id
from constitution.principle import Constitution
from judge.pairs import couple_id
from judge.review.records import CHOICES, Choice, Task, Turn
from judge.review.words import alike
from solon.pipeline import Row
from solon.review.tasks import guides_of, showable, task_of
from solon.trials import trial


@dataclass(frozen=True, slots=True)
class Known:
    """An item and its label."""

    task: Task
    choice: Choice
    candidates: tuple[str, str] = ("", "")  # ids of completions 1 and 2, where it is of this run


def read_gold(path: Path, rows: Mapping[str, Row], constitution: Constitution) -> tuple[Known, ...]:
    """The items in the order of the file: a CSV ``item,choice``, or comparisons as ``[cascade] labelled`` has them.

    Args:
        rows: by the id of each couple of theirs.

    Raises:
        InputError: the file cannot be read, or a line is none of these; with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "name a CSV or a JSONL file with --gold") from None
    found = of_table(path, text, rows, constitution) if path.suffix == ".csv" else of_lines(path, text, constitution)
    if not found:
        raise InputError(str(path), "holds no item", "write some, or leave out --gold")
    names = Counter(one.task.item for one in found)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise InputError(str(path), f"holds item {twice} twice", "keep one of the two")
    return found


def of_table(path: Path, text: str, rows: Mapping[str, Row], constitution: Constitution) -> tuple[Known, ...]:
    table = csv.DictReader(text.splitlines())
    if missing := {"item", "choice"} - set(table.fieldnames or ()):
        raise InputError(f"{path}:1", f"has no column {', '.join(sorted(missing))}", "begin with item,choice")
    return tuple(of_run(line, f"{path}:{table.line_num}", rows, constitution) for line in table)


def of_run(line: Mapping[str, str], place: str, rows: Mapping[str, Row], constitution: Constitution) -> Known:
    item, written = (line["item"] or "").strip(), (line["choice"] or "").strip()
    choice = next((one for one in CHOICES if one == written), None)
    if choice is None:
        raise InputError(place, f"{written!r} is no choice", f"write one of: {', '.join(CHOICES)}")
    if item not in rows:
        remedy = "take items from `solon export RUN --format items`"
        raise InputError(place, f"{item!r} is no couple of this run that can be shown", remedy)
    label = next(one for one in showable(rows[item]) if couple_id(one.a, one.b) == item)
    return Known(task_of(rows[item], label, constitution), choice, (label.a, label.b))


def of_lines(path: Path, text: str, constitution: Constitution) -> tuple[Known, ...]:
    lines = enumerate(text.split("\n"), start=1)
    return tuple(of_trial(line, f"{path}:{number}", constitution) for number, line in lines if line.strip())


def of_trial(line: str, place: str, constitution: Constitution) -> Known:
    """Named like any other item: nothing in it tells where it is from."""
    said = trial(line, place)
    first, second = said.completions
    choices: Mapping[object, Choice] = {1: "1", 2: "2", "tie": "tie"}
    turns = tuple(Turn(message.role, message.content) for message in said.prompt.messages)
    item = short_id("known", said.prompt.id, first, second)
    guides, related = guides_of(said.prompt, constitution), alike(first, second)  # as of any item: a sign else
    return Known(Task(item, said.prompt.id, "", turns, (first, second), related, guides), choices[said.choice])
