"""The rounds as a record of plain JSON, and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from solon.auditing.text import counted
from solon.folder import RunFolder
from solon.iterating.rounds import Round
from solon.iterating.stages import Passed
from trainer.ancestry import read_record
from trainer.evaluation.measures import ALL_RULES, KL, REWARD, WIN_RATE
from trainer.evaluation.overoptimisation import Point, overoptimised

FROM_RUN = ("rows", "pairs", "drops", "no_verdicts")
FROM_EVALUATION = ("prompts", "measures", "previous", "guards", "unwatched", "tripped", "warnings")
NOISE = 0.05  # of a win rate, which a round must fall by to be told as over-optimisation

Record = Mapping[str, Any]


def rounds_told(whole: RunFolder, wanted: int, passed: Sequence[tuple[Round, Passed]]) -> dict[str, Any]:
    stopped = passed[-1][1].stopped
    return {
        "run": str(whole.path),
        "name": whole.config.name,
        "method": whole.config.iterate.method,
        "wanted": wanted,
        "stopped": asdict(stopped) if stopped else None,
        "rounds": [round_told(round, one) for round, one in passed],
    }


def round_told(round: Round, passed: Passed) -> dict[str, Any]:
    """Paths are relative to the run's folder; what the round did not come to is not there."""
    evaluation, made = passed.evaluation, read_record(round.trained)
    told = {"round": round.number, "folder": within(round, round.folder.path)}
    told |= {name: passed.summary[name] for name in FROM_RUN}
    told["cost_usd"] = passed.summary["in_all"]["cost_usd"]
    if not evaluation or made is None:
        return told
    told |= {"policy": within(round, round.trained), "weights_sha256": made["weights_sha256"]}
    told |= {name: within(round, Path(evaluation[name])) for name in ("file", "page")}
    return told | {name: evaluation[name] for name in FROM_EVALUATION}


def within(round: Round, place: Path) -> str:
    return str(place.relative_to(round.whole.path))


def points_of(record: Record) -> list[Point]:
    """The base and each round that measured both a reward and the distance from the base.

    A reward is told as what it is above the base's by that round's own reward model, whose unit is the deviation
    of what it was fitted on: models of two rounds agree on neither zero nor unit otherwise.
    """
    points = [Point(0, 0.0, 0.0, None, "base")]
    for told in record["rounds"]:
        found = {measure["name"]: measure for measure in told.get("measures", ())}
        if KL in found and REWARD in found:
            won = found[WIN_RATE]["trained"] if WIN_RATE in found else None
            name = f"round {told['round']}"
            points.append(Point(told["round"], found[KL]["trained"], found[REWARD]["difference"], won, name))
    return points


def doubts(record: Record) -> list[str]:
    """What no guard of a single round can see."""
    beyond = overoptimised(points_of(record), NOISE)
    if beyond is None:
        return []
    return [
        f"{beyond.name} has a higher reward and a lower win rate than a round before it: "
        "it pleases the reward model and not the judge (Gao, Schulman and Hilton 2022)"
    ]


def in_words(record: Record, page: Path) -> str:
    """A line for each round, why the rounds stopped, and where everything is."""
    lines = [round_in_words(told) for told in record["rounds"]]
    if stopped := record["stopped"]:
        lines.append(f"stopped in round {stopped['round']}, at {stopped['stage']}: {stopped['why']}")
    trained = [told["policy"] for told in record["rounds"] if "policy" in told]
    lines += [*doubts(record), *([f"policy: {Path(record['run']) / trained[-1]}"] if trained else [])]
    return "\n".join([*lines, f"page: {page}"])


def round_in_words(told: Record) -> str:
    found = {measure["name"]: measure for measure in told.get("measures", ())}
    facts = [counted(told["pairs"], "pair")]
    if ALL_RULES in found:
        rules = found[ALL_RULES]
        facts.append(f"all checked rules kept by {rules['base']:.0%} before and {rules['trained']:.0%} now")
    if WIN_RATE in found:
        facts.append(f"wins {found[WIN_RATE]['trained']:.0%}")
    if KL in found:
        facts.append(f"{found[KL]['trained']:.1f} nats from the base")
    if "guards" in told:
        facts.append(f"{len(told['tripped']) or 'none'} of {counted(len(told['guards']), 'guard')} tripped")
    return f"round {told['round']}: {', '.join(facts)}"
