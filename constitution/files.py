"""Principle files: found by name or path, loaded, and held to what a constitution must be."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from constitution.checks import STRICT
from constitution.errors import InputError
from constitution.principle import Constitution, Principle
from constitution.tables import line_of, read_table, statements

PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Head:
    __pydantic_config__ = STRICT

    title: str
    version: str = "1"
    description: str = ""


@dataclass(frozen=True, slots=True)
class PrincipleFile:
    __pydantic_config__ = STRICT

    constitution: Head
    principle: tuple[Principle, ...] = ()


FILE = TypeAdapter(PrincipleFile)


def shipped_folder() -> Path:
    """Where the shipped principle files are: beside the packages in a checkout, inside solon/ in a wheel."""
    checkout, wheel = PACKAGE.parent / "principles", PACKAGE.parent / "solon" / "principles"
    return wheel if wheel.is_dir() else checkout


def shipped_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in shipped_folder().glob("*.toml")))


def find(name_or_path: str, beside: Path) -> Path:
    """The file meant by a shipped constitution's name, or by a path relative to the folder ``beside``.

    Raises:
        InputError: there is neither.
    """
    shipped = shipped_folder() / f"{name_or_path}.toml"
    if shipped.parent == shipped_folder() and shipped.is_file():
        return shipped
    path = beside / Path(name_or_path).expanduser()
    if path.is_file():
        return path
    raise InputError(
        str(path),
        "no such principle file",
        f"give a path, or one of the shipped names: {', '.join(shipped_names())}",
    )


def load(path: Path) -> Constitution:
    """The constitution in the file at ``path``, named by the file's stem.

    Raises:
        InputError: the file cannot be read or is not a constitution; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "name a UTF-8 text file") from None
    return parse_constitution(text, name=path.stem, place=str(path))


def parse_constitution(text: str, *, name: str, place: str) -> Constitution:
    """The constitution that ``text`` holds; ``place`` is how messages call it.

    Raises:
        InputError: it is none; with the line where one is at fault.
    """
    file = read_table(text, FILE, place)
    if not file.principle:
        raise InputError(place, "has no principle", "add a [[principle]] with an id and a rule")
    seen: set[str] = set()
    for index, principle in enumerate(file.principle):
        if fault := fault_of(principle, seen):
            key, fact, remedy = fault
            raise InputError(place, fact, remedy, line_of(text, ("principle", index, key)))
        seen.add(principle.id)
    return Constitution(
        name,
        file.constitution.title,
        file.constitution.version,
        file.constitution.description,
        file.principle,
    )


def fault_of(principle: Principle, seen: set[str]) -> tuple[str, str, str] | None:
    """What is wrong with one principle, beyond what its record's types say, as (key, fact, remedy)."""
    if not principle.id.strip():
        return "id", "a principle has an empty id", "name it in a word or two"
    if principle.id in seen:
        return "id", f"principle id {principle.id!r} is used twice", "rename one of them"
    if not principle.rule.strip():
        return "rule", f"principle {principle.id!r} has an empty rule", "write the rule in a sentence"
    if not 0 < principle.weight < float("inf"):
        return "weight", f"principle {principle.id!r} has weight {principle.weight}", "give a number above 0"
    return None


def principle_lines(text: str, count: int) -> tuple[int, ...]:
    """The line, from 1, where each of the ``count`` principles of a sound text begins."""
    lines = text.split("\n")
    starts = ((one.first, lines[one.first - 1].lstrip()) for one in statements(text))
    headings = [n for n, line in starts if line.startswith("[[") and tomllib.loads(line) == {"principle": [{}]}]
    return tuple(headings or [line_of(text, ("principle",))] * count)  # no heading: one statement holds them all
