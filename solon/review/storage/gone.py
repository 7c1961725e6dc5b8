"""Items whose couple the run no longer has: its settings changed, say, after they were drawn.

Nobody is given them any more, and they are out of the sums. Whoever has one in hand may finish it, and an item that
somebody has labelled stays as it is. A couple that comes back is open again.
"""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from solon.review.records import Retired
from solon.review.storage.counting import Change, add_up
from solon.review.storage.holding import Row, hold_run
from solon.review.storage.rounds import held_tasks, slices
from solon.review.storage.tables import ASSIGNMENTS, TASKS

_UNLABELLED = sa.select(TASKS.c.item, TASKS.c.shelf).where(
    TASKS.c.run == sa.bindparam("run"), TASKS.c.shelf.in_(("open", "gone")), TASKS.c.labels == 0
)
_IN_HAND = sa.select(ASSIGNMENTS.c.item).where(
    ASSIGNMENTS.c.run == sa.bindparam("run"),
    ASSIGNMENTS.c.state == "leased",
    ASSIGNMENTS.c.lease_until > sa.bindparam("now"),
)
_SHELVE = (
    sa.update(TASKS)
    .where(TASKS.c.run == sa.bindparam("of_run"), TASKS.c.item == sa.bindparam("of_item"))
    .values(shelf=sa.bindparam("shelf_now"))
)


def retire(connection: sa.Connection, run: str, here: Collection[str], now: float) -> Retired:
    """``here`` are all couples that the run has. Only the tasks that this may change are locked."""
    hold_run(connection, run)
    known = connection.execute(_UNLABELLED, {"run": run})
    odd = [row.item for row in known if (row.item in here) == (row.shelf == "gone")]
    held = held_tasks(connection, run, odd)
    # Read after the tasks are held: nobody can take one up from here on.
    in_hand = set(connection.scalars(_IN_HAND, {"run": run, "now": now})) if held else set()
    back = [task for task in held.values() if task.shelf == "gone" and task.item in here]
    gone = [
        task
        for task in held.values()
        if task.shelf == "open" and task.labels == 0 and task.item not in here and task.item not in in_hand
    ]
    _shelve(connection, run, {"gone": gone, "open": back})
    wanted = sum(task.overlap for task in back) - sum(task.overlap for task in gone)
    add_up(connection, run, Change(open=len(back) - len(gone), wanted=wanted))
    return Retired(len(gone), len(back))


def _shelve(connection: sa.Connection, run: str, tasks: Mapping[str, Sequence[Row]]) -> None:
    values = [
        {"of_run": run, "of_item": task.item, "shelf_now": shelf} for shelf, some in tasks.items() for task in some
    ]
    for some in slices(values):
        connection.execute(_SHELVE, some)
