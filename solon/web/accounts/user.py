"""A person with an account, as everything else sees them."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, TypeAlias, get_args

Role: TypeAlias = Literal["annotator", "adjudicator", "admin"]  # each may do what those before it may
ROLES: tuple[Role, ...] = get_args(Role)
ALL_RUNS = "*"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: Role
    runs: frozenset[str]  # names, or ALL_RUNS among them
    disabled: bool
    invited: bool  # and has set no password yet

    @property
    def key(self) -> str:
        return key_of(self.name)


def key_of(name: str) -> str:
    """Names that differ in case alone are one."""
    return name.lower()


def user_of(row: Any) -> User:
    """From a row of the table of users, or of a join with it."""
    return User(row.name, row.role, frozenset(json.loads(row.runs)), row.disabled, not row.hash)


def hashed(secret: str) -> str:
    """For secrets of 256 random bits, which need no slow hash."""
    return sha256(secret.encode()).hexdigest()
