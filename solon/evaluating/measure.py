"""One evaluation: policies asked, measured and compared. What it comes to is a record of plain JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from solon.evaluating.bench import Bench, let_go
from solon.evaluating.kept import Kept
from solon.evaluating.prompts import material_of
from solon.evaluating.referee import Referee, referee_of
from solon.evaluating.subject import Subject
from solon.evaluating.wins import judged_wins
from solon.folder import RunFolder
from trainer.ancestry import Record
from trainer.evaluation.compare import Extras, compare
from trainer.evaluation.guards import checked, unmeasured
from trainer.evaluation.material import Material, Said
from trainer.evaluation.measures import REWARD, WIN_RATE, Evaluation
from trainer.evaluation.warnings import collapse_warnings

Evaluated: TypeAlias = dict[str, Any]
SHOWN = 6  # prompts whose completions the page shows whole


@dataclass(frozen=True, slots=True)
class Other:
    """What the trained policy is held against, and what it says."""

    place: Path
    said: Said


@dataclass(frozen=True, slots=True)
class Compared:
    evaluation: Evaluation
    no_verdicts: dict[str, int]  # of the judge of wins, by reason
    doubts: tuple[str, ...]  # about that judge


def measured(folder: RunFolder, subject: Subject) -> Evaluated:
    """The whole evaluation. For whoever holds the folder; nothing is written but what is kept in RUN/samples.

    Models are asked before a judge is, whose calls may cost something.

    Raises:
        InputError: what [evaluate] names cannot be used.
        NotFinished: the budget is reached; what was judged is kept.
    """
    material, referee = material_of(folder), referee_of(folder)
    bench = Bench(folder, Kept(folder.samples))
    try:
        before = [place for place in (subject.previous,) if place]
        previous = [Other(place, bench.said(place, material)) for place in before]
        base = Other(subject.base, bench.said(subject.base, material))
        trained = bench.said(subject.trained, material)
        sides = [comparison(bench, material, subject, other, trained, referee) for other in (base, *previous)]
    finally:
        let_go()
    return told(folder, subject, sides, examples(material, base.said, trained), referee)


def comparison(
    bench: Bench, material: Material, subject: Subject, other: Other, trained: Said, referee: Referee | None
) -> Compared:
    """The trained policy beside another; distances from the base only beside the base."""
    beside_base = other.place == subject.base
    spread = [bench.embeddings(subject.base, said) for said in (other.said, trained)]
    rewards = [bench.rewards(material.held_out, said.held_out) for said in (other.said, trained)]
    kl = bench.kl(subject.trained, subject.base, material, trained) if beside_base else None
    heard = judged_wins(referee, material.held_out, other.said.held_out, trained.held_out) if referee else None
    extras = Extras(
        wins=heard.wins if heard else None,
        kl=kl,
        embeddings=(spread[0], spread[1]) if spread[0] is not None and spread[1] is not None else None,
        rewards=(rewards[0], rewards[1]) if rewards[0] is not None and rewards[1] is not None else None,
    )
    folder = bench.folder
    found = compare(material, other.said, trained, folder.principles(), seed=folder.config.seed, extras=extras)
    return Compared(found, heard.no_verdicts if heard else {}, heard.warnings if heard else ())


def told(
    folder: RunFolder, subject: Subject, sides: Sequence[Compared], shown: list[Any], referee: Referee | None
) -> Evaluated:
    """Everything as JSON: what is compared with the base at the top, and guarded; with the previous policy below."""
    base, *previous = sides
    guards = checked(base.evaluation, folder.config.guards)
    stranger = subject.strangers()
    found = base.evaluation
    warnings = [*([stranger] if stranger else []), *collapse_warnings(found), *reward_warnings(found), *base.doubts]
    return {
        "name": subject.name,
        "policy": str(subject.trained),
        "base": subject.base.name,
        **asdict(base.evaluation),
        "guards": [asdict(guard) for guard in guards],
        "unwatched": list(unmeasured(base.evaluation, folder.config.guards)),
        "tripped": [guard.told for guard in guards if guard.tripped],
        "warnings": warnings,
        "wins": {
            "by": referee.name if referee else None,
            "notes": list(referee.notes) if referee else [],
            "no_verdicts": base.no_verdicts,
        },
        "previous": {"name": relation(subject), **asdict(previous[0].evaluation)} if previous else None,
        "training": trained_how(subject.record),
        "examples": shown,
    }


def reward_warnings(evaluation: Evaluation) -> list[str]:
    """That the policy pleases the reward model and not the judge of wins, where both intervals say so."""
    reward, won = evaluation.get(REWARD), evaluation.get(WIN_RATE)
    if reward is None or won is None or reward.low <= 0 or won.high >= 0:
        return []
    return [
        f"The reward model likes it better ({reward.base:.2f} rose to {reward.trained:.2f}) and the judge of wins "
        f"prefers the base (win rate {won.trained:.0%}): it pleases the reward and nothing else. "
        "Train fewer steps, or raise the KL coefficient."
    ]


def relation(subject: Subject) -> str:
    """The previous policy's folder, with the round before it where two are called the same."""
    assert subject.previous
    place = subject.previous.resolve()
    return place.name if place.name != subject.name else str(Path(*place.parts[-3:]))


def trained_how(record: Record) -> dict[str, Any]:
    """Of a training's record, what a page has to tell."""
    names = ("method", "base", "rows", "seconds", "tokens", "dropped", "figures", "steps")
    return {name: record[name] for name in names}


def examples(material: Material, base: Said, trained: Said) -> list[dict[str, str]]:
    """The first held-out prompts with both completions: figures do not show everything."""
    rows = zip(material.held_out, base.held_out, trained.held_out, strict=True)
    return [{"prompt": prompt.text, "base": before, "trained": after} for prompt, before, after in list(rows)[:SHOWN]]
