"""The verb: iterate."""

import json
from collections.abc import Iterator
from pathlib import Path

from constitution.errors import InputError
from solon.cli.actions import folder_to_run
from solon.cli.telling import Told
from solon.continuity import check_own
from solon.evaluating.bench import let_go
from solon.evaluating.prompts import held_out_prompts
from solon.evaluating.referee import referee_of
from solon.folder import RunFolder, make_folder, name_run, save_config, write_whole
from solon.iterating.page import page
from solon.iterating.rounds import Round, open_round
from solon.iterating.stages import Passed, carry_out
from solon.iterating.told import in_words, rounds_told
from solon.run_lock import hold
from solon.training.launched import processes
from solon.training.places import base_weights, prepare_trainer

RECORD, PAGE = "iterate.json", "iterate.html"


def iterate(run: Path, rounds: int, no_budget: bool = False) -> Told:
    """Carries out what is left of ``rounds`` rounds, each of which starts from the policy of the one before.

    Stops where a guard trips (exit code 1), where people are to label or a budget is reached (3), or where a round
    cannot be finished. What is done is kept, and the same command goes on.

    Args:
        no_budget: also where nobody knows what the calls cost, as in `solon run`.
    """
    whole = folder_to_run(run, None)
    require_ready(whole)
    make_folder(whole.path)
    file, html = whole.path / RECORD, whole.path / PAGE
    passed: list[tuple[Round, Passed]] = []
    with hold(whole.path):
        begin(whole)
        for one in all_rounds(whole, rounds, no_budget):
            passed.append(one)
            record = rounds_told(whole, rounds, passed)
            write_whole(file, json.dumps(record, indent=1) + "\n")
            write_whole(html, page(record))
    stopped = record["stopped"]
    words = in_words(record, html)
    return Told({**record, "file": str(file), "page": str(html)}, words, stopped["exit_code"] if stopped else 0)


def require_ready(whole: RunFolder) -> None:
    """Refuses before anything is paid for what would only show after the first round's labels.

    Raises:
        InputError: what a stage needs is not there, or does not fit.
    """
    if processes() > 1:
        raise InputError("iterate", "was started in several processes", "start it in one")
    check_own(whole)
    prepare_trainer()
    base_weights(whole)
    held_out_prompts(whole)


def begin(whole: RunFolder) -> None:
    """Makes a run that never was carried out by itself a run folder that can be opened."""
    if not whole.config_file.is_file():
        name_run(whole)
        whole.principles_file.write_bytes(whole.source_principles().read_bytes())
        save_config(whole)
    referee_of(whole)  # refuses one that cannot judge wins before anything is paid for


def all_rounds(whole: RunFolder, rounds: int, no_budget: bool) -> Iterator[tuple[Round, Passed]]:
    """Every round that can be carried out, in order; the last of them may not be finished."""
    base, previous = base_weights(whole), None
    for number in range(1, rounds + 1):
        round = open_round(whole, number, base, previous)
        passed = carry_out(round, no_budget)
        let_go()
        yield round, passed
        if passed.stopped:
            return
        previous = round.trained
