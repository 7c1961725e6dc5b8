import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

WriteRun: TypeAlias = Callable[..., Path]
Cli: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
JUDGED = [{"id": "direct", "rule": "It answers."}, {"id": "plain", "rule": "It uses everyday words."}]


@pytest.mark.parametrize("judge", [{"share": 0.4}, {"principles": "all"}])
@pytest.mark.parametrize("policy", ["all", "revision-vs-draft"])
def test_a_run_in_which_every_draft_is_revised_sends_just_what_check_says_at_most(
    cli: Cli, write_run: WriteRun, judge: dict[str, Any], policy: str
) -> None:
    changes = {"judge": judge, "pairs": {"policy": policy}, "candidates": {"completions": 2, "rounds": 2}}
    config = write_run(changes, principles=JUDGED, prompts=20)
    most = json.loads(cli("check", config, "--json").stdout)
    sent = json.loads(cli("run", config, "--json").stdout)
    called = sent["calls_sent"] + sent["calls_reused"]
    twins = sent["drops"].get("identical completions", 0)  # which a judge is not asked about
    assert called <= most["generation_calls"] + most["judge_calls"]
    if not twins:
        assert called == most["generation_calls"] + most["judge_calls"]


def test_what_is_checked_is_not_begun(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    assert cli("check", write_run()).returncode == 0
    assert not (tmp_path / "runs").exists()
