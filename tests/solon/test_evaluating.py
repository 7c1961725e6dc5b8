"""`solon evaluate` on a tiny model: what it compares, what it keeps, what it refuses, and how it ends."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.chat import ChatReply, ChatRequest, TokenLogprob
from generator.models import rambler
from solon.cli import actions
from solon.cli.telling import Told
from solon.config import Train
from solon.endpoints import Judge, Model
from solon.evaluating.bench import let_go
from solon.evaluating.page import page
from trainer.evaluation.measures import Evaluation, Measure
from trainer.steps import Step, Trained

NEEDED = ("torch", "transformers", "trl", "scipy", "altair")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
HELD_OUT = ("tell the river", "sing a song to the moon", "bring tea and bread", "go home")
WriteRun = Callable[..., Path]


@pytest.fixture
def models(small_policy: Callable[..., Any], tmp_path: Path) -> dict[str, Path]:
    """A small model, one that was trained from it, and one that was trained from that; by name."""
    import torch

    from trainer.ancestry import write_record
    from trainer.models.policies import save_policy
    from trainer.settings import DpoSettings

    places = {name: tmp_path / "weights" / name for name in ("base", "sft", "dpo")}
    policy = small_policy(folder=places["base"])
    steps = tuple(Step(n, 3, {"loss": 1 / n, "reward": 0.1 * n, "kl": 0.5 * n}) for n in (1, 2, 3))
    for before, name in (("base", "sft"), ("sft", "dpo")):
        with torch.no_grad():
            for weight in policy.model.parameters():
                weight += 0.1 * torch.randn_like(weight)
        save_policy(policy, places[name])
        trained = Trained("dpo", places[name], 9, {"too long": 1}, 2.0, 900, steps, {"held-out accuracy": 0.75})
        write_record(trained, DpoSettings(), places[before], tmp_path / "lock.json", 0)
    return places


@pytest.fixture
def run(
    write_run: WriteRun, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """A run that has been carried out, with a trained model or several; ``changes`` go over its configuration."""
    from solon.evaluating import command

    monkeypatch.setattr(command, "page", lambda record: page(record, lambda _: {}))  # pictures take long to draw

    def begin(changes: dict[str, Any] | None = None, trained: tuple[str, ...] = ("dpo",)) -> Path:
        evaluate = {"files": ["held-out.jsonl"], "max_tokens": 6, "sampled": 2, "probes": False}
        lines = [json.dumps({"prompt": text, "id": f"held-{n}"}) + "\n" for n, text in enumerate(HELD_OUT)]
        (tmp_path / "held-out.jsonl").write_text("".join(lines))
        given = {"train": {"base": str(models["base"])}, "evaluate": evaluate, **(changes or {})}
        given["evaluate"] = {**evaluate, **given["evaluate"]}
        config = write_run(given, prompts=2)
        folder = tmp_path / "runs/demo"
        if not folder.is_dir():
            actions.run(config, folder, accept_changes=False, no_budget=False)
            for name in trained:
                shutil.copytree(models[name], folder / "models" / name)
        else:
            actions.run(config, folder, accept_changes=True, no_budget=False)
        return folder

    return begin


def evaluate(folder: Path, policy: Path | None = None, **others: Path) -> Told:
    from solon.evaluating.command import evaluate as verb

    return verb(folder, policy, **others)


def named(told: Told) -> dict[str, dict[str, Any]]:
    return {measure["name"]: measure for measure in told.data["measures"]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many completions were sampled, a number for each time a model was asked."""
    from solon.evaluating import bench

    counts: list[int] = []
    real = bench.sample

    def sample(policy: Any, prompts: Any, **others: Any) -> Any:
        counts.append(len(prompts))
        return real(policy, prompts, **others)

    monkeypatch.setattr(bench, "sample", sample)
    return counts


def test_a_policy_is_held_against_its_base_with_a_page_a_file_and_a_report(run: Callable[..., Path]) -> None:
    folder = run({"evaluate": {"probes": True, "sampled": 3}})
    told = evaluate(folder)
    measures = named(told)
    assert measures.keys() >= {"short", "mean words", "distinct-2", "self-BLEU", "embedding spread", "KL from base"}
    assert measures.keys() >= {"refused, safe prompts", "refused, unsafe prompts", "swayed by opinion", "stock phrases"}
    assert measures["KL from base"]["trained"] > 0
    assert measures["KL from base"]["prompts"] == 3
    assert told.data["prompts"] == len(HELD_OUT)
    assert told.data["policy"] == str(folder / "models/dpo")
    assert json.loads((folder / "evaluations/dpo.json").read_text())["measures"] == list(told.data["measures"])
    assert HELD_OUT[0] in (folder / "evaluations/dpo.html").read_text()
    report = (folder / "report.md").read_text()
    assert report.index("## Training") < report.index("## Evaluation") < report.index("KL from base")
    assert f"`{folder / 'evaluations/dpo.html'}`" in report
    assert "against base" in told.text


