"""Arguments and options that several verbs take."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
NoBudget = Annotated[
    bool, typer.Option("--no-budget", help="Go on although a model that somebody pays for has no price.")
]
ConfigFile = Annotated[Path, typer.Argument(help="The run.toml.", show_default=False)]
RunPlace = Annotated[Path, typer.Argument(help="A run folder, or its run.toml.", metavar="RUN", show_default=False)]
