"""Gathers a report's facts from the run folder and writes ``report.md``."""

import json
from pathlib import Path
from typing import Any

from solon.figures import Figures, figures
from solon.folder import RunFolder, write_whole
from solon.journal import Journal
from solon.report.render import Facts, render
from solon.run import stored_rows
from solon.training.places import trained_models
from trainer.ancestry import read_record


def write_report(folder: RunFolder, found: Figures | None = None) -> Path:
    """Makes the report anew from what lies in the folder: the journal's rows, trainings, evaluations.

    Args:
        found: the rows' figures, where they have just been counted.
    """
    with Journal.open(folder.journal, read_only=True) as journal:
        found = found or figures(stored_rows(journal), folder.principles())
        facts = Facts(
            name=folder.config.name,
            constitution=Path(folder.config.constitution).stem,
            models={role: section.model for role, section in folder.config.endpoints.items()},
            figures=found,
            run=read_json(folder.summary),
            training={name: read_record(place) or {} for name, place in trained_models(folder).items()},
            evaluations={file.stem: read_json(file) for file in sorted(folder.evaluations.glob("*.json"))},
            files=places(folder),
        )
    write_whole(folder.report, render(facts))
    return folder.report


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def places(folder: RunFolder) -> dict[str, str]:
    """What lies in the folder, by what a person calls it; what was not made yet is left out."""
    journal = folder.journal
    all_of_it = {
        "configuration, every default filled in": folder.config_file,
        "principles used": folder.principles_file,
        "journal of every call and row": journal.path,
        "dataset": folder.export,
        **{f"model {name}": place for name, place in trained_models(folder).items()},
        **{f"evaluation of {page.stem}": page for page in sorted(folder.evaluations.glob("*.html"))},
    }
    elsewhere = f"PostgreSQL, schema {journal.schema}"
    return {what: str(path or elsewhere) for what, path in all_of_it.items() if path is None or path.exists()}
