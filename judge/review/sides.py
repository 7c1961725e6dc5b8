"""Which completion a person is shown on the left."""

from constitution.identity import unit_interval
from judge.review.records import Side


def side(seed: int, item: str, annotator: str) -> Side:
    """The item's own completion that this person sees first: a coin for each person and item, the same each time."""
    return 1 if unit_interval("side", seed, item, annotator) < 0.5 else 2
