"""The line of a fault, held equal to a search that reads the text once for every line of it."""

import contextlib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from constitution.checks import STRICT
from constitution.errors import InputError
from constitution.tables import line_of, read_table

VALUES = st.sampled_from([
    "1", '"a # b [ \\" "', "'c ] {'", '"""\nx\n"quoted" ""\n"""', "'''\n#\n]'''", '[1,\n 2, # c ]\n "]"]', '"a\u2028b"',
    "[[1], [\n[2]]]", '{a=1,b="}"}', '[{a=[1]},\n {b={c="]"}}]', '"""a""""', "''''b'''''", "''", '"""\n\\\n"""', "inf",
    "2026-01-31", '["""a"""", "]",\n 1]', "['''a'''', ']',\n 1]",
])  # fmt: skip
FILLING = st.sampled_from([[], [""], ['# ] """'], ["", "  # \u2028x", ""]])
KEYS = st.sampled_from(["a", "b.c", '"d # ["', "'e'", "b . d"])
HEADINGS = st.sampled_from(["[[p]]", '[[ "p" ]] # [', "[[p.q]]", "[p.r]", "[s]", "[ t.'u' ]", "[[v.w]]"])


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Sound TOML, mostly: statements of every kind, in whatever order."""
    lines: list[str] = []
    for heading in ["", "[[p]]", *draw(st.lists(HEADINGS, max_size=4))]:
        lines += [*draw(FILLING), heading]
        for key in draw(st.lists(KEYS, max_size=2, unique=True)):
            lines += [*draw(FILLING), f"  {key} = {draw(VALUES)}"]
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n# end"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def sound(text: str) -> bool:
    try:
        return bool(tomllib.loads(text))
    except tomllib.TOMLDecodeError:  # a table twice, say
        return False


def paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    yield ()
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, held in inside:
        yield from ((part, *rest) for rest in paths(held))


def cuts(text: str) -> Iterator[tuple[int, Any]]:
    """(number of the last line, contents) of every cut after a line that is TOML."""
    lines = [f"{line}\n" for line in text.split("\n")]
    for number in range(1, len(lines) + 1):
        with contextlib.suppress(tomllib.TOMLDecodeError):
            yield number, tomllib.loads("".join(lines[:number]))


def plain_line_of(read: Sequence[tuple[int, Any]], path: Sequence[str | int]) -> int:
    """The line after the last cut that does not hold what there is of the path."""
    wanted = present(read[-1][1], path)
    return max((number + 1 for number, table in read if present(table, path) != wanted), default=1)


def present(value: Any, path: Sequence[str | int]) -> list[str | int]:
    """The parts of the path that can be followed, whatever stands between them."""
    found = []
    for part in path:
        try:
            value = value[part]
            found.append(part)
        except (LookupError, TypeError):
            continue
        if isinstance(value, str):  # which has parts too
            break
    return found


@given(tables().filter(sound))
def test_a_line_is_found_where_a_plain_search_finds_it(text: str) -> None:
    read = list(cuts(text))
    for path in paths(read[-1][1]):
        for asked in (path, (*path[:-1], "a union's tag", *path[-1:]), (*path, "missing")):
            assert line_of(text, asked) == plain_line_of(read, asked)


@dataclass(frozen=True, slots=True)
class One:
    __pydantic_config__ = STRICT
    name: str
    number: int = 0
    size: float = 0
    many: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    __pydantic_config__ = STRICT
    one: tuple[One, ...]


RECORD = TypeAdapter(File)


def refused(text: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read_table(text, RECORD, "f.toml")
    return caught.value


def test_an_error_says_place_line_fact_and_remedy_apart_and_in_one_line() -> None:
    error = refused('[[one]]\nname = "a"\nnumbr = 1\n')
    assert (error.place, error.line, error.fact, error.remedy) == (
        "f.toml", 3, "unknown key 'one.0.numbr'", "did you mean 'number'?"
    )  # fmt: skip
    assert str(error) == "f.toml:3: unknown key 'one.0.numbr': did you mean 'number'?"
    assert str(InputError("f.toml", "is empty", "fill it")) == "f.toml: is empty: fill it"


def test_a_misspelt_key_is_told_before_a_missing_one() -> None:
    assert refused('[[one]]\nnumber = 1\n[[one]]\nnaem = "a"\n').line == 4
    assert refused("[[one]]\nnumber = 1\n").fact == "missing key 'one.0.name'"


def test_a_text_s_own_words_are_not_taken_for_the_line_of_the_fault() -> None:
    assert refused('\n["at line 9, column 1)"]\n["at line 9, column 1)"]\n').line == 3


HEAD = '[[one]]\nname = "a"\n'


@pytest.mark.parametrize(
    "text",
    [
        *(pytest.param(f"{HEAD}many = {'[' * n}{']' * n}", id=f"{n} arrays") for n in (250, 400, 480, 600, 100_000)),
        *(pytest.param(f"{HEAD}many = [{'{a=' * n}1{'}' * n}]", id=f"{n} tables") for n in (250, 300, 400, 10_000)),
        *(pytest.param(f"{HEAD}{'.'.join('a' * n)} = 1", id=f"a key of {n} parts") for n in (250, 1500, 5000)),
        pytest.param(f"{HEAD}many = [{'9' * 10_000}]", id="a long number"),
        pytest.param(f"{HEAD}many = [0x{'f' * 10_000}]", id="a long number in hexadecimal"),
    ],
)
def test_what_is_too_deep_or_too_long_is_told_in_one_line(text: str) -> None:
    assert str(refused(text)) == "f.toml: a value is nested too deeply, or a number is too long: write it plainly"


@pytest.mark.parametrize(
    "text", ["a=" + "[" * 100_000, "\n" * 500_000 + "[x", '"""' * 1000, "\0", "size = 1e999", "a=1"]
)
def test_no_text_is_too_odd_to_be_told_what_is_wrong(text: str) -> None:
    assert "\n" not in str(refused(text))


def test_a_long_text_s_fault_is_found_soon_enough_to_type_on() -> None:
    text = "".join(f'[[one]]\nname = "n{n}"\nnumber = {n}\n\n' for n in range(3000))
    assert refused(text + '[[one]]\nname = "x"\nnumbr = 1\n').line == 12003  # a search line by line would take minutes
