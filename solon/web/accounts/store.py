"""The people of the service: who they are, what they may do, and the links that let them choose a password.

No password is ever made here, and none is known: whoever is invited sets their own.
"""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from constitution.errors import InputError
from solon.database import Database, insert, prepare
from solon.web.accounts.sessions import Sessions, end_all, has_password, outdated
from solon.web.accounts.tables import INVITES, SCHEMA, USERS, alone
from solon.web.accounts.throttle import Throttle
from solon.web.accounts.user import ALL_RUNS, Role, User, hashed, key_of, user_of
from solon.web.door.faults import Fault

INVITED = 7 * 24 * 3600.0  # seconds for which a link holds
FIRST = 3600.0  # that of the first admin, which stands in the service's output

NO_ADMIN = "look in the terminal where `solon serve` runs; start it again for a new link"

_READY = (USERS.c.role == "admin") & ~USERS.c.disabled & (USERS.c.hash != "")
_ADMINS = sa.select(sa.func.count()).select_from(USERS).where(_READY)


@dataclass(frozen=True, slots=True)
class Change:
    """What an admin changes of a user; None: as it was."""

    role: Role | None = None
    runs: frozenset[str] | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link holds. No user: whoever has it becomes the first admin, under a name of their choice."""

    user: User | None


@dataclass(frozen=True, slots=True)
class Accounts:
    """Safe from many threads and, on PostgreSQL, many processes. ``now`` is Unix time."""

    engine: sa.Engine
    sessions: Sessions
    throttle: Throttle

    @classmethod
    def open(cls, database: Database) -> Self:
        if database.path:
            only_for_owner(database.path)
        engine = database.engine(serving=True)
        prepare(engine, SCHEMA, database.schema)
        return cls(engine, Sessions(engine), Throttle(engine))

    def users(self) -> tuple[User, ...]:
        with self.engine.connect() as connection:
            return tuple(user_of(row) for row in connection.execute(sa.select(USERS).order_by(USERS.c.key)))

    def user(self, name: str) -> User | None:
        with self.engine.connect() as connection:
            return _user(connection, key_of(name))

    def hash_of(self, name: str) -> str:
        """Of the user's password; empty where nobody may log in under this name."""
        wanted = sa.select(USERS.c.hash).where(USERS.c.key == key_of(name), ~USERS.c.disabled)
        with self.engine.connect() as connection:
            return connection.scalar(wanted) or ""

    def has_admin(self) -> bool:
        """Whether anybody can give others a link."""
        with self.engine.connect() as connection:
            return bool(connection.scalar(_ADMINS))

    def first_link(self, now: float) -> str | None:
        """A link for the first admin, and any earlier one is void; None where there is an admin."""
        with alone(self.engine) as connection:
            if connection.scalar(_ADMINS):
                return None
            return _invite(connection, "", now, FIRST)

    def add(self, name: str, role: Role, runs: Iterable[str], now: float) -> str:
        """A new user, and their link. Raises Fault where the name is taken."""
        with alone(self.engine) as connection:
            if not _insert(self.engine, connection, User(name, role, frozenset(runs), False, True), ""):
                raise taken(name)
            return _invite(connection, key_of(name), now)

    def link(self, name: str, now: float) -> str:
        """A new link for a user, to set a password; any earlier one is void. Raises Fault: nobody, or disabled."""
        with alone(self.engine) as connection:
            user = _known(connection, name)
            if user.disabled:
                raise Fault(409, f"the account of {user.name} is disabled", "enable it first")
            return _invite(connection, user.key, now)

    def look(self, token: str, now: float) -> Invitation:
        """What the link holds; it stays good. Raises Fault where it is void."""
        with self.engine.connect() as connection:
            return _invitation(connection, token, now)

    def accept(self, token: str, name: str, hash: str, now: float) -> User:
        """Uses the link up: sets the user's password, and ends their sessions. Raises Fault where it is void.

        ``name`` is the first admin's choice, and is not looked at for others.
        """
        with alone(self.engine) as connection:
            user = _invitation(connection, token, now).user
            connection.execute(INVITES.delete().where(INVITES.c.token == hashed(token)))
            if user is None:
                user = User(name, "admin", frozenset({ALL_RUNS}), False, False)
                if not _insert(self.engine, connection, user, hash):
                    raise taken(name)
            connection.execute(USERS.update().where(USERS.c.key == user.key).values(hash=hash))
            end_all(connection, user.key)
            return user

    def change(self, name: str, change: Change) -> User:
        """Changes a user. Their sessions end where their role changed or they are disabled. Raises Fault."""
        with alone(self.engine) as connection:
            user = _known(connection, name)
            new = {
                "role": change.role or user.role,
                "runs": _runs(user.runs if change.runs is None else change.runs),
                "disabled": user.disabled if change.disabled is None else change.disabled,
            }
            connection.execute(USERS.update().where(USERS.c.key == user.key).values(new))
            if user.role == "admin" and not connection.scalar(_ADMINS):
                raise Fault(409, f"the last admin is {user.name}", "make somebody else an admin first")
            if new["role"] != user.role or new["disabled"]:
                end_all(connection, user.key)
            if new["disabled"]:
                connection.execute(INVITES.delete().where(INVITES.c.user == user.key))
            return _known(connection, name)

    def set_password(self, user: User, old: str, hash: str) -> None:
        """And ends all sessions and voids the links of the user.

        Raises:
            Fault: the user is disabled, or ``old`` is not the hash of the password any more.
        """
        with alone(self.engine) as connection:
            if not has_password(connection, user.key, old):
                raise outdated()
            connection.execute(USERS.update().where(USERS.c.key == user.key).values(hash=hash))
            connection.execute(INVITES.delete().where(INVITES.c.user == user.key))
            end_all(connection, user.key)

    def rehash(self, user: User, old: str, new: str) -> None:
        """The same password by newer parameters, unless it was changed meanwhile."""
        with alone(self.engine) as connection:
            same = (USERS.c.key == user.key) & (USERS.c.hash == old)
            connection.execute(USERS.update().where(same).values(hash=new))


