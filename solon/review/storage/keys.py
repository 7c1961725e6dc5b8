"""Idempotency: what was done under a key is done once, however often it is asked for."""

import json
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from constitution.identity import full_hash
from solon.database import insert
from solon.review.errors import KeyReused
from solon.review.records import Progress, Saved
from solon.review.storage.holding import Visit
from solon.review.storage.tables import KEYS

_KEPT = sa.select(KEYS.c.asked, KEYS.c.reply).where(
    KEYS.c.run == sa.bindparam("run"),
    KEYS.c.annotator == sa.bindparam("annotator"),
    KEYS.c["key"] == sa.bindparam("key"),
)


class Once:
    """One action of one annotator under one key. The annotator is held, so no other one is under way beside it."""

    def __init__(self, visit: Visit, key: str, *asked: object) -> None:
        self._visit = visit
        self._key = key
        self._asked = full_hash(asked)

    def reply(self) -> Any:
        """What ``keep`` was given when this was done before; None where it was not.

        Raises:
            KeyReused: the key was used for something else.
        """
        kept = self._visit.connection.execute(_KEPT, {**self._visit.mine, "key": self._key}).first()
        if kept is None:
            return None
        if kept.asked != self._asked:
            raise KeyReused
        return json.loads(kept.reply)

    def keep(self, reply: object) -> None:
        """In the transaction of the action itself: both are on the disk, or neither."""
        values = {**self._visit.mine, "key": self._key, "asked": self._asked, "at": self._visit.now}
        statement = insert(self._visit.connection.engine, KEYS)
        self._visit.connection.execute(statement, {**values, "reply": json.dumps(reply)})


def written(saved: Saved) -> object:
    return asdict(saved)


def read_saved(reply: Any) -> Saved:
    return Saved(reply["item"], reply["at"], Progress(**reply["progress"]))
