"""TOML files that people write, read into records; whatever is wrong is told with file and line."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from constitution.errors import InputError

Record = TypeVar("Record")
Path = Sequence[str | int]

UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
MISSING_KEY = {"missing", "missing_argument"}
TOO_DEEP = "json_invalid"  # the JSON is our own: only its nesting can be wrong
AT_LINE = re.compile(r"at line (\d+), (?=column \d+\)$)")
# Strings and comments whole, for a bracket or a line's end inside one means nothing.
PIECES = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}' r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"' r"|'[^'\n]*+'" r"|#[^\n]*+" r"|[\[\]{}\n]",
    re.DOTALL,
)  # fmt: skip


def read_table(text: str, record: TypeAdapter[Record], place: str) -> Record:
    """The record that ``text`` holds.

    Raises:
        InputError: not TOML, or a key is unknown, missing or of the wrong kind, with the line of the
            first fault; or more than can be read, by its depth or a number's length.
    """
    try:
        # By way of JSON, where strictness lets a TOML array be a tuple and a whole number a float.
        return record.validate_json(json.dumps(tomllib.loads(text), default=str))
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(text, str(error), place) from None
    except ValidationError as error:
        fault = first_fault(error)
        if fault["type"] != TOO_DEEP:
            raise InputError(place, *explain(error, record), line_of(text, fault["loc"])) from None
    except (RecursionError, ValueError):  # ValueError: a number of more digits than Python reads or writes
        pass
    raise InputError(place, "a value is nested too deeply, or a number is too long", "write it plainly")


def syntax_error(text: str, said: str, place: str) -> InputError:
    """What ``tomllib`` said of the text, with the line set apart."""
    found = AT_LINE.search(said)
    line = int(found[1]) if found else text.count("\n") + 1
    why = AT_LINE.sub("", said)
    return InputError(place, f"this is not TOML: {why[:1].lower()}{why[1:]}", "mend the syntax there", line)


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
    """The line, from 1, where the statement begins that brings ``path``, or as much of it as is there, into the text.

    A TOML file cut after any whole statement is TOML again, and what a path leads to never goes
    away in a longer cut, so halving finds the first cut that holds it.
    """
    wanted = existing(tomllib.loads(text), path)
    if not wanted:
        return 1
    lines, found = text.split("\n"), list(statements(text))  # splitlines would also split inside a string, at U+2028
    few, enough = 0, len(found)  # statements: the path is not there after so few, and is after so many
    while enough - few > 1:
        middle = (few + enough) // 2
        cut = tomllib.loads("\n".join(lines[: found[middle - 1].last]) + "\n")
        few, enough = (few, middle) if existing(cut, wanted) == wanted else (middle, enough)
    return found[enough - 1].first


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


@dataclass(frozen=True, slots=True)
class Lines:
    first: int  # from 1
    last: int


def statements(text: str) -> Iterator[Lines]:
    """Where every heading and every key with its value stands, in order; the text is sound TOML."""
    line = depth = first = at = 0
    for piece in PIECES.finditer(text):
        if not first and (text[at : piece.start()].strip() or piece[0][0] not in "#\n"):
            first = line + 1
        at = piece.end()
        if piece[0] == "\n" and depth == 0 and first:
            yield Lines(first, line + 1)
            first = 0
        line += piece[0].count("\n")
        depth += (piece[0] in ("[", "{")) - (piece[0] in ("]", "}"))
    if first or text[at:].strip():
        yield Lines(first or line + 1, line + 1)
