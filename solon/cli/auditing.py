"""The verb that measures judges: audit."""

import csv
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from solon.cli.telling import Told
from solon.figures import Figures, figures
from solon.folder import RunFolder, make_folder, open_folder, write_whole
from solon.journal import Journal
from solon.review.files import review_labels
from solon.run import stored_rows
from solon.show import couples_of

if TYPE_CHECKING:
    from judge.audit.audit import Settings
    from judge.audit.powered import Wanted
    from judge.audit.table import Material

REVIEW = "the labels of the run's review"


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
    require_extra("audit")
    from judge.audit.audit import Settings
    from solon.auditing.findings import findings
    from solon.auditing.headline import headline
    from solon.auditing.page import page
    from solon.auditing.terminal import told as in_words

    if asked.propose and (first := first_asked(asked)):
        return first
    material, source, out = material_asked(asked)
    if out and out.exists() and not out.is_dir():
        raise InputError(str(out), "is no folder", "name a folder for the page")
    if asked.propose and not out:
        raise InputError("--propose", "writes a file, and no folder is named", "add --out DIR")
    wanted = wanted_next(material, asked.propose, asked.seed) if asked.propose else ()
    settings = Settings(asked.anchor, asked.splits, asked.seed)
    found = figures_of(material, settings, asked.run is not None)
    own, gone = source.pop("warnings", []), source.pop("gone", "")
    found["notes"] = [*([gone] if gone else []), *found["notes"]]
    data = {**source, **found, "warnings": [*own, *map(str, findings({**found, "warnings": own}))]}
    lines = "\n".join(filter(None, (headline(data), in_words(data))))
    if out:
        make_folder(out)
        write_whole(out / "audit.json", json.dumps(data, indent=2) + "\n")
        write_whole(out / "audit.html", page(data))
        lines += f"\nthe page is {out / 'audit.html'}, every figure in {out / 'audit.json'}"
        if asked.propose:
            lines += f"\n{propose(wanted, out / 'next.csv').text}"
    return Told(data, lines)


def figures_of(material: "Material", settings: "Settings", own: bool) -> dict[str, Any]:
    """Every figure; of a run of our ``own``, its label's beside its models'."""
    from judge.audit.audit import audit as look
    from judge.audit.audit import told
    from solon.auditing.own import measure

    return measure(material, settings) if own else told(look(material, settings))


def wanted_next(material: "Material", more: int, seed: int) -> "tuple[Wanted, ...]":
    from judge.audit.audit import judged
    from judge.audit.powered import next_round
    from judge.audit.table import average

    known = judged(material)
    return next_round(known, average(known), more, seed)


def first_asked(asked: AuditAsked) -> Told | None:
    """The first items to label, where there are verdicts and no labels yet: then nothing is audited."""
    from judge.audit.powered import first_round
    from solon.auditing.read import judged_items

    assert asked.propose
    if asked.labels or (asked.run is None) == (asked.verdicts is None):
        return None
    if asked.verdicts:
        if asked.out is None:
            raise InputError("--propose", "writes a file, and no folder is named", "add --out DIR")
        items, out = judged_items(asked.verdicts), asked.out
    else:
        assert asked.run
        folder = open_folder(asked.run)
        with labels_of(folder, None) as found:
            if found:
                return None
        items, out = items_of_run(folder), asked.out or folder.path / "audit"
    if out.exists() and not out.is_dir():
        raise InputError(str(out), "is no folder", "name a folder for the file")
    make_folder(out)
    told = propose(first_round(items, asked.propose, asked.seed), out / "next.csv")
    return Told(told.data, f"nothing is audited, as there are no labels yet; {told.text}")


def items_of_run(folder: RunFolder) -> tuple[str, ...]:
    from solon.auditing.cells import named
    from solon.auditing.own import columns_of

    with Journal.open(folder.journal, read_only=True) as journal:
        return named(columns_of(stored_rows(journal), folder.path), "item").names


