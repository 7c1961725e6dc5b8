"""A figure with its 95 % interval, and the three ways in which the audit comes by one."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever only shows figures, as a web server does, need not have numpy
    from judge.audit.table import Floats, Ints

NORMAL_95 = 1.959963984540054
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """``low`` and ``high`` bound the 95 % interval; ``n`` is what the figure was counted from."""

    value: float
    low: float
    high: float
    n: int


def proportion(hits: float, n: int) -> Estimate | None:
    """A share of independent trials, with Wilson's interval; None without a trial. A hit may be a part of one.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if n == 0:
        return None
    z, share = NORMAL_95, hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), n)


def mean(values: "Floats", possible: "Floats") -> Estimate | None:
    """A mean of independent values; None without a value.

    The interval is the normal one after z^2 = 3.84 more values, which lie as ``possible`` does, so that a few equal
    values are no certainty. For hits and misses, each as ``possible`` as the other, it is that of Agresti and Coull
    1998, "Approximate is Better than 'Exact' for Interval Estimation of Binomial Proportions". It stays within
    ``possible``.
    """
    n, more = len(values), NORMAL_95**2
    if n == 0:
        return None
    about = float(values.mean())
    centre = (n * about + more * float(possible.mean())) / (n + more)
    spread = n * float(((values - centre) ** 2).mean()) + more * float(((possible - centre) ** 2).mean())
    half = NORMAL_95 * sqrt(spread) / (n + more)
    low, high = max(float(possible.min()), centre - half), min(float(possible.max()), centre + half)
    return Estimate(about, min(about, low), max(about, high), n)


def resampled(
    statistic: "Callable[[Ints], float | None]", counts: "Ints", seed: int, resamples: int = RESAMPLES
) -> Estimate | None:
    """A figure of a table of counts, with the percentile interval of the table's multinomial resamples.

    Drawing the table anew is drawing the items anew where an item is only its cell. None where the
    statistic has no value for the table itself; resamples without one are left out.

    Args:
        counts: (cells,) how many items fall into each cell.
    """
    import numpy as np

    n = int(counts.sum())
    about = statistic(counts) if n else None
    if about is None:
        return None
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=resamples)
    values = [value for table in drawn if (value := statistic(table)) is not None]
    low, high = np.percentile(values, [2.5, 97.5])
    return Estimate(about, float(low), float(high), n)
