"""An export's training table: looked over before anything heavy is loaded, then read unedited."""

from pathlib import Path
from typing import TYPE_CHECKING

from constitution.errors import InputError
from trainer.rows import MESSAGE_COLUMNS

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
