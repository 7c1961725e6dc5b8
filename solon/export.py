"""A run's pairs written for a trainer: its tables or files, the principles used, and a lock over all of it."""

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
from solon.tables import write_files
from trainer.formats.choosing import Format, fault_of, files_of, kinds_of
from trainer.formats.examples import Kind, Side, sifted
from trainer.pairs.lengths import Gate
from trainer.pairs.rows import Origin, TrainingRow, is_test, training_row

LOCK = "lock.json"
LABELS = {".gz": "labels.csv.gz", ".parquet": "labels.parquet"}  # by how people's labels end; else labels.csv
UNDER_WAY = "lock.json.new"  # becomes the lock when everything else is written
TABLES = ("train.parquet", "test.parquet")

Dropped = Mapping[Kind, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Exported:
    train: int  # rows, of the main kind
    test: int
    folder: str
    pairs: int  # of the run, before any was left out
    drops: Mapping[str, int]  # why couples gave no pair, the commonest reason first
    format: Format
    examples: Mapping[Kind, Mapping[str, int]]  # by kind, how many in "train" and "test"
    dropped: Dropped  # what was left out, by kind and reason, the commonest first
    gate: Mapping[str, Any] | None  # the tokenizer that measured it


@dataclass(frozen=True, slots=True)
class Promised:
    """Agreement with people that is promised of the pairs which no person looked at."""

    agreement: float  # in (0, 1)
    threshold: float  # of the anchored chance that people prefer what a pair chose; pairs below it are dropped
    delta: float  # chance that the promise is broken


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is to be."""

    recipe: str  # names what the rows were made of, for the lock
    format: Format = "trl"
    gate: Gate | None = None  # leaves out what training would not see whole
    labels: Path | None = None  # the file of people's labels that are in the rows
    promised: Promised | None = None  # what these let us promise, for the lock


@dataclass(frozen=True, slots=True)
class Split:
    """A run's rows for training, every prompt on one side."""

    train: tuple[TrainingRow, ...]
    test: tuple[TrainingRow, ...]
    drops: Mapping[str, int]  # why couples gave no pair, the commonest reason first


@dataclass(frozen=True, slots=True)
class Examples:
    train: Side
    test: Side
    dropped: Dropped

    def counted(self, kinds: Iterable[Kind]) -> dict[Kind, dict[str, int]]:
        return {k: {"train": len(getattr(self.train, k)), "test": len(getattr(self.test, k))} for k in kinds}


def write_export(folder: RunFolder, rows: Iterable[Row], out: Path, wanted: Wanted) -> Exported:
    """Writes the pairs of ``rows`` in the format that is wanted, split by prompt.

    The same rows, settings and tokenizer give the same bytes; ``lock.json`` names them by their hashes.

    Raises:
        InputError: there is nothing to write, or ``out`` holds something that is no export of this format.
    """
    require_own(out, wanted.format)
    people = wanted.labels.read_bytes() if wanted.labels else None
    split = split_rows(folder, rows)
    examples = examples_of(folder, split, wanted)
    kinds = kinds_of(wanted.format)
    counted = examples.counted(kinds)
    require_some(folder, split, examples)
    make_folder(out)
    (out / UNDER_WAY).touch()
    (out / LOCK).unlink(missing_ok=True)  # from here to the end a kill leaves what is known to be incomplete
    rules = {principle.id: principle.rule for principle in folder.principles().principles}
    written = write_files(out, files_of(wanted.format, examples.train, examples.test, folder.config.name, rules))
    principles = out / folder.principles_file.name
    principles.write_bytes(folder.principles_file.read_bytes())
    kept = keep_labels(out, wanted.labels, people)
    hashes = {name: file_hash(out / name) for name in (*written, principles.name, *kept)}
    main = counted[kinds[0]]
    exported = Exported(
        **main, folder=str(out), pairs=len(split.train) + len(split.test), drops=split.drops, format=wanted.format,
        examples=counted, dropped=examples.dropped, gate=gate_told(wanted.gate),
    )  # fmt: skip
    lock = lock_of(folder, wanted, exported) | {"files_sha256": hashes}
    lock["labels_sha256"] = hashes[kept[0]] if kept else None
    (out / UNDER_WAY).write_text(json.dumps(lock, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (out / UNDER_WAY).replace(out / LOCK)
    return exported


def split_rows(folder: RunFolder, rows: Iterable[Row]) -> Split:
    config = folder.config
    kin = bool(config.kin)
    sides: tuple[list[TrainingRow], list[TrainingRow]] = ([], [])
    drops: Counter[str] = Counter()
    for row in rows:
        drops.update(drop.reason for drop in row.unpaired)
        held_out = is_test(row.made.prompt.id, config.seed, config.export.test_share)
        sides[held_out].extend(training_row(pair, origin_of(row, pair, kin)) for pair in row.pairs)
    train, test = map(tuple, sides)
    return Split(train, test, dict(drops.most_common()))


def examples_of(folder: RunFolder, split: Split, wanted: Wanted) -> Examples:
    kinds, take = kinds_of(wanted.format), folder.config.sft.take
    fault = fault_of(wanted.format, wanted.gate.fault if wanted.gate else None)
    train, test = (sifted(side, kinds, take, fault) for side in (split.train, split.test))
    both = {kind: train.dropped[kind] + test.dropped[kind] for kind in kinds}
    return Examples(train.side, test.side, {kind: dict(drops.most_common()) for kind, drops in both.items() if drops})


def require_some(folder: RunFolder, split: Split, examples: Examples) -> None:
    place = str(folder.path)
    if not split.train and not split.test:
        raise InputError(place, "has no preference pairs", "see the drops in its report for why")
    if not examples.train.empty or not examples.test.empty:
        return
    if examples.dropped:
        raise InputError(place, f"nothing is left to export ({dropped_told(examples.dropped)})", RAISE)
    raise InputError(place, "no revision was chosen in it", 'set take = "chosen" under [sft]')


RAISE = "raise max_length under [export], or take another format"


def dropped_told(dropped: Dropped) -> str:
    """Such as "pairs: 3 too long, 1 empty"."""
    said = {kind: ", ".join(f"{count} {reason}" for reason, count in found.items()) for kind, found in dropped.items()}
    return "; ".join(f"{NAMES[kind]}: {why}" for kind, why in said.items())


NAMES: dict[Kind, str] = {"pairs": "pairs", "demonstrations": "completions to imitate", "marked": "completions"}


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


def require_own(out: Path, format: Format) -> None:
    ours = any((out / name).is_file() for name in (LOCK, UNDER_WAY))
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise InputError(str(out), "holds something that is no export", "name a new folder; nothing is overwritten")
    if ours and (there := format_of(out)) not in (None, format):
        fact = f"holds an export in the format {there}"
        raise InputError(str(out), fact, "name a new folder; nothing is overwritten")


def format_of(out: Path) -> str | None:
    """That of the export in ``out``; None where no lock says so."""
    try:
        lock = json.loads((out / LOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(lock.get("format", "trl")) if isinstance(lock, dict) else None


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


def gate_told(gate: Gate | None) -> dict[str, Any] | None:
    if gate is None:
        return None
    return {"tokenizer": gate.name, "tokenizer_sha256": gate.sha256, "max_length": gate.max_length}


def lock_of(folder: RunFolder, wanted: Wanted, exported: Exported) -> dict[str, Any]:
    """What decided the export, without a clock in it."""
    config = folder.config
    take = {"take": config.sft.take} if "demonstrations" in exported.examples else {}
    return {
        "solon": solon.__version__,
        "run": config.name,
        "seed": config.seed,
        "constitution": Path(config.constitution).stem,
        "models": {role: section.model for role, section in config.endpoints.items()},
        "recipe_sha256": wanted.recipe,
        "test_share": config.export.test_share,
        "format": wanted.format,
        "rows": {"train": exported.train, "test": exported.test},
        "examples": exported.examples,
        "gate": exported.gate,
        "dropped": exported.dropped,
        **take,
        **promise_told(wanted.promised),
    }
