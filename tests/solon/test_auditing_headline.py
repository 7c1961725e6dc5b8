"""How good a run's labels are, in one sentence."""

from typing import Any

import numpy as np
import pytest

from judge.audit.ppi import estimate_mean
from solon.auditing.headline import further, headline

OF = "people agree with the run's label"


def audit(**ppi: Any) -> dict[str, Any]:
    found = {"of": OF, "estimate": 0.831, "interval": [0.81, 0.852], "labels": 400, "items": 10_000}
    return {"labelled": ppi.get("labels", 400), "ppi": {**found, **ppi}}


def test_it_says_how_often_labels_are_right_how_sure_that_is_and_what_more_labels_would_make_it() -> None:
    assert headline(audit()) == "AI labels are right 83.1 % ± 2.1 (400 reviewed), 360 more would make it ± 1.5"
    few = headline(audit(estimate=0.5, interval=[0.2, 0.8], labels=8, items=10_000))
    assert few == "AI labels are right 50.0 % ± 30.0 (8 reviewed), 70 more would make it ± 10"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, "AI labels: 1 couple reviewed, too few to say how often they are right"),
        ({"labels": 30, "items": 30, "interval": [0.831, 0.831]}, "right 83.1 % of the time (all 30 couples reviewed)"),
        (
            {"labels": 13, "items": 49, "estimate": 0.98, "interval": [0.52, 1.0]},
            "right 98.0 %, by the labels between 52 and 100 % (13 reviewed), 30 more would make it ± 10",
        ),
        ({"labels": 395, "items": 400, "interval": [0.829, 0.833]}, "AI labels are right 83.1 % ± 0.2 (395 reviewed)"),
    ],
)
def test_where_there_is_little_to_say_it_says_so(found: dict[str, Any] | None, line: str) -> None:
    assert headline({"labelled": 1, "ppi": None} if found is None else audit(**found)).endswith(line)


def test_of_anybodys_verdicts_there_is_no_headline() -> None:
    plain = audit()
    del plain["ppi"]["of"]
    assert headline(plain) == ""


def test_so_many_more_labels_do_make_it_so_narrow() -> None:
    rng, items = np.random.default_rng(0), 3000
    truth = (rng.random(items) < 0.8).astype(np.float64)
    nothing, known = np.zeros((items, 1)), np.zeros((items, 1), dtype=np.bool_)

    def off(count: int) -> float:
        drawn = np.sort(rng.permutation(items)[:count])
        found = estimate_mean(truth[drawn], drawn, nothing, known)
        assert found
        return (found.interval[1] - found.interval[0]) / 2

    now, aim = float(np.mean([off(200) for _ in range(40)])), 0.03
    more = further(200, items, aim / now)
    assert np.mean([off(200 + more) for _ in range(40)]) == pytest.approx(aim, rel=0.06)


@pytest.mark.parametrize("items", [100, 400])
def test_no_more_are_asked_for_than_there_are(items: int) -> None:
    for labels in range(2, items):
        assert 0 <= further(labels, items, 0.5) <= items - labels + 10
        line = headline(audit(labels=labels, items=items, interval=[0.731, 0.931]))
        assert ("more would" in line) is (labels + further(labels, items, 0.75) < items)
