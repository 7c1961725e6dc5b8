"""Every key about judging changes what is asked, what is labelled, or what is refused."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.chat import CallFailure, ChatReply, ChatRequest
from generator.models.rambler import SCRIPTS, material, ramble
from judge.judging import Judging
from solon.cli import actions
from solon.config_file import load_config
from solon.database import Database
from solon.endpoints import CheapJudge, Endpoint, Judge, Panelist
from solon.journal import Journal
from solon.run import stored_rows

WriteRun = Callable[..., Path]

RULES: list[dict[str, Any]] = [
    {"id": f"rule-{n}", "rule": f"It keeps rule {n}.", "examples": [{"prompt": "p", "better": "b", "worse": "w"}]}
    for n in range(3)
]


def longer(request: ChatRequest) -> ChatReply | str:
    """A judge that prefers the longer, in one word."""
    shown = material(request.messages)
    return "1" if shown.get("1", 0) > shown.get("2", 0) else "2"


def wordy(request: ChatRequest) -> ChatReply | CallFailure:
    """A judge without log-probs."""
    return CallFailure("", "unsupported", "no log-probs") if request.top_logprobs else ramble(request)


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, script in {"longer": longer, "wordy": wordy, "second": ramble}.items():
        monkeypatch.setitem(SCRIPTS, name, script)


LONGER = {"backend": "scripted", "model": "longer"}
CHEAP = {"backend": "scripted", "model": "second", "sure": 0.55}
TRIED = {**CHEAP, "labelled": "labelled.jsonl"}
LONG = "word " * 40
TRIALS = [  # of the two, the judge that likes it short is right in one
    {"prompt": "Why?", "completion_1": "So.", "completion_2": LONG, "choice": choice, "tags": [str(choice)]}
    for choice in (1, 2)
]
RANKED = {"mode": "ranked", "principles": "all"}
ADAPTIVE = {**RANKED, "tournament": "adaptive"}

# A key, and two configurations that differ in it alone.
JUDGE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mode": ({}, {"judge": {"mode": "pointwise"}}),
    "principles": ({}, {"judge": {"principles": "all"}}),
    "share": ({}, {"judge": {"share": 0.5}}),
    "verdict_tokens": (
        {"judge": {"model": "wordy", "verdict_tokens": 400}},
        {"judge": {"model": "wordy", "verdict_tokens": 500}},
    ),
    "ties": ({}, {"judge": {"ties": True}}),
    "reason_first": ({}, {"judge": {"reason_first": True}}),
    "rationale_tokens": (
        {"judge": {"reason_first": True, "rationale_tokens": 50}},
        {"judge": {"reason_first": True, "rationale_tokens": 60}},
    ),
    "clamp": ({"judge": {"reason_first": True}}, {"judge": {"reason_first": True, "clamp": 0.9}}),
    "few_shot": ({}, {"judge": {"few_shot": 1}}),
    "scale": ({"judge": {"mode": "pointwise"}}, {"judge": {"mode": "pointwise", "scale": "1-10"}}),
    "tournament": ({"judge": RANKED}, {"judge": {**ADAPTIVE, "comparisons": 4}}),
    "comparisons": ({"judge": {**ADAPTIVE, "comparisons": 4}}, {"judge": {**ADAPTIVE, "comparisons": 5}}),
    "weight": ({"panel": [LONGER]}, {"panel": [LONGER], "judge": {"weight": 9.0}}),
    "canaries": ({}, {"judge": {"canaries": 1.0}}),
}
PANEL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "weight": ({"panel": [LONGER]}, {"panel": [{**LONGER, "weight": 9.0}]}),
}
CASCADE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sure": ({"cascade": CHEAP}, {"cascade": {**CHEAP, "sure": 0.99}}),
    "labelled": ({"cascade": CHEAP}, {"cascade": TRIED}),
    "least_agreement": ({"cascade": {**TRIED, "least_agreement": 0.5}}, {"cascade": {**TRIED, "least_agreement": 0.6}}),
}
REFUSALS = {"allow_same_family"}  # decides whether there is a run at all


def own(section: type) -> set[str]:
    return {f.name for f in fields(section)} - {f.name for f in fields(Endpoint)}


def test_every_key_of_the_three_sections_has_its_case_here() -> None:
    assert own(Judge) == JUDGE.keys() | REFUSALS
    assert own(Panelist) == PANEL.keys()
    assert own(CheapJudge) == CASCADE.keys()


def outcome(write_run: WriteRun, changes: dict[str, Any], out: Path) -> tuple[set[str], list[Any]]:
    """What was asked, and the labels."""
    base = {"judge": {"canaries": 0.0}, "pairs": {"policy": "all"}}
    whole = {**base, **changes, "judge": {**base["judge"], **changes.get("judge", {})}}
    config = write_run(whole, principles=RULES, prompts=3)
    (config.parent / "labelled.jsonl").write_text("".join(json.dumps(line) + "\n" for line in TRIALS))
    actions.run(config, out, False, False)
    with Journal.open(Database.file(out / "journal.db"), read_only=True) as journal:
        asked = {call.request for call in journal.call("", limit=100_000)}
        return asked, [(row.labels, row.pairs) for row in stored_rows(journal)]


ASKS_THE_SAME = {("judge", "weight"), ("judge", "clamp"), ("panel", "weight")}


@pytest.mark.parametrize(
    ("section", "key"),
    [
        *(("judge", key) for key in JUDGE),
        *(("panel", key) for key in PANEL),
        *(("cascade", key) for key in CASCADE),
    ],
)
def test_a_key_changes_what_is_asked_or_what_is_labelled(
    write_run: WriteRun, tmp_path: Path, section: str, key: str
) -> None:
    without, with_it = {"judge": JUDGE, "panel": PANEL, "cascade": CASCADE}[section][key]
    asked, labels = outcome(write_run, without, tmp_path / "without")
    asked_too, labels_too = outcome(write_run, with_it, tmp_path / "with")
    assert asked
    assert (asked == asked_too) is ((section, key) in ASKS_THE_SAME)
    if asked == asked_too:
        assert labels != labels_too


@pytest.mark.parametrize(
    "changes",
    [{"judge": {"model": "longer"}}, {"panel": [LONGER]}, {"cascade": CHEAP}],
    ids=["judge", "panel", "cascade"],
)
def test_another_model_judges_otherwise(write_run: WriteRun, tmp_path: Path, changes: dict[str, Any]) -> None:
    _, labels = outcome(write_run, {}, tmp_path / "without")
    asked, others = outcome(write_run, changes, tmp_path / "with")
    models = {json.loads(request)["model"] for request in asked}
    assert any(name in model for model in models for name in ("longer", "second"))
    assert (labels != others) is ("cascade" not in changes)  # the cheap judge is the same rambler


def test_a_judge_of_the_policys_family_is_refused_unless_it_is_allowed(write_run: WriteRun) -> None:
    kin = {"backend": "openai", "base_url": "http://127.0.0.1:1/v1"}
    changes = {"policy": {**kin, "model": "gpt-4o"}, "judge": {**kin, "model": "o3-mini", "allow_same_family": False}}
    with pytest.raises(InputError, match=r"\[judge\] and \[policy\] are of one family \(OpenAI\)"):
        load_config(write_run(changes))
    load_config(write_run({**changes, "judge": {**changes["judge"], "allow_same_family": True}}))


def test_a_recipe_takes_every_setting_from_its_key(write_run: WriteRun) -> None:
    from solon.recipes import judging_of

    class Supplied:
        def model(self, section: Any) -> str:
            return f"the model {section.model}"

    judge = {"mode": "ranked", "principles": "all", "share": 0.5, "ties": True, "reason_first": True, "clamp": 0.9,
             "rationale_tokens": 44, "verdict_tokens": 55, "few_shot": 3, "tournament": "adaptive", "comparisons": 7,
             "weight": 2.0}  # fmt: skip
    config = load_config(write_run({"judge": judge, "panel": [LONGER], "cascade": CHEAP, "seed": 6}))
    made: Judging = judging_of(config, Supplied())  # type: ignore[arg-type]
    assert [(j.model, j.name, j.weight) for j in made.jurors] == [
        ("the model rambler", "rambler", 2.0),
        ("the model longer", "longer", 1.0),
    ]
    assert made.first
    assert (made.first.juror.name, made.first.sure) == ("second", 0.55)
    assert (made.mode, made.principles, made.share, made.tournament, made.comparisons, made.policy) == (
        "ranked", "all", 0.5, "adaptive", 7, "best-vs-worst",
    )  # fmt: skip
    asking = made.asking
    assert (asking.seed, asking.words, asking.ties, asking.reasons, asking.clamp, asking.few_shot) == (
        6, 55, True, 44, 0.9, 3,
    )  # fmt: skip
