"""Anybody's files of verdicts and labels become one Material, or one clear line about what is wrong with them."""

import csv
import gzip
import io
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.errors import InputError
from judge.audit.table import NONE, TIE, Material
from solon.auditing.read import read_material

pa = pytest.importorskip("pyarrow", reason="pyarrow is in an extra")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is in an extra")

V = "item,judge,order,choice\nx,j,1,1\ny,j,2,2\n"
L = "item,annotator,choice\nx,ann,1\ny,ann,2\n"


def read(folder: Path, verdicts: str | bytes = V, labels: str | bytes = L, stratum: str | None = None) -> Material:
    paths = folder / "V.csv", folder / "L.csv"
    for path, text in zip(paths, (verdicts, labels), strict=True):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_material(*paths, stratum)


def refused(folder: Path, verdicts: str | bytes = V, labels: str | bytes = L, stratum: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, verdicts, labels, stratum)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{folder}/", "")


def same(one: Material, other: Material) -> bool:
    parts = [flat(one), flat(other)]
    return parts[0] == parts[1]


def flat(material: Material) -> list[object]:
    v, labels = material.verdicts, material.labels
    arrays = (v.item, v.judge, v.order, v.choice, v.p_one, v.graded, labels.item, labels.annotator, labels.choice)
    lengths = None if material.lengths is None else material.lengths.tobytes()
    names = [material.items, v.judges, labels.annotators, material.strata, list(v.no_verdicts.items())]
    return [*names, lengths, material.stratum.tobytes(), *[(array.dtype, array.tobytes()) for array in arrays]]


