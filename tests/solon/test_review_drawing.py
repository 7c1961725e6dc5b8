"""`solon review`: from a run to items for people, and from what they said to a table and back from other tools."""

import csv
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from judge.pairs import couple_id
from judge.review.records import HumanLabel
from solon.cli import main
from solon.folder import RunFolder, open_folder
from solon.journal import Journal
from solon.review.drawing import retire_gone
from solon.review.opened import open_review
from solon.review.records import Retired, Said
from solon.run import stored_rows

pytest.importorskip("scipy", reason="scipy is in an extra")

WriteRun = Callable[..., Path]
CHANGES = {"judge": {"principles": "all"}, "candidates": {"completions": 3}, "pairs": {"policy": "all"}}


@dataclass(frozen=True, slots=True)
class Told:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        return found


Solon = Callable[..., Told]


@pytest.fixture
def solon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Solon:
    def run(*args: object) -> Told:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["solon", *map(str, args)])
        capsys.readouterr()
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        return Told(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run is kept for the tests after the first."""
    return tmp_path_factory.mktemp("kept") / "runs"


@pytest.fixture
def run(write_run: WriteRun, solon: Solon, tmp_path: Path, kept: Path) -> Path:
    config = write_run(CHANGES, prompts=20)
    if kept.exists():
        shutil.copytree(kept, tmp_path / "runs")
    else:
        assert solon("run", config).code == 0
        shutil.copytree(tmp_path / "runs", kept)
    return Path("runs/demo")


def folder(tmp_path: Path) -> RunFolder:
    return open_folder(tmp_path / "runs/demo")


def label_all(tmp_path: Path, who: str, most: int = 1000) -> int:
    done = 0
    with open_review(folder(tmp_path)) as store:
        while done < most and (leased := store.next(who, 1000.0 + done)):
            store.save(who, leased.item, Said("1", 2), key=f"{who}-{done}", now=1001.0 + done)
            done += 1
    return done


def test_a_draw_brings_items_of_both_kinds_says_why_and_what_to_do_next(
    run: Path, solon: Solon, tmp_path: Path
) -> None:
    told = solon("review", "draw", run, "--n", 20, "--overlap", 2, "--overlap-share", 0.5)
    assert told.code == 0
    assert "round 1: 20 items" in told.out
    assert f"next: solon serve {run}" in told.out
    with open_review(folder(tmp_path)) as store:
        tasks, pool = store.tasks(), {one.item: one for one in store.pool()}
    kinds = Counter(stored.task.kind for stored in tasks)
    assert kinds["audit"] == pytest.approx(10, abs=1)
    assert kinds.total() == 20
    assert {stored.task.overlap for stored in tasks} == {1, 2}
    assert all(0 < one.probability <= 1 for one in pool.values())
    assert {stored.item for stored in tasks} <= pool.keys()
    assert len(pool) > 20
    assert all(stored.task.candidates[0] < stored.task.candidates[1] for stored in tasks)


def test_a_second_draw_goes_on_and_follows_what_people_said_so_far(run: Path, solon: Solon, tmp_path: Path) -> None:
    first = solon("review", "draw", run, "--n", 16, "--json").data
    assert (first["round"], first["by_labels"]) == (1, 0)
    assert label_all(tmp_path, "ann") == 16
    second = solon("review", "draw", run, "--n", 10, "--json").data
    assert (second["round"], second["by_labels"]) == (2, 16)
    assert second["left"] == first["left"] - 10
    with open_review(folder(tmp_path)) as store:
        assert len({stored.item for stored in store.tasks()}) == 26
        assert [one.number for one in store.rounds()] == [1, 2]
    rest = solon("review", "draw", run, "--n", 1000)
    assert "fewer than the 1000 asked for" in rest.out
    over = solon("review", "draw", run, "--n", 5)
    assert (over.code, over.out) == (2, "")
    assert "every couple was drawn already" in over.err


def test_a_draw_goes_on_where_the_run_went_on(run: Path, solon: Solon, write_run: WriteRun, tmp_path: Path) -> None:
    before = solon("review", "draw", run, "--n", 10, "--json").data
    label_all(tmp_path, "ann")
    assert solon("run", write_run(CHANGES, prompts=24)).code == 0
    after = solon("review", "draw", run, "--n", 10, "--json").data
    assert after["couples"] > before["couples"]
    assert sum(after["drawn"].values()) == 10


def test_a_draw_goes_on_where_no_label_is_of_a_couple_that_the_run_still_has(
    run: Path, solon: Solon, write_run: WriteRun, tmp_path: Path
) -> None:
    solon("review", "draw", run, "--n", 12)
    label_all(tmp_path, "ann")
    assert solon("run", write_run({**CHANGES, "seed": 1}), "--accept-changes").code == 0
    told = solon("review", "draw", run, "--n", 6, "--json").data
    assert (sum(told["drawn"].values()), told["by_labels"]) == (6, 0)


def test_people_are_no_longer_given_what_the_run_no_longer_has_and_get_it_again_where_it_comes_back(
    run: Path, solon: Solon, write_run: WriteRun, tmp_path: Path
) -> None:
    solon("review", "draw", run, "--n", 12)
    assert label_all(tmp_path, "ann", 2) == 2
    assert solon("run", write_run({**CHANGES, "seed": 1}), "--accept-changes").code == 0
    told = solon("review", "status", run, "--json").data
    assert (told["gone"], told["labels"]["wanted"], told["labels"]["open"]) == (10, 2, 0)
    assert "10 items more are of couples that the run no longer has" in solon("review", "status", run).out
    assert label_all(tmp_path, "bob") == 0
    assert solon("run", write_run(CHANGES), "--accept-changes").code == 0
    assert solon("review", "status", run, "--json").data["labels"]["open"] == 10
    assert label_all(tmp_path, "bob") == 10
    assert solon("review", "labels", run, "--json").data["count"] == 12


def test_a_draw_takes_out_what_the_run_no_longer_has(run: Path, solon: Solon, tmp_path: Path) -> None:
    solon("review", "draw", run, "--n", 12)
    with Journal.open(folder(tmp_path).journal) as journal:
        journal.forget_rows_except(sorted(journal.recipes())[:10])
        left = {couple_id(label.a, label.b) for row in stored_rows(journal) for label in row.labels}
    with open_review(folder(tmp_path)) as store:
        before = {stored.item for stored in store.tasks()}
    assert before - left
    assert before & left
    solon("review", "draw", run, "--n", 3)
    with open_review(folder(tmp_path)) as store:
        tasks = store.tasks()
    assert {stored.item for stored in tasks if stored.gone} == before - left
    out = tmp_path / "tasks"
    told = solon("review", "export", run, "--format", "labelstudio", "--out", out, "--json").data
    assert told["items"] == len(before & left) + 3


def test_a_run_that_nobody_reviews_gets_no_review_at_its_end(run: Path, tmp_path: Path) -> None:
    assert retire_gone(folder(tmp_path), []) == Retired(0, 0)
    assert not (tmp_path / run / "review.db").exists()


def test_a_draw_says_how_many_an_even_sample_takes_where_the_run_grew_by_more(
    run: Path, solon: Solon, write_run: WriteRun
) -> None:
    first = solon("review", "draw", run, "--n", 40, "--policy", "random", "--json").data
    assert (first["new"], first["needed"]) == (0, 0)
    assert solon("run", write_run(CHANGES, prompts=40)).code == 0
    told = solon("review", "draw", run, "--n", 5)
    found = re.search(r"(\d+) couples are new since the last round: draw at least (\d+) for an even sample", told.out)
    assert found
    new, needed = map(int, found.groups())
    assert new > 5
    assert needed == ceil(new * 40 / first["couples"]) > 5
    assert "even sample" not in solon("review", "draw", run, "--n", 5).out


def test_a_draw_that_keeps_up_with_the_growth_says_nothing_of_it(run: Path, solon: Solon, write_run: WriteRun) -> None:
    solon("review", "draw", run, "--n", 10, "--policy", "random")
    assert solon("run", write_run(CHANGES, prompts=24)).code == 0
    told = solon("review", "draw", run, "--n", 10)
    assert told.code == 0
    assert "even sample" not in told.out


def test_a_draw_goes_on_where_everybody_who_labelled_is_dropped(run: Path, solon: Solon, tmp_path: Path) -> None:
    solon("review", "draw", run, "--n", 12)
    label_all(tmp_path, "ann")
    with open_review(folder(tmp_path)) as store:
        store.set_dropped("ann", True, "lead", 2000.0)
    told = solon("review", "draw", run, "--n", 6, "--json").data
    assert (sum(told["drawn"].values()), told["by_labels"]) == (6, 0)


def test_items_with_a_known_label_come_from_a_table_of_the_runs_couples_or_from_lines_of_others(
    run: Path, solon: Solon, tmp_path: Path
) -> None:
    solon("review", "draw", run, "--n", 1)
    with open_review(folder(tmp_path)) as store:
        drawn = {stored.item for stored in store.tasks()}
        fresh = [one.item for one in store.pool() if one.item not in drawn][:2]
    known = tmp_path / "known.csv"
    known.write_text(f"item,choice\n{fresh[0]},both bad\n{fresh[1]},2\n")
    told = solon("review", "draw", run, "--n", 10, "--gold", known, "--json").data
    assert told["drawn"]["gold"] == 2
    line = {"prompt": "Why?", "completion_1": "Since.", "completion_2": "No.", "choice": "tie"}
    (tmp_path / "known.jsonl").write_text(json.dumps(line) + "\n")
    assert (
        solon("review", "draw", run, "--n", 5, "--gold", tmp_path / "known.jsonl", "--json").data["drawn"]["gold"] == 1
    )
    with open_review(folder(tmp_path)) as store:
        gold = {stored.item: stored.task for stored in store.tasks() if stored.task.kind == "gold"}
        assert gold[fresh[0]].known == "both bad"
        assert sorted(one.known or "" for one in gold.values()) == ["2", "both bad", "tie"]
        assert all(len(name) == len(fresh[0]) and one.body.guides for name, one in gold.items())
    again = solon("review", "draw", run, "--n", 5, "--gold", known, "--json").data
    assert again["drawn"]["gold"] == 0


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("item,choice\nnobody,1\n", ":2: 'nobody' is no couple of this run"),
        ("item,choice\nnobody,3\n", ":2: '3' is no choice"),
        ("item\nx\n", "has no column choice"),
        ("item,choice\n", "holds no item"),
    ],
)
def test_a_table_of_known_labels_that_does_not_fit_is_refused_in_one_line(
    run: Path, solon: Solon, tmp_path: Path, text: str, fact: str
) -> None:
    (tmp_path / "known.csv").write_text(text)
    told = solon("review", "draw", run, "--n", 5, "--gold", tmp_path / "known.csv")
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert fact in told.err


def test_an_item_with_a_known_label_that_comes_twice_is_refused(run: Path, solon: Solon, tmp_path: Path) -> None:
    line = json.dumps({"prompt": "Why?", "completion_1": "Since.", "completion_2": "No.", "choice": "tie"})
    (tmp_path / "known.jsonl").write_text(f"{line}\n{line}\n")
    told = solon("review", "draw", run, "--n", 5, "--gold", tmp_path / "known.jsonl")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert re.search("holds item .* twice: keep one of the two", told.err)


def test_what_is_no_draw_is_refused_in_one_line(run: Path, solon: Solon) -> None:
    for wrong in (["--policy", "best"], ["--audit-share", 2], ["--gold", "nowhere.csv"]):
        told = solon("review", "draw", run, "--n", 5, *wrong)
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    for verb in ("status", "labels"):
        told = solon("review", verb, run)
        assert (told.code, told.out) == (2, "")
        assert "nothing was drawn" in told.err


def test_the_status_and_the_labels_tell_what_people_said(run: Path, solon: Solon, tmp_path: Path) -> None:
    solon("review", "draw", run, "--n", 12, "--overlap", 2)
    label_all(tmp_path, "ann", 5)
    label_all(tmp_path, "bob")
    told = solon("review", "status", run, "--json").data
    assert told["labels"]["labels"] == 17
    assert {one["name"]: one["labels"] for one in told["annotators"]} == {"ann": 5, "bob": 12}
    assert sum(kind["labelled"] for kind in told["kinds"].values()) == 12
    assert "17 of 24 labels" in solon("review", "status", run).out
    assert solon("review", "labels", run, "--json").data["count"] == 17
    with (tmp_path / run / "review-labels.csv").open() as file:
        rows = [line for line in csv.DictReader(file) if line["choice"]]
    assert Counter(line["annotator"] for line in rows) == {"ann": 5, "bob": 12}
    assert all(0 < float(line["probability"]) <= 1 for line in rows)
    assert not (tmp_path / run / "labels.csv").exists()  # an audit would take it for ever after


def test_an_import_of_the_same_file_twice_changes_nothing(run: Path, solon: Solon, tmp_path: Path) -> None:
    solon("review", "draw", run, "--n", 6)
    out = tmp_path / "tasks"
    assert solon("review", "export", run, "--format", "labelstudio", "--out", out, "--json").data["items"] == 6
    tasks = json.loads((out / "tasks.json").read_text())
    answer = {"from_name": "choice", "value": {"choices": ["left"]}, "to_name": "prompt", "type": "choices"}
    annotation = {"id": 1, "completed_by": 7, "result": [answer], "created_at": "2026-01-02T03:04:05Z"}
    done = [{"id": n, "data": task["data"], "annotations": [annotation]} for n, task in enumerate(tasks)]
    (tmp_path / "done.json").write_text(json.dumps(done))
    import_ = ("review", "import", run, tmp_path / "done.json", "--format", "labelstudio", "--json")
    assert solon(*import_).data["new"] == 6
    with open_review(folder(tmp_path)) as store:
        labels: tuple[HumanLabel, ...] = store.labels()
        left = {task["data"]["item"]: task["data"]["left"] for task in tasks}
        texts = {stored.item: stored.task.body.completions for stored in store.tasks()}
    assert all(texts[one.item][int(one.choice) - 1] == left[one.item] for one in labels)
    assert solon(*import_).data == {"new": 0, "replaced": 0, "passed_over": 6, "left_out": {}}
    assert solon("review", "export", run, "--format", "argilla", "--out", tmp_path / "argilla").code == 0
    assert (tmp_path / "argilla/records.json").is_file()
    assert solon("review", "export", run, "--format", "excel", "--out", out).code == 2
