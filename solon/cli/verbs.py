"""The verbs themselves: arguments in, one call into the shell, a few lines or one JSON object out."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from solon.cli import train_verbs
from solon.cli.options import ConfigFile, Json, NoBudget, RunPlace
from solon.cli.review_verbs import review

ORDER = (
    "init", "check", "run", "show", "review", "audit", "export", "train", "evaluate", "iterate", "convert", "serve",
    "serve-reward", "fake-provider",
)  # fmt: skip


class InOrder(TyperGroup):
    """The verbs in the order of the data, groups of verbs among them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    cls=InOrder,
    help="Principles in, preference data and a better model out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(review, name="review")
app.add_typer(train_verbs.train, name="train")
app.command()(train_verbs.evaluate)
app.command()(train_verbs.iterate)
app.command()(train_verbs.convert)
app.command("serve-reward")(train_verbs.serve_reward)


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")], json: Json = False) -> None:
    """Make a starter: a run that works as it is."""
    from solon.cli import actions

    actions.init(folder).tell(json)


@app.command()
def check(
    config: ConfigFile,
    pilot: Annotated[
        int, typer.Option(min=0, help="Also carry out so many prompts, at their price, and reckon from them.")
    ] = 0,
    no_budget: NoBudget = False,
    json: Json = False,
) -> None:
    """Look over a run before it is paid for: config, principles, prompts, models, the most it can send and cost."""
    from solon.cli import actions

    actions.check(config, pilot, no_budget).tell(json)


@app.command()
def run(
    config: Annotated[
        Path, typer.Argument(help="The run.toml, or a run folder to go on with.", metavar="RUN", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option(help="The run folder; runs/NAME if not given.")] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although the config means something else by now.")
    ] = False,
    no_budget: NoBudget = False,
    json: Json = False,
) -> None:
    """Carry out a run, or what is left of it. What was paid for is never paid for again."""
    from solon.cli import actions

    told = actions.run(config, out, accept_changes, no_budget)
    told.tell(json)
    sys.exit(told.exit_code)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Of a prompt, candidate, pair or call, or its beginning; or a trained model's folder."
        ),
    ],
    run: Annotated[Path | None, typer.Option("--run", help="The run folder; needed where there are several.")] = None,
    json: Json = False,
) -> None:
    """Print a row's whole history: completions, verdicts, the label and why; or what a model was made of."""
    from solon.cli import actions

    actions.show(name, run).tell(json)


@app.command()
def audit(
    run: Annotated[Path | None, typer.Argument(help="A run folder, or its run.toml.", metavar="[RUN]")] = None,
    verdicts: Annotated[Path | None, typer.Option(help="Anybody's recorded verdicts: CSV, gzip or Parquet.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Human labels; RUN/labels.csv or the run's review if not given.")
    ] = None,
    stratum: Annotated[str | None, typer.Option(help="The column that divides the items.", metavar="COLUMN")] = None,
    anchor: Annotated[int | None, typer.Option(min=1, help="Try anchoring on so many labels.", metavar="N")] = None,
    splits: Annotated[int, typer.Option(min=1, help="Random splits to try it on.")] = 100,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Where the page goes; RUN/audit for a run.")] = None,
    propose: Annotated[
        int | None, typer.Option(min=1, help="Draw about so many items to label next; no labels needed.", metavar="N")
    ] = None,
    json: Json = False,
) -> None:
    """Measure judges beside people: accuracy, bias, calibration, how many labels are needed, whom to believe."""
    from solon.cli.auditing import AuditAsked
    from solon.cli.auditing import audit as measure

    measure(AuditAsked(run, verdicts, labels, stratum, anchor, splits, seed, out, propose)).tell(json)


@app.command()
def export(
    run: RunPlace,
    format: Annotated[
        str,
        typer.Option(
            help="trl, sft, kto, reward, openrlhf, llamafactory, axolotl, rewardbench, icai: for their readers; "
            "items: what people can label; verdicts: what anybody can audit."
        ),
    ] = "trl",
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Human labels: people's win, and the judges' are anchored on them. Those of the run's review if not "
            "given; `none` leaves them out."
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Somebody whose labels in the review do not count.", metavar="NAME")
    ] = None,
    agreement: Annotated[
        float | None,
        typer.Option(help="Keep only pairs on which people agree at least so often, say 0.8; needs human labels."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write; RUN/export, or RUN/export-FORMAT, if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Write the pairs for a trainer: training and test rows, the principles and lock.json."""
    from solon.cli import actions

    actions.export(run, format, labels, out, agreement, without=without or ()).tell(json)


@app.command()
def serve(
    place: Annotated[
        Path, typer.Argument(metavar="PLACE", help="A run folder, a run.toml, or a folder of these.", show_default=".")
    ] = Path(),
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 picks a free one.", min=0, max=65535)] = 8642,
    database_env: Annotated[
        str | None,
        typer.Option(help="The variable that holds the PostgreSQL URL for accounts; PLACE/accounts.db if not given."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="One more name that browsers reach it by; may be repeated.", metavar="NAME")
    ] = None,
    behind_tls: Annotated[
        bool, typer.Option("--behind-tls", help="A reverse proxy on this machine speaks https to browsers.")
    ] = False,
) -> None:
    """Serve the review pages, the runs and the principle editor, until it is stopped."""
    from solon.cli.serving import serve as serve_place
    from solon.web.asked import ServeAsked

    serve_place(ServeAsked(place, host, port, database_env, tuple(allow_host or ()), behind_tls))


@app.command("fake-provider")
def fake_provider(
    port: Annotated[int, typer.Option(help="Of 127.0.0.1; 0 picks a free one.", min=0, max=65535)] = 8001,
    latency: Annotated[float, typer.Option(help="Seconds that a model call takes.", min=0)] = 0.0,
    faults: Annotated[Path | None, typer.Option(help="A TOML file that says what goes wrong.")] = None,
    log: Annotated[Path | None, typer.Option(help="A file for every request as the server saw it.")] = None,
    key_env: Annotated[str | None, typer.Option(help="The variable that holds the one good key.")] = None,
) -> None:
    """Serve a stand-in for the paid services, with faults on demand, until it is stopped."""
    from solon.fake_provider import command

    command.serve(port, latency, faults, log, key_env)
