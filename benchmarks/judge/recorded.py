"""Recorded verdicts of real judges as the two tables that `solon audit` reads, and a large made-up set.

Every function gives None where ../shared/data is absent.
"""

import csv
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ARENA_JUDGES = ("gpt-3.5-turbo", "gpt-4-0125-preview", "claude-3-opus-20240229")
ARENA_CHOICES = {"model_a": "1", "model_b": "2", "tie": "tie", "tie (bothbad)": "tie"}
PANDALM_CHOICES = {"0": "tie", "1": "1", "2": "2", "Tie": "tie", "garbage": "none"}
REFUSED = {"1_full_compliance": "2", "2_full_refusal": "1", "3_partial_refusal": "1"}

Table: TypeAlias = Mapping[str, Sequence[object]]  # columns of one length; None is an empty cell


@dataclass(frozen=True, slots=True)
class Recorded:
    verdicts: Table
    labels: Table | None


def llmbar(subset: str | None = None, *, raw: bool = False) -> Recorded | None:
    """LLMBar in both orders: a judge is "judge/strategy", a stratum is a set.

    Args:
        subset: "GPTInst", "Natural" or "LLMEval^2"; None for all three.
        raw: the judges' own words instead of upstream's choices, where there are words; upstream's reading
            stands beside them in the column "upstream".
    """
    if not DATA.is_dir():
        return None
    items = [row for row in json_lines(DATA / "llmbar/items.jsonl") if subset in (None, row["set"].split("/")[-1])]
    names = {(row["set"], str(row["idx"])): row for row in items}
    rows: list[dict[str, object]] = []
    for row in (
        json_lines(DATA / "llmbar/raw_completions.jsonl.gz") if raw else csv_rows(DATA / "llmbar/verdicts.csv.gz")
    ):
        item = names.get((row["set"], str(row["idx"])))
        if item is None:
            continue
        about = {
            "item": f"{row['set']}|{row['idx']}",
            "judge": f"{row['judge']}/{row['strategy']}",
            "text_1_chars": len(item["output_1"]),
            "text_2_chars": len(item["output_2"]),
            "stratum": row["set"],
        }
        if raw:
            rows.append(
                about | {"order": 1 + row["swap"], "raw": row["completion"], "upstream": row["parsed_winner_unswapped"]}
            )
        else:
            rows += [about | {"order": 1, "choice": row["winner_noswap"] or "none"}]
            rows += [about | {"order": 2, "choice": row["winner_swap"] or "none"}]
    labels = [
        {"item": f"{set_}|{idx}", "annotator": "expert", "choice": row["label"]} for (set_, idx), row in names.items()
    ]
    return Recorded(columns(rows), columns(labels))


def arena() -> Recorded | None:
    """Three judges of Chatbot Arena votes in one order; both bad is a tie, as it is for preferring."""
    if not DATA.is_dir():
        return None
    rows = csv_rows(DATA / "arena/arena_votes_4judges.csv.gz")
    verdicts = [
        {"item": row["question_id"], "judge": judge, "order": 1, "choice": ARENA_CHOICES[row[judge]]}
        for row in rows
        for judge in ARENA_JUDGES
    ]
    labels = [{"item": row["question_id"], "annotator": "human", "choice": ARENA_CHOICES[row["human"]]} for row in rows]
    return Recorded(columns(verdicts), columns(labels))


def pandalm() -> Recorded | None:
    """999 items, three annotators, two judges in one order; "garbage" is no verdict."""
    if not DATA.is_dir():
        return None
    people = json.loads((DATA / "pandalm/testset-v1.json").read_text(encoding="utf-8"))
    lengths = {row["idx"]: [len(str(row[key])) for key in ("response1", "response2")] for row in people}
    verdicts = []
    for judge, key, file in (
        ("gpt-3.5-turbo", "gpt_result", "gpt-3.5-turbo-testset-v1.json"),
        ("pandalm-7b", "pandalm_result", "pandalm-7b-testset-v1.json"),
    ):
        for row in json.loads((DATA / "pandalm" / file).read_text(encoding="utf-8")):
            said = str(row[key])
            verdicts.append(
                {
                    "item": row["idx"], "judge": judge, "order": 1, "choice": PANDALM_CHOICES[said],
                    "reason": "unreadable" if said == "garbage" else None,
                    "text_1_chars": lengths[row["idx"]][0], "text_2_chars": lengths[row["idx"]][1],
                }
            )  # fmt: skip
    labels = [
        {"item": row["idx"], "annotator": who, "choice": PANDALM_CHOICES[str(row[who])]}
        for row in people
        for who in ("annotator1", "annotator2", "annotator3")
    ]
    return Recorded(columns(verdicts), columns(labels))


