"""The verbs of ``solon review``: what people are to label, and what came of it."""

from pathlib import Path
from typing import Annotated

import typer

from solon.cli.options import Json, RunPlace

review = typer.Typer(help="Have people label a part of a run.", no_args_is_help=True)


@review.command("draw")
def review_draw(
    run: RunPlace,
    n: Annotated[int, typer.Option("--n", min=1, help="Couples that people are to see.", show_default=False)],
    policy: Annotated[
        str, typer.Option(help="random, uncertain: those whose label is worth most, or mixed: both.", metavar="POLICY")
    ] = "mixed",
    audit_share: Annotated[float, typer.Option(help="Of a mixed draw, the share drawn at random.")] = 0.5,
    overlap: Annotated[int, typer.Option(min=1, max=20, help="People who label the same item.")] = 1,
    overlap_share: Annotated[float, typer.Option(help="Of the items, those that so many people label.")] = 1.0,
    gold: Annotated[
        Path | None,
        typer.Option(help="Items whose label is known: a CSV item,choice or JSONL as [cascade] labelled has it."),
    ] = None,
    gold_share: Annotated[float, typer.Option(help="Of what each person sees, those with a known label.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Draw the couples that people are to see: a random share, and those whose label is worth most."""
    from solon.cli import reviewing
    from solon.review.drawing import DrawAsked

    chosen = reviewing.policy_of(policy)
    reviewing.draw(run, DrawAsked(n, chosen, overlap, overlap_share, audit_share, gold, gold_share, seed)).tell(json)


@review.command("status")
def review_status(run: RunPlace, json: Json = False) -> None:
    """Say what was drawn and labelled, by whom, and what people disagree on."""
    from solon.cli import reviewing

    reviewing.status(run).tell(json)


@review.command("labels")
def review_labels(
    run: RunPlace,
    out: Annotated[Path | None, typer.Option(help="The file; RUN/review-labels.csv if not given.")] = None,
    json: Json = False,
) -> None:
    """Write people's labels as the table that audit and export read."""
    from solon.cli import reviewing

    reviewing.labels(run, out).tell(json)


@review.command("export")
def review_export(
    run: RunPlace,
    format: Annotated[str, typer.Option(help="labelstudio or argilla.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default=False)],
    seed: Annotated[int, typer.Option(min=0, help="Decides which completion stands on the left.")] = 0,
    json: Json = False,
) -> None:
    """Write what was drawn as tasks of another labelling tool."""
    from solon.cli import reviewing

    reviewing.export(run, format, out, seed).tell(json)


@review.command("import")
def review_import(
    run: RunPlace,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the other tool exported.", show_default=False)],
    format: Annotated[str, typer.Option(help="labelstudio or argilla.", show_default=False)],
    json: Json = False,
) -> None:
    """Take in labels that were made in another tool. The same file twice changes nothing."""
    from solon.cli import reviewing

    reviewing.take_in(run, file, format).tell(json)
