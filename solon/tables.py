"""Tables written as files: Parquet with every type spelled out, or JSON lines."""

import json
from pathlib import Path
from typing import Any

from constitution.errors import InputError
from trainer.formats.tables import Files, Table


def write_files(folder: Path, files: Files) -> tuple[str, ...]:
    """Writes them all and returns the names of those that are there now.

    A text or a table of JSON lines with nothing in it is left out, since no reader takes an empty file; one of
    that name that was there goes.
    """
    for name, content in files.items():
        if isinstance(content, str):
            write_text(folder / name, content)
        elif name.endswith(".parquet"):
            write_parquet(folder / name, content)
        else:
            write_text(folder / name, json_lines(content))
    return tuple(name for name in files if (folder / name).is_file())


def write_text(path: Path, text: str) -> None:
    if text:
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def json_lines(table: Table) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in table.records)


def write_parquet(path: Path, table: Table) -> None:
    """Types are spelled out, so that a column without a value has the type of a full one."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InputError("export", "pyarrow is not installed", "pip install 'solon[datasets]'") from None
    types = types_of(pa)
    schema = pa.schema([(name, types.get(name, pa.string())) for name in table.columns])
    columns = {name: [record[name] for record in table.records] for name in table.columns}
    parquet.write_table(pa.table(columns, schema=schema), path)


def types_of(pa: Any) -> dict[str, Any]:
    """By column; the others are texts."""
    messages, texts = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])), pa.list_(pa.string())
    return {
        **dict.fromkeys(("prompt", "chosen", "rejected", "completion"), messages),
        **dict.fromkeys(("decided_by", "flags", "completion_ids"), texts),
        **dict.fromkeys(("p_chosen", "margin", "epsilon", "ai_p_chosen", "human_strength"), pa.float64()),
        **dict.fromkeys(("orders_agree", "revised", "same_family", "label"), pa.bool_()),
        **dict.fromkeys(("people", "people_agree", "times_chosen", "times_rejected"), pa.int64()),
        "completions": pa.list_(messages),
        "chances": pa.list_(pa.float64()),
    }