def only_for_owner(path: Path) -> None:
    """Makes the file, or takes it from other users of the machine. Raises InputError."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise InputError(str(path), f"cannot be written ({error.strerror})", "serve a folder of your own") from None


def taken(name: str) -> Fault:
    return Fault(409, f"there is a user {name} already", "choose another name")


def void(connection: sa.Connection) -> Fault:
    remedy = "ask an admin for a new one" if connection.scalar(_ADMINS) else NO_ADMIN
    return Fault(404, "this link has been used, has run out, or never was", remedy)


def _runs(runs: Iterable[str]) -> str:
    return json.dumps(sorted(runs))


def _user(connection: sa.Connection, key: str) -> User | None:
    row = connection.execute(sa.select(USERS).where(USERS.c.key == key)).first()
    return user_of(row) if row else None


def _known(connection: sa.Connection, name: str) -> User:
    user = _user(connection, key_of(name))
    if user is None:
        raise Fault(404, "there is no such user", "look at the list of users")
    return user


def _insert(engine: sa.Engine, connection: sa.Connection, user: User, hash: str) -> bool:
    """Whether the name was free."""
    row: dict[str, Any] = {"key": user.key, "name": user.name, "hash": hash, "role": user.role}
    new = insert(engine, USERS).values(**row, runs=_runs(user.runs), disabled=False)
    return connection.scalar(new.on_conflict_do_nothing().returning(USERS.c.key)) is not None


def _invite(connection: sa.Connection, key: str, now: float, holds: float = INVITED) -> str:
    token = secrets.token_urlsafe(32)
    connection.execute(INVITES.delete().where((INVITES.c.user == key) | (INVITES.c.until <= now)))
    connection.execute(INVITES.insert(), {"token": hashed(token), "user": key, "until": now + holds})
    return token


def _invitation(connection: sa.Connection, token: str, now: float) -> Invitation:
    wanted = sa.select(INVITES.c.user).where(INVITES.c.token == hashed(token), INVITES.c.until > now)
    key = connection.scalar(wanted)
    if key is None or (not key and connection.scalar(_ADMINS)):
        raise void(connection)
    user = _user(connection, key) if key else None
    if key and (user is None or user.disabled):
        raise void(connection)
    return Invitation(user)
