"""The verbs around people's labels: review draw, status, labels, export, import."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from constitution.errors import InputError
from judge.review.draw import POLICIES, Policy
from judge.review.records import HumanLabel, Kind
from solon.cli.telling import Told
from solon.folder import make_folder, open_folder, write_whole
from solon.journal import Journal
from solon.review.drawing import DrawAsked, RoundTold, draw_round
from solon.review.labels import labels_csv, people_of
from solon.review.opened import begun_review, open_review
from solon.review.records import NewTask
from solon.review.storage.store import Store
from solon.review.tools.foreign import Brought

TOOLS = ("labelstudio", "argilla")
KINDS: Mapping[Kind, str] = {"audit": "at random", "worth": "for their worth", "gold": "to check annotators"}


def draw(run: Path, asked: DrawAsked) -> Told:
    require_bounds(asked)
    folder = open_folder(run)
    with Journal.open(folder.journal, read_only=True) as journal, open_review(folder) as store:
        found = draw_round(folder, journal, store, asked)
    return Told(asdict(found), "\n".join(in_words(found, asked, f"solon serve {run}")))


def policy_of(written: str) -> Policy:
    policy = next((one for one in POLICIES if one == written), None)
    if policy is None:
        raise InputError(f"--policy {written}", "is no policy", f"choose one of: {', '.join(POLICIES)}")
    return policy


def require_bounds(asked: DrawAsked) -> None:
    for name, share in (
        ("--audit-share", asked.audit_share),
        ("--overlap-share", asked.overlap_share),
        ("--gold-share", asked.gold_share),
    ):
        if not 0 <= share <= 1:
            raise InputError(f"{name} {share:g}", "is no share", "choose a number between 0 and 1")


def in_words(found: RoundTold, asked: DrawAsked, serve: str) -> Iterator[str]:
    """What was drawn and why, and what to do next."""
    count, kinds = sum(found.drawn.values()), found.drawn
    drawn = ", ".join(f"{number} {KINDS[kind]}" for kind, number in kinds.items() if number)
    yield f"round {found.round}: {count} items ({drawn}); {found.left} of {found.couples} couples are left"
    for reason, number in found.reasons.items():
        yield f"  {number} since {reason}"
    if kinds["audit"] + kinds["worth"] < found.asked:
        yield f"  fewer than the {found.asked} asked for: there are no more"
    if found.needed > found.asked and found.drawn["audit"]:
        yield (
            f"  {found.new} couples are new since the last round: "
            f"draw at least {found.needed} for an even sample, which this is not"
        )
    if found.by_labels:
        yield f"  what is worth asking was decided with the labels of {found.by_labels} couples so far"
    elif kinds["worth"]:
        yield (
            "  draw a part of what people can label now and the rest later: "
            "a further round follows what they said in the first"
        )
    if asked.policy == "uncertain" or (asked.policy == "mixed" and asked.audit_share == 0):
        yield "  nothing was drawn at random, so these labels tell nothing of the other couples' quality"
    yield f"next: {serve}"


def status(run: Path) -> Told:
    with reviewed(run) as store:
        data = standing(store)
    return Told(data, "\n".join(status_lines(data, run)))


def standing(store: Store) -> dict[str, Any]:
    """The review in figures."""
    tasks, people, disputes = store.tasks(), store.annotators(), store.disputes()
    here = [task for task in tasks if not task.gone]
    drawn = Counter(task.task.kind for task in here)
    labelled = Counter(task.task.kind for task in here if task.labels)
    return {
        "rounds": len(store.rounds()),
        "kinds": {kind: {"drawn": drawn[kind], "labelled": labelled[kind]} for kind in KINDS if drawn[kind]},
        "gone": len(tasks) - len(here),
        "labels": asdict(store.totals()),
        "annotators": [asdict(one) for one in people],
        "disputes": {"open": sum(one.decided is None for one in disputes), "all": len(disputes)},
        "flags": len(store.flags()),
        "edits": len(store.edits()),
    }


def status_lines(data: dict[str, Any], run: Path) -> Iterator[str]:
    labels, disputes = data["labels"], data["disputes"]
    yield f"{labels['labels']} of {labels['wanted']} labels, in {data['rounds']} round{'s' * (data['rounds'] != 1)}"
    for kind, counts in data["kinds"].items():
        yield f"  {KINDS[kind]}: {counts['labelled']} of {counts['drawn']} items have a label"
    if data["gone"]:
        yield f"  {data['gone']} items more are of couples that the run no longer has: nobody is given them"
    for one in data["annotators"]:
        gone = ", dropped" if one["dropped"] else ""
        yield f"  {one['name']}: {one['labels']} labels, {one['skips']} skipped{gone}"
    yield f"{disputes['open']} of {disputes['all']} disputes to decide, {data['flags']} flags, {data['edits']} edits"
    done = labels["open"] == 0
    yield f"next: {f'solon review labels {run}, then solon audit {run}' if done else f'solon serve {run}'}"


def labels(run: Path, out: Path | None) -> Told:
    folder = open_folder(run)
    file = out or folder.path / "review-labels.csv"  # an audit prefers a labels.csv to the live review
    with reviewed(run) as store:
        text, count = labels_csv(store), len(people_of(store))
    write_to(file, text)
    next_steps = f"solon audit {run} --labels {file}; solon export {run} --labels {file}"
    return Told({"labels": str(file), "count": count}, f"{count} labels are in {file}\nnext: {next_steps}")


@contextmanager
def reviewed(run: Path, writing: bool = False) -> Iterator[Store]:
    """The review of a run that something was drawn of."""
    folder = open_folder(run)
    with begun_review(folder) or nullcontext() as store:
        if store is None or not store.rounds():
            raise InputError(str(run), "nothing was drawn for people yet", f"solon review draw {run} --n 100")
        if not writing:
            yield store
    if writing:
        with open_review(folder) as store:
            yield store


def export(run: Path, format: str, out: Path, seed: int) -> Told:
    """Writes a folder with what the other tool imports."""
    require_tool(format)
    with reviewed(run) as store:
        tasks, guidelines = [stored.task for stored in store.tasks() if not stored.gone], store.guidelines().text
    if not tasks:
        raise InputError(str(run), "has no couple any more that was drawn", f"solon review draw {run} --n 100")
    bodies, name = [task.body for task in tasks], open_folder(run).path.resolve().name
    if format == "labelstudio":
        from solon.review.tools import labelstudio

        texts = dict(zip(labelstudio.FILES, (labelstudio.tasks(bodies, seed), labelstudio.LABELLING), strict=True))
    else:
        from solon.review.tools import argilla

        overlap = max(task.overlap for task in tasks)
        texts = argilla.files(bodies, seed, name=name, guidelines=guidelines, overlap=overlap)
    for file, text in texts.items():
        make_folder((out / file).parent)
        write_to(out / file, text)
    files = [str(out / file) for file in texts]
    back = f"solon review import {run} FILE --format {format}"
    return Told({"files": files, "items": len(bodies)}, f"{len(bodies)} items are in {', '.join(files)}\nlater: {back}")


def take_in(run: Path, file: Path, format: str) -> Told:
    """Labels of another tool into the review; what was taken in before, or is said already, is passed over."""
    require_tool(format)
    try:
        text, written = file.read_text(encoding="utf-8"), file.stat().st_mtime
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(file), f"cannot be read ({error})", "name what the other tool exported") from None
    with reviewed(run, writing=True) as store:
        items = [stored.task for stored in store.tasks()]
        said = {(one.item, one.annotator): words_of(one) for one in store.labels()}
        tool, brought = read_labels(format, text, items, (str(file), written))
        new = [one for one in brought.labels if said.get((one.item, one.annotator)) != words_of(one)]
        taken = store.take_in(new, tool)
    again = taken.passed_over + len(brought.labels) - len(new)
    left_out = dict(brought.left_out)
    data = {"new": taken.new, "replaced": taken.replaced, "passed_over": again, "left_out": left_out}
    lines = [f"{taken.new} new labels, {taken.replaced} replaced, {again} known already"]
    lines += [f"  {count} left out: {reason}" for reason, count in left_out.items()]
    return Told(data, "\n".join([*lines, f"next: solon review status {run}"]))


def read_labels(format: str, text: str, items: list[NewTask], place: tuple[str, float]) -> tuple[str, Brought]:
    """The tool's name and what it brings; ``place`` is the file, and when it was written."""
    from solon.review.tools import argilla, labelstudio

    file, written = place
    if format == "labelstudio":
        return labelstudio.TOOL, labelstudio.read(text, items, file)
    return argilla.TOOL, argilla.read(text, items, file, written)


def words_of(label: HumanLabel) -> tuple[object, ...]:
    return label.choice, label.strength, label.rationale


def require_tool(format: str) -> None:
    if format not in TOOLS:
        raise InputError(f"--format {format}", "is no format", f"choose one of: {', '.join(TOOLS)}")


def write_to(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise InputError(str(file), f"cannot be written ({error.strerror})", "name another file") from None
