import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from solon.cli import actions
from solon.database import Database
from solon.journal import Journal
from solon.pipeline import Row
from solon.records import RecordedCall
from solon.run import stored_rows

WriteRun = Callable[..., Path]

RULES = [{"id": f"rule-{n:02}", "rule": f"It keeps the rule number {n:02}."} for n in range(16)]
OLD, NEW = RULES[7]["rule"], "It keeps the seventh rule, which was reworded."


def run(config: Path, out: Path, *, accept_changes: bool = False) -> Mapping[str, Any]:
    return actions.run(config, out, accept_changes, no_budget=False).data


def calls(out: Path) -> dict[str, RecordedCall]:
    with Journal.open(Database.file(out / "journal.db"), read_only=True) as journal:
        return {call.key: call for call in journal.call("", limit=1_000_000)}


def rows(out: Path) -> list[Row]:
    with Journal.open(Database.file(out / "journal.db"), read_only=True) as journal:
        return list(stored_rows(journal))


def texts(call: RecordedCall) -> str:
    return "\n".join(message["content"] for message in json.loads(call.request)["messages"])


def exported(out: Path) -> dict[str, bytes]:
    actions.export(out, "trl", None, None)
    return {path.name: path.read_bytes() for path in (out / "export").iterdir()}


def draws(row: Row) -> dict[tuple[Any, ...], str]:
    """Which principle was drawn where: for each chain and round, and for each couple of places."""
    place = {c.id: (c.sample, c.round) for c in row.made.candidates}
    prompt = row.made.prompt.id
    drawn: dict[tuple[Any, ...], str] = {
        ("critique", prompt, *place[c.candidate]): c.critique.principle for c in row.made.critiques
    }
    for judgement in row.judgements:
        drawn["judge", prompt, *sorted((place[judgement.a], place[judgement.b]))] = judgement.principle
    return drawn


def all_draws(out: Path) -> dict[tuple[Any, ...], str]:
    return {place: name for row in rows(out) for place, name in draws(row).items()}


def calls_by_place(out: Path) -> dict[tuple[Any, ...], set[str]]:
    """Which calls each draw led to: critique and revision, or the verdicts."""
    found: dict[tuple[Any, ...], set[str]] = {}
    for row in rows(out):
        place = {c.id: (c.sample, c.round) for c in row.made.candidates}
        prompt = row.made.prompt.id
        for critiqued in row.made.critiques:
            revisions = {c.call for c in row.made.candidates if c.revises == critiqued.candidate}
            found["critique", prompt, *place[critiqued.candidate]] = {critiqued.critique.call} | revisions
        for judgement in row.judgements:
            verdicts = {verdict.call for verdict in (judgement.forward, judgement.backward) if verdict}
            found["judge", prompt, *sorted((place[judgement.a], place[judgement.b]))] = verdicts
    return found


def edited(**changes: Any) -> list[dict[str, Any]]:
    return [{**rule, **(changes if rule["id"] == "rule-07" else {})} for rule in RULES]


@pytest.fixture
def sixteen(write_run: WriteRun, tmp_path: Path) -> tuple[Path, Path]:
    """A finished run of 16 principles that a model judges: its run.toml and its folder."""
    config, out = write_run(prompts=100, principles=RULES), tmp_path / "out"
    assert run(config, out)["calls_sent"] == len(calls(out)) > 1500
    return config, out


def test_rewording_one_principle_sends_exactly_the_calls_that_carry_its_text(
    sixteen: tuple[Path, Path], write_run: WriteRun
) -> None:
    config, out = sixteen
    before, drawn = calls(out), all_draws(out)
    carrying = [call for call in before.values() if OLD in texts(call)]
    assert 0 < len(carrying) < len(before) / 8

    write_run(principles=edited(rule=NEW))
    summary = run(config, out)
    after = calls(out)
    new = [call for key, call in after.items() if key not in before]
    assert summary["calls_sent"] == len(new) == len(carrying)
    assert all(NEW in texts(call) for call in new)
    assert sorted(texts(call).replace(NEW, OLD) for call in new) == sorted(map(texts, carrying))
    assert before.keys() <= after.keys()
    assert all_draws(out) == drawn


