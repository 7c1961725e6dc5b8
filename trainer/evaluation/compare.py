"""Two policies' completions, held against each other by every measure there is material for.

Pure: it runs no model. What a model or a judge must say comes in as ``Extras``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constitution.checks import words
from constitution.principle import Constitution
from trainer.evaluation.diversity import distinct_measure, self_bleu_measures, spread_measures
from trainer.evaluation.material import Material, Said, require_whole
from trainer.evaluation.measures import KL, MEAN_WORDS, REWARD, Drawing, Evaluation, Measure, each, mean_measure
from trainer.evaluation.opinions import swayed_measures
from trainer.evaluation.phrases import phrase_measures
from trainer.evaluation.refusals import refusal_measures
from trainer.evaluation.rules import rule_measures
from trainer.evaluation.wins import Win, win_measures
from trainer.evaluation.words import favoured_measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Extras:
    """What was measured with a model or a judge; None where it was not."""

    wins: Sequence[Win] | None = None  # one a held-out prompt
    kl: Sequence[float] | None = None  # nats per completion, one a sampled prompt
    embeddings: "tuple[NDArray[np.float32], NDArray[np.float32]] | None" = (
        None  # (prompts, samples, width), unit length
    )
    rewards: tuple[Sequence[float | None], Sequence[float | None]] | None = None  # one a prompt, in one order


NOTHING = Extras()


def compare(
    material: Material,
    base: Said,
    trained: Said,
    constitution: Constitution,
    *,
    seed: int,
    extras: Extras = NOTHING,
    resamples: int = 2000,
) -> Evaluation:
    """What the trained policy does differently. A measure for which there are not two prompts is left out.

    Raises:
        ValueError: fewer than two held-out prompts, or not the completions that were asked for.
    """
    require_whole(material, base)
    require_whole(material, trained)
    if len(material.held_out) < 2:
        raise ValueError("an interval needs at least two prompts")
    drawing = Drawing(seed, resamples)
    measures = (
        *rule_measures(material.held_out, base.held_out, trained.held_out, constitution, drawing),
        length_measure(base.held_out, trained.held_out, drawing),
        *(distinct_measure(n, base.held_out, trained.held_out, drawing) for n in (1, 2)),
        *self_bleu_measures(base.samples, trained.samples, drawing),
        *spread_measures(extras.embeddings, drawing),
        favoured_measure(base.held_out, trained.held_out, drawing),
        *phrase_measures(material, base, trained, drawing),
        *refusal_measures(material, base, trained, drawing),
        *swayed_measures(material, base, trained, drawing),
        *win_measures(extras.wins, drawing),
        *distance_measures(extras.kl, drawing),
        *reward_measures(extras.rewards, drawing),
    )
    return Evaluation(measures, len(material.held_out), resamples, seed)


def length_measure(base: Sequence[str], trained: Sequence[str], drawing: Drawing) -> Measure:
    return mean_measure(MEAN_WORDS, "words", each(lambda text: len(words(text)), base, trained), drawing)


def distance_measures(kl: Sequence[float] | None, drawing: Drawing) -> list[Measure]:
    if kl is None or len(kl) < 2:
        return []
    return [mean_measure(KL, "nats", ([0.0] * len(kl), kl), drawing)]


def reward_measures(
    rewards: tuple[Sequence[float | None], Sequence[float | None]] | None, drawing: Drawing
) -> list[Measure]:
    """On the prompts of which both completions have a reward."""
    both = [
        (base, trained)
        for base, trained in zip(*(rewards or ((), ())), strict=True)
        if base is not None and trained is not None
    ]
    if len(both) < 2:
        return []
    return [mean_measure(REWARD, "reward", ([base for base, _ in both], [trained for _, trained in both]), drawing)]
