import json
from dataclasses import dataclass

import numpy as np

from judge.audit.estimate import Estimate
from judge.audit.plain import plain


@dataclass(frozen=True, slots=True)
class Figures:
    name: str
    share: Estimate | None
    sure: Estimate
    steps: tuple[Estimate, ...]
    other: "Figures | None" = None


SHARE = Estimate(0.5, 0.25, 0.75, 8)
KEYS = ["name", "share", "share_interval", "share_n", "sure", "sure_interval", "sure_n", "steps", "other"]


def test_an_estimate_becomes_its_figure_its_interval_and_its_count() -> None:
    found = plain(Figures("a", SHARE, SHARE, (SHARE,), Figures("b", SHARE, SHARE, ())))
    assert list(found) == list(found["other"]) == KEYS
    assert (found["share"], found["share_interval"], found["share_n"]) == (0.5, [0.25, 0.75], 8)
    assert found["steps"] == [{"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}]
    assert plain({"a": SHARE}) == {"a": 0.5, "a_interval": [0.25, 0.75], "a_n": 8}


def test_a_record_has_the_same_keys_where_an_estimate_is_not_there() -> None:
    found = plain(Figures("a", None, SHARE, ()))
    assert list(found) == KEYS
    assert (found["share"], found["share_interval"], found["share_n"], found["other"]) == (None, None, 0, None)


def test_numbers_of_arrays_become_plain_ones() -> None:
    found = plain({"whole": np.int64(3), "part": np.float64(0.25), "fact": np.bool_(True), "none": None, "many": [1]})
    assert json.dumps(found) == '{"whole": 3, "part": 0.25, "fact": true, "none": null, "many": [1]}'
