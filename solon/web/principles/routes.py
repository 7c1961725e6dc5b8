"""The principle editor: the file as it is, whether a text is sound, what it changes, and every version."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from constitution.errors import InputError
from constitution.files import parse_constitution, principle_lines
from constitution.principle import Constitution, Principle
from solon.continuity import wordings
from solon.web.door.faults import Fault
from solon.web.door.gates import Adjudicator, Admin, Here, RunHere
from solon.web.door.slow import slowly
from solon.web.principles.changes import Changes, Line, changes, line_diff
from solon.web.principles.file import MOST, PrincipleText, encoded, principle_text, write_bytes
from solon.web.principles.history import keeping, new_version, unkept, versions
from solon.web.principles.versions import VersionTold, told
from solon.web.served import Served
from solon.web.site import Site

AT_ONCE = 20  # versions in a list
Text = Annotated[str, Field(max_length=MOST)]
router = APIRouter(prefix="/api/runs/{run}/principles", tags=["principles"])


@dataclass(frozen=True, slots=True)
class TextFault:
    line: int  # from 1; also 1 where no line is at fault
    fact: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PrincipleTold:
    """A principle as the list beside the editor shows it."""

    id: str
    rule: str
    line: int
    examples: int
    check: str  # the name of the code check that decides it; empty where a model does
    weight: float
    hard: bool
    priority: int
    applies_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """Either ``fault`` is None, or ``principles`` is empty."""

    ok: bool
    fault: TextFault | None
    title: str
    principles: tuple[PrincipleTold, ...]
    changes: Changes | None  # against the last run
    diff: tuple[Line, ...] | None = None  # against the disk, where it was asked for


@dataclass(frozen=True, slots=True)
class Principles:
    """The file on the disk."""

    file: str
    text: str
    sha256: str
    read_only: str  # why nobody can save it here; empty where an admin can
    checked: Checked


@dataclass(frozen=True, slots=True)
class VersionText:
    version: VersionTold
    text: str
    next: tuple[Line, ...] | None  # what the version after it changed; None for the newest
    now: tuple[Line, ...]  # what was changed since, in all


class CheckAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: Text
    diff: bool = False


class SaveAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: Text
    based_on: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the text that was edited")]
    note: Annotated[str, Field(max_length=1000)] = ""


class Conflict(BaseModel):
    """Somebody else changed the file meanwhile; nothing was saved."""

    fact: str
    remedy: str
    theirs: str
    sha256: str  # of theirs
    yours: str


@router.get("")
async def principles(_: Adjudicator, served: RunHere, site: Here) -> Principles:
    """The principle file that the run's config names."""
    return await slowly(lambda: shown(served, principle_text(served, site.root)))


@router.post("/check")
async def check_text(_: Adjudicator, served: RunHere, site: Here, asked: CheckAsked) -> Checked:
    """Whether the text is sound, and what saving it would change. Nothing is written."""
    return await slowly(lambda: checked(served, principle_text(served, site.root), asked.text, asked.diff))


@router.put("", responses={409: {"model": Conflict}}, response_model=Principles)
async def save(member: Admin, served: RunHere, site: Here, asked: SaveAsked) -> Principles | Response:
    """Writes the file, unless it is not what was edited any more; comments stay, as the text is taken as it is."""
    return await slowly(lambda: saved(member.name, served, site, asked))


@router.get("/history")
async def history(
    _: Adjudicator, served: RunHere, site: Here, before: Annotated[int, Query(ge=1, le=2**31)] = 2**31
) -> tuple[VersionTold, ...]:
    """Some versions, the newest first: of those whose number is below `before`, where it is given."""

    def some() -> tuple[VersionTold, ...]:
        known, few_shot = versions(principle_text(served, site.root)), served.folder.config.judge.few_shot
        newest = min(before - 1, len(known))
        return tuple(told(known, n, few_shot) for n in range(newest, max(0, newest - AT_ONCE), -1))

    return await slowly(some)


