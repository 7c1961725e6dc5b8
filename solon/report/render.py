"""``report.md``: what a run, its training and its evaluation came to, for a person to read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judge.pairs import PreferencePair
from solon.figures import Figures, Kept, Seen, Tally
from solon.report.markdown import one_line, table
from solon.report.models import evaluation_section, training_section


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a report is made from; what did not happen yet is None."""

    name: str
    constitution: str
    models: Mapping[str, str]  # role to model
    figures: Figures
    run: Mapping[str, Any] | None  # summary.json
    training: Mapping[str, Mapping[str, Any]]  # each model's training.json, by the name of its folder
    evaluations: Mapping[str, Mapping[str, Any]]  # what `solon evaluate` wrote of each, by the same names
    files: Mapping[str, str]  # what it is to where it lies


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def render(facts: Facts) -> str:
    sections = [
        f"# {facts.name}",
        overview(facts),
        "## The judge\n\n" + judge_section(facts.figures),
        "## Which completions keep the checked principles\n\n" + kept_section(facts.figures.kept),
        "## What did not become a pair\n\n" + counts_section(facts.figures.tally),
    ]
    if facts.figures.example:
        sections.append("## One pair\n\n" + example_section(facts.figures.example))
    if facts.training:
        sections += ["## Training", *(training_section(name, record) for name, record in facts.training.items())]
    if facts.evaluations:
        sections += ["## Evaluation", *(evaluation_section(name, record) for name, record in facts.evaluations.items())]
    if told := (facts.run or {}).get("told"):
        sections.append("## What else to know\n\n" + "\n".join(f"* {one_line(line)}" for line in told))
    sections.append("## Where everything is\n\n" + "\n".join(f"* {k}: `{v}`" for k, v in facts.files.items()))
    return "\n\n".join(sections) + "\n"


def overview(facts: Facts) -> str:
    tally, took = facts.figures.tally, (facts.run or {}).get("in_all", {})
    models = ", ".join(f"{role} `{model}`" for role, model in facts.models.items())
    rows = [
        ("prompts", f"{tally.rows}"),
        ("candidates", f"{tally.candidates}"),
        *([("of them: EDIT by a person", f"{tally.edits}")] if tally.edits else []),
        ("preference pairs", f"{tally.pairs}"),
        ("calls sent", f"{took.get('calls_sent', 0):,}"),
        ("tokens read / written", f"{took.get('prompt_tokens', 0):,} / {took.get('completion_tokens', 0):,}"),
        ("seconds", f"{took.get('seconds', 0):.0f}"),
    ]
    return f"Constitution `{facts.constitution}`; {models}.\n\n" + table(("", "figure"), rows)


def judge_section(figures: Figures) -> str:
    warnings = "\n>\n".join(f"> **{one_line(warning)}**" for warning in figures.warnings)
    tables = [seen_table(judge) for judge in figures.judges]
    tally = figures.tally
    rows = [(f"candidates flagged: {kind}", f"{count}") for kind, count in tally.flags.most_common()]
    if tally.settled or tally.passed_on:
        rows.append(("settled by the cascade's first judge", f"{tally.settled} of {tally.settled + tally.passed_on}"))
    if not any(judge.position.judgements for judge in figures.judges):
        verdict = "No judge model was asked in both orders with a verdict in each."
    else:
        verdict = "" if warnings else "Nothing here speaks against this judge."
    parts = (verdict, warnings, *tables, table(("", "figure"), rows) if rows else "")
    return "\n\n".join(part for part in parts if part)


def seen_table(judge: Seen) -> str:
    """One judge's figures; empty where it was never asked."""
    position, canaries = judge.position, judge.canaries
    rows = []
    if position.judgements:
        rows += [
            ("judgements asked in both orders", f"{position.judgements}"),
            ("both orders prefer the same candidate", percent(position.orders_agree)),
            ("verdicts for the slot shown first", percent(position.first_slot)),
        ]
    for what, tally in (("a text that says nothing", canaries.null), ("one that tells it to", canaries.injected)):
        few = " (too few to tell)" if tally.share is None else ""
        if tally.asked:
            rows.append((f"planted beside a draft, and preferred: {what}", f"{tally.preferred} of {tally.heard}{few}"))
    return table((one_line(position.judge), "figure"), rows) if rows else ""


def kept_section(kept: Sequence[Kept]) -> str:
    if not kept:
        return "This constitution has no checked principle."
    rows = [
        (k.principle, percent(k.drafts), percent(k.revisions), percent(k.chosen), percent(k.rejected)) for k in kept
    ]
    return table(("principle", "drafts", "revisions", "chosen", "rejected"), rows)


def counts_section(tally: Tally) -> str:
    rows = [(reason, f"{count}") for reason, count in tally.drops.most_common()]
    rows += [(f"no verdict: {reason}", f"{count}") for reason, count in tally.no_verdicts.most_common()]
    return table(("reason", "count"), rows) if rows else "Everything became a pair."


def example_section(pair: PreferencePair) -> str:
    return (
        f"`{pair.id}`, margin {pair.margin:.2f}, decided by {', '.join(pair.decided_by)}.\n\n"
        f"**Prompt:** {one_line(pair.prompt.text)}\n\n"
        f"**Chosen:** {one_line(pair.chosen.text)}\n\n"
        f"**Rejected:** {one_line(pair.rejected.text)}"
    )
