"""Who is logged in. A session's id is known to the browser alone; here is its hash."""

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from solon.database import writing
from solon.web.accounts.tables import SESSIONS, USERS, alone
from solon.web.accounts.user import User, hashed, user_of
from solon.web.door.faults import Fault

IDLE = 12 * 3600.0  # seconds without a request
LONGEST = 7 * 24 * 3600.0
NOTED = 60.0  # seconds between two notes of when it was last seen

_FOUND = (
    sa.select(SESSIONS, USERS)
    .join_from(SESSIONS, USERS, SESSIONS.c.user == USERS.c.key)
    .where(SESSIONS.c.id == sa.bindparam("id"), ~USERS.c.disabled)
)
_SEEN = SESSIONS.update().where(SESSIONS.c.id == sa.bindparam("of")).values(seen=sa.bindparam("now"))


@dataclass(frozen=True, slots=True)
class Session:
    id: str  # the hash
    csrf: str
    user: User  # as of now


@dataclass(frozen=True, slots=True)
class Begun:
    """What the browser is told of its new session."""

    token: str  # for the cookie
    csrf: str


@dataclass(frozen=True, slots=True)
class Sessions:
    engine: sa.Engine

    def begin(self, user: User, now: float, former: str | None = None, *, known: str | None = None) -> Begun:
        """A new one, with a new id, in the place of the ``former`` one if there was any.

        Args:
            known: the hash of the password that was right, looked at again in the transaction that lets the user in.

        Raises:
            Fault: the user is disabled, or has another password by now.
        """
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        row = {"id": hashed(begun.token), "user": user.key, "csrf": begun.csrf, "made": now, "seen": now}
        over = (SESSIONS.c.seen <= now - IDLE) | (SESSIONS.c.made <= now - LONGEST)
        with alone(self.engine) as connection:
            if known is not None and not has_password(connection, user.key, known):
                raise outdated()
            connection.execute(SESSIONS.delete().where(over | (SESSIONS.c.id == (former or ""))))
            connection.execute(SESSIONS.insert(), row)
        return begun

    def find(self, token: str, now: float) -> Session | None:
        """The live session of the browser that holds ``token``."""
        row = self._live(hashed(token), now)
        if row is not None and now - row.seen >= NOTED:
            with writing(self.engine) as connection:
                connection.execute(_SEEN, {"of": row.id, "now": now})
        return row and Session(row.id, row.csrf, user_of(row))

    def user_of(self, id: str, now: float) -> User | None:
        """Whose the session is, if it lives; it does not live any longer for that."""
        row = self._live(id, now)
        return row and user_of(row)

    def _live(self, id: str, now: float) -> Any:
        """The row of the session and its user."""
        with self.engine.connect() as connection:
            row = connection.execute(_FOUND, {"id": id}).first()
        return None if row is None or now - row.seen >= IDLE or now - row.made >= LONGEST else row

    def end(self, id: str) -> None:
        with writing(self.engine) as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.id == id))


def has_password(connection: sa.Connection, user: str, hash: str) -> bool:
    """Whether the user with this key has the password of the hash, and may come in with it."""
    same = (USERS.c.key == user) & (USERS.c.hash == hash) & ~USERS.c.disabled
    return connection.scalar(sa.select(USERS.c.key).where(same)) is not None


def outdated() -> Fault:
    return Fault(401, "the account has been changed just now", "log in again")


def end_all(connection: sa.Connection, user: str) -> None:
    """All sessions of the user with this key, in the transaction that gives a reason for it."""
    connection.execute(SESSIONS.delete().where(SESSIONS.c.user == user))
