"""The verb that hands a run over: to trainers and other tools, to people who label, to an audit."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from constitution.errors import InputError
from solon.cli.auditing import require_extra
from solon.cli.people import Asked, Labelled, labels_for_export, rows_labelled, waiting
from solon.cli.telling import Told
from solon.continuity import check_exportable
from solon.export import NAMES, Exported, Promised, Wanted, dropped_told, write_export
from solon.folder import RunFolder, make_folder, open_folder, write_whole
from solon.gating import gate_of
from solon.journal import Journal
from solon.pipeline import Row
from solon.run import stored_rows
from solon.run_lock import hold
from trainer.formats.choosing import FORMATS, Format, is_trained_on
from trainer.formats.examples import Kind
from trainer.pairs.lengths import Gate

OTHERS = ("items", "verdicts")


def export(
    run: Path,
    format: str,
    labels: Path | None,
    out: Path | None,
    agreement: float | None = None,
    *,
    without: Sequence[str] = (),
) -> Told:
    """``labels`` None stands for those of the run's review, without those of the people ``without``."""
    require_format(format, bool(labels or without))
    folder = open_folder(run)
    with Journal.open(folder.journal, read_only=True) as journal:
        check_exportable(folder, journal)
        tell_unfinished(folder, journal)
        if format in OTHERS:
            return export_table(folder, stored_rows(journal), format, out)
        with hold(folder.path), labels_for_export(folder, labels, without) as file:
            made = rows_labelled(folder, journal, Asked(file, labels is None, agreement))
            return export_examples(folder, made, known(format), out, recipe(journal))


def require_format(format: str, labelled: bool) -> None:
    if format not in (*FORMATS, *OTHERS):
        raise InputError(f"--format {format}", "no such format", f"use {', '.join(FORMATS)}, {' or '.join(OTHERS)}")
    if labelled and format in OTHERS:
        raise InputError(f"--format {format}", "has nothing that people's labels could change", "leave out --labels")


def known(format: str) -> Format:
    return next(one for one in FORMATS if one == format)


def tell_unfinished(folder: RunFolder, journal: Journal) -> None:
    rows, prompts = len(journal.recipes()), int(journal.note("prompts") or 0)
    if rows < prompts:
        print(f"only {rows} of {prompts} prompts are done: `solon run` goes on", file=sys.stderr)
    if edits := waiting(folder, journal):
        print(edits, file=sys.stderr)


def export_examples(folder: RunFolder, made: Labelled, format: Format, out: Path | None, recipe: str) -> Told:
    """RUN/export for TRL's pairs, RUN/export-FORMAT for another format, unless ``out`` says where."""
    place = out or (folder.export if format == "trl" else folder.path / f"export-{format}")
    gate = gate_of(folder) if is_trained_on(format) else ""
    wanted = Wanted(recipe, format, gate if isinstance(gate, Gate) else None, made.file, made.promised)
    exported = write_export(folder, made.rows, place, wanted)
    promised = made.promised
    data = {**asdict(exported), "labels": made.data, "promised": asdict(promised) if promised else None}
    lines = [made.text, *export_told(exported, promised), *gate_told(exported, gate if isinstance(gate, str) else "")]
    return Told(data, "\n".join(filter(None, lines)))


def export_told(exported: Exported, promised: Promised | None) -> list[str]:
    lines = [f"{exported.train} rows to train on and {exported.test} to test on, in {exported.folder}"]
    if len(exported.examples) > 1:
        lines.append(f"with {examples_told(exported.examples)}")
    if exported.drops:
        why = ", ".join(f"{count} {reason}" for reason, count in exported.drops.items())
        lines.append(f"couples that gave no pair: {why}")
    if promised:
        lines.append(
            f"of the pairs that no person looked at, people agree with at least {promised.agreement:.0%} "
            f"(with {1 - promised.delta:.0%} certainty): those of an anchored chance below {promised.threshold:.3f} "
            "are dropped"
        )
    return lines


def examples_told(examples: Mapping[Kind, Mapping[str, int]]) -> str:
    return ", ".join(f"{sum(found.values())} {NAMES[kind]}" for kind, found in examples.items())


def gate_told(exported: Exported, why_not: str) -> list[str]:
    """What was left out, by which tokenizer, or why none looked."""
    lines = [f"left out: {dropped_told(exported.dropped)}"] if exported.dropped else []
    if exported.gate:
        name, most = exported.gate["tokenizer"], exported.gate["max_length"]
        lines.append(f"measured by the tokenizer of {name}: none is longer than {most} tokens")
    if why_not:
        lines.append(f"no tokenizer measured them ({why_not}): name one as tokenizer under [export]")
    return lines


def recipe(journal: Journal) -> str:
    return journal.note("recipe") or ""


def export_table(folder: RunFolder, rows: Iterable[Row], format: str, out: Path | None) -> Told:
    """What people label, or what an audit reads, as one file."""
    require_extra("export")
    from solon.auditing.own import as_csv, items

    name, text = ("verdicts.csv", as_csv(rows)) if format == "verdicts" else ("items.jsonl", items(rows))
    if out and out.exists() and not out.is_dir():
        raise InputError(str(out), "is no folder", f"name a folder for {name}")
    file = (out or folder.path) / name
    make_folder(file.parent)
    write_whole(file, text)
    return Told({"file": str(file)}, f"written to {file}")
