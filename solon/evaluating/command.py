"""The verb: evaluate."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solon.cli.telling import Told
from solon.evaluating.measure import Evaluated, measured
from solon.evaluating.page import page
from solon.evaluating.subject import Subject, subject_of
from solon.evaluating.terminal import told
from solon.folder import RunFolder, make_folder, open_folder, write_whole
from solon.report.write import write_report
from solon.run_lock import hold


@dataclass(frozen=True, slots=True)
class Written:
    """An evaluation and where it lies."""

    record: Evaluated
    file: Path
    page: Path

    @property
    def exit_code(self) -> int:
        return 1 if self.record["tripped"] else 0


def evaluate(run: Path, policy: Path | None, *, base: Path | None = None, previous: Path | None = None) -> Told:
    """Holds a trained policy against its base, and against the one it was trained on from where that is another.

    Completions, distances and verdicts that are there are not made again. The exit code is 1 where a guard trips.
    """
    folder = open_folder(run)
    subject = subject_of(folder, policy, base, previous)
    with hold(folder.path):
        written = evaluate_as_asked(folder, subject)
        report = write_report(folder)
    data = {**written.record, "file": str(written.file), "page": str(written.page), "report": str(report)}
    return Told(shortened(data), told(data), written.exit_code)


def evaluate_as_asked(folder: RunFolder, subject: Subject) -> Written:
    """Measures, and writes ``RUN/evaluations/NAME.json`` and its page. For whoever holds the folder."""
    record = measured(folder, subject)
    make_folder(folder.evaluations)
    file, html = (folder.evaluations / f"{subject.name}.{kind}" for kind in ("json", "html"))
    write_whole(file, json.dumps(record, indent=1) + "\n")
    write_whole(html, page(record))
    return Written(record, file, html)


def shortened(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is long and lies in the file: the training's steps and the completions."""
    kept = {name: value for name, value in data.items() if name not in ("training", "examples")}
    return {**kept, "method": data["training"]["method"]}
