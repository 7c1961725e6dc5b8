"""How often a judge prefers the trained policy's completion to the base's, as it is and at equal length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.evaluation.intervals import interval
from trainer.evaluation.measures import EQUAL_LENGTH, WIN_RATE, Drawing, Measure, mean_measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EQUALS = 0.5  # what two policies of one quality would have
# Weights of the squared coefficients: of the policy, and of the length. What length may not explain falls to the
# policy, so length is held back the less: at 1.0, a judge of length alone gave a policy 75 % at equal length.
PRIOR = (0.1, 0.03)
LONGEST = 2.0  # a Newton step at once
STEPS = 25  # some eight are needed


@dataclass(frozen=True, slots=True)
class Win:
    """What the judge says of one held-out prompt's two completions."""

    prompt: str  # its id
    p: float | None  # the chance that the trained policy's is preferred; None where no verdict came
    words_base: int
    words_trained: int


def win_measures(wins: Sequence[Win] | None, drawing: Drawing) -> list[Measure]:
    """The win rate over the prompts with a verdict, and that at equal length where lengths can be told apart."""
    heard = [(win, win.p) for win in wins or () if win.p is not None]
    if len(heard) < 2:
        return []
    chances = [p for _, p in heard]
    plain = mean_measure(WIN_RATE, "share", ([EQUALS] * len(heard), chances), drawing)
    longer = [win.words_trained - win.words_base for win, _ in heard]
    adjusted = equal_length_measure(chances, longer, drawing)
    return [plain] if adjusted is None else [plain, adjusted]


def equal_length_measure(chances: Sequence[float], longer: Sequence[int], drawing: Drawing) -> Measure | None:
    """The win rate that the same judge would give if both completions always had the same number of words.

    A logistic model explains a verdict by the policy and by the tanh of the difference in length, in its own
    standard deviations; the answer is the model's at a difference of 0. None where every completion is longer by
    the same: then policy and length are one. Where one policy is nearly always the longer one, equal length is
    far from anything seen: the interval grows wide, and yet does not know how well the logistic model's shape fits
    there. Two deviations away, the rate was off by up to 0.1 in simulations.

    Source: Dubois et al. 2024, "Length-Controlled AlpacaEval". Their term for an instruction's
    difficulty is left out, because it takes the verdicts on many policies; lengths are words, theirs are characters.
    """
    import numpy as np

    p, gap = np.asarray(chances, dtype=np.float64), np.asarray(longer, dtype=np.float64)
    deviation = gap.std()
    if deviation == 0 and gap.any():
        return None
    features = np.stack([np.ones_like(gap), np.tanh(gap / (deviation or 1.0))], axis=-1)

    def statistic(drawn: "NDArray[np.intp]", axis: int = -1) -> "NDArray[np.float64]":
        rows = np.atleast_2d(drawn)
        times = np.stack([np.bincount(row, minlength=len(p)) for row in rows]).astype(np.float64)
        rates = logistic(fitted(features, p, times)[:, 0])
        return np.asarray(rates if drawn.ndim > 1 else rates[0])

    low, high, _ = interval(statistic, len(p), drawing.seed, drawing.resamples)
    rate = float(statistic(np.arange(len(p))))
    return Measure(
        EQUAL_LENGTH, "share", EQUALS, rate, rate - EQUALS, min(low, rate) - EQUALS, max(high, rate) - EQUALS, len(p)
    )


def fitted(
    features: "NDArray[np.float64]", p: "NDArray[np.float64]", times: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Coefficients of the likeliest logistic model for each row of ``times``, how often each prompt counts.

    (prompts, coefficients), (prompts,) and (rows, prompts) give (rows, coefficients).
    """
    import numpy as np

    found = np.zeros((len(times), features.shape[1]))
    for _ in range(STEPS):
        chance = logistic(found @ features.T)
        slope = (times * (p - chance)) @ features - found * PRIOR
        curve = np.einsum("rn,ni,nj->rij", times * chance * (1 - chance), features, features) + np.diag(PRIOR)
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        found += np.clip(step, -LONGEST, LONGEST)
    return found


def logistic(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray((1 + np.tanh(values / 2)) / 2)