def propose(wanted: "Sequence[Wanted]", file: Path) -> Told:
    """Writes what people should label next, with the chance that each item had: an estimate needs it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("item", "state", "probability"))
    writer.writerows((one.item, one.state, repr(one.probability)) for one in wanted)
    write_whole(file, out.getvalue())
    count = sum(one.state == "now" for one in wanted)
    remedy = "fill in 'choice' beside each, and hand in all its rows with their 'probability'"
    items = f"{count} item{'s' * (count != 1)} to label next (state 'now')"
    return Told({"next": str(file), "to_label": count}, f"{items} in {file}: {remedy}")


def require_extra(verb: str) -> None:
    """To be called before anything loads numpy, which reads the number of its threads but once."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices, and sums in one order on any machine
    try:
        for package in ("numpy", "pyarrow", "scipy"):
            import_module(package)
    except ImportError as missing:
        raise InputError(verb, f"{missing.name} is not installed", "pip install 'solon[audit]'") from None


def material_asked(asked: AuditAsked) -> "tuple[Material, dict[str, Any], Path | None]":
    """The material, what it was read from, and where the page goes."""
    from solon.auditing.own import material_of
    from solon.auditing.read import read_material
    from solon.auditing.voices import voices

    if (asked.run is None) == (asked.verdicts is None):
        remedy = "solon audit RUN, or --verdicts V.csv --labels L.csv"
        raise InputError("audit", "takes either a run or a file of verdicts", remedy)
    if asked.verdicts:
        if asked.labels is None:
            raise InputError("--verdicts", "are nothing to measure by without labels", "add --labels L.csv")
        source: dict[str, Any] = {"verdicts": str(asked.verdicts), "labels": str(asked.labels)}
        return read_material(asked.verdicts, asked.labels, asked.stratum), source, asked.out
    assert asked.run
    folder = open_folder(asked.run)
    with Journal.open(folder.journal, read_only=True) as journal:
        rows, whole = list(stored_rows(journal)), is_whole(journal)
    with labels_of(folder, asked.labels) as people:
        if people is None:
            raise no_labels(folder)
        material = material_of(rows, people.file, divided_by_source(asked.stratum))
        labelled = voices(people.file).merged.keys() if people.name == REVIEW else frozenset()
    found = figures(rows, folder.principles())
    source = {
        "verdicts": str(folder.path),
        "labels": people.name,
        "canaries": [asdict(judge.canaries) for judge in found.judges],
        "flags": dict(found.tally.flags.most_common()),
        "repeated": [asdict(text) for text in found.repeated],
        "warnings": planted_warnings(found),
        "gone": gone_told(len(labelled - couples_of(rows)), whole),
    }
    return material, source, asked.out or folder.path / "audit"


def is_whole(journal: Journal) -> bool:
    """Whether every prompt has a row."""
    return len(journal.recipes()) >= int(journal.note("prompts") or 0)


def gone_told(couples: int, whole: bool) -> str:
    """What to tell of labelled couples that the run does not hold; a run that is not ``whole`` may still make them."""
    if not couples:
        return ""
    one = couples == 1
    counted, its = f"{couples} labelled couple{' is' if one else 's are'}", "its" if one else "their"
    why = f"no longer in the run ({its} completions changed)"
    if not whole:
        why = f"not in the run now ({its} completions changed, or are still to be made)"
    return f"{counted} {why}: {its} labels are kept and left out"


def planted_warnings(found: Figures) -> list[str]:
    """What only the run knows; how its judges take the order is measured anew beside people."""
    planted = [warning for judge in found.judges if (warning := judge.canaries.warning)]
    return [*planted, *(text.warning for text in found.repeated)]


@dataclass(frozen=True, slots=True)
class People:
    file: Path
    name: str  # what to call it


@contextmanager
def labels_of(folder: RunFolder, named: Path | None) -> Iterator[People | None]:
    """The labels to measure by: of the file ``named``, of RUN/labels.csv, or of the run's review; None without any."""
    own = folder.path / "labels.csv"
    file = named or (own if own.is_file() else None)
    with review_labels(folder) as reviewed:
        if file is None:
            yield People(reviewed, REVIEW) if reviewed else None
            return
        if reviewed and named is None:
            print(f"audited by {own}, not by {REVIEW}: move the file away to audit by that", file=sys.stderr)
        yield People(file, str(file))


def no_labels(folder: RunFolder) -> InputError:
    remedy = (
        f"write item,annotator,choice there (solon export {folder.path} --format items lists what to label), "
        "review couples of it (solon review draw), or name a file with --labels"
    )
    return InputError(str(folder.path / "labels.csv"), "there are no human labels of this run yet", remedy)


def divided_by_source(stratum: str | None) -> bool:
    if stratum not in (None, "source"):
        raise InputError(f"--stratum {stratum}", "a run's items are divided by the prompts' source only", "use source")
    return stratum == "source"