def text_of(rows: Sequence[Mapping[str, object]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


verdict_rows = st.lists(
    st.fixed_dictionaries(
        {
            "item": st.sampled_from(["a", "b", "007", "7", "é,\u2028", "a\nb"]),
            "judge": st.sampled_from(["j", "k"]),
            "order": st.sampled_from(["1", "2", "1.0"]),
            "choice": st.sampled_from(["1", "2", "TIE", "none", "", " 2.0 "]),
            "reason": st.sampled_from(["", "refusal", "truncated"]),
        }
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60)
@given(verdict_rows, st.lists(st.sampled_from(["", "0.1", "0.5", "0.9", "1"]), min_size=30, max_size=30), st.randoms())
def test_shuffled_rows_and_columns_give_the_same_bits(
    rows: list[dict[str, str]], chances: list[str], dice: random.Random
) -> None:
    for row, p in zip(rows, chances, strict=False):
        said = row["choice"].strip().lower()
        fits = {"1": "0.9", "2": "0.1"}.get(said[:1], p) if p else ""
        row["p_first"] = fits if row["order"] != "2" or not fits else str(round(1 - float(fits), 3))
        row["stratum"] = row["item"][:1]
        row["text_1_chars"] = str(len(row["item"]))
    labels = [{"item": item, "annotator": who, "choice": "1"} for item in "a b 007".split() for who in "xy"]
    labels += [{"item": rows[0]["item"], "annotator": "z", "choice": "tie"}]
    again, again_labels = dice.sample(rows, len(rows)), dice.sample(labels, len(labels))
    columns = dice.sample(list(rows[0]), len(rows[0]))
    with TemporaryDirectory() as folder:
        one = read(Path(folder), text_of(rows), text_of(labels))
        turned = text_of([{name: row[name] for name in columns} for row in again])
        other = read(Path(folder), turned, text_of(again_labels))
    assert same(one, other)


def test_choices_are_of_completions_and_chances_are_of_the_slot_shown_first(tmp_path: Path) -> None:
    rows = "x,j,1,1,0.8\nx,j,2,1,0.3\ny,j,1,tie,\ny,j,2,none,0.9\nz,j,2,,0.25\n"
    said = read(tmp_path, "item,judge,order,choice,p_first\n" + rows).verdicts
    assert said.choice.tolist() == [1, 1, TIE, NONE, 1]
    assert said.p_one.tolist() == [0.8, 0.7, 0.5, 0.5, 0.75]
    assert said.graded.tolist() == [True, True, False, False, True]
    assert said.no_verdicts == {"none": 1}


def test_chances_alone_are_verdicts_enough(tmp_path: Path) -> None:
    said = read(tmp_path, "item,judge,order,p_first\nx,j,1,0.8\nx,j,2,0.8\ny,j,1,0.5\ny,j,2,\n").verdicts
    assert said.choice.tolist() == [1, 2, TIE, NONE]
    assert said.no_verdicts == {"none": 1}


def test_a_reason_says_why_there_is_no_verdict(tmp_path: Path) -> None:
    rows = "x,j,1,none,refusal\nx,j,2,,truncated\ny,j,1,NONE,\ny,j,2,1,refusal\n"
    said = read(tmp_path, "item,judge,order,choice,reason\n" + rows).verdicts
    assert said.no_verdicts == {"none": 1, "refusal": 1, "truncated": 1}


def test_a_raw_reply_goes_before_the_choice_and_names_what_was_shown(tmp_path: Path) -> None:
    rows = [
        {"item": "x", "order": 1, "choice": "2", "raw": "Response A is better."},
        {"item": "x", "order": 2, "choice": "", "raw": "Response A is better."},
        {"item": "y", "order": 1, "choice": "2", "raw": "Here is a poem,\nabout the sea."},
        {"item": "y", "order": 2, "choice": "1", "raw": " "},
    ]
    said = read(tmp_path, text_of([row | {"judge": "j"} for row in rows])).verdicts
    assert said.choice.tolist() == [1, 2, NONE, 1]
    assert sum(said.no_verdicts.values()) == 1
    assert "none" not in said.no_verdicts


def test_repetitions_are_kept(tmp_path: Path) -> None:
    said = read(tmp_path, V + "x,j,1,2\nx,j,1,1\n").verdicts
    assert said.choice.tolist() == [1, 1, 2, 2]


def test_items_of_either_file_are_items_and_their_names_stay_as_written(tmp_path: Path) -> None:
    labels = "choice,further,item\n2,,7\ntie,,x\nnone,,only labelled\n"
    material = read(tmp_path, "order,item,judge,choice\n1,007,j,1\n1,7,j,2\n1,x,j,2\n", labels)
    assert material.items == ("007", "7", "only labelled", "x")
    assert material.labels.annotators == ("human",)
    assert material.labels.choice.tolist() == [2, NONE, TIE]
    assert (material.strata, material.stratum.tolist()) == (("all",), [0, 0, 0, 0])
    assert material.lengths is None


def test_lengths_may_be_given_in_one_row_or_for_some_items(tmp_path: Path) -> None:
    rows = "x,j,1,1,10,20.0\nx,j,2,1,,20\ny,j,1,2,,\nz,j,1,2,5,\n"
    material = read(tmp_path, "item,judge,order,choice,text_1_chars,text_2_chars\n" + rows)
    assert material.lengths is not None
    assert material.lengths.tolist() == [[10, 20], [-1, -1], [5, -1]]


def test_a_stratum_comes_from_either_file(tmp_path: Path) -> None:
    verdicts = "item,judge,order,choice,stratum,kind\nx,j,1,1,s,k\ny,j,2,2,,\nx,k,1,1,,k\n"
    labels = "item,choice,topic,kind\nx,1,poems,k\ny,2,prose,\nz,2,,l\n"
    material = read(tmp_path, verdicts, labels)
    assert (material.strata, material.stratum.tolist()) == (("(none)", "s"), [1, 0, 0])
    material = read(tmp_path, verdicts, labels, "topic")
    assert (material.strata, material.stratum.tolist()) == (("(none)", "poems", "prose"), [1, 2, 0])
    material = read(tmp_path, verdicts, labels, "kind")
    assert (material.strata, material.stratum.tolist()) == (("(none)", "k", "l"), [1, 0, 2])


@pytest.mark.parametrize("name", ["V.csv", "V.CSV.GZ", "V.txt", "V.parquet", "V.PARQUET", "V"])
def test_formats_are_told_by_content(tmp_path: Path, name: str) -> None:
    path, labels = tmp_path / name, tmp_path / "L.csv"
    plain = read(tmp_path)
    if "parquet" in name.lower() or name == "V":
        columns: dict[str, Any] = {"item": ["x", "y"], "judge": ["j", "j"], "order": [1, 2], "choice": [1.0, 2.0]}
        parquet.write_table(pa.table(columns), path)
    else:
        text = ("\ufeff" + V).replace("\n", "\r\n").encode()
        path.write_bytes(gzip.compress(text) if name.endswith("GZ") else text)
    assert same(read_material(path, labels, None), plain)


def test_parquet_numbers_are_names_without_a_point_and_nulls_are_empty(tmp_path: Path) -> None:
    path, labels = tmp_path / "V.parquet", tmp_path / "L.csv"
    columns = {
        "item": pa.array([7, 8, 9]),
        "judge": pa.array(["j", "j", "j"]).dictionary_encode(),
        "order": pa.array([1.0, 2.0, 2.0]),
        "choice": pa.array([1, 2, None]),
        "p_first": pa.array([0.1 + 0.7, None, None]),
    }
    parquet.write_table(pa.table(columns), path)
    labels.write_text("item,choice\n8,1\n")
    material = read_material(path, labels, None)
    assert material.items == ("7", "8", "9")
    assert material.verdicts.p_one.tolist() == [0.1 + 0.7, 0.0, 0.5]
    assert material.verdicts.choice.tolist() == [1, 2, NONE]


HEAD = "item,judge,order,choice,p_first,text_1_chars,stratum\n"
GOOD = "x,j,1,1,0.9,10,s\n"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("x,j,1,nan,,,", "V.csv:3: choice is 'nan': give 1, 2, tie or none"),
        ("x,j,1,3,,,", "V.csv:3: choice is '3'"),
        ("x,j,1,model_a,,,", "V.csv:3: choice is 'model_a'"),
        ("x,j,0,1,,,", "V.csv:3: order is '0': give 1 or 2"),
        ("x,j,,1,,,", "V.csv:3: order is ''"),
        ("x,j,1,1,1.5,,", "V.csv:3: p_first is '1.5': give a chance from 0 to 1"),
        ("x,j,1,1,-0.1,,", "V.csv:3: p_first is '-0.1'"),
        ("x,j,1,1,nan,,", "V.csv:3: p_first is 'nan'"),
        ("x,j,1,1,high,,", "V.csv:3: p_first is 'high'"),
        ('x,j,1,1,"0,9",,', "V.csv:3: p_first is '0,9'"),
        ("x,j,1,1,,ten,", "V.csv:3: text_1_chars is 'ten'"),
        ("x,j,1,1,,-3,", "V.csv:3: text_1_chars is '-3'"),
        ("x,j,1,1,,1e999,", "V.csv:3: text_1_chars is '1e999'"),
        ("x,j,1,1,,nan,", "V.csv:3: text_1_chars is 'nan'"),
        ("x,j,2,1,,11,", "V.csv:3: text_1_chars is '11', and an earlier row of item 'x' gives another"),
        ("x,j,2,1,,,t", "V.csv:3: stratum is 't', and an earlier row of item 'x' gives another"),
        (" ,j,1,1,,,", "V.csv:3: item is empty"),
        ("x,,1,1,,,", "V.csv:3: judge is empty"),
        ("x,j,1,1,,", "V.csv:3: has 6 cells where the header has 7"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, row: str, says: str) -> None:
    assert refused(tmp_path, HEAD + GOOD + row + "\n").startswith(says)


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    head, row = "raw,item,judge,order,choice\r\n", '"a reply\r\nof two lines",x,j,1,1\r\n\r\n'
    assert refused(tmp_path, head + row * 2 + ",x,j,1,?\r\n").startswith("V.csv:8: choice is '?'")
    assert refused(tmp_path, gzip.compress((head + row + "\r\n,x,j\r\n").encode())).startswith("V.csv:6: has 3 cells")


def test_cells_of_many_lines_may_lie_anywhere_in_a_long_file(tmp_path: Path) -> None:
    notes = '"' + "a line\n" * 200_000 + '"'  # 1.4 MB
    rows = "".join(f"x,j,1,{choice},{notes}\n" for choice in "1122122")
    assert read(tmp_path, "item,judge,order,choice,notes\n" + rows).verdicts.choice.tolist() == [1, 1, 1, 2, 2, 2, 2]


def test_a_row_of_parquet_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "V.parquet"
    read(tmp_path)
    parquet.write_table(pa.table({"item": ["x"] * 2, "judge": ["j"] * 2, "order": [1, 2], "choice": ["1", "?"]}), path)
    with pytest.raises(InputError, match="row 2: choice is '\\?'"):
        read_material(path, tmp_path / "L.csv", None)


def test_chances_of_completion_1_are_taken_as_that_where_the_choices_say_so_and_it_is_told(tmp_path: Path) -> None:
    head, first = "item,judge,order,choice,p_first\n", "x,j,1,1,0.9\n"
    shown = read(tmp_path, head + first + "x,j,2,1,0.1\ny,j,2,2,0.8\n").verdicts
    own = read(tmp_path, head + first + "x,j,2,1,0.9\ny,j,2,2,0.2\ny,j,2,2,0.9\n").verdicts
    assert shown.p_one.tolist() == [0.9, 0.9, pytest.approx(0.2)]
    assert shown.notes == ()
    assert own.p_one.tolist() == [0.9, 0.9, 0.2, 0.9]
    assert "completion 1" in own.notes[0]


def test_what_a_chance_means_is_decided_for_each_judge_and_those_taken_otherwise_are_named(tmp_path: Path) -> None:
    head = "item,judge,order,choice,p_first\n"
    rows = "x,shown,2,1,0.1\ny,shown,2,2,0.8\nz,shown,2,2,0.7\nx,own,2,1,0.9\ny,own,1,1,0.6\nx,other,2,2,0.2\n"
    said = read(tmp_path, head + rows).verdicts
    found = {(said.judges[j], int(i)): p for j, i, p in zip(said.judge, said.item, said.p_one, strict=True)}
    assert [found["shown", item] for item in (0, 1, 2)] == pytest.approx([0.9, 0.2, 0.3])
    assert [found["own", 0], found["own", 1], found["other", 0]] == [0.9, 0.6, 0.2]
    (note,) = said.notes
    assert note.startswith("p_first of other, own is read as the chance of the item's completion 1")


def test_a_row_without_choice_and_annotator_is_there_for_its_items_chance_only(tmp_path: Path) -> None:
    verdicts = V + "z,j,1,1\n"
    rows = "item,annotator,choice,state,probability\nx,ann,1,done,0.5\ny,,,later,0.25\n"
    material = read(tmp_path, verdicts, rows)
    assert material.labels.annotators == ("ann",)
    assert material.labels.item.tolist() == [0]
    assert material.labels.probability is not None
    assert material.labels.probability.tolist() == [0.5, 0.25, 0.0]
    alone = read(tmp_path, verdicts, "item,choice,probability\nx,1,0.5\ny,,0.25\n")
    assert (alone.labels.annotators, alone.labels.item.tolist()) == (("human",), [0])
    nobody = read(tmp_path, verdicts, "item,annotator,choice,probability\nx,,,0.5\ny,,,0.5\n")
    assert (nobody.labels.annotators, nobody.labels.item.tolist()) == ((), [])
    assert "L.csv:3: annotator is empty" in refused(tmp_path, verdicts, rows.replace(",,,later", ",,2,later"))


def test_chances_that_were_sampled_against_now_and_then_are_taken(tmp_path: Path) -> None:
    said = read(tmp_path, "item,judge,order,choice,p_first\nx,j,2,1,0.1\nx,j,2,1,0.9\n").verdicts
    assert said.p_one.tolist() == [1 - 0.9, 0.9]
    assert said.choice.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("item,annotator,choice\nx,a,1\ny,a,1\nx,a,1\n", "L.csv:4: labels an item that annotator 'a' has labelled"),
        ("item,choice\nx,1\nx,2\n", "say who in a column 'annotator'"),
        ("item,annotator,choice\nx,a,first\n", "L.csv:2: choice is 'first'"),
        ("item,annotator,choice\nx,,1\n", "L.csv:2: annotator is empty"),
        ("item,annotator\nx,a\n", "L.csv: has no column 'choice' (only 'item', 'annotator')"),
        ("item,annotator,choice\n", "L.csv: has no rows"),
        ("item,annotator,choice\nX,a,1\n", "L.csv: no item of it is in V.csv: it has 'X', that one has 'x'"),
        ("item,item,choice\nx,x,1\n", "L.csv: has two columns 'item'"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path: Path, labels: str, says: str) -> None:
    assert says in refused(tmp_path, labels=labels)


@pytest.mark.parametrize(
    ("verdicts", "says"),
    [
        (
            "item,judge,choice\nx,j,1\n",
            "'order' (only 'item', 'judge', 'choice'): add it: the completion that was shown",
        ),
        ("item,judge,order\nx,j,1\n", "has no column 'choice'"),
        ("item;judge;order;choice\nx;j;1;1\n", "has no column 'item' (only 'item;judge;order;choice')"),
        ("", "V.csv: is empty"),
        ("\n\n", "V.csv: has no column 'item'"),
        (V.encode("utf-16"), "V.csv: is not UTF-8 text"),
        (V.replace(",j,", ",\xe9,").encode("latin-1"), "V.csv: cannot be read"),
        (gzip.compress(V.encode() * 50)[:-20], "V.csv: cannot be read"),
        (b"PAR1 and then nothing", "V.csv: cannot be read"),
    ],
)
def test_files_that_are_no_such_table_are_refused(tmp_path: Path, verdicts: str | bytes, says: str) -> None:
    assert says in refused(tmp_path, verdicts)


def test_paths_that_are_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "L.csv").write_text(L)
    (tmp_path / "V.parquet").write_text(V)
    for path, says in ((tmp_path, "is a folder"), (tmp_path / "W.csv", "no such file"), (tmp_path / "V.parquet", "")):
        with pytest.raises(InputError, match=f"{re.escape(str(path))}: {says}"):
            read_material(path, tmp_path / "L.csv", None)


def test_the_two_files_must_agree_on_a_stratum(tmp_path: Path) -> None:
    told = refused(tmp_path, "item,judge,order,choice,kind\nx,j,1,1,k\n", "item,choice,kind\ny,1,k\nx,1,l\n", "kind")
    assert told.startswith("L.csv:3: kind is 'l'")


def test_a_stratum_column_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    told = refused(tmp_path, stratum="topic")
    assert told.startswith("--stratum: there is no column 'topic' (V.csv has 'item', 'judge', 'order', 'choice'; L.csv")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refused(tmp_path) == "audit: pyarrow is not installed: pip install 'solon[audit]'"


def test_arrays_are_whole_numbers_of_one_kind(tmp_path: Path) -> None:
    material = read(tmp_path)
    said, labels = material.verdicts, material.labels
    for array in (said.item, said.judge, said.order, said.choice, labels.item, labels.annotator, material.stratum):
        assert array.dtype == np.int64
    assert (said.p_one.dtype, said.graded.dtype) == (np.float64, np.bool_)
