"""Files in: the prompts that a run's configuration names."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from constitution.errors import InputError
from generator.prompts import Prompt, parse_prompts


def read_prompts(patterns: Iterable[str], beside: Path, place: str) -> tuple[Prompt, ...]:
    """Every prompt of every file that ``patterns`` match, in the order of pattern, file name and line.

    A file that two patterns match is read once. ``place`` is how messages call whoever names the patterns.

    Raises:
        InputError: a pattern matches nothing, a line is wrong, two prompts have one id, or there is none.
    """
    prompts: dict[str, Prompt] = {}
    places: dict[str, str] = {}
    files = dict.fromkeys(path for pattern in patterns for path in matching(pattern, beside, place))
    for path in files:
        for where, prompt in read_file(path):
            if prompt.id in prompts:
                fact = f"prompt id {prompt.id!r} is also at {places[prompt.id]}"
                raise InputError(where, fact, "delete one of the two, or give it another id")
            prompts[prompt.id], places[prompt.id] = prompt, where
    if not prompts:
        raise InputError(place, "names no prompts", "list JSONL files with a prompt on each line")
    return tuple(prompts.values())


def matching(pattern: str, beside: Path, place: str) -> list[Path]:
    given = Path(pattern).expanduser()
    root, rest = (
        (Path(given.anchor), str(given.relative_to(given.anchor))) if given.is_absolute() else (beside, pattern)
    )
    found = sorted(path for path in root.glob(rest) if path.is_file())
    if not found:
        raise InputError(place, f"no prompt file matches {pattern!r} in {root}", "correct the path")
    return found


def read_file(path: Path) -> Iterator[tuple[str, Prompt]]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from parse_prompts(lines, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "name a UTF-8 text file") from None
