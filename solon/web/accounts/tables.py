"""The tables of who may do what. What lets somebody in (a password, a link, a session's id) is kept as a hash."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from solon.database import writing

SCHEMA = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _time(name: str) -> sa.Column[float]:
    """Unix time; PostgreSQL's plain Float would round it to seconds."""
    return sa.Column(name, sa.Double, nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True)


USERS = sa.Table(
    "users",
    SCHEMA,
    _key("key"),  # the name in lower case: Ann and ann are one person
    _text("name"),
    _text("hash"),  # argon2id; empty until the invitation is accepted
    _text("role"),
    _text("runs"),  # a JSON list
    sa.Column("disabled", sa.Boolean, nullable=False),
)
INVITES = sa.Table("invites", SCHEMA, _key("token"), _text("user"), _time("until"))  # user: empty for the first admin
SESSIONS = sa.Table("sessions", SCHEMA, _key("id"), _text("user"), _text("csrf"), _time("made"), _time("seen"))
ATTEMPTS = sa.Table(
    "attempts", SCHEMA, _key("who"), sa.Column("failures", sa.Integer, nullable=False), _time("until"), _time("at")
)
sa.Index("sessions_of_user", SESSIONS.c.user)


@contextmanager
def alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction in which what was read stays so until it is over: no other one of these runs beside it."""
    with writing(engine) as connection:
        if connection.dialect.name != "sqlite":  # SQLite has one writer at a time anyhow
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('solon accounts'))"))
        yield connection