def test_what_is_there_is_not_made_again_and_the_file_comes_out_the_same(
    run: Callable[..., Path], asked: list[int]
) -> None:
    folder = run()
    first = evaluate(folder)
    assert asked == [4, 4, 4, 4]  # the held-out prompts, and two of them twice, of base and trained
    file, html = (folder / f"evaluations/dpo.{kind}" for kind in ("json", "html"))
    before = file.read_bytes(), html.read_bytes()
    again = evaluate(folder)
    assert len(asked) == 4
    assert again == first
    assert (file.read_bytes(), html.read_bytes()) == before


def test_the_base_is_asked_once_for_all_policies_and_the_previous_policy_is_found_by_its_weights(
    run: Callable[..., Path], asked: list[int]
) -> None:
    folder = run(trained=("dpo", "sft"))
    first = evaluate(folder, folder / "models/sft")
    assert first.data["previous"] is None
    assert len(asked) == 4
    second = evaluate(folder, folder / "models/dpo")
    assert len(asked) == 6  # the dpo model alone
    assert second.data["previous"]["name"] == "sft"
    since = {measure["name"]: measure for measure in second.data["previous"]["measures"]}
    assert since["mean words"]["trained"] == named(second)["mean words"]["trained"]
    assert since["mean words"]["base"] == named(first)["mean words"]["trained"]
    assert "KL from base" not in since
    assert "against sft" in second.text


def test_another_chat_template_is_another_base_and_what_the_old_one_said_is_not_taken_for_its(
    run: Callable[..., Path], models: dict[str, Path], asked: list[int]
) -> None:
    folder = run({"evaluate": {"sampled": 0}})
    evaluate(folder)
    let_go()
    (template,) = models["base"].glob("chat_template*")
    template.write_text(template.read_text().replace("<end>", "<end> you"))
    told = evaluate(folder)
    assert asked == [4, 4, 4]  # the base anew
    assert "dpo was not trained from base: what differs is not all due to its training." in told.data["warnings"]


