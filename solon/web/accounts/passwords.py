"""Passwords: argon2id, out of the event loop's way, two at a time."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 256  # characters
AT_ONCE = 2  # 19 MiB each; more would slow the cores that answer everybody else
# The least that OWASP's Password Storage Cheat Sheet names for argon2id: 19 MiB, 2 passes, 1 lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16)

Result = TypeVar("Result")


class Passwords:
    """Safe from many requests at once."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, "password")
        self._nobodys = HASHER.hash("of nobody")  # compared where there is no such user, so that it takes as long

    async def hash(self, password: str) -> str:
        return await self._apart(hash_of, password)

    async def match(self, password: str, known: str) -> bool:
        """Whether ``password`` is that of the hash ``known``; empty where there is none, which takes as long."""
        matches = await self._apart(verified, password, known or self._nobodys)
        return matches and bool(known)

    def is_old(self, known: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return HASHER.check_needs_rehash(known)

    async def _apart(self, work: Callable[..., Result], password: str, *more: str) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, password, *more)


def hash_of(password: str) -> str:
    return HASHER.hash(composed(password))


def verified(password: str, known: str) -> bool:
    try:
        return HASHER.verify(known, composed(password))
    except (VerificationError, InvalidHashError):
        return False


def composed(password: str) -> str:
    """Keyboards differ in how they put a letter together."""
    return unicodedata.normalize("NFKC", password)
