"""The pairs of all rounds so far as one export, which a reward model is fitted on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from constitution.identity import file_hash
from solon.export import LOCK, TABLES, UNDER_WAY
from solon.folder import make_folder


def rows_of_all(exports: Sequence[Path], out: Path) -> Path:
    """The folder with the rows of all ``exports``: their own where it is one, else ``out``.

    A pair that two rounds have is there once, as the later one has it. The lock holds theirs, so the same exports
    give the same lock.
    """
    if len(exports) == 1:
        return exports[0]
    make_folder(out)
    (out / LOCK).unlink(missing_ok=True)  # from here to the end a kill leaves what is known to be incomplete
    counts = {Path(name).stem: put_together([folder / name for folder in exports], out / name) for name in TABLES}
    locks = [json.loads((folder / LOCK).read_text(encoding="utf-8")) for folder in exports]
    told = {**locks[-1], "rows": counts, "files_sha256": {name: file_hash(out / name) for name in TABLES}}
    (out / UNDER_WAY).write_text(json.dumps({**told, "rounds": locks}, indent=2, sort_keys=True) + "\n", "utf-8")
    (out / UNDER_WAY).replace(out / LOCK)
    return out


def put_together(files: Sequence[Path], out: Path) -> int:
    """Writes the rows of all ``files`` into ``out``, the latest first; how many there are."""
    import pyarrow as pa
    from pyarrow import parquet

    whole: Any = pa.concat_tables([parquet.read_table(file) for file in reversed(files)])
    first = {name: place for place, name in reversed(list(enumerate(whole["pair_id"].to_pylist())))}
    rows = whole.take(sorted(first.values()))
    parquet.write_table(rows, out)
    return int(rows.num_rows)
