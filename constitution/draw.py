"""Which principle is applied where: seeded, and steady under edits.

Weighted rendezvous hashing: every principle gets its own number from (seed, scope, id), and the
lowest wins. Adding or removing a principle therefore moves only the draws that it wins or won, and
rewording one, since its id stays, moves none.
"""

import math
from collections.abc import Sequence

from constitution.identity import unit_interval
from constitution.principle import Principle


def draw(principles: Sequence[Principle], seed: int, *scope: str | int) -> Principle:
    """One of ``principles`` (at least one), each with a chance in proportion to its weight.

    Args:
        scope: what is drawn for, for example a prompt's id and the round. The same seed and scope
            give the same draw, in whatever order the principles stand.

    An exponential race: of independent arrival times with rates w_1 … w_n, the i-th is first with
    chance w_i / Σw.
    """

    def arrival(principle: Principle) -> tuple[float, str]:
        number = unit_interval("draw", seed, *scope, principle.id)
        return -math.log(number) / principle.weight, principle.id

    return min(principles, key=arrival)
