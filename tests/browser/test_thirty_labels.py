"""Thirty items labelled in a browser, exported: labels, sides, provenance and audit agree with what was clicked."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

KEYS = {"1": "1", "2": "2", "t": "tie", "g": "both good", "b": "both bad"}


@dataclass(frozen=True)
class Clicked:
    """What stood on the screen, and what was pressed."""

    item: str
    left: str
    right: str
    key: str

    @property
    def preferred(self) -> str | None:
        return {"1": self.left, "2": self.right}.get(self.key)

    @property
    def other(self) -> str | None:
        return {"1": self.right, "2": self.left}.get(self.key)


def label_thirty(page: Any) -> list[Clicked]:
    """The item's name comes with the reply that brings it; the texts are read off the page."""
    brought: list[dict[str, Any]] = []
    page.on("response", lambda reply: brought.append(reply.json()) if reply.url.endswith("/review/next") else None)
    page.goto("/review?run=demo")
    clicked = []
    for number in range(1, 31):
        page.locator("h1#item", has_text=f"Item {number}:").wait_for()
        left, right = (side.inner_text() for side in page.locator("section.completion > .text").all())
        key = "11221221tgb2"[number % 12]
        clicked.append(Clicked(brought[-1]["shown"]["item"], left, right, key))
        page.keyboard.press(key)
        page.keyboard.press("Enter")
        page.locator("#count", has_text=f"{number} done").wait_for()
    return clicked


def test_what_was_clicked_is_what_is_exported_and_audited(visit: Callable[..., Any], service: Any) -> None:
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    clicked = label_thirty(visit("ann").new_page())
    assert len({one.item for one in clicked}) == 30

    service.solon("export", "runs/demo")
    export = service.run / "export"
    rows = [row for name in ("train", "test") for row in parquet.read_table(export / f"{name}.parquet").to_pylist()]
    by_item = {row["pair_id"]: row for row in rows}
    for one in clicked:
        row = by_item.get(one.item)
        if one.preferred is None:
            assert row is None, "a tie is no preference pair"
            continue
        assert row is not None
        assert row["label_source"] == "human"
        assert (row["people"], row["people_agree"]) == (1, 1)
        assert row["chosen"][0]["content"].strip() == one.preferred.strip()
        assert row["rejected"][0]["content"].strip() == one.other.strip()
        assert row["ai_p_chosen"] is not None
    mine = {one.item for one in clicked}
    assert all(row["label_source"] == "ai" and row["people"] == 0 for row in rows if row["pair_id"] not in mine)

    with (export / "labels.csv").open(newline="") as file:
        labels = {line["item"]: line for line in csv.DictReader(file) if line["choice"]}
    assert labels.keys() == mine
    for one in clicked:
        line = labels[one.item]
        assert line["annotator"] == "ann"
        assert line["said"] == (line["choice"] if one.preferred else KEYS[one.key])
        if one.preferred is not None:
            assert (line["choice"] == line["side"]) == (one.key == "1")
        else:
            assert line["choice"] == "tie"

    told = json.loads(service.solon("audit", "runs/demo", "--json"))
    assert told["ppi"]["labels"] == len(mine)
    assert told["annotators"] == 1
    status = json.loads(service.solon("review", "status", "runs/demo", "--json"))
    assert status["labels"]["labels"] == 30
    lock = json.loads((export / "lock.json").read_text())
    assert lock["labels_sha256"]