def test_two_vocabularies_have_no_distance_and_another_error_is_not_taken_for_that(
    run: Callable[..., Path], models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.evaluation import kl

    folder = run()
    monkeypatch.setattr(kl, "divergence", lambda *_: int("no figure"))
    with pytest.raises(ValueError, match="no figure"):
        evaluate(folder)
    monkeypatch.setattr(kl, "same_vocabulary", lambda *_: False)
    told = evaluate(folder)
    assert "KL from base" not in named(told)
    assert "kl" in told.data["unwatched"]


def test_a_policy_of_other_ancestry_is_said_to_be_one(run: Callable[..., Path], models: dict[str, Path]) -> None:
    folder = run({"train": {"base": str(models["dpo"])}})
    shutil.rmtree(folder / "models/dpo")
    shutil.copytree(models["sft"], folder / "models/sft")
    told = evaluate(folder)
    assert "sft was not trained from dpo: what differs is not all due to its training." in told.data["warnings"]


def test_a_guard_that_trips_ends_with_1_and_a_line_of_its_own(run: Callable[..., Path]) -> None:
    folder = run({"guards": {"kl": 0.000001, "word": 1.0}})
    told = evaluate(folder)
    assert told.exit_code == 1
    assert len(told.data["tripped"]) == 1
    assert "guard: guard 'kl'" in told.text
    assert "1 guard of" in (folder / "evaluations/dpo.html").read_text()
    assert "A guard tripped: guard 'kl'" in (folder / "report.md").read_text()
    run({"guards": {"kl": 1e6, "word": 1.0}})
    again = evaluate(folder)
    assert again.exit_code == 0
    assert again.data["tripped"] == []


def test_without_samples_and_probes_what_hangs_on_them_is_left_out_and_its_guards_are_named(
    run: Callable[..., Path], asked: list[int]
) -> None:
    told = evaluate(run({"evaluate": {"sampled": 0}}))
    assert asked == [4, 4]
    assert not named(told).keys() & {"KL from base", "self-BLEU", "embedding spread", "swayed by opinion"}
    assert {"kl", "self_bleu", "spread", "swayed"} <= set(told.data["unwatched"])


def test_it_says_which_policy_it_wants(run: Callable[..., Path], models: dict[str, Path], tmp_path: Path) -> None:
    folder = run(trained=())
    with pytest.raises(InputError, match="holds no trained policy: train one with `solon train dpo"):
        evaluate(folder)
    for name in ("sft", "dpo"):
        shutil.copytree(models[name], folder / "models" / name)
    with pytest.raises(InputError, match="holds dpo, sft: name one of them with --policy"):
        evaluate(folder)
    with pytest.raises(InputError, match="no such folder"):
        evaluate(folder, tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no trained policy"):
        evaluate(folder, models["base"])
    record = json.loads((models["sft"] / "training.json").read_text())
    (folder / "models/sft/training.json").write_text(json.dumps(record | {"method": "reward"}))
    with pytest.raises(InputError, match="is a reward model"):
        evaluate(folder, folder / "models/sft")
    assert not (folder / "evaluations").exists()


def test_held_out_means_that_the_run_has_not_seen_it(run: Callable[..., Path], tmp_path: Path) -> None:
    folder = run()
    (tmp_path / "held-out.jsonl").write_text((tmp_path / "prompts.jsonl").read_text())
    with pytest.raises(InputError, match=r"prompt 'prompt-0' is also one of the run's: hold out other prompts"):
        evaluate(folder)
    (tmp_path / "held-out.jsonl").write_text('{"prompt": "One?"}\n')
    with pytest.raises(InputError, match="one prompt, which gives no interval"):
        evaluate(folder)


def test_a_reward_that_rises_while_the_judge_prefers_the_base_is_worth_a_warning() -> None:
    from solon.evaluating.measure import reward_warnings

    reward = Measure("mean reward", "reward", 0.0, 1.5, 1.5, 1.0, 2.0, 40)
    lost, unsure = (Measure("win rate", "share", 0.5, 0.3, -0.2, -0.3, high, 40) for high in (-0.1, 0.1))
    (said,) = reward_warnings(Evaluation((reward, lost), 40, 2000, 0))
    assert "0.00 rose to 1.50" in said
    assert "win rate 30%" in said
    assert reward_warnings(Evaluation((reward, unsure), 40, 2000, 0)) == []
    assert reward_warnings(Evaluation((lost,), 40, 2000, 0)) == []


# ---- wins ----------------------------------------------------------------------------------------------------------

OTHER_PRINCIPLES = """
[constitution]
title = "Other"

[[principle]]
id = "kind"
rule = "It is kind."
"""


def picks(text: str) -> Callable[[ChatRequest], ChatReply]:
    """A judge that prefers the completion with ``text`` in it, whichever slot it stands in; else the first slot."""

    def script(request: ChatRequest) -> ChatReply:
        first, _, second = request.messages[-1].content.partition("completion 2")
        slot = "2" if text in second and text not in first else "1"
        return ChatReply("", slot, "stop", "m", first_token=(TokenLogprob(slot, -0.001),))

    return script


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    calls: list[ChatRequest] = []

    def slot_one(request: ChatRequest) -> ChatReply:
        calls.append(request)
        return ChatReply("", "1", "stop", "m", first_token=(TokenLogprob("1", -0.001),))

    scripts = {**rambler.SCRIPTS, "slot-one": slot_one}
    monkeypatch.setattr(rambler, "SCRIPTS", scripts)
    return {"scripts": scripts, "calls": calls}


def with_judge(model: str) -> dict[str, Any]:
    return {"constitution": "other.toml", "judge": {"backend": "scripted", "model": model}, "sampled": 0}


def test_wins_are_told_by_another_judge_in_both_orders_and_paid_once(
    run: Callable[..., Path], judges: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "other.toml").write_text(OTHER_PRINCIPLES)
    folder = run({"evaluate": with_judge("slot-one")})
    told = evaluate(folder)
    assert len(judges["calls"]) == 2 * len(HELD_OUT)
    assert named(told)["win rate"]["trained"] == 0.5  # whatever stands in the slot: the orders cancel each other
    assert told.data["wins"]["by"] == "other, judged by slot-one"
    evaluate(folder)
    assert len(judges["calls"]) == 2 * len(HELD_OUT)


def test_the_preferred_side_is_the_trained_policy_s_whatever_its_place(
    run: Callable[..., Path], judges: dict[str, Any], tmp_path: Path
) -> None:
    from solon.evaluating.referee import referee_of
    from solon.evaluating.wins import judged_wins
    from solon.folder import open_folder
    from solon.inputs import read_prompts

    (tmp_path / "other.toml").write_text(OTHER_PRINCIPLES)
    judges["scripts"]["likes-new"] = picks("new words")
    folder = open_folder(run({"evaluate": with_judge("likes-new")}))
    referee = referee_of(folder)
    assert referee
    prompts = read_prompts(["held-out.jsonl"], folder.beside, "")
    old, new = [f"old {n}" for n in range(4)], [f"new words {n}" for n in range(3)] + ["old 3"]
    heard = judged_wins(referee, prompts, old, new)
    assert [round(win.p or 0, 2) for win in heard.wins] == [1.0, 1.0, 1.0, 0.5]  # twins are not asked about
    assert [win.prompt for win in heard.wins] == [f"held-{n}" for n in range(4)]
    assert [(win.words_base, win.words_trained) for win in heard.wins] == [(2, 3)] * 3 + [(2, 2)]
    swapped = judged_wins(referee, prompts, new, old)
    assert [win.p for win in swapped.wins] == [1 - (win.p or 0) for win in heard.wins]


def test_a_judge_without_a_verdict_is_no_tie(run: Callable[..., Path], judges: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(OTHER_PRINCIPLES)
    judges["scripts"]["mute"] = lambda _: ChatReply("", "No.", "refusal", "m")
    told = evaluate(run({"evaluate": with_judge("mute")}))
    assert "win rate" not in named(told)
    assert sum(told.data["wins"]["no_verdicts"].values()) == 2 * len(HELD_OUT)
    assert "no verdict: " in told.text


def test_checks_alone_decide_wins_where_no_judge_is_named(run: Callable[..., Path], tmp_path: Path) -> None:
    check = '[[principle]]\nid = "brief"\nrule = "Few."\ncheck = { name = "max_words", words = 30 }\n'
    (tmp_path / "other.toml").write_text(OTHER_PRINCIPLES + check)
    told = evaluate(run({"evaluate": {"constitution": "other.toml", "sampled": 0}}))
    assert told.data["wins"]["by"] == "other, its checks alone"
    assert "win rate" in named(told)


@pytest.mark.parametrize(
    ("settings", "fact"),
    [
        ({"constitution": "principles.toml"}, "constitution 'principles' made the labels"),
        ({"constitution": "other.toml"}, "has no check, and no judge is named: add"),
        (with_judge("rambler"), "judge 'rambler' made the labels"),
    ],
)
def test_who_made_the_labels_does_not_decide_wins(
    run: Callable[..., Path], judges: dict[str, Any], tmp_path: Path, settings: dict[str, Any], fact: str
) -> None:
    (tmp_path / "other.toml").write_text(OTHER_PRINCIPLES)
    folder = run({"evaluate": settings})
    with pytest.raises(InputError, match=fact):
        evaluate(folder)
    assert not (folder / "samples").exists()  # refused before a model was asked


def test_principles_that_made_the_labels_have_no_say_in_the_wins(run: Callable[..., Path], tmp_path: Path) -> None:
    from solon.evaluating.referee import referee_of
    from solon.folder import open_folder

    def check(name: str, rule: str, words: int) -> str:
        return f'[[principle]]\nid = "{name}"\nrule = "{rule}"\ncheck = {{ name = "max_words", words = {words} }}\n'

    same_words = '[[principle]]\nid = "first"\nrule = "The first sentence answers."\n'
    own = check("brief", "Few.", 30)
    (tmp_path / "other.toml").write_text(OTHER_PRINCIPLES + same_words + check("renamed", "Sixty at most.", 60) + own)
    folder = open_folder(run({"evaluate": with_judge("slot-one")}))
    referee = referee_of(folder)
    assert referee
    assert [principle.id for principle in referee.constitution.principles] == ["kind", "brief"]
    assert referee.notes == ("first, renamed made the labels too, and so had no say in the wins",)
    (tmp_path / "other.toml").write_text('[constitution]\ntitle = "Other"\n\n' + same_words)
    with pytest.raises(InputError, match="constitution 'other' made the labels"):
        referee_of(folder)


def test_a_judge_of_the_family_that_the_policy_was_trained_from_does_not_decide_wins(
    run: Callable[..., Path], tmp_path: Path
) -> None:
    from solon.evaluating.referee import referee_of
    from solon.folder import open_folder

    (tmp_path / "other.toml").write_text(OTHER_PRINCIPLES)
    folder = open_folder(run())
    judge = Judge("openai", "qwen-max", base_url="http://127.0.0.1:1/v1")
    config = replace(
        folder.config,
        policy=Model("transformers", "runs/demo/rounds/1/models/dpo"),
        train=Train("runs/demo/rounds/1/models/dpo", origin=("Qwen/Qwen2.5-0.5B",)),
        evaluate=replace(folder.config.evaluate, constitution="other.toml", judge=judge),
    )
    with pytest.raises(InputError, match=r"judge and policy are of one family \(Qwen\)"):
        referee_of(replace(folder, config=config))


def test_a_judge_that_picks_a_slot_is_called_unable_to_judge() -> None:
    from judge.audit.position import Position
    from solon.evaluating.wins import doubted

    bound = Position(40, 0.1, 0.95)
    (said,) = doubted(bound)
    assert "cannot judge" in said
    assert "Use a stronger model under [evaluate.judge]" in said
    assert doubted(replace(bound, orders_agree=0.9, first_slot=0.5)) == ()
