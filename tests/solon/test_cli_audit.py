"""`solon audit` and what goes with it, as people type it: one object on stdout, or one clear line and exit code 2."""

import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyarrow import parquet

from solon.cli import main

pytest.importorskip("scipy", reason="scipy is in an extra")

WriteRun = Callable[..., Path]
Cells = Mapping[str, object]


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        assert self.err == ""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def line(self) -> str:
        """The one line of a refusal."""
        assert (self.code, self.out) == (2, "")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("error: ")


Solon = Callable[..., Said]


@pytest.fixture
def solon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Solon:
    """The whole command line, in this process, which is quicker than a child."""

    def run(*args: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["solon", *map(str, args)])
        capsys.readouterr()
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        return Said(code, *capsys.readouterr())

    return run


def table(rows: Sequence[Cells]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Sixty items, a judge that is right in three of four, everything labelled by one person."""
    rng = random.Random(3)
    verdicts: list[Cells] = []
    labels: list[Cells] = []
    for n in range(60):
        truth, right = rng.choice((1, 2)), rng.random() < 0.75
        for order in (1, 2):
            first = 0.8 if right == (truth == order) else 0.3
            verdicts.append(
                {"item": f"i{n:02}", "judge": "J", "order": order, "choice": order if first > 0.5 else 3 - order,
                 "p_first": first, "topic": "law" if n % 3 else "art"}
            )  # fmt: skip
        labels.append({"item": f"i{n:02}", "annotator": "ann", "choice": truth})
    verdicts[7] = {**verdicts[7], "choice": "none", "p_first": ""}
    (tmp_path / "V.csv").write_text(table(verdicts))
    (tmp_path / "L.csv").write_text(table(labels))
    return tmp_path / "V.csv", tmp_path / "L.csv"


def test_recorded_verdicts_give_one_object_with_every_figure_that_programs_rely_on(
    cli: Callable[..., Any], files: tuple[Path, Path]
) -> None:
    verdicts, labels = files
    said = cli("audit", "--verdicts", verdicts, "--labels", labels, "--anchor", 20, "--splits", 4, "--json")
    assert (said.returncode, said.stderr) == (0, "")
    found = json.loads(said.stdout)
    assert 0.6 < found["accuracy"] < 0.9
    assert found["no_verdicts"] == {"none": 1}
    assert found["position"]["items"] == 59
    assert found["calibration"]["before"]["ece"] > 0
    assert (found["anchored"]["labels"], found["anchored"]["splits"]) == (20, 4)
    assert {"accuracy", "ece"} <= found["anchored"].keys()
    assert (found["ppi"]["simulated"], found["ppi"]["labels"]) == (4, 20)
    assert found["ppi"]["interval"][0] < found["ppi"]["estimate"] < found["ppi"]["interval"][1]
    assert found["ppi"]["width_ratio"] <= 1
    assert found["strata"] == {}
    assert (found["verdicts"], found["labels"]) == (str(verdicts), str(labels))
    assert not (verdicts.parent / "audit").exists()


def test_without_json_a_person_is_told_in_words(solon: Solon, files: tuple[Path, Path]) -> None:
    said = solon("audit", "--verdicts", files[0], "--labels", files[1])
    assert (said.code, said.err) == (0, "")
    assert "60 items" in said.out
    assert not said.out.startswith("{")


def test_whatever_the_order_of_rows_and_the_kind_of_file_the_bytes_are_the_same(
    solon: Solon, files: tuple[Path, Path], tmp_path: Path
) -> None:
    def look(*paths: Path) -> str:
        found = solon("audit", "--verdicts", paths[0], "--labels", paths[1], "--splits", 4, "--json").data
        return json.dumps({key: value for key, value in found.items() if key not in ("verdicts", "labels")})

    straight = look(*files)
    assert look(*files) == straight
    turned = []
    for path in files:
        head, *lines = path.read_text().splitlines()
        random.Random(5).shuffle(lines)
        turned.append(tmp_path / f"turned-{path.name}.gz")
        turned[-1].write_bytes(gzip.compress("\n".join([head, *lines]).encode()))
    assert look(*turned) == straight


def test_a_column_divides_the_items(solon: Solon, files: tuple[Path, Path]) -> None:
    found = solon("audit", "--verdicts", files[0], "--labels", files[1], "--stratum", "topic", "--json").data
    assert {name: stratum["items"] for name, stratum in found["strata"].items()} == {"art": 20, "law": 40}
    refused = solon("audit", "--verdicts", files[0], "--labels", files[1], "--stratum", "colour", "--json")
    assert "--stratum: there is no column 'colour'" in refused.line


def test_the_seed_and_the_splits_are_used(solon: Solon, files: tuple[Path, Path]) -> None:
    def anchored(*more: object) -> dict[str, Any]:
        found = solon("audit", "--verdicts", files[0], "--labels", files[1], "--anchor", 10, "--json", *more).data
        anchored: dict[str, Any] = found["anchored"]
        return anchored

    one, other, longer = anchored("--splits", 3), anchored("--splits", 3, "--seed", 1), anchored("--splits", 9)
    assert one["accuracy"] != other["accuracy"]
    assert (one["accuracy_n"], longer["accuracy_n"]) == (3, 9)


def test_a_page_goes_where_it_is_asked_for(solon: Solon, files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "a" / "page"
    found = solon("audit", "--verdicts", files[0], "--labels", files[1], "--out", out, "--json").data
    assert json.loads((out / "audit.json").read_text()) == found
    assert (out / "audit.html").read_text().startswith("<!doctype html>")
    refused = solon("audit", "--verdicts", files[0], "--labels", files[1], "--out", files[0])
    assert "is no folder" in refused.line


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_without_labels_the_first_items_to_label_are_drawn_and_nothing_is_audited(
    solon: Solon, files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "first"
    said = solon("audit", "--verdicts", files[0], "--propose", 20, "--out", out)
    assert (said.code, said.err) == (0, "")
    assert said.out.count("\n") == 1
    assert "nothing is audited, as there are no labels yet" in said.out
    assert [path.name for path in out.iterdir()] == ["next.csv"]
    rows = read_rows(out / "next.csv")
    assert list(rows[0]) == ["item", "state", "probability"]
    assert {row["probability"] for row in rows} == {repr(20 / 60)}
    now = [row for row in rows if row["state"] == "now"]
    assert 10 < len(now) < 30
    assert rows[: len(now)] == now
    assert {row["state"] for row in rows[len(now) :]} == {"later"}
    found = solon("audit", "--verdicts", files[0], "--propose", 20, "--out", out, "--json").data
    assert found == {"next": str(out / "next.csv"), "to_label": len(now)}
    assert (
        "--propose: writes a file, and no folder is named"
        in solon("audit", "--verdicts", files[0], "--propose", 20).line
    )


def test_next_csv_filled_in_is_what_the_next_round_takes(
    solon: Solon, files: tuple[Path, Path], tmp_path: Path
) -> None:
    truth = {row["item"]: row["choice"] for row in read_rows(files[1])}
    given: list[Cells] = []
    labels, out = tmp_path / "mine.csv", tmp_path / "rounds"
    for turn in range(3):
        with_labels = ("--labels", labels) if turn else ()
        said = solon("audit", "--verdicts", files[0], *with_labels, "--propose", 15, "--splits", 2, "--out", out)
        assert said.code == 0, said.err
        rows = read_rows(out / "next.csv")
        assert sum(row["state"] == "done" for row in rows) == len(given)
        assert len(rows) == 60
        given = [row for row in rows if row["state"] != "later"]
        filled = [{**row, "choice": truth[row["item"]] if row in given else ""} for row in rows]
        labels.write_text(table(filled))
    assert len(given) == pytest.approx(45, abs=15)
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(len(given), abs=12)


def test_a_run_without_labels_gets_its_first_items_beside_its_page(run: Path, solon: Solon) -> None:
    found = solon("audit", run, "--propose", 10, "--json").data
    assert found["next"] == str(run / "audit" / "next.csv")
    written = solon("export", run, "--format", "items", "--json").data["file"]
    items = {json.loads(line)["item"] for line in Path(written).read_text().splitlines()}
    assert {row["item"] for row in read_rows(run / "audit" / "next.csv")} == items
    label(run, solon)
    assert "by_judge" in solon("audit", run, "--propose", 10, "--splits", 2, "--json").data


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((), "audit: takes either a run or a file of verdicts: solon audit RUN, or --verdicts V.csv --labels L.csv"),
        (("run", "--verdicts", "V.csv", "--labels", "L.csv"), "audit: takes either a run or a file of verdicts"),
        (("--verdicts", "V.csv"), "--verdicts: are nothing to measure by without labels: add --labels L.csv"),
        (("--verdicts", "V.csv", "--labels", "nowhere.csv"), "nowhere.csv: no such file"),
        (("--verdicts", "nowhere.csv", "--labels", "L.csv"), "nowhere.csv: no such file"),
        (("--verdicts", "L.csv", "--labels", "V.csv"), "has no column 'judge'"),
        (("--verdicts", "V.csv", "--labels", "L.csv", "--anchor", "60"), "anchoring on 60 labels: 60 judged items"),
        (("nowhere",), "nowhere: is not a run folder"),
    ],
)
def test_what_cannot_be_audited_is_refused_in_one_line(
    solon: Solon, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], line: str
) -> None:
    monkeypatch.chdir(files[0].parent)
    assert line in solon("audit", *args, "--json").line


def test_an_anchor_of_nothing_is_a_usage_error(solon: Solon, files: tuple[Path, Path]) -> None:
    assert solon("audit", "--verdicts", files[0], "--labels", files[1], "--anchor", 0).code == 2
    assert solon("audit", "--verdicts", files[0], "--labels", files[1], "--splits", 0).code == 2


@pytest.fixture
def run(write_run: WriteRun, solon: Solon, tmp_path: Path) -> Path:
    """A run of twelve prompts from two files, without labels."""
    prompts = [{"prompt": f"Why does the thing number {n} matter so much?", "source": "ab"[n % 2]} for n in range(12)]
    changes = {"judge": {"principles": "all"}, "pairs": {"policy": "all", "min_margin": 0.0}}
    config = write_run({**changes, "export": {"test_share": 0.0}}, prompts=prompts)
    assert solon("run", config, "--out", tmp_path / "run", "--json").code == 0
    return tmp_path / "run"


def label(run: Path, solon: Solon, share: float = 1.0, close: int | None = None) -> Path:
    """People prefer the shorter completion, of the first ``share`` of the items; every tenth time the longer.

    With ``close`` they toss a coin where the two differ by less than so many characters, and never err elsewhere.
    """
    written = solon("export", run, "--format", "items", "--json").data["file"]
    items = [json.loads(line) for line in Path(written).read_text().splitlines()]
    rows = []
    for n, item in enumerate(items[: int(len(items) * share)]):
        shorter = 1 if len(item["completion_1"]) < len(item["completion_2"]) else 2
        alike = abs(len(item["completion_1"]) - len(item["completion_2"])) < (close or 0)
        longer = n % 10 == 9 if close is None else alike and n % 2
        rows.append({"item": item["item"], "annotator": "ann", "choice": 3 - shorter if longer else shorter})
    (run / "labels.csv").write_text(table(rows))
    return run / "labels.csv"


def test_a_run_is_audited_on_its_own_labels_and_gets_a_page(run: Path, solon: Solon) -> None:
    label(run, solon)
    found = solon("audit", run, "--splits", 4, "--json").data
    assert found["by_judge"]["rambler / direct"]["accuracy"] > 0.6
    assert (found["verdicts"], found["labels"]) == (str(run), str(run / "labels.csv"))
    assert json.loads((run / "audit" / "audit.json").read_text()) == found
    page = (run / "audit" / "audit.html").read_text()
    assert "rambler / direct" in page
    divided = solon("audit", run, "--splits", 4, "--stratum", "source", "--json").data
    assert divided["strata"].keys() == {"a", "b"}
    assert "a run's items are divided by the prompts' source only" in solon("audit", run, "--stratum", "topic").line


def test_only_models_are_judges_of_a_run_and_its_label_stands_apart(run: Path, solon: Solon) -> None:
    label(run, solon, share=0.8)
    found = solon("audit", run, "--splits", 4, "--stratum", "source", "--json").data
    models = {"rambler / direct", "rambler / plain"}
    assert set(found["judges"]) == models
    assert found["by_judge"].keys() == models | {"the run's label"}
    assert all(part["judges"].keys() == found["by_judge"].keys() for part in found["strata"].values())
    assert found["best_judge"] in models
    each = [found["by_judge"][name]["accuracy"] for name in models]
    assert min(each) <= found["accuracy"] <= max(each)
    assert all(found["by_judge"][name]["position"]["items"] == found["position"]["items"] for name in models)


def test_what_is_estimated_of_a_run_is_how_often_people_agree_with_its_label(run: Path, solon: Solon) -> None:
    """Every couple is labelled but for some, so the estimate lies by the share counted."""
    label(run, solon, share=0.8)
    found = solon("audit", run, "--splits", 4, "--json").data
    ppi, own = found["ppi"], found["by_judge"]["the run's label"]
    assert ppi["of"] == "people agree with the run's label"
    assert ppi["human_only"]["estimate"] == pytest.approx(own["label"]["accuracy"])
    assert {k: ppi[k] for k in ("estimate", "interval")} == {
        k: ppi["accuracy"]["the run's label"][k] for k in ("estimate", "interval")
    }
    assert ppi["interval"][0] <= ppi["estimate"] <= ppi["interval"][1]
    assert ppi["accuracy"].keys() == found["by_judge"].keys()
    assert set(found["best_judge"].split()) & {"direct", "plain"}
    assert "people agree with the run&#x27;s label in" in (run / "audit" / "audit.html").read_text()


def test_a_run_that_checks_alone_decide_is_audited_by_its_label(
    write_run: WriteRun, solon: Solon, tmp_path: Path
) -> None:
    check = {"id": "short", "rule": "At most 60 words.", "check": {"name": "max_words", "words": 60}}
    config = write_run({"pairs": {"policy": "all", "min_margin": 0.0}}, prompts=8, principles=[check])
    assert solon("run", config, "--out", tmp_path / "run", "--json").code == 0
    label(tmp_path / "run", solon)
    found = solon("audit", tmp_path / "run", "--splits", 4, "--json").data
    assert found["judges"] == ["the run's label"] == [found["best_judge"]]
    assert found["no_verdicts"] == {}


def test_a_run_without_labels_is_told_how_to_get_some(run: Path, solon: Solon, tmp_path: Path) -> None:
    line = solon("audit", run, "--json").line
    assert "labels.csv: there are no human labels of this run yet: write item,annotator,choice there" in line
    assert "--format items" in line
    elsewhere = tmp_path / "elsewhere.csv"
    label(run, solon).rename(elsewhere)
    assert solon("audit", run, "--labels", elsewhere, "--splits", 2, "--json").data["labels"] == str(elsewhere)


def test_exported_verdicts_of_the_models_give_the_figures_of_the_run_itself(
    run: Path, solon: Solon, tmp_path: Path
) -> None:
    labels = label(run, solon)
    file = solon("export", run, "--format", "verdicts", "--out", tmp_path / "mine", "--json").data["file"]
    assert file == str(tmp_path / "mine" / "verdicts.csv")
    lines = Path(file).read_text().splitlines(keepends=True)
    Path(file).write_text("".join(line for line in lines if ",check / " not in line and ",the run's label" not in line))
    own = solon("audit", run, "--stratum", "source", "--splits", 4, "--json").data
    read = solon("audit", "--verdicts", file, "--labels", labels, "--splits", 4, "--json").data
    assert own.keys() - read.keys() == {"canaries", "flags", "repeated"}  # only a run knows them
    assert own["by_judge"].pop("the run's label")
    assert all(part["judges"].pop("the run's label") for part in own["strata"].values())
    only = {"verdicts", "warnings", "ppi", "budget", "needed"}
    assert {k: v for k, v in read.items() if k not in only} == {k: own[k] for k in read.keys() - only}


def test_an_unknown_format_and_labels_where_none_belong_are_refused(run: Path, solon: Solon) -> None:
    assert "no such format: use trl, kto, reward, sft," in solon("export", run, "--format", "csv").line
    labels = label(run, solon)
    refused = solon("export", run, "--format", "items", "--labels", labels)
    assert "--format items: has nothing that people's labels could change: leave out --labels" in refused.line


def test_an_export_with_labels_keeps_both_and_is_the_same_again(run: Path, solon: Solon, tmp_path: Path) -> None:
    labels = label(run, solon, share=0.5)
    for place in ("one", "other"):
        assert solon("export", run, "--labels", labels, "--out", tmp_path / place, "--json").code == 0
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / place).iterdir()} for place in ("one", "other"))
    assert one == other
    rows = parquet.read_table(tmp_path / "one" / "train.parquet").to_pylist()
    by_people = [row for row in rows if row["label_source"] == "human"]
    assert 0 < len(by_people) < len(rows)
    assert all((row["people"], row["p_chosen"], row["epsilon"]) == (1, 1.0, None) for row in by_people)
    assert all(row["decided_by"] == [] for row in by_people)
    assert any(row["ai_p_chosen"] < 0.5 for row in by_people)
    for row in rows:
        if row["label_source"] == "ai":
            assert row["people"] == 0
            assert 0 <= row["epsilon"] <= 0.5
            assert row["p_chosen"] == 1 - row["epsilon"]
    plain = solon("export", run, "--json")
    assert plain.code == 0
    locks = [json.loads((place / "lock.json").read_text()) for place in (tmp_path / "one", run / "export")]
    assert [bool(lock["labels_sha256"]) for lock in locks] == [True, False]
    few = tmp_path / "few.csv"
    few.write_text("".join(labels.read_text().splitlines(keepends=True)[:4]))
    third = solon("export", run, "--labels", few, "--out", tmp_path / "third")
    assert "are in it: of 3 couples, by 1 person; too few to anchor the judges on" in third.out
    rows = parquet.read_table(tmp_path / "third" / "train.parquet").to_pylist()
    assert all(row["epsilon"] is None for row in rows)
    assert any(row["label_source"] == "human" for row in rows)


def test_an_export_under_a_promise_tells_what_it_dropped_and_what_it_promised(
    write_run: WriteRun, solon: Solon, tmp_path: Path
) -> None:
    changes = {"judge": {"principles": "all"}, "pairs": {"policy": "all", "min_margin": 0.0}}
    run = tmp_path / "run"
    assert solon("run", write_run(changes, prompts=60), "--out", run, "--json").code == 0
    labels = label(run, solon, share=0.5, close=100)
    plain = solon("export", run, "--labels", labels, "--out", tmp_path / "plain", "--json").data
    asked = ("export", run, "--labels", labels, "--agreement", 0.8, "--out", tmp_path / "sure")
    found = solon(*asked, "--json").data
    below = found["drops"]["below the promised agreement"]
    assert below > 0
    assert found["pairs"] == found["train"] + found["test"]
    assert found["pairs"] + sum(found["drops"].values()) == plain["pairs"] + sum(plain["drops"].values())
    assert f"{below} below the promised agreement" in solon(*asked).out
    lock, before = (json.loads((tmp_path / name / "lock.json").read_text()) for name in ("sure", "plain"))
    assert (lock["agreement"], lock["delta"]) == (0.8, 0.05)
    assert 0.5 < lock["threshold"] < 1
    assert (before["agreement"], before["threshold"], before["delta"]) == (None, None, None)
    rows = [
        row
        for name in ("train", "test")
        for row in parquet.read_table(tmp_path / "sure" / f"{name}.parquet").to_pylist()
    ]
    assert all(1 - row["epsilon"] >= lock["threshold"] for row in rows if row["label_source"] == "ai")
    assert "add --labels L.csv" in solon("export", run, "--agreement", 0.8).line
    refused = solon("export", run, "--labels", labels, "--agreement", 0.99, "--out", tmp_path / "none").line
    assert "--agreement 0.99: cannot be promised" in refused
    assert "label more couples, or ask for a lower --agreement" in refused
    assert not (tmp_path / "none").exists()


def test_numpy_is_loaded_with_one_thread_by_whatever_measures(run: Path, solon: Solon) -> None:
    """As many threads as the machine has would add numbers up in another order on another machine."""
    labels = label(run, solon)
    watching = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'numpy': print('threads', os.environ.get('OPENBLAS_NUM_THREADS'), file=sys.stderr)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from solon.cli import main\nmain()\n"
    )
    env = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    for verb in (["export", str(run), "--labels", str(labels)], ["audit", str(run), "--splits", "2"]):
        child = [sys.executable, "-c", watching, *verb]
        said = subprocess.run(child, env=env, capture_output=True, text=True, timeout=60, check=True)
        assert said.stderr == "threads 1\n"
