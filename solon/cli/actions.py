"""The verbs that make data: init, check, run, show, export."""

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from constitution.errors import InputError, NotFinished
from constitution.files import load
from constitution.principle import Constitution
from constitution.tables import line_of
from generator.prompts import Prompt
from solon.backends import probe
from solon.cli.exporting import export as export
from solon.cli.telling import Told
from solon.config import RunConfig
from solon.config_file import blamed_on, toml_path
from solon.continuity import check_continues, check_own, note_principles
from solon.estimate import estimate, most_usd
from solon.folder import RUNS, RunFolder, make_folder, name_run, new_folder, open_folder
from solon.inputs import read_prompts
from solon.journal import Journal
from solon.pilot import Interval, Pilot, pilot_of, pilot_prompts
from solon.pipeline import dump_row, load_row
from solon.prices import load_prices
from solon.recipes import trials_of
from solon.report.write import write_report
from solon.review.lead.heard import told_of
from solon.review.opened import begun_review
from solon.review.storage.store import Store
from solon.run import start, stored_rows
from solon.run_lock import hold
from solon.show import couples_of, rows_beginning, rows_named, tell, tell_call
from solon.summary import Summary, is_cost_known, summarise
from solon.supply import prices_file, require_prices
from trainer.ancestry import RECORD

STARTER = ("run.toml", "principles.toml", "prompts.jsonl")


def init(folder: Path) -> Told:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(str(folder), "already holds something", "name a new folder; nothing is overwritten")
    make_folder(folder)
    for name in STARTER:
        (folder / name).write_bytes(files("solon.starter").joinpath(name).read_bytes())
    made = [str(folder / name) for name in STARTER]
    return Told({"files": made}, "\n".join([*made, "", f"Next: solon run {folder / 'run.toml'}"]))


def check(config_file: Path, pilot: int, no_budget: bool) -> Told:
    """Looks a run over; with a ``pilot`` also carries that many of its prompts out, which costs what they cost."""
    folder = new_folder(config_file, None)
    config = folder.config
    constitution, prompts = read_inputs(folder, config_file)
    most, prices = estimate(config, constitution, prompts, len(trials_of(folder))), load_prices(prices_file(folder))
    models = probe_all(folder, config_file)
    known = is_cost_known(config, prices)
    cost = most_usd(config, most, prices) if known else None
    loads = most.loads.values()
    generating = most.loads["policy"].calls + most.loads["critic"].calls
    lines = [
        f"{config_file}: fine",
        f"{most.prompts} prompts; {most.principles} principles, {most.checked} decided by checks",
        *(f"{role}: {found}" for role, found in models.items()),
        f"at most {generating} calls to generate and {sum(load.calls for load in loads) - generating} to judge",
        f"at most {sum(load.completion_tokens for load in loads):,} tokens written, "
        f"about {sum(load.prompt_tokens for load in loads):,} read",
        f"at most about {cost:.4f} USD" if known else "cost unknown: a model has no price (see docs/budget.md)",
    ]
    data: dict[str, Any] = {**most.told(), "models": models, "cost_usd": cost}
    if pilot:
        tried = carry_out_pilot(folder, constitution, prompts, pilot, no_budget)
        data["pilot"] = asdict(tried)
        lines += pilot_lines(tried, len(prompts), known)
    return Told(data, "\n".join(lines))


def carry_out_pilot(
    folder: RunFolder, constitution: Constitution, prompts: Sequence[Prompt], count: int, no_budget: bool
) -> Pilot:
    """The drawn prompts through the whole pipeline, in the run's own folder: the run pays for none of it again."""
    prices = require_prices(folder, no_budget)
    check_own(folder)
    make_folder(folder.path)
    drawn = pilot_prompts(prompts, count, folder.config.seed)
    with hold(folder.path):
        name_run(folder)
        with Journal.open(folder.journal) as journal:
            check_continues(folder, journal, accept_changes=False)
            note_principles(constitution, journal, folder.config.judge.few_shot)
            outcome = start(folder, constitution, prompts, journal, only=drawn)
            if outcome.limit:
                raise NotFinished(outcome.limit)
            if not outcome.finished:
                raise KeyboardInterrupt  # what was received is kept; half a pilot would tell something else
            rows = [load_row(body) for body in journal.bodies(sorted(drawn & journal.recipes().keys()))]
            return pilot_of(rows, len(prompts), journal, prices)


def pilot_lines(tried: Pilot, prompts: int, known: bool) -> list[str]:
    def told(interval: Interval, digits: int) -> str:
        high = "?" if interval.high is None else f"{interval.high:,.{digits}f}"
        return f"{interval.about:,.{digits}f} ({interval.low:,.{digits}f} to {high})"

    cost = f", {told(tried.usd, 4)} USD" if known else ""
    paid = f"; {tried.spent_usd:.4f} USD of it are paid" if known and tried.spent_usd else ""
    failed = [f"  too low: calls failed for {tried.incomplete} of the pilot's prompts"] if tried.incomplete else []
    return [
        f"by a pilot of {tried.prompts} prompts, all {prompts} take about, with 95 % intervals:",
        f"  {told(tried.calls, 0)} calls, {told(tried.tokens, 0)} tokens{cost}{paid}",
        *failed,
    ]


