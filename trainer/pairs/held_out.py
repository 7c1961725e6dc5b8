"""What a reward model is worth on pairs that it was not trained on."""

import math
from collections.abc import Sequence

from constitution.checks import words
from trainer.pairs.rankings import Ranking


def held_out_figures(rankings: Sequence[Ranking], rewards: Sequence[Sequence[float]]) -> dict[str, float]:
    """Figures of held-out pairs; all but their number are left out where nothing tells them.

    * ``accuracy``: the share of pairs in which the chosen completion has the higher reward, ties counting half;
      ``longer_accuracy`` is the same of "the longer one is better", and what a model has to beat.
    * ``ece`` and ``brier``: of the chances σ(chosen - rejected) against the labels; see ``judge.audit.reliability``.
    * ``length_correlation``: Spearman's, of reward and number of words over all completions.

    Args:
        rewards: of each ranking's completions, as the model says them, not normalised.
    """
    pairs = [
        (ranking, said, pair) for ranking, said in zip(rankings, rewards, strict=True) for pair in ranking.comparisons
    ]
    figures: dict[str, float] = {"held_out_pairs": len(pairs)}
    if not pairs:
        return figures
    leads = [said[pair.chosen] - said[pair.rejected] for _, said, pair in pairs]
    lengths = [[len(words(text)) for text in ranking.completions] for ranking in rankings]
    longer = [
        counts[pair.chosen] - counts[pair.rejected]
        for ranking, counts in zip(rankings, lengths, strict=True)
        for pair in ranking.comparisons
    ]
    figures |= {"accuracy": share_right(leads), "longer_accuracy": share_right(longer), **calibration(leads)}
    correlation = spearman([one for said in rewards for one in said], [n for counts in lengths for n in counts])
    return figures | ({} if math.isnan(correlation) else {"length_correlation": correlation})


def share_right(leads: Sequence[float]) -> float:
    return sum((lead > 0) + (lead == 0) / 2 for lead in leads) / len(leads)


def calibration(leads: Sequence[float]) -> dict[str, float]:
    import numpy as np
    from scipy.special import expit

    from judge.audit.reliability import reliability

    chances = np.asarray(expit(np.asarray(leads, dtype=np.float64)))
    found = reliability(chances, np.ones(len(leads)), seed=0)
    return {"ece": found.ece.value, "brier": found.brier.value} if found else {}


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """The correlation of ranks; NaN where either is the same throughout."""
    from scipy.stats import spearmanr

    if len(set(one)) < 2 or len(set(other)) < 2:
        return math.nan
    return float(spearmanr(one, other).statistic)