def test_a_revision_that_comes_out_otherwise_is_judged_again_and_nothing_else_is(
    write_run: WriteRun, tmp_path: Path
) -> None:
    """Here the critic echoes the rule and the policy echoes the critique, so an edit changes completions."""
    from generator.chat import ChatRequest
    from generator.models.rambler import SCRIPTS, ramble

    def echo(request: ChatRequest) -> Any:
        turns = [m.content for m in request.messages if m.role == "assistant"]
        if request.top_logprobs or not turns:
            return ramble(request)
        return request.messages[-1].content if len(turns) == 1 else f"{turns[0][:60]} {turns[1]}."

    SCRIPTS["echo"] = echo
    try:
        section = {"model": "echo"}
        config, out = write_run({"policy": section, "judge": section}, prompts=60, principles=RULES), tmp_path / "out"
        run(config, out)
        before, drawn = calls(out), all_draws(out)
        write_run(principles=edited(rule=NEW))
        summary = run(config, out)
    finally:
        del SCRIPTS["echo"]
    new = [call for key, call in calls(out).items() if key not in before]
    assert summary["calls_sent"] == len(new)
    assert all(NEW in texts(call) for call in new)  # in the request, or in the revision that is judged
    assert any("Reply with the number" in texts(call) and f"rule: {NEW}" not in texts(call).lower() for call in new)
    assert all_draws(out) == drawn


def test_an_added_principle_redoes_only_what_it_wins(sixteen: tuple[Path, Path], write_run: WriteRun) -> None:
    config, out = sixteen
    before, drawn = calls(out), all_draws(out)
    added = "It keeps the rule that came late."
    write_run(principles=[{"id": "late", "rule": added}, *RULES])
    summary = run(config, out)
    new = [call for key, call in calls(out).items() if key not in before]
    assert summary["calls_sent"] == len(new)
    assert 0 < len(new) < len(before) / 8
    assert all(added in texts(call) for call in new)
    moved = {place: name for place, name in all_draws(out).items() if drawn.get(place) != name}
    assert set(moved.values()) == {"late"}
    assert 0 < len(moved) < len(drawn) / 8


def test_a_removed_principle_redoes_only_what_it_had_won(sixteen: tuple[Path, Path], write_run: WriteRun) -> None:
    config, out = sixteen
    before, drawn = calls(out), all_draws(out)
    write_run(principles=[rule for rule in RULES if rule["id"] != "rule-07"])
    summary = run(config, out)
    new = {key: call for key, call in calls(out).items() if key not in before}
    won = {place for place, name in drawn.items() if name == "rule-07"}
    now = all_draws(out)
    assert {place for place in drawn if now.get(place) != drawn[place]} == won
    assert summary["calls_sent"] == len(new) > 0
    assert new.keys() == set().union(*(calls_by_place(out)[place] for place in won)) - before.keys()
    assert not any(OLD in texts(call) for call in new.values())


@pytest.mark.parametrize(
    "principles",
    [
        edited(rationale="because"),
        edited(examples=[{"prompt": "p", "better": "b", "worse": "w"}]),
        edited(tags=["tagged"]),
        edited(weight=1.0),
        RULES[::-1],
    ],
    ids=["rationale", "examples", "tags", "the default spelled out", "order"],
)
def test_an_edit_that_reaches_no_call_and_no_label_does_nothing(
    write_run: WriteRun, tmp_path: Path, principles: list[dict[str, Any]]
) -> None:
    config, out = write_run(prompts=10, principles=RULES), tmp_path / "out"
    run(config, out)
    before = exported(out)
    write_run(principles=principles)
    summary = run(config, out)
    assert (summary["calls_sent"], summary["calls_reused"]) == (0, 0)
    after = exported(out)
    assert all(after[name] == before[name] for name in ("train.parquet", "test.parquet"))


def test_a_new_weight_makes_labels_anew_out_of_replies_that_are_there(write_run: WriteRun, tmp_path: Path) -> None:
    config, out = write_run({"judge": {"principles": "all"}, "candidates": {"rounds": 0}}), tmp_path / "out"
    run(config, out)
    margins = [label.margin for row in rows(out) for label in row.labels]
    write_run(principles=[{"id": "short", "rule": "At most 60 words.", "check": {"name": "max_words", "words": 60}},
                          {"id": "direct", "rule": "The first sentence answers.", "weight": 9.0},
                          {"id": "plain", "rule": "It uses everyday words."}])  # fmt: skip
    summary = run(config, out)
    assert summary["calls_sent"] == 0
    assert summary["calls_reused"] > 0
    assert [label.margin for row in rows(out) for label in row.labels] != margins


