import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import solon
from constitution.errors import InputError
from solon.fake_provider.faults import (
    ROW,
    BatchFaults,
    ErrorKind,
    Fault,
    Faults,
    ReplyKind,
    Strikes,
    WireKind,
    load_faults,
)
from solon.fake_provider.log import Record

CHAT = "POST /v1/chat/completions"
WHOLE = """
seed = 7

[[fault]]
kind = "rate-limit"
share = 0.05
retry_after = "2"
header = "retry-after-ms"
model = "echo"

[[fault]]
kind = "drip"
first = 3
seconds = 2

[batch]
seconds = 0.1
shuffled = true
missing = 0.25
whole = "expired"
"""


def load(tmp_path: Path, text: str) -> Faults:
    path = tmp_path / "faults.toml"
    path.write_text(text, encoding="utf-8")
    return load_faults(path)


def test_a_faults_file_is_read_as_it_stands(tmp_path: Path) -> None:
    assert load(tmp_path, WHOLE) == Faults(
        7,
        (
            Fault("rate-limit", share=0.05, retry_after="2", header="retry-after-ms", model="echo"),
            Fault("drip", first=3, seconds=2.0),
        ),
        BatchFaults(seconds=0.1, shuffled=True, missing=0.25, whole="expired"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[[fault]]\nkind = "reset"\nshares = 0.5\n',
            "faults.toml:3: unknown key 'fault.0.shares': did you mean 'share",
        ),
        ('[[fault]]\nkind = "sulk"\n', "faults.toml:2: 'fault.0.kind' cannot be read"),
        ("[[fault]]\nshare = 0.5\n", "missing key 'fault.0.kind'"),
        ('[[fault]]\nkind = "reset"\nshare = 1.5\n', "faults.toml:3: 'fault.0.share' cannot be read"),
        ('seed = 1\n[[fault]]\nkind = "reset"\nshare = 0.5\nfirst = 2\n', "say share or first, not both"),
        ('[[fault]]\nkind = "empty"\non = "GET /v1/batches/*"\n', "is no model call"),
        ("[batch]\nmissing = 0.6\nforged = 0.6\n", "come to more than 1"),
        ("[batch]\nlost = 0.6\n", "faults.toml:2: unknown key 'batch.lost'"),
        ("kind = \n", "not TOML"),
    ],
)
def test_a_faults_file_with_a_mistake_is_refused_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError) as refusal:
        load(tmp_path, text)
    assert told in str(refusal.value)


def test_a_faults_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        load_faults(tmp_path / "none.toml")


def struck(fault: Fault, calls: int = 2000, seed: int = 0, target: str = CHAT, model: str = "echo") -> list[int]:
    strikes = Strikes(Faults(seed, (fault,)))
    return [number for number in range(1, calls + 1) if strikes.draw(number, target, model)]


def test_a_share_of_the_calls_is_struck_the_same_ones_every_time() -> None:
    numbers = struck(Fault("reset", share=0.2))
    assert 300 < len(numbers) < 500
    assert numbers == struck(Fault("reset", share=0.2))
    assert numbers != struck(Fault("reset", share=0.2), seed=1)


def test_a_fault_without_a_share_strikes_every_call() -> None:
    assert len(struck(Fault("reset"), 5)) == 5
    assert struck(Fault("reset", share=0.0), 50) == []


@given(st.integers(1, 20), st.integers(0, 30))
def test_the_first_calls_are_the_first_of_those_that_the_fault_concerns(first: int, others: int) -> None:
    strikes = Strikes(Faults(0, (Fault("reset", first=first, model="echo"),)))
    for number in range(others):
        assert strikes.draw(number, CHAT, "another") is None
    drawn = [strikes.draw(number, CHAT, "echo") for number in range(first + 3)]
    assert [fault is not None for fault in drawn] == [True] * first + [False] * 3


def test_of_several_faults_the_first_in_the_file_strikes_and_the_others_go_on_counting() -> None:
    strikes = Strikes(Faults(0, (Fault("quota", first=1), Fault("reset", first=2))))
    kinds = [fault.kind if (fault := strikes.draw(n, CHAT, "m")) else None for n in range(3)]
    assert kinds == ["quota", "reset", None]


def test_two_faults_of_one_share_strike_different_calls() -> None:
    both = Faults(0, (Fault("reset", share=0.5), Fault("hang", share=0.5)))
    kinds = {fault.kind if (fault := Strikes(both).draw(n, CHAT, "m")) else None for n in range(50)}
    assert kinds == {"reset", "hang", None}


@pytest.mark.parametrize(
    ("fault", "target", "concerned"),
    [
        (Fault("reset"), "POST /v1/messages", True),
        (Fault("reset"), "GET /v1/batches/batch_1", False),
        (Fault("reset"), ROW, False),
        (Fault("refusal"), ROW, True),
        (Fault("reset", on="GET /v1/batches/*"), "GET /v1/batches/batch_1", True),
        (Fault("reset", on="GET /v1/batches/*"), "POST /v1/batches", False),
        (Fault("reset", on="* /v1/batches*"), "POST /v1/batches", True),
        (Fault("reset", on="GET /v1/batches/*"), CHAT, False),
    ],
)
def test_a_fault_concerns_model_calls_unless_it_says_what_else(fault: Fault, target: str, concerned: bool) -> None:
    assert fault.concerns(target, "echo") is concerned


def test_rows_meet_the_fates_in_their_shares() -> None:
    faults = BatchFaults(missing=0.2, doubled=0.2, failed=0.2, expired=0.2, forged=0.1)
    fates = [faults.fate(0, 1, f"row-{number}") for number in range(3000)]
    assert all(500 < fates.count(fate) < 700 for fate in ("missing", "doubled", "failed", "expired"))
    assert 230 < fates.count("forged") < 370
    assert 230 < fates.count(None) < 370


def test_a_row_sent_again_in_another_batch_is_drawn_anew() -> None:
    faults = BatchFaults(missing=0.5)
    assert len({faults.fate(0, batch, "row") for batch in range(20)}) == 2


def test_the_documentation_tells_of_every_kind_and_key_and_its_example_is_a_faults_file(tmp_path: Path) -> None:
    told = (Path(solon.__file__).parents[1] / "docs" / "fake-provider.md").read_text(encoding="utf-8")
    kinds = {kind for group in (ErrorKind, WireKind, ReplyKind) for kind in get_args(group)}
    keys = {field.name for record in (Fault, BatchFaults, Faults, Record) for field in fields(record)} - {"fault"}
    known = {
        name for cell in re.findall(r"^\| (`[^|]*`) \|", told, re.MULTILINE) for name in re.findall(r"`(.+?)`", cell)
    }
    assert kinds <= known
    assert keys - known <= {"kind", "share", "first", "seed", "batch", "event"}
    assert len(load(tmp_path, told.split("```toml\n")[1].split("```")[0]).fault) == 3
