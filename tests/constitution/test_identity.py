import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.identity import ID_LENGTH, canonical_json, full_hash, short_id, unit_interval

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=10
)


def test_a_hash_stays_what_it_was_when_journals_were_written() -> None:
    value = {"b": [2.5, None, "\ud800é"], "a": 1}
    assert canonical_json(value) == rb'{"a":1,"b":[2.5,null,"\ud800\u00e9"]}'
    assert full_hash(value) == "a4c90464c9be347b5233df19dfda43a36660a6358e0058392f4d9a29c16dbf73"
    assert short_id("x", 1) == "59402b0471b497c05ad7"


def test_an_id_is_the_beginning_of_the_hash_of_its_parts() -> None:
    assert short_id("x", [1, None]) == hashlib.sha256(b'["x",[1,null]]').hexdigest()[:ID_LENGTH]


@given(VALUES)
def test_canonical_json_says_the_same_value_in_ascii(value: object) -> None:
    assert canonical_json(value).isascii()
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text(), SCALARS, min_size=2))
def test_the_order_of_keys_changes_no_hash(table: dict[str, object]) -> None:
    assert full_hash(dict(reversed(table.items()))) == full_hash(table)


@given(st.text(alphabet=st.characters(categories=("Cs",)), min_size=1))
def test_lone_surrogates_have_a_hash(text: str) -> None:
    assert len(full_hash(text)) == 64


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(number)


def test_neighbouring_parts_are_kept_apart() -> None:
    assert len({short_id("ab", "c"), short_id("a", "bc"), short_id("abc"), short_id(["ab", "c"])}) == 4


def test_unit_interval_is_read_off_the_hash_away_from_both_ends() -> None:
    assert unit_interval("x", 1) == (0x59402B0471B49 + 0.5) / 2**52


@given(st.lists(st.text() | st.integers()))
def test_unit_interval_lies_strictly_between_0_and_1(parts: list[object]) -> None:
    assert 0 < unit_interval(*parts) < 1


def test_unit_interval_is_evenly_spread() -> None:
    numbers = sorted(unit_interval("spread", n) for n in range(5000))
    assert max(abs(number - (place + 0.5) / 5000) for place, number in enumerate(numbers)) < 0.025
