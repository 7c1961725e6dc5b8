"""A loop whose time leaps: what takes minutes takes none, and comes out the same on any machine."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class Leaping(selectors.DefaultSelector):
    """Instead of waiting for the next timer it moves the clock there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits, and for nothing"
        self.now += max(0.0, timeout)
        return super().select(0)


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.leaping = Leaping()
        super().__init__(self.leaping)

    def time(self) -> float:
        return self.leaping.now


def run_leaping(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(main)


@pytest.fixture(scope="session")
def simulate() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine to its end on a clock that leaps; fails where it would wait for ever."""
    return run_leaping
