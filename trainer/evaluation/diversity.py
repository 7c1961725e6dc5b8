"""How different completions are: across prompts (distinct n-grams), and among several samples of one prompt."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING

from constitution.checks import words
from trainer.evaluation.intervals import interval, occurrences, ratio
from trainer.evaluation.measures import DISTINCT, SELF_BLEU, SPREAD, Drawing, Measure, each, mean_measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST_GRAM = 4


def distinct_measure(n: int, base: Sequence[str], trained: Sequence[str], drawing: Drawing) -> Measure:
    """Distinct n-grams of words over all n-grams, all completions pooled; it falls as texts get longer.

    A prompt drawn twice counts once, else its copy would pass for repetition. What is left of the
    resampling's bias (fewer completions repeat less) is taken out: the interval is moved so that the
    resamples' mean lies on the difference.

    Source: Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models".
    """
    import numpy as np

    sides = [occurrences(n, texts) for texts in (base, trained)]
    before, after = (ratio(np.ones((1, len(base))), *side)[0] for side in sides)

    def statistic(drawn: "NDArray[np.intp]", axis: int = -1) -> "NDArray[np.float64]":
        rows = np.atleast_2d(drawn)
        present = np.zeros(rows.shape, dtype=np.float64)
        np.put_along_axis(present, rows, 1.0, axis=-1)
        change = ratio(present, *sides[1]) - ratio(present, *sides[0])
        return np.asarray(change if drawn.ndim > 1 else change[0])

    low, high, middle = interval(statistic, len(base), drawing.seed, drawing.resamples)
    difference, shift = float(after - before), float(after - before) - middle
    figures = (float(before), float(after), difference, low + shift, high + shift)
    return Measure(DISTINCT[n], "ratio", *figures, len(base))


def self_bleu_measures(
    base: Sequence[Sequence[str]], trained: Sequence[Sequence[str]], drawing: Drawing
) -> list[Measure]:
    """How much of a prompt's samples is in its other samples, per prompt; it rises as a policy collapses."""
    if len(base) < 2:
        return []
    return [mean_measure(SELF_BLEU, "ratio", each(self_bleu, base, trained), drawing)]


def self_bleu(texts: Sequence[str]) -> float:
    """The mean of each text's BLEU against the others, in [0, 1]; at least two texts.

    Source: Zhu et al. 2018, "Texygen". There the texts are all that a model made; here they are
    one prompt's samples, so that answering different prompts differently does not hide a collapse.
    """
    spoken = [words(text) for text in texts]
    return mean(bleu(said, [*spoken[:place], *spoken[place + 1 :]]) for place, said in enumerate(spoken))


def bleu(said: Sequence[str], others: Sequence[Sequence[str]]) -> float:
    """BLEU of one text on n-grams of up to four words, or up to its length where it is shorter.

    Above single words one hit is added to hits and n-grams alike, so that one missing length is not everything.

    Source: Papineni et al. 2002, "BLEU"; the smoothing is Lin and Och's 2004.
    """
    if not said:
        return float(any(not other for other in others))
    precisions = []
    for n in range(1, min(LONGEST_GRAM, len(said)) + 1):
        own, most = grams(said, n), Counter[tuple[str, ...]]()
        for other in others:
            most |= grams(other, n)
        extra = float(n > 1)
        precisions.append(((own & most).total() + extra) / (own.total() + extra))
    if precisions[0] == 0:
        return 0.0
    nearest = min((len(other) for other in others), key=lambda length: (abs(length - len(said)), length))
    brevity = min(0.0, 1 - nearest / len(said))
    return math.exp(brevity + mean(map(math.log, precisions)))


def grams(said: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(said[k:] for k in range(n)), strict=False))


def spread_measures(
    embeddings: "tuple[NDArray[np.float32], NDArray[np.float32]] | None", drawing: Drawing
) -> list[Measure]:
    """How far apart in meaning a prompt's samples lie, per prompt: 1 - the mean cosine of two of them."""
    if embeddings is None or len(embeddings[0]) < 2:
        return []
    return [mean_measure(SPREAD, "ratio", (spreads(embeddings[0]), spreads(embeddings[1])), drawing)]


def spreads(embeddings: "NDArray[np.float32]") -> list[float]:
    """One figure a prompt from (prompts, samples, width) of unit length; in [0, 2], and 0 where all are alike.

    Source: the within-prompt diversity of Kirk et al. 2024, "Understanding the Effects of RLHF on LLM
    Generalisation and Diversity". Their embeddings are a sentence encoder's.
    """
    import numpy as np

    samples = embeddings.shape[1]
    total = embeddings.astype(np.float64).sum(axis=1)  # its squared length is the sum of all cosines
    cosines = ((total**2).sum(axis=-1) - samples) / (samples * (samples - 1))
    return [max(0.0, float(1 - cosine)) for cosine in cosines]
