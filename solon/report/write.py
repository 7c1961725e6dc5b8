"""Gathers a report's facts from the run folder and writes ``report.md``."""

import json
from pathlib import Path
from typing import Any

from judge.pairs import PreferencePair
from solon.folder import RunFolder, write_whole
from solon.journal import Journal
from solon.report.render import Facts, render
from solon.run import stored_rows
from solon.summary import judge_position, kept_shares, tally
from trainer.dpo import RECORD
from trainer.evaluate import Evaluation, collapse_warnings, load_evaluation


def write_report(folder: RunFolder) -> Path:
    """Makes the report anew from what lies in the folder: the journal's rows, training, evaluation."""
    evaluation = read_evaluation(folder)
    with Journal.open(folder.journal, read_only=True) as journal:
        facts = Facts(
            name=folder.config.name,
            constitution=Path(folder.config.constitution).stem,
            models={
                "policy": folder.config.policy.model,
                "critic": folder.config.critic_model.model,
                "judge": folder.config.judge.model,
            },
            tally=tally(stored_rows(journal)),
            position=judge_position(stored_rows(journal)),
            kept=kept_shares(stored_rows(journal), folder.principles()),
            example=telling_pair(journal),
            run=read_json(folder.summary),
            training=read_json(folder.policy / RECORD),
            evaluation=evaluation,
            warnings=collapse_warnings(evaluation) if evaluation else (),
            files=places(folder),
        )
    write_whole(folder.report, render(facts))
    return folder.report


def telling_pair(journal: Journal) -> PreferencePair | None:
    """The pair to show as an example: a chosen revision where there is one, by the widest margin, then by id."""
    pairs = (pair for row in stored_rows(journal) for pair in row.pairs)
    return min(pairs, key=lambda pair: (not pair.chosen.is_revision, -pair.margin, pair.id), default=None)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def read_evaluation(folder: RunFolder) -> Evaluation | None:
    data = read_json(folder.evaluation)
    return load_evaluation(data["evaluation"]) if data else None


def places(folder: RunFolder) -> dict[str, str]:
    """What lies in the folder, by what a person calls it; what was not made yet is left out."""
    all_of_it = {
        "configuration, every default filled in": folder.config_file,
        "principles used": folder.principles_file,
        "journal of every call and row": folder.journal,
        "dataset": folder.export,
        "trained policy": folder.policy,
        "evaluation": folder.evaluation,
    }
    return {what: str(path) for what, path in all_of_it.items() if path.exists()}
