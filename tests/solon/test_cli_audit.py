"""`solon audit` and what goes with it, as people type it: one object on stdout, or one clear line and exit code 2."""

import csv
import gzip
import io
import json
import random
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


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ((), "audit: needs a run or a file of verdicts: solon audit RUN, or --verdicts V.csv --labels L.csv"),
        (("run", "--verdicts", "V.csv", "--labels", "L.csv"), "audit: needs a run or a file of verdicts"),
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


def label(run: Path, solon: Solon, share: float = 1.0) -> Path:
    """People prefer the shorter completion, of the first ``share`` of the items; every tenth time the longer."""
    written = solon("export", run, "--format", "items", "--json").data["file"]
    items = [json.loads(line) for line in Path(written).read_text().splitlines()]
    rows = []
    for n, item in enumerate(items[: int(len(items) * share)]):
        shorter = 1 if len(item["completion_1"]) < len(item["completion_2"]) else 2
        rows.append({"item": item["item"], "annotator": "ann", "choice": 3 - shorter if n % 10 == 9 else shorter})
    (run / "labels.csv").write_text(table(rows))
    return run / "labels.csv"


def test_a_run_is_audited_on_its_own_labels_and_gets_a_page(run: Path, solon: Solon) -> None:
    label(run, solon)
    found = solon("audit", run, "--splits", 4, "--json").data
    assert {"check / short", "rambler / direct", "rambler / plain", "the run's label"} == set(found["judges"])
    assert found["by_judge"]["rambler / direct"]["accuracy"] > 0.6
    assert found["by_judge"]["check / short"]["position"]["items"] == 0
    assert (found["verdicts"], found["labels"]) == (str(run), str(run / "labels.csv"))
    assert json.loads((run / "audit" / "audit.json").read_text()) == found
    page = (run / "audit" / "audit.html").read_text()
    assert "rambler / direct" in page
    divided = solon("audit", run, "--splits", 4, "--stratum", "source", "--json").data
    assert divided["strata"].keys() == {"a", "b"}
    assert "a run's items are divided by the prompts' source only" in solon("audit", run, "--stratum", "topic").line


def test_a_run_without_labels_is_told_how_to_get_some(run: Path, solon: Solon, tmp_path: Path) -> None:
    line = solon("audit", run, "--json").line
    assert "labels.csv: there are no human labels of this run yet: write item,annotator,choice there" in line
    assert "--format items" in line
    elsewhere = tmp_path / "elsewhere.csv"
    label(run, solon).rename(elsewhere)
    assert solon("audit", run, "--labels", elsewhere, "--splits", 2, "--json").data["labels"] == str(elsewhere)


def test_exported_verdicts_give_the_figures_of_the_run_itself(run: Path, solon: Solon, tmp_path: Path) -> None:
    labels = label(run, solon)
    file = solon("export", run, "--format", "verdicts", "--out", tmp_path / "mine", "--json").data["file"]
    assert file == str(tmp_path / "mine" / "verdicts.csv")
    own = solon("audit", run, "--stratum", "source", "--splits", 4, "--json").data
    read = solon("audit", "--verdicts", file, "--labels", labels, "--splits", 4, "--json").data
    assert own.keys() - read.keys() == {"canaries", "flags", "repeated"}  # only a run knows them
    only = {"verdicts", "warnings"}
    assert {k: v for k, v in read.items() if k not in only} == {k: own[k] for k in read.keys() - only}


def test_an_unknown_format_and_labels_where_none_belong_are_refused(run: Path, solon: Solon) -> None:
    assert "no such format: use trl, items or verdicts" in solon("export", run, "--format", "csv").line
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
    assert all((row["people"], row["p_chosen"], row["epsilon"]) == (1, 1.0, 0.0) for row in by_people)
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
    line = solon("export", run, "--labels", few, "--out", tmp_path / "third").line
    assert "labels 3 couples of this run: label at least 10 before exporting with labels" in line
    assert not (tmp_path / "third").exists()
