"""An evaluation in words on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from solon.auditing.text import counted, reasons
from solon.report.models import EVALUATION_HEAD, measure_row
from trainer.evaluation.measures import load_evaluation

KEYS = ("measures", "prompts", "resamples", "seed")


def told(data: Mapping[str, Any]) -> str:
    """The comparisons as tables, what to worry about, every guard that tripped, and where everything is."""
    lines = [tabled(data, data["base"])]
    if data["previous"]:
        lines.append(tabled(data["previous"], data["previous"]["name"]))
    lines += [f"wins: {data['wins']['by']}"] if data["wins"]["by"] else []
    lines += said_of_wins(data["wins"])
    lines += data["warnings"]
    lines += [f"guard: {line}" for line in data["tripped"]] or [all_clear(len(data["guards"]))]
    return "\n".join([*lines, f"page: {data['page']}", f"report: {data['report']}", f"policy: {data['policy']}"])


def tabled(data: Mapping[str, Any], other: str) -> str:
    evaluation = load_evaluation({key: data[key] for key in KEYS})
    table = Table(*EVALUATION_HEAD, title=f"against {other}, on {evaluation.prompts} held-out prompts")
    for measure in evaluation.measures:
        table.add_row(*measure_row(measure))
    console = Console(width=100, color_system=None, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()


def said_of_wins(wins: Mapping[str, Any]) -> list[str]:
    silent = [f"no verdict: {reasons(wins['no_verdicts'])}"] if wins["no_verdicts"] else []
    return [*wins["notes"], *silent]


def all_clear(guards: int) -> str:
    return f"none of {counted(guards, 'guard')} tripped" if guards else "no guard has a figure to watch"
