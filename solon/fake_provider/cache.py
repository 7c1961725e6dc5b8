"""A prefix cache as the services keep one: what was read lately costs less to read again."""

from collections.abc import Sequence
from dataclasses import replace

from generator.chat import Usage
from solon.fake_provider.asked import Prefix

LIFETIME = 300.0  # seconds after the last use


class PrefixCache:
    def __init__(self) -> None:
        self.expires: dict[tuple[str, str], float] = {}

    def charge(self, usage: Usage, model: str, prefixes: Sequence[Prefix], now: float) -> Usage:
        """``usage`` with what came out of the cache and what went into it.

        Args:
            prefixes: of one prompt, shortest first.
            now: seconds on a clock that only goes forward.
        """
        if not prefixes:
            return usage
        known = [p.tokens for p in prefixes if self.expires.get((model, p.name), 0.0) > now]
        cached = max(known, default=0)
        for prefix in prefixes:
            self.expires[model, prefix.name] = now + LIFETIME
        return replace(usage, cached=cached, stored=prefixes[-1].tokens - cached)
