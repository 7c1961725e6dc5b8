"""A run's own verdicts as the table that an audit reads: one row a verdict, one item a couple of candidates.

Of an item's two completions the first is the candidate whose id sorts first. Each judge counts apart under each
principle, since that is how far it is to be believed; checks and the run's label count as judges too. An audit holds
the models alone against people: a check is no judge that could err, and the label is made of all of them.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from constitution.errors import InputError
from judge.asking import conversation
from judge.audit.audit import Audit, Settings, audit, judged, told
from judge.audit.budget import widths
from judge.audit.powered import LABEL_COUNTS, Powered, powered
from judge.audit.table import Material, average
from judge.label import Label
from judge.pairs import couple_id
from judge.verdict import Judgement, NoVerdict, OneVerdict
from solon.auditing.columns import Columns, read_columns
from solon.auditing.material import material
from solon.auditing.read import LABELS, PEOPLES
from solon.auditing.shares import even_share, reachable, shares_told
from solon.pipeline import Row

COLUMNS = ("item", "judge", "order", "choice", "p_first", "text_1_chars", "text_2_chars", "stratum", "reason")
LABEL = "the run's label"
CHECK = "check / "
UNDECIDED = "no verdict"  # why a label says nothing; no judge gives this reason
Cells = tuple[str, ...]


def material_of(rows: Iterable[Row], labels: Path, divided: bool = False) -> Material:
    """The run's verdicts beside the human labels of ``labels``, whose items are the ids of couples.

    Args:
        divided: whether the prompts' sources divide the items.
    """
    said = columns_of(rows, Path("this run"))
    return material(said, read_columns(labels, PEOPLES, LABELS), "stratum" if divided else None)


def measure(material: Material, settings: Settings) -> dict[str, Any]:
    """The audit of the run's models as JSON, with its label as one more in ``by_judge``.

    Its ``ppi`` estimates how often people agree with the label: which candidate's id sorts first means nothing, and
    nor does how often people prefer that one. Where no model saw a labelled couple the label stands alone.

    Where people's labels are a review's, all figures beside people but the prediction-powered ones are counted on its
    even share: those take all of its labels, each by its chance.
    """
    every, material = len(material.items), reachable(material)
    share = even_share(material)
    counted, seed = share or material, settings.seed
    label = audit(apart(counted, [LABEL]), Settings(seed=seed, splits=1))
    models = [one for one in material.verdicts.judges if one != LABEL and not one.startswith(CHECK)]
    seen = apart(counted, models) if models else None
    base = audit(seen, settings) if seen and np.isin(seen.labels.item, seen.verdicts.item).any() else label
    if share:
        base = by_all_labels(base, apart(material, models), seed) if base is not label else base
        label = by_all_labels(label, apart(material, [LABEL]), seed)
    figures = told(joined(base, label)) | {"best_judge": told(base)["best_judge"]}
    if figures["ppi"]:
        figures["ppi"] |= {"of": f"people agree with {LABEL}", "unreached": every - len(material.items)}
        figures["needed"].pop("win_rate", None)
    figures["notes"] += shares_told(material, share)
    return figures


def by_all_labels(figures: Audit, material: Material, seed: int) -> Audit:
    """The audit with prediction-powered estimates from all labels of ``material``."""
    return replace(figures, powered=powered(material, average(material), None, 1, seed))


def joined(models: Audit, label: Audit) -> Audit:
    """The audit of ``models`` with the figures of the label, and with the label's accuracy where the win rate was."""
    strata = {
        name: replace(part, judges={**part.judges, **label.strata[name].judges})
        for name, part in models.strata.items()
        if name in label.strata
    }
    estimates = None
    if label.powered and LABEL in label.powered.accuracy:
        found = label.powered.accuracy[LABEL]
        accuracy = {**(models.powered.accuracy if models.powered else {}), LABEL: found}
        budget = widths(found, LABEL_COUNTS)
        estimates = Powered(found, False, 0, None, accuracy, budget, label.powered.active)
    whole = replace(models.whole, judges={**models.whole.judges, **label.whole.judges})
    alternative = {**models.alternative, **label.alternative}
    return replace(models, whole=whole, strata=strata, powered=estimates, alternative=alternative)


