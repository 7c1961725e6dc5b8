"""An evaluation as one HTML page: everything is in the file, nothing is fetched, and no script runs in it.

Every text is escaped, here or in `markup`; only the pictures are put in as they are.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, TypeAlias

from solon.auditing.frame import drawn, framed
from solon.auditing.markup import Pictures, picture, said, section, table, text
from solon.auditing.text import counted, reasons, shown
from solon.evaluating import plots
from solon.report.models import EVALUATION_HEAD, ROWS, measure_row
from trainer.evaluation.measures import Measure

Record: TypeAlias = Mapping[str, Any]
Draw: TypeAlias = Callable[[Record], Mapping[str, str]]
MOST = 1200  # characters of a completion, and of a sentence
OWN_STYLE = """
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: .75rem;
  margin: .5rem 0 1.5rem; } .pair div { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: .5rem .8rem; } .pair p { white-space: pre-wrap; font-size: .92rem; } .pair h3 { font-size: .8rem; margin: 0;
  color: var(--soft); } .asked { font-weight: 600; white-space: pre-wrap; }
@media print { .pair div { break-inside: avoid; } }
"""
TERMS = (
    ("difference", "Trained minus base, on the same prompts."),
    ("[low, high]", "The 95 % interval of the difference, over the prompts: where it holds 0, there may be none."),
    ("distinct-n", "Different runs of n words over all such runs, all completions together. It falls as they grow."),
    ("self-BLEU", "How much a prompt's samples share with each other: 1 is the same again and again."),
    ("embedding spread", "How far a prompt's samples lie apart in meaning, by the base's own last layer."),
    ("swayed by opinion", "Asked by somebody who is for it and by somebody who is against, it sides with each."),
    ("win rate", "How often a judge prefers the trained policy's completion to the base's; equals have 50 %."),
    ("win rate at equal length", "The same, where what length alone explains is taken out."),
    ("KL from base", "How far the policy has gone from the base, in nats per completion that it samples."),
    ("mean reward", "What the run's reward model says. A policy trained on it pleases it: hold it against wins."),
    ("guard", "A threshold under [guards]. Beyond it `solon evaluate` fails: the red fields in the plot."),
)


def page(record: Record, draw: Draw = plots.draw) -> str:
    """The page of an evaluation as its file has it; the same evaluation gives the same page.

    Args:
        draw: gives the pictures as trusted SVG; where it raises ImportError, the page is made without them.
    """
    pictures, missing = drawn(draw, record, "evaluate")
    sections = (
        compared(record, pictures),
        guarded(record["guards"], record["unwatched"]),
        since_previous(record["previous"], pictures),
        rewarded(pictures),
        trained(record["training"], pictures),
        read_yourself(record["examples"]),
        terms(record),
    )
    body = "\n".join([head(record), missing, verdict(record), doubts(record), *sections])
    title = f"Evaluation of {shown(record['name'])}"
    return framed(title, body, OWN_STYLE)


def head(record: Record) -> str:
    training = record["training"]
    rows = f"{training['rows']:,} {ROWS.get(training['method'], 'prompts')}"
    how = f"{shown(training['method'].upper())} on {rows}, from {shown(training['base'])}."
    asked = f"{counted(record['prompts'], 'held-out prompt')}, asked of it and of {shown(record['base'])}."
    wins = record["wins"]["by"]
    by = text(f"Wins: {shown(wins, 200)}.", "soft") if wins else ""
    name = f"<h1>What training changed: {escape(shown(record['name']))}</h1>"
    return "\n".join([name, text(f"{how} {asked}"), by])


def verdict(record: Record) -> str:
    """The one card that says whether a guard tripped."""
    tripped, guards = record["tripped"], len(record["guards"])
    state, mark = ("bad", "✗ stop") if tripped else ("good", "✓ go on") if guards else ("unknown", "? not known")
    if tripped:
        shot, lines = (
            f"{counted(len(tripped), 'guard')} of {guards} tripped",
            [text(shown(line, MOST)) for line in tripped],
        )
    else:
        shot = "No guard tripped" if guards else "No guard has a figure to watch"
        lines = [text(f"{counted(guards, 'guard')} watched. A guard says what went too far, not what went well.")]
    return (
        f'<div class="cards"><div class="card {state} now"><span class="mark">{mark}</span>'
        f'<p class="shot">{said(shot)}</p>{"".join(lines)}</div></div>'
    )


def doubts(record: Record) -> str:
    wins = record["wins"]
    silent = [f"Wins, no verdict: {reasons(wins['no_verdicts'])}."] if wins["no_verdicts"] else []
    notes = [*record["warnings"], *(note[:1].upper() + note[1:] + "." for note in wins["notes"]), *silent]
    items = [f"<li>{said(shown(note, MOST))}</li>" for note in notes]
    return section("What speaks against it", "\n".join(['<ul class="warnings">', *items, "</ul>"]) if items else "")


def compared(record: Record, pictures: Pictures) -> str:
    caption = "Each measure's change with its 95 % interval. Red fields are where a guard trips."
    return section(
        f"Beside {shown(record['base'])}", picture(pictures, "measures", caption), measure_table(record["measures"])
    )


def measure_table(measures: Sequence[Record]) -> str:
    rows = [measure_row(Measure(**measure)) for measure in measures]
    return table(EVALUATION_HEAD, [(shown(row[0], MOST), *row[1:]) for row in rows])


def guarded(guards: Sequence[Record], unwatched: Sequence[str]) -> str:
    """The guards that are on, each with how far it is from tripping, in the terms of its key under [guards]."""
    rows = [
        (
            guard["guard"],
            shown(guard["measure"]),
            f"{guard['value']:z.2f}",
            f"at {'least' if guard['least'] else 'most'} {guard['limit']:g}",
            "✗ tripped" if guard["tripped"] else "✓",
        )
        for guard in guards
    ]
    left = text(f"Without a figure, and so not watched: {', '.join(unwatched)}.", "soft") if unwatched else ""
    return section("Guards", table(("guard", "measure", "is", "may be", "state"), rows), left)


def since_previous(previous: Record | None, pictures: Pictures) -> str:
    if previous is None:
        return ""
    name = shown(previous["name"])
    caption = f"Each measure's change since {name}."
    return section(
        f"Beside {name}, which it was trained from",
        picture(pictures, "previous", caption),
        measure_table(previous["measures"]),
    )


def rewarded(pictures: Pictures) -> str:
    caption = (
        "Reward against the root of the distance from the base, the later the darker. Where the reward still rises "
        "and what a judge says falls, the policy has learnt to please the reward and nothing else "
        "(Gao, Schulman and Hilton 2022)."
    )
    return section("Reward against distance", picture(pictures, "reward", caption))


def trained(training: Record, pictures: Pictures) -> str:
    figures = [(shown(name.replace("_", " ")), f"{value:.4g}") for name, value in sorted(training["figures"].items())]
    dropped = ", ".join(
        f"{shown(reason)} ({count:,})" for reason, count in sorted(training["dropped"].items()) if count
    )
    seconds, tokens = training["seconds"], training["tokens"]
    took = f"{counted(len(training['steps']), 'step')} in {seconds:,.0f} s, {counted(tokens, 'token')}"
    rate = f" ({tokens / seconds:,.0f} a second)" if seconds else ""
    return section(
        "Training",
        text(f"{took}{rate}."),
        text(f"Left out: {dropped}.") if dropped else "",
        picture(pictures, "training", "The training's figures, step by step."),
        table(("when it was done", "figure"), figures),
    )


def read_yourself(examples: Sequence[Record]) -> str:
    """Completions beside each other, whole where they are not long."""
    blocks = [
        f'<p class="asked">{escape(plain(one["prompt"]))}</p><div class="pair">'
        + "".join(f"<div><h3>{side}</h3><p>{escape(plain(one[side]))}</p></div>" for side in ("base", "trained"))
        + "</div>"
        for one in examples
    ]
    return section("Read for yourself", *blocks)


def plain(words: str) -> str:
    """A model's text with its lines, in which nothing else moves a cursor or turns the direction of writing."""
    cut = words if len(words) <= MOST else f"{words[:MOST]} …"
    return "\n".join(shown(line, MOST + 2) for line in cut.split("\n"))


def terms(record: Record) -> str:
    there = {measure["name"] for measure in record["measures"]}
    there |= {"difference", "[low, high]", "guard", *(["distinct-n"] if "distinct-2" in there else [])}
    used = [(term, meaning) for term, meaning in TERMS if term in there]
    lines = [f"<dt>{escape(term)}</dt><dd>{said(meaning)}</dd>" for term, meaning in used]
    return section("Words", "\n".join(["<dl>", *lines, "</dl>"]))
