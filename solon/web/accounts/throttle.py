"""Guessing passwords gets slower: at a name from one address, from one address at any names, and at a name at all.

Who guesses at somebody's name from elsewhere must not keep them out, so the last of these leaves more free and waits
for a short time only; passwords are long enough for that. An attempt counts as failed from its beginning, so that many
at once gain nothing; a good one takes itself back.
"""

import ipaddress
from dataclasses import dataclass

import sqlalchemy as sa

from solon.database import insert
from solon.web.accounts.tables import ATTEMPTS, alone
from solon.web.accounts.user import hashed, key_of

FREE = 5  # failures without a wait, at one name from one address
FREE_BY_NAME = 50  # from anywhere
FREE_BY_ADDRESS = 300  # a whole office may have one, and come in at the same minute
FIRST_WAIT = 1.0  # seconds, doubled by every failure
LONGEST_WAIT = 15 * 60.0
LONGEST_BY_NAME = 10.0
FORGOTTEN = 3600.0  # seconds after the last failure and its wait

_ROWS = sa.select(ATTEMPTS).where(ATTEMPTS.c.who.in_(sa.bindparam("whos", expanding=True)))


@dataclass(frozen=True, slots=True)
class Throttle:
    engine: sa.Engine

    def begin(self, name: str, address: str, now: float) -> float:
        """Counts an attempt and gives 0, or the seconds that are still to be waited, and then it does not count."""
        free = {by_both(name, address): FREE, by_name(name): FREE_BY_NAME, by_address(address): FREE_BY_ADDRESS}
        with alone(self.engine) as connection:
            connection.execute(ATTEMPTS.delete().where(ATTEMPTS.c.until <= now - FORGOTTEN))
            rows = {row.who: row for row in connection.execute(_ROWS, {"whos": list(free)})}
            # Of the free ones none is waited for: another request may have looked at its clock a moment later.
            wait = max((row.until - now for who, row in rows.items() if row.failures > free[who]), default=0.0)
            if wait > 0:
                return wait
            for who, without in free.items():
                failures = (rows[who].failures if who in rows else 0) + 1
                longest = LONGEST_BY_NAME if who == by_name(name) else LONGEST_WAIT
                until = now + min(wait_after(failures - without), longest)
                self._note(connection, {"who": who, "failures": failures, "until": until, "at": now})
        return 0.0

    def _note(self, connection: sa.Connection, row: dict[str, str | float]) -> None:
        new = insert(self.engine, ATTEMPTS).values(row)
        changed = {key: row[key] for key in ("failures", "until", "at")}
        connection.execute(new.on_conflict_do_update(index_elements=["who"], set_=changed))

    def succeeded(self, name: str, address: str) -> None:
        """Takes the attempt back; what an address failed before stays, for a guesser may have an account too."""
        fewer = ATTEMPTS.update().where(ATTEMPTS.c.who == by_address(address), ATTEMPTS.c.failures > 0)
        with alone(self.engine) as connection:
            named = ATTEMPTS.c.who.in_([by_name(name), by_both(name, address)])
            connection.execute(ATTEMPTS.delete().where(named))
            connection.execute(fewer.values(failures=ATTEMPTS.c.failures - 1))


def wait_after(failures: int) -> float:
    """Seconds after so many failures beyond the free ones."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 20)) if failures > 0 else 0.0


def by_name(name: str) -> str:
    """Hashed: people type their password where their name belongs."""
    return f"name {hashed(key_of(name))}"


def by_both(name: str, address: str) -> str:
    return f"{by_name(name)} {by_address(address)}"


def by_address(address: str) -> str:
    """One house has all of a /64 of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address[:80]}"
    if found.version == 4:
        return f"address {found}"
    return f"address {ipaddress.ip_network((found, 64), strict=False)}"