def read_inputs(folder: RunFolder, config_file: Path) -> tuple[Constitution, tuple[Prompt, ...]]:
    with blamed_on(config_file, "constitution"):
        source = folder.source_principles()
    files = folder.config.prompts.files
    line = line_of(config_file.read_text(encoding="utf-8"), ("prompts", "files"))
    constitution = load(source)
    require_reach(folder.config, constitution, config_file)
    return constitution, read_prompts(files, folder.beside, f"{config_file}:{line}")


def require_reach(config: RunConfig, constitution: Constitution, config_file: Path) -> None:
    """Refuses to pay for verdicts of which none can ever reach the margin that a pair needs."""
    judge, asked = config.judge, config.pairs.min_margin
    most = 2 * judge.clamp - 1 if judge.reason_first else 1.0
    if asked > most + 1e-9 and not any(principle.check for principle in constitution.principles):
        line = line_of(config_file.read_text(encoding="utf-8"), ("pairs", "min_margin"))
        fact = f"'pairs.min_margin' is {asked}, and after reasoning judge.clamp leaves no margin above {most:.2g}"
        raise InputError(f"{config_file}:{line}", fact, "lower it, or raise judge.clamp")


def probe_all(folder: RunFolder, config_file: Path, ask: bool = True) -> dict[str, str]:
    """What every role's model turns out to be; refuses one that is not there.

    ``ask`` also asks remote endpoints: a run that has begun finds out by its calls, if it has any left.
    """
    found: dict[str, str] = {}
    for role, section in folder.config.endpoints.items():
        with blamed_on(config_file, *toml_path(role)):
            found[role] = probe(section, folder.beside, ask)
    return found


def run(place: Path, out: Path | None, accept_changes: bool, no_budget: bool) -> Told:
    folder = folder_to_run(place, out)
    config_file = folder.config_file if place.is_dir() else place
    constitution, prompts = read_inputs(folder, config_file)
    check_own(folder)
    probe_all(folder, config_file, ask=False)  # the first call finds out, and costs no request more
    prices = require_prices(folder, no_budget)
    make_folder(folder.path)
    with hold(folder.path):
        name_run(folder)
        with Journal.open(folder.journal) as journal:
            check_continues(folder, journal, accept_changes)
            if changes := note_principles(constitution, journal, folder.config.judge.few_shot):
                print(f"principles: {', '.join(changes)}; only calls that this touches are sent", file=sys.stderr)
            outcome = start(folder, constitution, prompts, journal)
            summary = summarise(folder, journal, outcome, prices)
            if outcome.finished:  # else a couple that is still to be made would seem to be gone
                from solon.review.drawing import retire_gone

                retire_gone(folder, stored_rows(journal))
        write_report(folder, outcome.figures)
    return Told(summary.data, summary.text, exit_code_of(summary))


def folder_to_run(place: Path, out: Path | None) -> RunFolder:
    """Of a run.toml, the folder that its run is made in; of a run folder, this one, with the settings it has saved."""
    if not place.is_dir():
        return new_folder(place, out)
    if out is not None:
        raise InputError("--out", f"{place} is a run folder, and goes on where it is", "leave out --out")
    return open_folder(place)


def exit_code_of(summary: Summary) -> int:
    """3 at a limit, 130 after an interruption, 1 where every row has failed calls in it, else 0."""
    if summary.data["limit"]:
        return NotFinished.exit_code
    if not summary.data["finished"]:
        return 130
    return int(0 < summary.data["rows"] == summary.data["incomplete"])


def show(name: str, run: Path | None) -> Told:
    if (Path(name) / RECORD).is_file():
        from solon.training.ancestry import show_model

        return show_model(Path(name))
    folder = open_folder(run) if run else only_run(name)
    with Journal.open(folder.journal, read_only=True) as journal, reviewed(folder) as review:
        drawn = review.tasks([name]) if review else ()
        rows = rows_named(journal, name) or [
            row
            for task in drawn
            for row in rows_named(journal, task.task.body.prompt_id, 1)
            if name in couples_of([row])
        ]
        if not rows and (call := tell_call(journal, name)):
            return Told({"call": call}, call)
        rows = rows or rows_beginning(journal, name)
        people = told_of(review, couples_of(rows)) if review else {}
    constitution = folder.principles()
    text = "\n\n\n".join(tell(row, constitution, people) for row in rows)
    return Told({"rows": [json.loads(dump_row(row)) for row in rows], "people": people}, text)


def reviewed(folder: RunFolder) -> AbstractContextManager[Store | None]:
    """The run's review, to be read; None where there is none."""
    return begun_review(folder) or nullcontext()


def only_run(name: str) -> RunFolder:
    """The one run under runs/, where there is one."""
    found = sorted(path.parent for path in RUNS.glob("*/config.toml"))
    if len(found) != 1:
        which = "there is no run under runs/" if not found else f"there are {len(found)} runs under runs/"
        raise InputError(name, which, "say which with --run FOLDER")
    return open_folder(found[0])
