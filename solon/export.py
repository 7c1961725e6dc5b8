"""A run's pairs written for a trainer: train and test tables, the principles used, and a lock over all of it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import solon
from constitution.errors import InputError
from constitution.identity import file_hash
from judge.pairs import PreferencePair
from judge.verdict import Judgement
from solon.folder import RunFolder, make_folder
from solon.pipeline import Row
from trainer.rows import Origin, TrainingRow, columns, is_test, training_row

LOCK = "lock.json"
LABELS = {".gz": "labels.csv.gz", ".parquet": "labels.parquet"}  # by how people's labels end; else labels.csv
UNDER_WAY = "lock.json.new"  # becomes the lock when everything else is written
TABLES = ("train.parquet", "test.parquet")


@dataclass(frozen=True, slots=True)
class Exported:
    train: int  # rows
    test: int
    folder: str
    pairs: int  # in both tables
    drops: Mapping[str, int]  # why couples gave no pair, the commonest reason first


@dataclass(frozen=True, slots=True)
class Promised:
    """Agreement with people that is promised of the pairs which no person looked at."""

    agreement: float  # in (0, 1)
    threshold: float  # of the anchored chance that people prefer what a pair chose; pairs below it are dropped
    delta: float  # chance that the promise is broken


def export_trl(
    folder: RunFolder,
    rows: Iterable[Row],
    out: Path,
    recipe: str,
    *,
    labels: Path | None = None,
    promised: Promised | None = None,
) -> Exported:
    """Writes the pairs of ``rows`` in TRL's explicit conversational form, split by prompt.

    ``recipe`` names what the rows were made of, and ``labels`` the file of people's labels that are in them, if any,
    and ``promised`` what these let us promise, for the lock.

    The same rows and settings give the same bytes; ``lock.json`` names them by their hashes.

    Raises:
        InputError: there is no pair, or ``out`` holds something that is no export.
    """
    require_own(out)
    people = labels.read_bytes() if labels else None
    config = folder.config
    kin = bool(config.kin)
    sides: tuple[list[TrainingRow], list[TrainingRow]] = ([], [])
    drops: Counter[str] = Counter()
    for row in rows:
        drops.update(drop.reason for drop in row.unpaired)
        held_out = is_test(row.made.prompt.id, config.seed, config.export.test_share)
        sides[held_out].extend(training_row(pair, origin_of(row, pair, kin)) for pair in row.pairs)
    train, test = sides
    if not train and not test:
        raise InputError(str(folder.path), "has no preference pairs", "see the drops in its report for why")
    make_folder(out)
    (out / UNDER_WAY).touch()
    (out / LOCK).unlink(missing_ok=True)  # from here to the end a kill leaves what is known to be incomplete
    for name, side in zip(TABLES, sides, strict=True):
        write_parquet(out / name, columns(side))
    principles = out / folder.principles_file.name
    principles.write_bytes(folder.principles_file.read_bytes())
    kept = keep_labels(out, labels, people)
    files = {name: file_hash(out / name) for name in (*TABLES, principles.name, *kept)}
    lock = lock_of(folder, recipe, files, {"train": len(train), "test": len(test)})
    lock |= {"labels_sha256": files[kept[0]] if kept else None, **promise_told(promised)}
    (out / UNDER_WAY).write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (out / UNDER_WAY).replace(out / LOCK)
    return Exported(len(train), len(test), str(out), len(train) + len(test), dict(drops.most_common()))


def keep_labels(out: Path, labels: Path | None, content: bytes | None) -> tuple[str, ...]:
    """A copy of people's labels in the export; those of an earlier one go. The names of the files."""
    for before in ("labels.csv", *LABELS.values()):
        (out / before).unlink(missing_ok=True)
    if labels is None or content is None:
        return ()
    name = LABELS.get(labels.suffix, "labels.csv")
    (out / name).write_bytes(content)
    return (name,)


def promise_told(promised: Promised | None) -> dict[str, float | None]:
    return asdict(promised) if promised else dict.fromkeys(field.name for field in fields(Promised))


def require_own(out: Path) -> None:
    ours = any((out / name).is_file() for name in (LOCK, UNDER_WAY))
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise InputError(str(out), "holds something that is no export", "name a new folder; nothing is overwritten")


def origin_of(row: Row, pair: PreferencePair, kin: bool) -> Origin:
    ids = {pair.chosen.id, pair.rejected.id}
    flags = sorted({flagged.flag for flagged in row.flags if flagged.candidate in ids})
    return Origin(verdicts_of(row, pair), tuple(flags), kin)


def verdicts_of(row: Row, pair: PreferencePair) -> str:
    """Every principle's word on the pair, as JSON: the chance that ``chosen`` follows it better, and how it came."""
    ids = {pair.chosen.id, pair.rejected.id}
    return json.dumps(
        [told(judgement, pair) for judgement in row.judgements if {judgement.a, judgement.b} == ids], sort_keys=True
    )


def told(judgement: Judgement, pair: PreferencePair) -> dict[str, Any]:
    p_a = judgement.p_a
    p_chosen = p_a if p_a is None or judgement.a == pair.chosen.id else 1 - p_a
    return {
        "principle": judgement.principle,
        "by": judgement.by,
        "judge": judgement.judge,
        "heard": judgement.heard,
        "p_chosen": p_chosen,
        "orders_agree": judgement.orders_agree,
    }


def write_parquet(path: Path, table: dict[str, list[object]]) -> None:
    """The table with its types spelled out, so that an empty column has the type of a full one."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise InputError("export", "pyarrow is not installed", "pip install 'solon[datasets]'") from None
    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    special = {
        "prompt": messages, "chosen": messages, "rejected": messages, "decided_by": pa.list_(pa.string()),
        "p_chosen": pa.float64(), "margin": pa.float64(), "orders_agree": pa.bool_(), "epsilon": pa.float64(),
        "ai_p_chosen": pa.float64(), "people": pa.int64(), "people_agree": pa.int64(),
        "human_strength": pa.float64(), "flags": pa.list_(pa.string()), "same_family": pa.bool_(),
    }  # fmt: skip
    schema = pa.schema([(name, special.get(name, pa.string())) for name in table])
    parquet.write_table(pa.table(table, schema=schema), path)


def lock_of(folder: RunFolder, recipe: str, files: dict[str, str], rows: dict[str, int]) -> dict[str, Any]:
    """What decided the export, without a clock in it."""
    config = folder.config
    return {
        "solon": solon.__version__,
        "run": config.name,
        "seed": config.seed,
        "constitution": Path(config.constitution).stem,
        "models": {role: section.model for role, section in config.endpoints.items()},
        "recipe_sha256": recipe,
        "test_share": config.export.test_share,
        "rows": rows,
        "files_sha256": files,
    }