@router.get("/history/{number}")
async def version(_: Adjudicator, served: RunHere, site: Here, number: int) -> VersionText:
    """One version: its text, what the next one changed, and what was changed since."""
    return await slowly(lambda: one_version(served, site, number))


def saved(by: str, served: Served, site: Site, asked: SaveAsked) -> Principles | Response:
    sound(asked.text, writable(served, site.root))
    with keeping(writable(served, site.root).path) as history:
        now = writable(served, site.root)
        if now.sha256 != asked.based_on:
            return conflict(now, asked.text)
        content = encoded(asked.text, now.text)
        if len(content) > MOST:
            raise Fault(413, "the text is longer than 1 MiB", "make it shorter")
        if content != now.text.encode():
            history.add(*unkept(now))  # first: whatever stops this, no text that was on the disk is lost
            write_bytes(now.path, content)
            history.add(new_version(content, by, asked.note.strip(), site.clock()))
    return shown(served, principle_text(served, site.root))


def one_version(served: Served, site: Site, number: int) -> VersionText:
    now = principle_text(served, site.root)
    known = versions(now)
    if not 0 < number <= len(known):
        raise Fault(404, "there is no such version", "take a number from the history")
    text = plain(known[number - 1].text)
    following = line_diff(text, plain(known[number].text)) if number < len(known) else None
    about = told(known, number, served.folder.config.judge.few_shot)
    return VersionText(about, text, following, line_diff(text, plain(now.text)))


def shown(served: Served, now: PrincipleText) -> Principles:
    text = plain(now.text)
    return Principles(served.folder.config.constitution, text, now.sha256, now.read_only, checked(served, now, text))


def plain(text: str) -> str:
    """With the line ends that a browser's text field has."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def checked(served: Served, now: PrincipleText, text: str, diff: bool = False) -> Checked:
    found = check(text, now.name)
    lines = line_diff(plain(now.text), plain(text)) if diff else None
    if isinstance(found, TextFault):
        return Checked(False, found, "", (), None, lines)
    begins = principle_lines(text, len(found.principles))
    listed = tuple(one(principle, line) for principle, line in zip(found.principles, begins, strict=True))
    few_shot = served.folder.config.judge.few_shot
    news = changes(last_run(served, few_shot), wordings(found, few_shot), labels_of(served))
    return Checked(True, None, found.title, listed, news, lines)


def check(text: str, name: str) -> Constitution | TextFault:
    """The constitution that the text holds, or the first thing that is wrong with it: as a run will read it."""
    try:
        return parse_constitution(text, name=name, place="principles")
    except InputError as error:
        return TextFault(error.line or 1, error.fact, error.remedy)


def one(principle: Principle, line: int) -> PrincipleTold:
    decided = principle.check.name if principle.check else ""
    return PrincipleTold(
        principle.id, principle.rule, line, len(principle.examples), decided, principle.weight, principle.hard,
        principle.priority, principle.applies_to,
    )  # fmt: skip


def last_run(served: Served, few_shot: int) -> dict[str, str] | None:
    """The wordings that the last session used; None where there was none."""
    try:
        return wordings(served.folder.principles(), few_shot)
    except InputError:
        return None


def labels_of(served: Served) -> int:
    """How many labels people have given in the run's review, if it has one."""
    return served.store.totals().labels if served.begun else 0


def writable(served: Served, root: Path) -> PrincipleText:
    now = principle_text(served, root)
    if now.read_only:
        raise Fault(403, f"{now.path.name} cannot be changed here: {now.read_only}", "edit it where it is")
    return now


def sound(text: str, now: PrincipleText) -> None:
    found = check(text, now.name)
    if isinstance(found, TextFault):
        raise Fault(400, f"line {found.line}: {found.fact}", found.remedy)


def conflict(now: PrincipleText, yours: str) -> Response:
    both = Conflict(
        fact="the file was changed meanwhile, so nothing is saved", remedy="look at both, then save again",
        theirs=plain(now.text), sha256=now.sha256, yours=yours,
    )  # fmt: skip
    return JSONResponse(both.model_dump(), 409)
