import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from solon.database import Database
from solon.journal import Journal

WriteRun: TypeAlias = Callable[..., Path]
Cli: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Begin: TypeAlias = Callable[..., subprocess.Popen[str]]


def test_a_run_whose_configuration_changed_is_not_exported_as_if_it_had_been_run(cli: Cli, write_run: WriteRun) -> None:
    config = write_run()
    assert cli("run", config).returncode == 0
    write_run({"policy": {"temperature": 0.3}})
    refused = cli("export", config)
    assert refused.returncode == 2
    assert "changed since it was run: run it again" in refused.stderr


def test_an_interrupted_run_after_an_edit_leaves_no_row_of_before_the_edit(
    cli: Cli, begin: Begin, write_run: WriteRun, tmp_path: Path
) -> None:
    config = write_run({"limits": {"in_flight": 2}}, prompts=30)
    assert cli("run", config).returncode == 0
    write_run({"seed": 1, "limits": {"in_flight": 2}, "policy": {"latency": 0.02}})
    process = begin("run", config, "--accept-changes")
    journal = tmp_path / "runs/demo/journal.db"
    while not 0 < len(recipes(journal)) < 30:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    done = len(recipes(journal))
    assert 0 < done < 30

    exported = cli("export", config)
    assert exported.returncode == 0
    assert f"only {done} of 30 prompts are done" in exported.stderr
    assert cli("run", config).returncode == 0
    assert len(recipes(journal)) == 30


def recipes(journal: Path) -> dict[str, str]:
    with Journal.open(Database.file(journal), read_only=True) as opened:
        return opened.recipes()


def test_the_lock_names_what_the_rows_were_made_of(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    locks = []
    for changes in ({}, {"limits": {"in_flight": 3}}, {"seed": 5}):
        config = write_run(changes)
        assert cli("run", config, "--accept-changes").returncode == 0
        assert cli("export", config).returncode == 0
        locks.append(json.loads((tmp_path / "runs/demo/export/lock.json").read_text())["recipe_sha256"])
    assert locks[0] == locks[1] != locks[2]
