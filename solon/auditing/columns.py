"""A table's file as columns of text: CSV, plain or gzipped, and Parquet, told apart by what they hold.

Everything is read as text, so that item "007" stays apart from item "7". What the text means is not known here.
"""

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from constitution.errors import InputError

FORMATS = "give a CSV file (UTF-8, commas; gzipped or not) or a Parquet file"
BLOCK = 8 << 20  # bytes read at once; no row may be longer


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns that were wanted and are there, each a pyarrow ChunkedArray of ``rows`` texts; "" where empty."""

    path: Path
    parquet: bool
    names: tuple[str, ...]  # every column of the file
    texts: Mapping[str, Any]
    rows: int

    def at(self, row: int) -> str:
        """Where row ``row``, counted from 0, is found: the line of a CSV file, the row of a Parquet file from 1."""
        return f"{self.path}: row {row + 1}" if self.parquet else place(self.path, row)


def read_columns(path: Path, wanted: Collection[str], needed: Mapping[str, str]) -> Columns:
    """Those of the ``wanted`` columns that the file has; further columns are not looked at.

    Args:
        needed: the columns that must be there, each with what to do where it is not.

    Raises:
        InputError: the file is not there, is no such table, is damaged, lacks a column, or has no row.
    """
    try:
        from pyarrow import ArrowException
    except ImportError:
        raise InputError("audit", "pyarrow is not installed", "pip install 'solon[audit]'") from None
    try:
        columns = (parquet_columns if is_parquet(path) else csv_columns)(path, wanted, needed)
    except (OSError, EOFError, zlib.error, csv.Error, ArrowException) as error:
        raise InputError(str(path), f"cannot be read ({first_line(error)})", FORMATS) from None
    if columns.rows == 0:
        raise InputError(str(path), "has no rows", "give a file with at least one row below its header")
    return columns


def is_parquet(path: Path) -> bool:
    if path.is_dir():
        raise InputError(str(path), "is a folder", FORMATS)
    if not path.exists():
        raise InputError(str(path), "no such file", "correct the path")
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise InputError(str(path), "is empty", FORMATS)
    return start == b"PAR1" or path.suffix.lower() == ".parquet"


def parquet_columns(path: Path, wanted: Collection[str], needed: Mapping[str, str]) -> Columns:
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        names = checked_names(path, file.schema_arrow.names, wanted, needed)
        table = file.read(columns=[name for name in names if name in wanted], use_threads=False)
    texts = {}
    for name in table.column_names:
        try:
            texts[name] = table[name].cast(pa.string()).fill_null("")
        except pa.ArrowException:
            fact = f"column {name!r} holds {table[name].type}"
            raise InputError(str(path), fact, "write it as text or as numbers") from None
    return Columns(path, True, names, texts, table.num_rows)


def csv_columns(path: Path, wanted: Collection[str], needed: Mapping[str, str]) -> Columns:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    written = header(path)
    names = checked_names(path, [name.strip() for name in written], wanted, needed)
    kept = {before: name for before, name in zip(written, names, strict=True) if name in wanted}
    broken: list[Any] = []

    def stop(row: Any) -> str:
        broken.append(row)
        return "error"

    # One thread: it is fast enough, needs the least memory, and knows the number of a broken row.
    reading = arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK)
    parsing = arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=stop)
    types = dict.fromkeys(kept, pa.string())
    converting = arrow_csv.ConvertOptions(column_types=types, include_columns=list(kept), strings_can_be_null=False)
    try:
        with opened(path) as file:
            table = arrow_csv.read_csv(file, reading, parsing, converting)
    except pa.ArrowInvalid:
        if not broken:
            raise
        fact = f"has {broken[0].actual_columns} cells where the header has {broken[0].expected_columns}"
        remedy = "put commas between cells, and quotes around a cell that has a comma in it"
        raise InputError(place(path, broken[0].number - 2), fact, remedy) from None
    return Columns(path, False, names, {kept[before]: table[before] for before in kept}, table.num_rows)


def header(path: Path) -> list[str]:
    """The first line that is not blank, as its cells."""
    with lines(path) as text:
        cells = next((cells for cells in csv.reader(text) if cells), [])
    if any("\ufffd" in cell or "\0" in cell for cell in cells):
        raise InputError(str(path), "is not UTF-8 text", FORMATS)
    return cells


def checked_names(
    path: Path, names: Sequence[str], wanted: Collection[str], needed: Mapping[str, str]
) -> tuple[str, ...]:
    twice = [name for name, count in Counter(names).items() if count > 1 and name in wanted]
    if twice:
        raise InputError(str(path), f"has two columns {twice[0]!r}", "rename or delete one of them")
    for name, remedy in needed.items():
        if name not in names:
            raise InputError(str(path), f"has no column {name!r} (only {', '.join(map(repr, names))})", remedy)
    return tuple(names)


def place(path: Path, row: int) -> str:
    """``file:line`` of the row, counted from 0; only ever asked for on the way to an error, so it may read again."""
    try:
        with lines(path) as text:
            records, line = csv.reader(text), 1
            for cells in records:
                row -= bool(cells)  # blank lines are no rows, and the header is the row before the first
                if row < -1:
                    return f"{path}:{line}"
                line = records.line_num + 1
    except csv.Error:  # a cell longer than the csv module takes
        pass
    return str(path)


def lines(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(opened(path), encoding="utf-8-sig", errors="replace", newline="")


def opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where it is gzipped, whatever its suffix says."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path)) if zipped else path.open("rb")


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
