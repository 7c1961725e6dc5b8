"""The stages of a round, each by the verb of its own: what is done already is not done again."""

import shutil
import sys
from dataclasses import dataclass
from typing import Any

from solon.cli import actions, exporting
from solon.cli.telling import Told
from solon.evaluating.command import evaluate
from solon.folder import RunFolder, make_folder
from solon.iterating.rounds import Round, round_folder
from solon.iterating.rows import rows_of_all
from solon.journal import Journal
from solon.report.write import write_report
from solon.review.drawing import DrawAsked, draw_round
from solon.review.opened import begun_review, open_review
from solon.review.records import Totals
from solon.run_lock import hold
from solon.training.carrying import Asked, train_as_asked
from solon.training.telling import counted, course_told
from solon.training.wanted import prompts_to_train_on, settings_of
from trainer.grpo import require_full_step, updates_of
from trainer.settings import GroupSettings

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why the rounds end before their number is full."""

    round: int
    stage: str
    why: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Passed:
    """What a round came to: the run's summary, and the evaluation's record. Empty where it did not get so far."""

    summary: dict[str, Any]
    evaluation: dict[str, Any]
    stopped: Stopped | None = None


def carry_out(round: Round, no_budget: bool) -> Passed:
    """The whole round, or as much of it as there can be by now; ``no_budget`` as in `solon run`."""
    require_sizes(round)
    ran = actions.run(round.folder.path, None, accept_changes=False, no_budget=no_budget)
    summary = dict(ran.data)
    tell(round, "run", ran)
    if ran.exit_code or not summary["finished"]:
        return Passed(summary, {}, Stopped(round.number, "run", why_not_run(summary), ran.exit_code or INTERRUPTED))
    if waiting := reviewed(round):
        return Passed(summary, {}, waiting)
    tell(round, "export", exporting.export(round.folder.path, "trl", None, None))
    if round.whole.config.iterate.reward:
        fit_reward(round)
    train(round)
    take_samples(round)
    found = evaluate(round.folder.path, round.trained, base=round.base, previous=round.previous)
    evaluation = dict(found.data)
    guards = "; ".join(evaluation["tripped"])
    print(f"round {round.number}, evaluate: {guards or 'no guard tripped'}", file=sys.stderr)
    stopped = Stopped(round.number, "evaluate", guards, found.exit_code) if found.exit_code else None
    return Passed(summary, evaluation, stopped)


def require_sizes(round: Round) -> None:
    """Refuses before the round is paid for what its training would refuse after."""
    settings = settings_of(round.folder, round.whole.config.iterate.method)
    if isinstance(settings, GroupSettings):
        updates_of(settings)
        require_full_step(len(prompts_to_train_on(round.folder)), settings, processes=1)


def why_not_run(summary: dict[str, Any]) -> str:
    if summary["limit"]:
        return str(summary["limit"])
    return "calls failed for every prompt" if summary["finished"] else "interrupted; run again to go on"


def reviewed(round: Round) -> Stopped | None:
    """Brings couples before people where the run wants that; None where they have said all there is to say."""
    wanted = round.whole.config.iterate.review
    if not wanted:
        return None
    left = labels_wanted(round.folder)
    if left is None:
        with Journal.open(round.folder.journal, read_only=True) as journal, open_review(round.folder) as store:
            draw_round(round.folder, journal, store, DrawAsked(wanted, seed=round.whole.config.seed))
            left = store.totals()
    if not left.open:
        return None
    place = round.folder.path
    why = (
        f"{left.labels} of {left.wanted} labels are there: let people label with `solon serve {place}`, "
        "then run the same command again"
    )
    return Stopped(round.number, "review", why, 3)


def labels_wanted(folder: RunFolder) -> Totals | None:
    """How far the review is; None where nothing was drawn."""
    found = begun_review(folder)
    if found is None:
        return None
    with found as store:
        return store.totals() if store.rounds() else None


def fit_reward(round: Round) -> None:
    """The reward model anew, from the base, on the pairs of all rounds so far."""
    folders = [round_folder(round.whole, number) for number in range(1, round.number + 1)]
    rows = rows_of_all([folder / "export" for folder in folders], round.folder.path / "export-rounds")
    carry_out_training(round, Asked("reward", base=round.base, rows=rows))


def train(round: Round) -> None:
    carry_out_training(round, Asked(round.whole.config.iterate.method, base=round.previous or round.base))


def take_samples(round: Round) -> None:
    """What the base and the policy before said in the round before is not sampled again."""
    before = round_folder(round.whole, round.number - 1) / "samples"
    make_folder(round.folder.samples)
    for file in before.glob("*.json"):
        if not (round.folder.samples / file.name).exists():
            shutil.copyfile(file, round.folder.samples / file.name)


def carry_out_training(round: Round, asked: Asked) -> None:
    with hold(round.folder.path):
        made = train_as_asked(round.folder, asked)
        write_report(round.folder)
    done = "is there already" if made.known else counted(made.record)
    text = f"{done}, {len(made.record['steps'])} steps{course_told(made.record['steps'])}"
    print(f"round {round.number}, train {asked.method}: {text}", file=sys.stderr)


def tell(round: Round, stage: str, told: Told) -> None:
    print(f"round {round.number}, {stage}: {told.text.splitlines()[0]}", file=sys.stderr)
