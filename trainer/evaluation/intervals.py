"""Bootstrap intervals over prompts, and the counting of distinct n-grams that they are taken of."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from constitution.checks import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def occurrences(n: int, texts: Sequence[str]) -> "tuple[NDArray[np.float32], NDArray[np.float64]]":
    """Which n-gram occurs in which completion, (completions, n-grams), and each one's count of n-grams."""
    import numpy as np

    grams = [list(zip(*(words(text)[k:] for k in range(n)), strict=False)) for text in texts]
    index = {gram: column for column, gram in enumerate(dict.fromkeys(chain.from_iterable(grams)))}
    table = np.zeros((len(texts), len(index)), dtype=np.float32)
    for row, found in enumerate(grams):
        table[row, [index[gram] for gram in found]] = 1.0
    return table, np.array([float(len(found)) for found in grams])


def ratio(
    present: "NDArray[np.float64]", table: "NDArray[np.float32]", totals: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Distinct over all n-grams of the completions present, one figure a row; 0 where there is none."""
    import numpy as np

    distinct = np.count_nonzero(present.astype(np.float32) @ table, axis=-1)
    return np.asarray(distinct / np.maximum(present @ totals, 1.0))


def interval(statistic: Callable[..., object], prompts: int, seed: int, resamples: int) -> tuple[float, float, float]:
    """The middle 95 % of ``statistic`` over resampled prompts (percentile bootstrap), and its mean."""
    import numpy as np
    from scipy.stats import bootstrap

    drawn = bootstrap(
        (np.arange(prompts),),
        statistic,
        n_resamples=resamples,
        batch=250,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = drawn.confidence_interval
    return float(low), float(high), float(drawn.bootstrap_distribution.mean())
