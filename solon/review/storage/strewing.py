"""Where gold items stand among the items that one annotator sees.

What an annotator sees falls into stretches of equal length with one gold item in each, at a place of its own that is
drawn from the seed. It is never the first of a stretch, so no gold item comes first of all or right after another.
"""

from collections.abc import Collection
from dataclasses import dataclass

from constitution.identity import unit_interval


@dataclass(frozen=True, slots=True)
class Strewn:
    """The plan for one annotator. Positions count from 0."""

    seed: str
    annotator: str
    length: int  # of a stretch, at least 2; 0 where there is no gold

    def is_gold(self, position: int) -> bool:
        return self.length > 0 and position % self.length == self._place(position // self.length)

    def upcoming(self, position: int, ordinary: int) -> int:
        """How many gold items come from ``position`` on, until that many ordinary ones are through.

        One that is due right after the last ordinary item counts.
        """
        if not self.length:
            return 0
        stretch, start = divmod(position, self.length)
        first = self._place(stretch) - start  # ordinary items before this stretch's gold; below 0 where it is past
        here = self.length - start - (first >= 0)  # ordinary items left in the stretch
        count = int(0 <= first <= ordinary)
        if ordinary < here:
            return count
        whole, rest = divmod(ordinary - here, self.length - 1)
        return count + whole + int(self._place(stretch + whole + 1) <= rest)

    def choose(self, golds: Collection[str]) -> str:
        """Which of the gold items that are left comes next."""
        return min(golds, key=lambda item: (unit_interval("gold", self.seed, self.annotator, item), item))

    def _place(self, stretch: int) -> int:
        chance = unit_interval("gold stretch", self.seed, self.annotator, stretch)
        return 1 + int(chance * (self.length - 1))


def stretch_length(share: float) -> int:
    """The length that comes nearest to ``share``, of at most a half; 0 for none."""
    return max(2, round(1 / share)) if share > 0 else 0
