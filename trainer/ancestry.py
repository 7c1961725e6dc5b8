"""What a trained model was made of: the record that lies beside its weights, and those of its ancestors.

A record holds that of the model it started from, without its steps, so that a folder tells its whole
ancestry wherever it is carried.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from constitution.identity import file_hash, full_hash
from generator.models.weights import SETTINGS, WEIGHTS, found
from trainer.settings import Fitting
from trainer.steps import Trained

RECORD = "training.json"  # written last: a folder that has it holds a whole model
PACKAGES = ("torch", "transformers", "trl", "peft")

Record = Mapping[str, Any]


def write_record(trained: Trained, settings: Fitting, base: Path, lock: Path, seed: int, **more: Any) -> None:
    """Writes ``training.json`` beside the weights that ``trained`` tells of.

    Args:
        base: the file or folder that training started from.
        lock: the export's ``lock.json``, which goes into the record whole.
        more: what only this method has to tell, such as which reward it was trained by.
    """
    parent = read_record(base)
    record = {
        "method": trained.method,
        "base": base.name,
        "base_sha256": weights_hash(base),
        "base_record": {key: value for key, value in parent.items() if key != "steps"} if parent else None,
        "settings": asdict(settings),
        "seed": seed,
        "rows": trained.rows,
        "dropped": dict(trained.dropped),
        "seconds": trained.seconds,
        "tokens": trained.tokens,
        "figures": dict(trained.figures),
        "export_lock_sha256": file_hash(lock) if lock.is_file() else None,
        "export_lock": json.loads(lock.read_text(encoding="utf-8")) if lock.is_file() else None,
        "weights_sha256": weights_hash(trained.output),
        "packages": versions(),
        **more,
        "steps": [asdict(step) for step in trained.steps],
    }
    text = json.dumps(record, indent=2, sort_keys=True) + "\n"
    (trained.output / RECORD).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> Record | None:
    """The record of the model in ``folder``; None where Solon trained none there."""
    file = folder / RECORD
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def lineage(folder: Path) -> Iterator[Record]:
    """The records of the model in ``folder`` and of its ancestors, the youngest first."""
    record = read_record(folder)
    while record:
        yield record
        record = record["base_record"]


def weights_hash(place: Path) -> str:
    """The content of a weights file; of a folder, what decides what its model reads and says: the weights, the
    configuration, the tokenizer and the chat template. Where the folder lies and what else is in it do not."""
    if place.is_file():
        return file_hash(place)
    return full_hash([[file.name, file_hash(file)] for file in found(place, WEIGHTS + SETTINGS)])


def versions() -> dict[str, str]:
    """Of the packages that decide what training does."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
