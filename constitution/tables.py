"""TOML files that people write, read into records; whatever is wrong is told with file and line."""

import difflib
import json
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from constitution.errors import InputError

Record = TypeVar("Record")
Path = Sequence[str | int]

UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
MISSING_KEY = {"missing", "missing_argument"}


def read_table(text: str, record: TypeAdapter[Record], place: str) -> Record:
    """The record that ``text`` holds.

    Raises:
        InputError: not TOML, or a key is unknown, missing or of the wrong kind. The message names
            the line of the first fault.
    """
    table = parse(text, place)
    try:
        # By way of JSON, where strictness lets a TOML array be a tuple and a whole number a float.
        return record.validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        line = line_of(text, first_fault(error)["loc"])
        raise InputError(f"{place}:{line}", *explain(error, record)) from None


def parse(text: str, place: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(place, f"not TOML ({error})", "mend the syntax there") from None


def first_fault(error: ValidationError) -> Any:
    """The first of all, but for a key that is missing where another is misspelt: the misspelling."""
    faults = error.errors()
    return next((fault for fault in faults if fault["type"] in UNKNOWN_KEY), faults[0])


def explain(error: ValidationError, record: TypeAdapter[Any]) -> tuple[str, str]:
    """The first fault as (fact, remedy)."""
    fault = first_fault(error)
    name = ".".join(str(part) for part in fault["loc"]) or "the whole"
    if fault["type"] in UNKNOWN_KEY:
        known = sorted(known_keys(record))
        close = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
        guess = close and close[0] != str(fault["loc"][-1])  # a key of that name may belong elsewhere
        return f"unknown key {name!r}", f"did you mean {close[0]!r}?" if guess else "remove it"
    if fault["type"] in MISSING_KEY:
        return f"missing key {name!r}", "add it"
    silent = fault["type"].startswith("union_tag") or "key" in str(fault["loc"][-1:])  # a secret may stand there
    given = "" if silent else f", got {json.dumps(fault['input'], default=str)[:80]}"
    return f"{name!r} cannot be read", f"{fault['msg'][:1].lower()}{fault['msg'][1:]}{given}"


def known_keys(record: TypeAdapter[Any]) -> set[str]:
    """Every key that occurs anywhere in the record's schema."""
    schema = record.json_schema()
    tables = [schema, *schema.get("$defs", {}).values()]
    return {key for table in tables for key in table.get("properties", {})}


def line_of(text: str, path: Path) -> int:
    """The number, from 1, of the line where ``path`` begins, or as much of it as is there.

    A TOML file cut after any whole statement is TOML again, so the first cut that holds the path
    ends with the statement that brings it.
    """
    whole = existing(tomllib.loads(text), path)
    begins = 1
    for number, table in readable_cuts(text):
        if existing(table, whole) == whole:
            return begins
        begins = number + 1
    return 1


def existing(table: Any, path: Path) -> Path:
    """The parts of ``path`` that can be followed into ``table``; others (a union's tag, say) are left out."""
    found: list[str | int] = []
    for part in path:
        inside = part in table if isinstance(table, dict) else isinstance(part, int) and part < len(table)
        if inside:
            table = table[part]
            found.append(part)
        if not isinstance(table, dict | list):
            break
    return found


def readable_cuts(text: str) -> Iterator[tuple[int, Any]]:
    """(number of the last line, contents) of every cut of ``text`` after a whole statement."""
    lines = [f"{line}\n" for line in text.split("\n")]  # splitlines would also split inside a string, at U+2028
    for number in range(1, len(lines) + 1):
        try:
            yield number, tomllib.loads("".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue
