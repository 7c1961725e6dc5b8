"""All rounds as one HTML page: everything is in the file, nothing is fetched, and no script runs in it.

Every text is escaped, here or in `markup`; only the pictures are put in as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from solon.auditing.frame import drawn, framed
from solon.auditing.markup import Pictures, picture, section, table, text
from solon.auditing.text import counted, shown
from solon.evaluating import plots
from solon.iterating.told import doubts, points_of
from solon.report.models import measure_row
from trainer.evaluation.guards import Checked
from trainer.evaluation.measures import REWARD, Measure

Record = Mapping[str, Any]
REWARD_CAPTION = (
    "Reward above the base's, by each round's own reward model, against the root of the distance from the base. "
    "Where it still rises and what a judge says falls, the policy pleases the reward and nothing else "
    "(Gao, Schulman and Hilton 2022)."
)


def draw(record: Record) -> dict[str, str]:
    """The pictures that there are figures for, as SVG by name: reward, guards.

    Raises:
        ImportError: Altair or vl-convert is not installed.
    """
    points = points_of(record)
    guards = [
        (str(told["round"]), [Checked(**guard) for guard in told["guards"]])
        for told in record["rounds"]
        if told.get("guards")
    ]
    found = {"reward": plots.reward_against_kl(points)} if len(points) > 1 else {}
    return found | ({"guards": plots.guards_by_round(guards)} if guards else {})


def page(record: Record, draw: Callable[[Record], Pictures] = draw) -> str:
    """The page of the rounds as iterate.json has them; the same record gives the same page.

    Args:
        draw: gives the pictures as trusted SVG; where it raises ImportError, the page is made without them.
    """
    pictures, missing = drawn(draw, record, "iterate")
    sections = (
        section("Round by round", table(head(record), rows(record)), links(record)),
        section("Reward against distance", picture(pictures, "reward", REWARD_CAPTION)),
        section("Guards", picture(pictures, "guards", "Every guard's value from round to round, and its limit.")),
    )
    title = f"Rounds of {shown(record['name'])}"
    body = "\n".join([f"<h1>{escape(title)}</h1>", verdict(record), missing, *sections])
    return framed(title, body)


def verdict(record: Record) -> str:
    """The one card that says how far it went and why no further, and what to doubt."""
    stopped, there = record["stopped"], len(record["rounds"])
    if stopped is None:
        state, mark, why = "good", "✓ done", f"No guard tripped in {counted(there, 'round')}"
    else:
        state, mark = ("bad", "✗ stopped") if stopped["exit_code"] == 1 else ("unknown", "… waiting")
        why = f"Round {stopped['round']} of {record['wanted']} ended at {stopped['stage']}"
    lines = [text(shown(line, 600)) for line in ([stopped["why"]] if stopped else []) + doubts(record)]
    return (
        f'<div class="cards"><div class="card {state} now"><span class="mark">{mark}</span>'
        f'<p class="shot">{escape(why)}</p>{"".join(lines)}</div></div>'
    )


def head(record: Record) -> tuple[str, ...]:
    return ("measure", "base", *(f"round {told['round']}" for told in record["rounds"]))


def rows(record: Record) -> list[tuple[str, ...]]:
    """A line for each measure: the base's figure, and that of each round's policy; "–" where there is none."""
    rounds = [{measure["name"]: measure for measure in told.get("measures", ())} for told in record["rounds"]]
    names = list(dict.fromkeys(name for found in rounds for name in found))
    pairs = ("preference pairs", "–", *(f"{told['pairs']:,}" for told in record["rounds"]))
    return [pairs, *(row_of(name, [found.get(name) for found in rounds]) for name in names)]


def row_of(name: str, found: Sequence[Mapping[str, Any] | None]) -> tuple[str, ...]:
    if name == REWARD:  # each round's own model says it, whose zero is its own
        return (f"{name} above the base's", "–", *(measure_row(Measure(**m))[3] if m else "–" for m in found))
    base = next(measure_row(Measure(**measure))[1] for measure in found if measure)
    return (name, base, *(figure(measure) if measure else "–" for measure in found))


def figure(measure: Mapping[str, Any]) -> str:
    note = f" ({shown(measure['note'], 24)})" if measure.get("note") else ""
    return measure_row(Measure(**measure))[2] + note


def links(record: Record) -> str:
    """To each round's own page, which tells more."""
    items = [
        f'<li><a href="{escape(told["page"], quote=True)}">Round {told["round"]}, with intervals</a></li>'
        for told in record["rounds"]
        if "page" in told
    ]
    return "\n".join(["<ul>", *items, "</ul>"]) if items else ""
