"""What of an earlier session still holds, and what must be refused or made again.

Replies always hold: they are named by what was sent. Rows are made of them, and hold while nothing that
they depend on has changed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from constitution.errors import InputError
from constitution.identity import full_hash, short_id
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate
from generator.prompts import Prompt
from solon.backends import identity_of
from solon.config import meaning
from solon.config_file import load_config
from solon.folder import RunFolder
from solon.journal import Journal

FIRST_FILES = (
    "run.lock",
    "journal.db",
    "config.toml",
    "web-run.log",
    "run.id",
)  # all that is there before a run has rows
UNFINISHED = ""  # the recipe noted with a row in which a call failed: it matches none, so the row is made again


def check_continues(folder: RunFolder, journal: Journal, accept_changes: bool) -> None:
    """Refuses to go on with a run whose configuration means something else by now.

    Raises:
        InputError: it does, and ``accept_changes`` is not set; the message says what changed.
    """
    now = meaning(folder.config)
    begun = journal.note("meaning")
    before: dict[str, Any] = json.loads(begun) if begun else now
    changed = [
        f"{key} was {json.dumps(before.get(key))}, is {json.dumps(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed and not accept_changes and journal.call("", limit=1):  # else nothing is paid for that could be lost
        raise InputError(
            str(folder.path),
            f"the configuration changed since this run began: {'; '.join(changed)}",
            "change it back, name the run anew, or accept it with --accept-changes (replies that still fit are used)",
        )
    journal.set_note("meaning", json.dumps(now))


def check_own(folder: RunFolder) -> None:
    """Refuses a folder that holds another run, or something that is no run at all."""
    if folder.config_file.is_file():
        other = load_config(folder.config_file).name
        if other != folder.config.name:
            raise InputError(
                str(folder.path), f"holds the run {other!r}", f"choose another folder for {folder.config.name!r}"
            )
    elif folder.path.exists() and (
        not folder.path.is_dir() or not all(p.name.startswith(FIRST_FILES) for p in folder.path.iterdir())
    ):
        raise InputError(str(folder.path), "holds something that is no run", "choose an empty or a new folder")


def note_principles(constitution: Constitution, journal: Journal, few_shot: int = 0) -> list[str]:
    """What changed in the principles since they were last noted, in plain words."""
    now = wordings(constitution, few_shot)
    begun = journal.note("principles")
    before: dict[str, str] = json.loads(begun) if begun else now
    journal.set_note("principles", json.dumps(now))
    return [
        *(f"{name} added" for name in now if name not in before),
        *(f"{name} removed" for name in before if name not in now),
        *(f"{name} changed" for name in now if before.get(name, now[name]) != now[name]),
    ]


def wordings(constitution: Constitution, few_shot: int) -> dict[str, str]:
    """The hash of each principle's wording, by its id: where it is another one, calls are."""
    return {principle.id: full_hash(wording(principle, few_shot)) for principle in constitution.principles}


def wording(principle: Principle, few_shot: int) -> dict[str, Any]:
    """What of a principle can reach a call or a label; reasons cannot, nor can examples that nobody is shown."""
    told = {k: v for k, v in asdict(principle).items() if k not in ("tags", "rationale", "examples")}
    return told | ({"examples": asdict(principle)["examples"][:few_shot]} if few_shot else {})


def begin(
    folder: RunFolder,
    constitution: Constitution,
    prompts: Sequence[Prompt],
    journal: Journal,
    *more: str,
    edits: Mapping[str, Sequence[Candidate]] | None = None,
) -> dict[str, str]:
    """Names the rows that this session makes, by prompt, and forgets every row that is made of something else.

    ``more`` names what else decides the rows, and ``edits`` what people wrote for a prompt, by its id.

    Rows are cheap: they are made again from the replies in the journal. So the rows that are there
    always belong together, also after an interruption.
    """
    config = folder.config
    principles = sorted(
        (wording(p, config.judge.few_shot) for p in constitution.principles), key=lambda p: str(p["id"])
    )
    models = {role: identity_of(section, folder.beside) for role, section in config.endpoints.items()}
    recipe = full_hash([meaning(config), models, principles, *more])
    journal.set_note("recipe", recipe)
    journal.set_note("prompts", str(len(prompts)))
    names = {prompt.id: row_name(recipe, prompt, (edits or {}).get(prompt.id, ())) for prompt in prompts}
    known = journal.recipes()
    journal.forget_rows_except([name for name, row in names.items() if known.get(name) == row])
    return names


def row_name(recipe: str, prompt: Prompt, edits: Sequence[Candidate] = ()) -> str:
    """Names everything that a row of ``prompt`` depends on."""
    messages = [(message.role, message.content) for message in prompt.messages]
    by_people = [[asdict(edit) for edit in edits]] if edits else []
    return short_id(recipe, prompt.id, messages, prompt.tags, prompt.source, *by_people)


def check_exportable(folder: RunFolder, journal: Journal) -> None:
    """Refuses to export rows under a configuration that they were not made with."""
    if json.loads(journal.note("meaning") or "{}") != meaning(folder.config):
        raise InputError(str(folder.path), "its configuration changed since it was run", "run it again, then export")