def apart(material: Material, judges: list[str]) -> Material:
    """Only the verdicts of ``judges``, and the couples that they were asked about."""
    verdicts, names = material.verdicts, sorted(judges)
    kept = np.isin(verdicts.judge, [verdicts.judges.index(name) for name in names])
    place = np.searchsorted(names, verdicts.judges)
    reasons = {} if names == [LABEL] else {k: n for k, n in verdicts.no_verdicts.items() if k != UNDECIDED}
    heard = replace(
        verdicts, judges=tuple(names), item=verdicts.item[kept], judge=place[verdicts.judge[kept]],
        order=verdicts.order[kept], choice=verdicts.choice[kept], p_one=verdicts.p_one[kept],
        graded=verdicts.graded[kept], no_verdicts=reasons,
    )  # fmt: skip
    left = judged(replace(material, verdicts=heard))
    unseen = len(material.items) - len(left.items)
    notes = (f"{unseen} couples that none of these judges was asked about are left out",) if unseen else ()
    return replace(left, verdicts=replace(left.verdicts, notes=verdicts.notes + notes))


def columns_of(rows: Iterable[Row], place: Path) -> Columns:
    import pyarrow as pa

    cells = list(zip(*(cells for row in rows for cells in cells_of(row)), strict=True))
    if not cells:
        raise InputError(str(place), "holds no verdict", "run it first")
    texts = {name: pa.chunked_array([list(column)]) for name, column in zip(COLUMNS, cells, strict=True)}
    return Columns(place, True, COLUMNS, texts, len(cells[0]))


def as_csv(rows: Iterable[Row]) -> str:
    """The table as a file that anybody's audit can read."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(cells for row in rows for cells in cells_of(row))
    return out.getvalue()


def items(rows: Iterable[Row]) -> str:
    """What people are to label, a JSON object a line: prompt and two completions, and not a word of what judges said.

    JSON, since a spreadsheet would take some texts for formulas.
    """
    return "".join(json.dumps(item) + "\n" for row in rows for item in items_of(row))


def items_of(row: Row) -> Iterator[dict[str, str]]:
    text = {candidate.id: candidate.text for candidate in row.made.candidates}
    asked = conversation(row.made.prompt)
    for one in row.labels:
        item = couple_id(one.a, one.b)
        yield {"item": item, "prompt": asked, "completion_1": text[one.a], "completion_2": text[one.b]}


def cells_of(row: Row) -> Iterator[Cells]:
    """Every verdict on the row's couples, in the order of couple, principle and judge, and each couple's label."""
    length = {candidate.id: str(len(candidate.text)) for candidate in row.made.candidates}
    source = row.made.prompt.source

    def cells(a: str, b: str, judge: str, order: int, verdict: Cells) -> Cells:
        choice, p_first, reason = verdict
        return couple_id(a, b), judge, str(order), choice, p_first, length[a], length[b], source, reason

    for judgement in row.judgements:
        for order, verdict in ((1, judgement.forward), (2, judgement.backward)):
            if verdict is not None:
                yield cells(judgement.a, judgement.b, name_of(judgement), order, spoken(verdict, order))
    for label in row.labels:
        yield cells(label.a, label.b, LABEL, 1, labelled(label))


def name_of(judgement: Judgement) -> str:
    who = CHECK if judgement.by == "check" else f"{judgement.judge or 'judge'} / "
    return f"{who}{judgement.principle}"


def spoken(verdict: OneVerdict, order: int) -> Cells:
    """Choice, chance of the completion shown first, and the reason of a missing verdict."""
    if isinstance(verdict, NoVerdict):
        return "none", "", verdict.reason
    shown = {"first": 1, "second": 2}.get(verdict.preference)
    choice = "tie" if shown is None else str(shown if order == 1 else 3 - shown)
    return choice, repr(verdict.p_first), ""


def labelled(label: Label) -> Cells:
    if label.p_a is None:
        return "none", "", UNDECIDED
    tied = label.preferred is None or label.both_bad
    return "tie" if tied else "1" if label.preferred == label.a else "2", repr(label.p_a), ""
