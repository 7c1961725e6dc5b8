"""The verbs that make models of a run's data: train, evaluate, iterate, convert, serve-reward."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from solon.cli.options import Json, NoBudget, RunPlace

train = typer.Typer(help="Train a model on a run's export.", no_args_is_help=True)

Out = Annotated[Path | None, typer.Option(help="The model's folder; RUN/models/METHOD if not given.")]
Base = Annotated[
    Path | None,
    typer.Option(help="The model to start from: a folder or a GGUF file; that of [train] or [policy] if not given."),
]


def carry_out(method: Any, run: Path, out: Path | None, base: Path | None, json: bool) -> None:
    from solon.training import command

    command.train(method, run, out, base).tell(json)


@train.command()
def sft(run: RunPlace, out: Out = None, base: Base = None, json: Json = False) -> None:
    """Supervised fine-tuning on the revisions that the judge preferred."""
    carry_out("sft", run, out, base, json)


@train.command()
def reward(run: RunPlace, out: Out = None, base: Base = None, json: Json = False) -> None:
    """A reward model that scores completions, from pairs and rankings."""
    carry_out("reward", run, out, base, json)


@train.command()
def dpo(run: RunPlace, out: Out = None, base: Base = None, json: Json = False) -> None:
    """Direct preference optimisation, with the label noise that is known of each pair."""
    carry_out("dpo", run, out, base, json)


@train.command()
def ppo(run: RunPlace, out: Out = None, base: Base = None, json: Json = False) -> None:
    """Proximal policy optimisation, by a reward model or by the constitution itself."""
    carry_out("ppo", run, out, base, json)


@train.command()
def grpo(run: RunPlace, out: Out = None, base: Base = None, json: Json = False) -> None:
    """Group relative policy optimisation, by the same rewards."""
    carry_out("grpo", run, out, base, json)


@train.command()
def rloo(run: RunPlace, out: Out = None, base: Base = None, json: Json = False) -> None:
    """REINFORCE with the other completions of a prompt as its baseline, by the same rewards."""
    carry_out("rloo", run, out, base, json)


def evaluate(
    run: RunPlace,
    policy: Annotated[
        Path | None, typer.Option(help="The trained model's folder; the one under RUN/models if not given.")
    ] = None,
    json: Json = False,
) -> None:
    """Hold a trained policy against what it was trained from; exit 1 where a guard trips."""
    from solon.evaluating import command

    told = command.evaluate(run, policy)
    told.tell(json)
    sys.exit(told.exit_code)


def iterate(
    run: RunPlace,
    rounds: Annotated[int, typer.Option(min=1, help="How many rounds there are to be in all.", show_default=False)],
    no_budget: NoBudget = False,
    json: Json = False,
) -> None:
    """Sample, judge, train and evaluate, again and again, each round from the last one's policy."""
    from solon.iterating import command

    told = command.iterate(run, rounds, no_budget)
    told.tell(json)
    sys.exit(told.exit_code)


def convert(
    model: Annotated[Path, typer.Argument(help="The folder of a trained policy.", metavar="MODEL", show_default=False)],
    file: Annotated[Path, typer.Argument(help="The GGUF file to write.", metavar="FILE", show_default=False)],
    kind: Annotated[Literal["f32", "f16", "q8_0"], typer.Option("--type", help="How weights are stored.")] = "f16",
    json: Json = False,
) -> None:
    """Write a policy as GGUF for llama.cpp, and check that it says the same there."""
    from solon.converting import convert as convert_model

    convert_model(model, file, kind).tell(json)


def serve_reward(
    run: RunPlace,
    reward: Annotated[
        str, typer.Option(help="model: the run's own reward model; a model folder; or constitution.")
    ] = "model",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 picks a free one.", min=0, max=65535)] = 8643,
    key_env: Annotated[
        str | None, typer.Option(help="The variable that holds the key which callers must send.", metavar="VARIABLE")
    ] = None,
) -> None:
    """Score completions over HTTP for a trainer elsewhere, as OpenRLHF asks it, until it is stopped."""
    from solon.reward_server import command

    command.serve(run, reward, host, port, key_env)
