"""What is reckoned before a run against what the run sends, role by role."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from constitution.files import load
from generator.chat import ChatRequest
from generator.models.rambler import SCRIPTS, ramble
from solon.backends import identity_of
from solon.cli import actions
from solon.config_file import load_config
from solon.database import Database
from solon.estimate import Estimate, estimate
from solon.folder import new_folder
from solon.inputs import read_prompts
from solon.journal import Journal

WriteRun = Callable[..., Path]

JUDGED: list[dict[str, Any]] = [
    {"id": f"rule-{n}", "rule": f"It keeps rule {n}.", "examples": [{"prompt": "p", "better": "b", "worse": "w"}]}
    for n in range(3)
]
TRIALS = [{"prompt": f"Why {n}?", "completion_1": "one", "completion_2": "two", "choice": 1} for n in range(3)]


def unlike(request: ChatRequest) -> Any:
    """Every completion is a text of its own, and all are equally long, so that no judge is sure of any couple."""
    spelled = json.dumps([m.content for m in request.messages]) + str(request.sample)
    return hashlib.sha256(spelled.encode()).hexdigest()


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in {"unlike": unlike, "critic": ramble, "second": ramble, "cheap": ramble}.items():
        monkeypatch.setitem(SCRIPTS, name, script)


SECOND = [{"backend": "scripted", "model": "second"}]
CHEAP = {"backend": "scripted", "model": "cheap"}
TRIED = {**CHEAP, "labelled": "labelled.jsonl"}
CASES: dict[str, dict[str, Any]] = {
    "pairwise": {"judge": {}},
    "all principles": {"judge": {"principles": "all"}},
    "a share": {"judge": {"share": 0.4}},
    "revision-vs-draft": {"judge": {}, "pairs": {"policy": "revision-vs-draft"}},
    "ties, few-shot": {"judge": {"ties": True, "few_shot": 2}},
    "reason_first": {"judge": {"reason_first": True}},
    "panel": {"judge": {"reason_first": True}, "panel": SECOND},
    "cascade": {"judge": {"principles": "all"}, "cascade": CHEAP, "panel": SECOND},
    "cascade with trials": {"judge": {"principles": "all"}, "cascade": TRIED},
    "cascade with trials, reasons": {"judge": {"reason_first": True, "clamp": 0.9}, "cascade": TRIED},
    "canaries": {"judge": {"canaries": 0.5}, "panel": SECOND},
    "canaries, reasons": {"judge": {"canaries": 1.0, "reason_first": True}},
    "pointwise": {"judge": {"mode": "pointwise"}},
    "pointwise, all, panel": {"judge": {"mode": "pointwise", "principles": "all", "scale": "1-10"}, "panel": SECOND},
    "pointwise, a share": {"judge": {"mode": "pointwise", "share": 0.5}},
    "pointwise, revision-vs-draft": {"judge": {"mode": "pointwise"}, "pairs": {"policy": "revision-vs-draft"}},
    "ranked": {"judge": {"mode": "ranked", "canaries": 0.3}},
    "ranked, all principles, a share": {"judge": {"mode": "ranked", "principles": "all", "share": 0.5}},
    "ranked, adaptive": {"judge": {"mode": "ranked", "tournament": "adaptive"}},
    "ranked, adaptive, bounded": {"judge": {"mode": "ranked", "tournament": "adaptive", "comparisons": 4}},
    "ranked, adaptive, bounded below its opening": {
        "judge": {"mode": "ranked", "tournament": "adaptive", "comparisons": 1}, "panel": SECOND,
    },
}  # fmt: skip


def reckoned(config: Path) -> Estimate:
    run = load_config(config)
    prompts = read_prompts(("prompts.jsonl",), config.parent, "here")
    return estimate(
        run, load(config.parent / "principles.toml"), prompts, len(actions.trials_of(new_folder(config, None)))
    )


def sent(config: Path, out: Path) -> Counter[str]:
    """Calls by role, as the journal has them; every role has a model of its own."""
    actions.run(config, out, False, False)
    run = load_config(config)
    role_of = {identity_of(section, config.parent): role for role, section in run.endpoints.items()}
    with Journal.open(Database.file(out / "journal.db"), read_only=True) as journal:
        counts: Counter[str] = Counter()
        for spent in journal.spent():
            counts[role_of[spent.model]] += spent.calls
        return counts


def written(write_run: WriteRun, case: dict[str, Any], completions: int = 3, rounds: int = 1) -> Path:
    changes = {
        **case,
        "policy": {"model": "unlike"},
        "critic": {"model": "critic"},
        "candidates": {"completions": completions, "rounds": rounds},
    }
    changes["judge"] = {"canaries": 0.0, **case["judge"]}
    config = write_run(changes, principles=JUDGED, prompts=6)
    (config.parent / "labelled.jsonl").write_text("".join(json.dumps(line) + "\n" for line in TRIALS))
    return config


@pytest.mark.parametrize("shape", [(3, 1), (3, 0)], ids=["revised", "drafts"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_where_nothing_is_spared_each_role_gets_just_the_calls_that_were_reckoned(
    write_run: WriteRun, tmp_path: Path, case: dict[str, Any], shape: tuple[int, int]
) -> None:
    config = written(write_run, case, *shape)
    most = {role: load.calls for role, load in reckoned(config).loads.items() if load.calls}
    assert sent(config, tmp_path / "out") == most


def test_a_cascade_that_settles_and_a_policy_that_repeats_itself_send_less(write_run: WriteRun, tmp_path: Path) -> None:
    config = write_run({"cascade": {**CHEAP, "sure": 0.6}, "candidates": {"completions": 4}}, prompts=8)
    found = json.loads(json.dumps(actions.run(config, tmp_path / "out", False, False).data))
    most = reckoned(config)
    assert found["calls_sent"] + found["calls_reused"] <= sum(load.calls for load in most.loads.values())
    assert most.loads["cascade"].calls == most.loads["judge"].calls


def test_a_draft_that_is_graded_anyhow_costs_its_canaries_no_more(write_run: WriteRun, tmp_path: Path) -> None:
    config = written(write_run, {"judge": {"mode": "pointwise", "canaries": 1.0}})
    without = reckoned(written(write_run, {"judge": {"mode": "pointwise"}})).loads["judge"].calls
    written(write_run, {"judge": {"mode": "pointwise", "canaries": 1.0}})
    assert reckoned(config).loads["judge"].calls == without + 3 * 6
    assert without + 2 * 6 <= sent(config, tmp_path / "out")["judge"] <= without + 3 * 6


def test_one_completion_has_nothing_to_be_compared_with(write_run: WriteRun, tmp_path: Path) -> None:
    for mode in ("pairwise", "pointwise", "ranked"):
        config = written(write_run, {"judge": {"mode": mode}}, completions=1, rounds=0)
        assert reckoned(config).loads["judge"].calls == 0
        assert sent(config, tmp_path / mode) == {"policy": 6}


def test_solved_examples_and_reasons_are_read_too(write_run: WriteRun) -> None:
    plain, solved, reasoned = (
        reckoned(written(write_run, {"judge": judge})).loads["judge"]
        for judge in ({}, {"few_shot": 1}, {"reason_first": True, "rationale_tokens": 99})
    )
    assert plain.prompt_tokens < solved.prompt_tokens < reasoned.prompt_tokens
    assert (plain.calls, plain.completion_tokens) == (solved.calls, solved.completion_tokens)
    assert reasoned.calls == 2 * plain.calls
    assert reasoned.completion_tokens == plain.completion_tokens + 99 * plain.calls


def test_every_role_is_told_by_its_name(write_run: WriteRun) -> None:
    told = reckoned(written(write_run, {"judge": {}, "panel": SECOND, "cascade": CHEAP})).told()
    assert {"policy", "critic", "judge", "panel.0", "cascade"} <= told.keys()