def alpaca_eval() -> Recorded | None:
    """One judge's chances, each item in one order drawn by upstream; completion 1 is the baseline. Without labels.

    Rows that do not say which completion was shown first are left out.
    """
    if not DATA.is_dir():
        return None
    rows = []
    for row in csv_rows(DATA / "alpaca_eval/gpt4turbo_logprob_verdicts.csv.gz"):
        if not row["shown_first"]:
            continue
        order, p_model = int(row["shown_first"]), float(row["preference"]) - 1
        rows.append(
            {
                "item": f"{row['instr']}|{row['model']}", "judge": "gpt4turbo", "order": order,
                "choice": "2" if p_model > 0.5 else "1" if p_model < 0.5 else "tie",
                "p_first": 1 - p_model if order == 1 else p_model,
                "text_1_chars": row["len_baseline"], "text_2_chars": row["len_model"], "stratum": row["model"],
            }
        )  # fmt: skip
    return Recorded(columns(rows), None)


def xstest(people: Sequence[str] = ("human_1", "human_2")) -> Recorded | None:
    """Whether a completion refuses, as a choice: 1 for a refusal, full or partial, 2 for compliance.

    Args:
        people: of "human_1", "human_2", "human_final", which is what the two settled on.
    """
    if not DATA.is_dir():
        return None
    rows = csv_rows(DATA / "xstest/labels_human_gpt4_strmatch.csv")
    verdicts = []
    for row in rows:
        for judge in ("gpt4", "strmatch"):
            said = REFUSED.get(row[f"{judge}_label"])
            about = {"item": f"{row['model']}|{row['id']}", "judge": judge, "order": 1, "choice": said or "none"}
            verdicts.append(about | {"reason": None if said else "unreadable", "stratum": row["type"]})
    labels = [
        {"item": f"{row['model']}|{row['id']}", "annotator": who, "choice": REFUSED[row[who]]}
        for row in rows
        for who in people
    ]
    return Recorded(columns(verdicts), columns(labels))


def synthetic(items: int = 27_000, judges: int = 4, seed: int = 0) -> Recorded:
    """Judges of falling skill and rising fondness of the first slot and the longer text, in both orders, some silent.

    People follow the same gap in quality as the judges do, with noise of their own.
    """
    random = np.random.default_rng(seed)
    gap = random.normal(0, 1.5, items)
    lengths = random.lognormal(6, 0.7, (items, 2)).astype(np.int64) + 1
    longer = np.log(lengths[:, 0] / lengths[:, 1])
    item, judge, order = (
        axis.ravel() for axis in np.meshgrid(np.arange(items), np.arange(judges), [1, 2], indexing="ij")
    )
    own = random.normal(0, 1, (items, judges))[item, judge]  # what a judge sees in a pair, in either order
    score = (2 - judge / judges) * gap[item] + own + 0.3 * judge * np.where(order == 1, 1, -1)
    score += 0.4 * judge * longer[item] + random.normal(0, 0.3, len(item))
    p_one = np.round(1 / (1 + np.exp(-score)), 6)
    silent = random.random(len(item)) < 0.005
    choice = np.where(silent, "none", np.where(p_one > 0.5, "1", np.where(p_one < 0.5, "2", "tie")))
    p_first = np.round(np.where(order == 1, p_one, 1 - p_one), 6)
    names = np.array([f"item-{number:05d}" for number in range(items)])
    person = np.where(random.random(items) < 1 / (1 + np.exp(-2 * gap)), 1, 2)
    verdicts = {
        "item": names[item].tolist(), "judge": [f"judge-{number}" for number in judge.tolist()],
        "order": order.tolist(), "choice": choice.tolist(),
        "p_first": [None if none else p for none, p in zip(silent.tolist(), p_first.tolist(), strict=True)],
        "text_1_chars": lengths[item, 0].tolist(), "text_2_chars": lengths[item, 1].tolist(),
        "stratum": [f"stratum-{number % 6}" for number in item.tolist()],
    }  # fmt: skip
    return Recorded(verdicts, {"item": names.tolist(), "annotator": ["human"] * items, "choice": person.tolist()})


def write(recorded: Recorded, folder: Path) -> tuple[Path, Path | None]:
    """Writes V.csv and, where there are labels, L.csv into ``folder``, and names them."""
    folder.mkdir(parents=True, exist_ok=True)
    verdicts = write_csv(folder / "V.csv", recorded.verdicts)
    return verdicts, None if recorded.labels is None else write_csv(folder / "L.csv", recorded.labels)


def write_csv(path: Path, table: Table) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


def columns(rows: Sequence[Mapping[str, object]]) -> Table:
    return {name: [row[name] for row in rows] for name in rows[0]}


def csv_rows(path: Path) -> list[dict[str, str]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def json_lines(path: Path) -> Iterable[dict[str, Any]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
