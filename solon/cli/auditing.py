"""The verb that measures judges: audit."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constitution.errors import InputError
from solon.cli.telling import Told
from solon.folder import RunFolder, open_folder, write_whole
from solon.journal import Journal
from solon.run import stored_rows


@dataclass(frozen=True, slots=True)
class AuditAsked:
    """What the command line says; ``run`` or ``verdicts``, not both."""

    run: Path | None
    verdicts: Path | None
    labels: Path | None
    stratum: str | None
    anchor: int | None
    splits: int
    seed: int
    out: Path | None


def audit(asked: AuditAsked) -> Told:
    require_extra("audit")
    from judge.audit.audit import Settings, told
    from judge.audit.audit import audit as look
    from solon.auditing.page import page
    from solon.auditing.text import text

    material, source, out = material_asked(asked)
    data = {**source, **told(look(material, Settings(asked.anchor, asked.splits, asked.seed)))}
    lines = text(data)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "audit.json", json.dumps(data, indent=2) + "\n")
        write_whole(out / "audit.html", page(data))
        lines += f"\nthe page is {out / 'audit.html'}, every figure in {out / 'audit.json'}"
    return Told(data, lines)


def require_extra(verb: str) -> None:
    try:
        import numpy  # noqa: F401
        import pyarrow  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as missing:
        raise InputError(verb, f"{missing.name} is not installed", "pip install 'solon[audit]'") from None


def material_asked(asked: AuditAsked) -> tuple[Any, dict[str, str], Path | None]:
    """The material, what it was read from, and where the page goes."""
    from solon.auditing.own import material_of
    from solon.auditing.read import read_material

    if (asked.run is None) == (asked.verdicts is None):
        raise InputError(
            "audit", "needs a run or a file of verdicts", "solon audit RUN, or --verdicts V.csv --labels L.csv"
        )
    if asked.verdicts:
        if asked.labels is None:
            raise InputError("--verdicts", "are nothing to measure by without labels", "add --labels L.csv")
        source = {"verdicts": str(asked.verdicts), "labels": str(asked.labels)}
        return read_material(asked.verdicts, asked.labels, asked.stratum), source, asked.out
    assert asked.run
    folder = open_folder(asked.run)
    labels = asked.labels or labels_of(folder)
    source = {"verdicts": str(folder.path), "labels": str(labels)}
    with Journal.open(folder.journal, read_only=True) as journal:
        material = material_of(stored_rows(journal), labels, divided_by_source(asked.stratum))
    return material, source, asked.out or folder.path / "audit"


def labels_of(folder: RunFolder) -> Path:
    labels = folder.path / "labels.csv"
    if not labels.is_file():
        remedy = (
            f"write item,annotator,choice there (solon export {folder.path} --format items lists what to label), "
            "or name a file with --labels"
        )
        raise InputError(str(labels), "there are no human labels of this run yet", remedy)
    return labels


def divided_by_source(stratum: str | None) -> bool:
    if stratum not in (None, "source"):
        raise InputError(f"--stratum {stratum}", "a run's items are divided by the prompts' source only", "use source")
    return stratum == "source"
