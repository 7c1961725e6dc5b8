"""LLaMA-Factory's datasets, as JSON lines, and the ``dataset_info.json`` that names them.

``dataset_dir`` is the folder. For ``stage: dpo`` or ``rm`` take ``solon_pairs``, for ``kto`` ``solon_kto``, for
``sft`` ``solon_sft``; the test halves end in ``_test``. Earlier completions that stand in a prompt are
trained on too unless ``mask_history: true`` is set, in ``sft``.

Source: llamafactory 0.9.5, ``data/parser.py`` and ``data/converter.py``. Its "sharegpt" form with the names that
everybody uses; the one called "openai" there writes a system message of its own. Prompts in which the turns do
not alternate are passed over there with a warning, so they are dropped, and counted, here.
"""

import json
from typing import Any

from trainer.formats.examples import Demonstration, Marked, Side
from trainer.formats.tables import ORIGIN, Files, Record, Table, origin, said, table, turns
from trainer.pairs.rows import TrainingRow

PAIRS = ("messages", "chosen", "rejected", *ORIGIN)
SHOWN = ("messages", "prompt_id", "completion_id")
MARKED = ("messages", "label", "prompt_id", "completion_id")
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function",
    "system_tag": "system",
}
COLUMNS: dict[str, dict[str, Any]] = {
    "pairs": {"ranking": True, "columns": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}},
    "kto": {"columns": {"messages": "messages", "kto_tag": "label"}},
    "sft": {"columns": {"messages": "messages"}},
}


def files(train: Side, test: Side) -> Files:
    tables = {**tables_of(train, ""), **tables_of(test, "_test")}
    return {f"{name}.jsonl": found for name, found in tables.items()} | {"dataset_info.json": info(tables)}


def tables_of(side: Side, ending: str) -> dict[str, Table]:
    return {
        f"solon_pairs{ending}": table(PAIRS, map(pair, side.pairs)),
        f"solon_kto{ending}": table(MARKED, map(marked, side.marked)),
        f"solon_sft{ending}": table(SHOWN, map(shown, side.demonstrations)),
    }


def info(tables: dict[str, Table]) -> str:
    """What it reads first: where each dataset that has a row lies, and what its columns and roles are called."""
    told = {
        name: {"file_name": f"{name}.jsonl", "formatting": "sharegpt", "tags": TAGS, **COLUMNS[name.split("_")[1]]}
        for name, found in tables.items()
        if found.records
    }
    return json.dumps(told, indent=2) + "\n"


def pair(row: TrainingRow) -> Record:
    completions = {"chosen": turns(row.chosen)[0], "rejected": turns(row.rejected)[0]}
    return {"messages": turns(row.prompt), **completions, **origin(row)}


def marked(one: Marked) -> Record:
    return {**conversation(one), "label": one.label, "prompt_id": one.prompt_id, "completion_id": one.completion_id}


def shown(one: Demonstration) -> Record:
    return {**conversation(one), "prompt_id": one.prompt_id, "completion_id": one.completion_id}


def conversation(one: Demonstration | Marked) -> Record:
    return {"messages": [*turns(one.prompt), *said(one.completion)]}
