"""What a run's data made of a model, as sections of a report: each training and each evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from solon.report.markdown import one_line, table
from trainer.evaluation.measures import Measure

Record: TypeAlias = Mapping[str, Any]
EVALUATION_HEAD = ("measure", "base", "trained", "difference", "95 % interval")
ROWS = {"sft": "completions", "dpo": "pairs", "reward": "pairs"}  # what a method's rows are; of the others: prompts
FIRST = ("loss", "reward", "kl", "margin", "accuracy")  # what is looked at first
SHOWN = 5  # figures of a step that a report has room for


def training_section(name: str, record: Record) -> str:
    """How the training went, in a few of its steps, and what was measured when it was done."""
    steps, method = record["steps"], record["method"]
    what = f"{record['rows']} {ROWS.get(method, 'prompts')}"
    left_out = ", ".join(f"{one_line(why)} {count}" for why, count in sorted(record["dropped"].items()) if count)
    head = (
        f"{one_line(method.upper())} on {what} in {record['seconds']:.0f} s, {len(steps)} steps, "
        f"{record['tokens']:,} tokens, from `{one_line(record['base'])}`"
        + (f"; left out: {left_out}." if left_out else ".")
    )
    names = figure_names(steps)[:SHOWN]
    rows = [(str(step["step"]), *(told(step["figures"].get(n)) for n in names)) for step in spread(steps)]
    curve = table(("step", *(one_line(n.replace("_", " ")) for n in names)), rows) if names else ""
    figures = sorted(record["figures"].items())
    measured = table(("when it was done", "figure"), [(one_line(n.replace("_", " ")), told(v)) for n, v in figures])
    parts = (f"### {one_line(name)}", head, curve, measured if figures else "")
    return "\n\n".join(part for part in parts if part)


def evaluation_section(name: str, record: Record) -> str:
    """Every measure beside the base, what a guard says of it, and what else to worry about."""
    rows = [measure_row(Measure(**measure)) for measure in record["measures"]]
    tripped = [f"> **A guard tripped: {one_line(line)}**" for line in record["tripped"]]
    warnings = [f"> **{one_line(warning)}**" for warning in record["warnings"]]
    wins = record["wins"]["by"]
    parts = (
        f"### {one_line(name)}",
        f"On {record['prompts']} held-out prompts, beside `{one_line(record['base'])}`."
        + (f" Wins: {one_line(wins)}." if wins else ""),
        table(EVALUATION_HEAD, [(one_line(row[0]), *row[1:]) for row in rows]),
        *tripped,
        *warnings,
    )
    return "\n\n".join(parts)


def figure_names(steps: Sequence[Record]) -> list[str]:
    """What a training's steps tell, the weightiest first."""
    names = dict.fromkeys(name for step in steps for name in step["figures"])
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def told(value: float | None) -> str:
    """A figure of a training, of whatever size."""
    if value is None:
        return "–"
    return f"{value:z.3f}" if abs(value) < 100 else f"{value:,.0f}"


def spread(steps: Sequence[Any], most: int = 6) -> list[Any]:
    """At most ``most`` of ``steps``, evenly apart, with the first and the last."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)]


def measure_row(measure: Measure) -> tuple[str, ...]:
    """One line of an evaluation's table: shares in per cent, the rest as they are."""
    share = measure.unit == "share"

    def figure(value: float, sign: str = "") -> str:
        if share:
            return f"{value:{sign}z.0%}"
        return f"{value:{sign}z.2f}" if abs(value) < 10 else f"{value:{sign}z.0f}"

    name = f"{measure.name} ({measure.note})" if measure.note else measure.name
    interval = f"[{figure(measure.low, '+')}, {figure(measure.high, '+')}]"
    return name, figure(measure.base), figure(measure.trained), figure(measure.difference, "+"), interval
