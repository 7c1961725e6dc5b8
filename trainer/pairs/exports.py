"""An export's training table: looked over before anything heavy is loaded, then read unedited."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from trainer.models.chat import messages, whole_tokens
from trainer.models.policies import Policy
from trainer.pairs.rows import MESSAGE_COLUMNS

if TYPE_CHECKING:
    from datasets import Dataset

REMEDY = "write it again with 'solon export'"


def require_rows(file: Path) -> None:
    """Raises an ``InputError`` unless ``file`` holds at least one row with lists of messages to train on."""
    from pyarrow import ArrowException, parquet, types

    if not file.is_file():
        raise InputError(str(file), "no such file", REMEDY)
    try:
        with parquet.ParquetFile(file) as table:
            schema, count = table.schema_arrow, table.metadata.num_rows
    except (ArrowException, OSError) as error:
        raise InputError(str(file), f"not a Parquet file ({error})", REMEDY) from error
    missing = [name for name in MESSAGE_COLUMNS if name not in schema.names]
    if missing:
        raise InputError(str(file), f"has no column {', '.join(map(repr, missing))}", REMEDY)
    plain = [name for name in MESSAGE_COLUMNS if not types.is_list(schema.field(name).type)]
    if plain:
        raise InputError(str(file), f"column {plain[0]!r} is not a list of messages", REMEDY)
    if count == 0:
        raise InputError(str(file), "has no rows", "export more pairs, or hold fewer back for testing")


def load_rows(file: Path, scratch: str) -> "Dataset":
    """The whole table as it is: TRL leaves the columns of provenance alone."""
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(file), split="train", cache_dir=scratch)


def differing(rows: "Dataset", file: Path) -> "Dataset":
    """The rows whose completions are two, and neither empty: on others TRL trains in silence.

    Raises:
        InputError: there is none.
    """
    kept = rows.filter(lambda row: said(row["chosen"]) != said(row["rejected"]))
    kept = kept.filter(lambda row: all(said(row[side]).strip() for side in ("chosen", "rejected")))
    if not len(kept):
        raise InputError(str(file), "no row has two completions that differ, neither of them empty", REMEDY)
    return kept


def said(turns: list[dict[str, str]]) -> str:
    return "\n".join(turn["content"] for turn in turns)


def seen_whole(policy: Policy, rows: "Dataset", max_length: int) -> "Dataset":
    """The rows whose completions, each with the prompt, fit into ``max_length`` and the model's context.

    TRL would cut the others in silence: their ends would not be learnt, and a pair may be left with no difference.

    Raises:
        InputError: there is none.
    """
    context = getattr(policy.model.config, "max_position_embeddings", None) or max_length
    most = min(max_length, context)
    sides = [side for side in ("chosen", "rejected", "completion") if side in rows.column_names]

    def fits(row: Mapping[str, Any]) -> bool:
        prompt = messages(row["prompt"])
        return all(len(whole_tokens(policy.tokenizer, prompt, said(row[side]))) <= most for side in sides)

    kept = [place for place, row in enumerate(rows) if fits(row)]
    if kept:
        return rows.select(kept)
    if most < max_length:
        remedy = "take shorter prompts, or a model with more context"
        raise InputError("training", f"no row fits into the model's context of {context} tokens", remedy)
    raise InputError("training", f"no row fits into max_length = {max_length} tokens", "raise max_length")
