"""Content hashes: how everything in Solon is named and matched, never by position."""

import hashlib
import json
from pathlib import Path

CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)  # made once: it is used often
ID_LENGTH = 20  # hex digits, 80 bits: a million rows collide with a chance of 4e-13


def canonical_json(value: object) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, ASCII only.

    Escaping everything outside ASCII lets lone surrogates through, which UTF-8 would refuse.
    """
    return CANONICAL.encode(value).encode("ascii")


def full_hash(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return bytes_hash(canonical_json(value))


def bytes_hash(content: bytes) -> str:
    """SHA-256, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def short_id(*parts: object) -> str:
    """The first 80 bits of the hash of ``parts``, as 20 hex digits."""
    return full_hash(parts)[:ID_LENGTH]


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hex digits; the file is never in memory as a whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unit_interval(*parts: object) -> float:
    """A number in (0, 1) that depends on nothing but ``parts``, evenly spread over many of them."""
    return (int(full_hash(parts)[:13], 16) + 0.5) / 16**13
