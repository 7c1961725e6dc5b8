"""The verb that measures judges: audit."""

import csv
import io
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from solon.cli.telling import Told
from solon.figures import figures
from solon.folder import RunFolder, open_folder, write_whole
from solon.journal import Journal
from solon.run import stored_rows

if TYPE_CHECKING:
    from judge.audit.table import Material


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
    propose: int | None


def audit(asked: AuditAsked) -> Told:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices, and sums in one order on any machine
    require_extra("audit")
    from judge.audit.audit import Settings, told
    from judge.audit.audit import audit as look
    from solon.auditing.findings import findings
    from solon.auditing.page import page
    from solon.auditing.terminal import told as in_words

    material, source, out = material_asked(asked)
    if out and out.exists() and not out.is_dir():
        raise InputError(str(out), "is no folder", "name a folder for the page")
    if asked.propose and not out:
        raise InputError("--propose", "writes a file, and no folder is named", "add --out DIR")
    found = told(look(material, Settings(asked.anchor, asked.splits, asked.seed)))
    own = source.pop("warnings", [])
    data = {**source, **found, "warnings": [*own, *map(str, findings({**found, "warnings": own}))]}
    lines = in_words(data)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "audit.json", json.dumps(data, indent=2) + "\n")
        write_whole(out / "audit.html", page(data))
        lines += f"\nthe page is {out / 'audit.html'}, every figure in {out / 'audit.json'}"
        if asked.propose:
            lines += f"\n{propose(material, asked.propose, asked.seed, out / 'next.csv')}"
    return Told(data, lines)


def propose(material: "Material", more: int, seed: int, file: Path) -> str:
    """Writes what people should label next, with the chance that each item had: an estimate needs it."""
    from judge.audit.powered import next_round
    from judge.audit.table import average

    wanted = next_round(material, average(material), more, seed)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("item", "label", "probability"))
    writer.writerows((one.item, "now" if one.now else "done", repr(one.probability)) for one in wanted)
    write_whole(file, out.getvalue())
    count = sum(one.now for one in wanted)
    return f"{count} items to label next are in {file}: put its column 'probability' beside every label"


def require_extra(verb: str) -> None:
    try:
        import numpy  # noqa: F401
        import pyarrow  # noqa: F401
        import scipy  # noqa: F401
    except ImportError as missing:
        raise InputError(verb, f"{missing.name} is not installed", "pip install 'solon[audit]'") from None


def material_asked(asked: AuditAsked) -> "tuple[Material, dict[str, Any], Path | None]":
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
        source: dict[str, Any] = {"verdicts": str(asked.verdicts), "labels": str(asked.labels)}
        return read_material(asked.verdicts, asked.labels, asked.stratum), source, asked.out
    assert asked.run
    folder = open_folder(asked.run)
    labels = asked.labels or labels_of(folder)
    with Journal.open(folder.journal, read_only=True) as journal:
        rows = list(stored_rows(journal))
    material = material_of(rows, labels, divided_by_source(asked.stratum))
    found = figures(rows, folder.principles())
    source = {
        "verdicts": str(folder.path),
        "labels": str(labels),
        "canaries": asdict(found.canaries),
        "flags": dict(found.tally.flags.most_common()),
        "repeated": [asdict(text) for text in found.repeated],
        "warnings": [warning for warning in found.warnings if warning != found.position.warning],
    }
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