def test_a_run_again_sends_nothing_and_leaves_the_export_byte_for_byte(write_run: WriteRun, tmp_path: Path) -> None:
    config, out = write_run(), tmp_path / "out"
    first = run(config, out)
    before = exported(out)
    second = run(config, out)
    assert (second["calls_sent"], second["calls_reused"]) == (0, 0)
    assert exported(out) == before
    for key in ("rows", "pairs", "candidates", "drops", "no_verdicts", "judges"):
        assert second[key] == first[key]


def test_new_prompts_are_added_and_old_ones_not_asked_again(write_run: WriteRun, tmp_path: Path) -> None:
    config, out = write_run(prompts=5), tmp_path / "out"
    first = run(config, out)
    write_run(prompts=8)
    second = run(config, out)
    assert second["rows"] == 8
    assert first["calls_sent"] + second["calls_sent"] == len(calls(out))
    write_run(prompts=3)
    third = run(config, out)
    assert (third["rows"], third["calls_sent"]) == (3, 0)
    write_run(prompts=8)
    fourth = run(config, out)
    assert (fourth["rows"], fourth["calls_sent"]) == (8, 0)


def test_the_export_is_the_same_at_any_concurrency_and_in_any_order_of_arrival(
    write_run: WriteRun, tmp_path: Path
) -> None:
    made = {}
    for in_flight, latency in ((1, 0.001), (4, 0.003), (64, 0.002)):
        section = {"latency": latency}
        changes = {"limits": {"in_flight": in_flight}, "policy": section, "judge": section}
        run(write_run(changes, prompts=12), tmp_path / f"out-{in_flight}")
        made[in_flight] = exported(tmp_path / f"out-{in_flight}")
    assert made[1] == made[4] == made[64]
    one, four, many = (calls(tmp_path / f"out-{n}").keys() for n in (1, 4, 64))
    assert one == four == many
    assert made[1].keys() == {"train.parquet", "test.parquet", "principles.toml", "lock.json"}


def test_the_export_is_the_same_whatever_the_order_of_prompts_and_their_files(
    write_run: WriteRun, tmp_path: Path
) -> None:
    lines = [{"prompt": f"Why is the number {n} so odd to look at?", "tags": ["odd"] * (n % 2)} for n in range(12)]
    run(write_run(prompts=lines), tmp_path / "out-1")
    random.Random(5).shuffle(lines)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n\n" for line in lines[:5]))
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(dict(reversed(line.items()))) + "\n" for line in lines[5:]))
    run(write_run({"prompts": {"files": ["b.jsonl", "a.*"]}}), tmp_path / "out-2")
    assert exported(tmp_path / "out-1") == exported(tmp_path / "out-2")
    write_run({"seed": 1})
    run(write_run(), tmp_path / "out-3")
    assert exported(tmp_path / "out-1")["train.parquet"] != exported(tmp_path / "out-3")["train.parquet"]


def test_the_folder_holds_what_the_run_used(write_run: WriteRun, tmp_path: Path) -> None:
    config, out = write_run(), tmp_path / "out"
    run(config, out)
    assert (out / "principles.toml").read_bytes() == (tmp_path / "principles.toml").read_bytes()
    again = json.loads((out / "summary.json").read_text())
    assert again["rows"] == 6
    copied = (out / "config.toml").read_text()
    assert "in_flight = 64" in copied
    assert "deadline = 300.0" in copied


def test_a_run_killed_before_it_wrote_its_config_goes_on(write_run: WriteRun, tmp_path: Path) -> None:
    config, out = write_run(), tmp_path / "out"
    out.mkdir()
    for name in ("run.lock", "run.lock.json", "config.toml.new"):
        (out / name).touch()
    with Journal.open(Database.file(out / "journal.db")):
        pass
    assert run(config, out)["rows"] == 6


def test_a_change_is_told_key_by_key_and_kept_out(write_run: WriteRun, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(write_run(), out)
    with pytest.raises(InputError, match="seed was 0, is 5") as refusal:
        run(write_run({"seed": 5}), out)
    assert "policy" not in str(refusal.value)
    assert "seed = 0" in (out / "config.toml").read_text()
