import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.errors import ModelError
from generator.chat import CallFailure, FailureReason
from generator.models.door import (
    CUT,
    FAILURES_IN_A_ROW,
    IN_TROUBLE,
    SAYS_NOTHING,
    SLOW_DOWN,
    Closed,
    Door,
    Pace,
    Ticket,
)

Simulate = Callable[[Any], Any]
DOWN = CallFailure("k", "server error", "down")
BUSY = CallFailure("k", "rate limit", "slow down")
AUTH = CallFailure("k", "auth", "who are you")


def failure(reason: FailureReason) -> CallFailure:
    return CallFailure("k", reason, "")


def now() -> float:
    return asyncio.get_running_loop().time()


async def call(door: Door, result: CallFailure | None = None, takes: float = 0.0, tokens: int = 0) -> float:
    """One call, and when it went out."""
    ticket = await door.enter(tokens)
    began = now()
    await asyncio.sleep(takes)
    door.leave(ticket, result, answered=result is None)
    return began


async def calls(door: Door, results: list[CallFailure | None], takes: float = 1.0) -> list[float]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call(door, result, takes)) for result in results]
    return [task.result() for task in tasks]


async def opened(most: int, **options: float) -> Door:
    """A door to an endpoint that has answered."""
    door = Door(most, **options)
    await call(door)
    return door


async def full(door: Door) -> list[Ticket]:
    return [await door.enter(0) for _ in range(int(door.limit) - door.out)]


# How many at once


async def most_at_once(door: Door, many: int) -> int:
    seen: list[int] = []

    async def one() -> None:
        ticket = await door.enter(0)
        seen.append(door.out)
        await asyncio.sleep(1)
        door.leave(ticket, None, answered=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(many):
            group.create_task(one())
    return max(seen)


def test_one_call_goes_alone_until_the_endpoint_has_answered(simulate: Simulate) -> None:
    async def main() -> list[float]:
        return await calls(Door(8), [None] * 9)

    assert sorted(simulate(main())) == [0.0] + [1.0] * 8


@pytest.mark.parametrize("reason", sorted(set(get_args(FailureReason)) - IN_TROUBLE - SAYS_NOTHING))
def test_a_call_that_fails_for_its_own_sake_shows_that_the_endpoint_answers(
    simulate: Simulate, reason: FailureReason
) -> None:
    async def main() -> Door:
        door = Door(8)
        await call(door, failure(reason))
        return door

    door = simulate(main())
    assert (door.proven, door.limit) == (True, 8)


@pytest.mark.parametrize("reason", sorted(SAYS_NOTHING | IN_TROUBLE))
def test_no_other_failure_lets_more_than_one_call_out(simulate: Simulate, reason: FailureReason) -> None:
    async def main() -> tuple[bool, list[float]]:
        door = Door(8)
        await call(door, failure(reason))
        return door.proven, sorted(await calls(door, [failure(reason)] * 3))

    assert simulate(main()) == (False, [0.0, 1.0, 2.0])


def test_a_page_that_is_no_api_costs_one_request_at_a_time(simulate: Simulate) -> None:
    async def main() -> list[float]:
        return sorted(await calls(Door(8), [failure("unreadable")] * 3))

    assert simulate(main()) == [0.0, 1.0, 2.0]


def test_a_call_that_was_turned_away_before_it_went_out_shows_nothing(simulate: Simulate) -> None:
    async def main() -> bool:
        door = Door(8)
        door.leave(await door.enter(0), None)
        return door.proven

    assert simulate(main()) is False


def test_never_are_more_out_than_allowed(simulate: Simulate) -> None:
    async def main() -> int:
        return await most_at_once(await opened(5), 40)

    assert simulate(main()) == 5


@pytest.mark.parametrize("reason", sorted(SLOW_DOWN))
def test_calls_that_were_out_together_cut_their_number_once(simulate: Simulate, reason: FailureReason) -> None:
    async def main() -> list[float]:
        door = await opened(10)
        limits = []
        for _ in range(2):
            for ticket in await full(door):
                door.leave(ticket, failure(reason))
            limits.append(door.limit)
        return limits

    assert simulate(main()) == pytest.approx([10 * CUT, 10 * CUT * CUT])


def test_a_late_refusal_from_before_the_cut_cuts_nothing(simulate: Simulate) -> None:
    async def main() -> float:
        door = await opened(10)
        first, late, *others = await full(door)
        for ticket in (first, *others):
            door.leave(ticket, BUSY)
        door.leave(await door.enter(0), None, answered=True)
        after = door.limit
        door.leave(late, BUSY)
        return door.limit - after

    assert simulate(main()) == 0


def test_trouble_that_asks_for_nothing_slower_cuts_nothing(simulate: Simulate) -> None:
    async def main() -> list[float]:
        door = await opened(10)
        limits = []
        for reason in sorted(IN_TROUBLE - SLOW_DOWN):
            door.leave(await door.enter(0), failure(reason))
            limits.append(door.limit)
        return limits

    assert set(simulate(main())) == {10}


def test_one_call_may_always_be_out(simulate: Simulate) -> None:
    async def main() -> float:
        door = await opened(3)
        for result in itertools.chain.from_iterable([BUSY, None] for _ in range(30)):
            door.leave(await door.enter(0), result, answered=result is None)
            assert door.limit >= 1
        return door.limit

    assert simulate(main()) < 3


def test_after_a_cut_the_number_climbs_by_one_a_round_and_back_to_the_most(simulate: Simulate) -> None:
    async def main() -> list[float]:
        door = await opened(20)
        door.leave(await door.enter(0), BUSY)
        limits = [door.limit]
        for _ in range(9):
            for ticket in await full(door):
                door.leave(ticket, None, answered=True)
            limits.append(door.limit)
        return limits

    limits = simulate(main())
    assert limits[0] == 14
    steps = [later - earlier for earlier, later in itertools.pairwise(limits)]
    assert all(0.9 < step <= 1 for step in steps[:5])
    assert limits[-1] == 20


# The circuit


async def broken(most: int = 4, **options: float) -> Door:
    door = await opened(most, **options)
    for _ in range(FAILURES_IN_A_ROW):
        await call(door, DOWN)
    return door


def test_failures_open_the_circuit_only_in_a_row(simulate: Simulate) -> None:
    async def main() -> tuple[bool, bool]:
        door = await opened(4)
        for result in [*[DOWN] * (FAILURES_IN_A_ROW - 1), None] * 3:
            await call(door, result)
        before = door.broken_since is None
        for _ in range(FAILURES_IN_A_ROW):
            await call(door, DOWN)
        return before, door.broken_since is None

    assert simulate(main()) == (True, False)


def test_an_endpoint_that_asks_one_call_to_wait_gets_no_other_meanwhile(simulate: Simulate) -> None:
    async def main() -> list[float]:
        door = await opened(4)
        await call(door, replace(BUSY, wait=7.0))
        came_back = now()
        return [began - came_back for began in await calls(door, [None] * 3)]

    assert simulate(main()) == pytest.approx([7, 8, 9], abs=1.1)


@pytest.mark.parametrize("wait", [61.0, 1e9, float("inf")])
def test_an_absurd_wish_to_wait_holds_nobody_for_longer_than_a_minute(simulate: Simulate, wait: float) -> None:
    async def main() -> float:
        door = await opened(4)
        await call(door, replace(BUSY, wait=wait))
        came_back = now()
        return await call(door) - came_back

    assert simulate(main()) == pytest.approx(60)


def test_an_endpoint_that_only_asks_to_slow_down_is_not_taken_for_broken(simulate: Simulate) -> None:
    async def main() -> None:
        door = await opened(4)
        for _ in range(3 * FAILURES_IN_A_ROW):
            await call(door, BUSY)
        assert door.broken_since is None

    simulate(main())


def test_an_open_circuit_lets_one_probe_out_at_a_time_and_ever_less_often(simulate: Simulate) -> None:
    async def main() -> list[float]:
        door = await broken(give_up_after=1e9)
        return sorted(await calls(door, [DOWN] * 9, takes=0.5))

    went = simulate(main())
    gaps = [later - earlier for earlier, later in itertools.pairwise([0.0, *went])]
    assert gaps == pytest.approx([1, 2.5, 4.5, 8.5, 16.5, 30.5, 30.5, 30.5, 30.5])


def test_calls_that_were_out_when_the_circuit_opened_are_no_probes(simulate: Simulate) -> None:
    async def main() -> float:
        door = await opened(64)
        for ticket in await full(door):
            door.leave(ticket, DOWN)
        return await call(door)

    assert simulate(main()) == pytest.approx(1.0)


def test_a_good_probe_closes_the_circuit_and_calls_come_back_in_doubling_rounds(simulate: Simulate) -> None:
    async def main() -> list[float]:
        return sorted(await calls(await broken(8), [None] * 24))

    went = simulate(main())
    assert [went.count(at) for at in sorted(set(went))] == [1, 1, 2, 4, 8, 8]


def test_an_endpoint_that_only_fails_for_too_long_is_given_up_by_everybody_who_waits(simulate: Simulate) -> None:
    async def main() -> tuple[list[object], float]:
        door = await broken(give_up_after=60)
        told = await asyncio.gather(*(call(door, DOWN) for _ in range(30)), return_exceptions=True)
        return told, now()

    told, at = simulate(main())
    given_up = [error for error in told if isinstance(error, ModelError)]
    assert len(given_up) > 20
    assert str(given_up[0]) == "the endpoint only fails (server error: down): run again when it works"
    assert 60 < at < 60 + 31


def test_an_endpoint_that_recovers_in_time_is_not_given_up(simulate: Simulate) -> None:
    async def main() -> int:
        door = await broken(give_up_after=60)
        return len(await calls(door, [*[DOWN] * 4, *[None] * 30]))

    assert simulate(main()) == 34


def test_a_probe_is_made_although_the_one_who_waited_for_it_was_called_off(simulate: Simulate) -> None:
    async def main() -> float:
        door = await opened(1)
        for _ in range(FAILURES_IN_A_ROW - 1):
            await call(door, DOWN)
        last = await door.enter(0)
        first, second = (asyncio.create_task(call(door)) for _ in range(2))
        await asyncio.sleep(0)
        door.leave(last, DOWN)
        await asyncio.sleep(0.1)
        first.cancel()
        return await second

    assert simulate(main()) == pytest.approx(1.0)


# Closing


def test_a_closed_door_turns_everybody_away_at_once_and_takes_back_who_is_out(simulate: Simulate) -> None:
    async def main() -> tuple[list[str], int, float]:
        door = await opened(2, requests_per_minute=1)
        waiting = [asyncio.create_task(door.enter(0)) for _ in range(9)]
        await asyncio.sleep(1)
        door.close()
        turned_away = await asyncio.gather(*waiting, door.enter(0), return_exceptions=True)
        return [type(error).__name__ for error in turned_away], door.out, now()

    assert simulate(main()) == (["Closed"] * 10, 0, 1)


def test_a_closed_door_also_turns_away_who_waits_for_a_probe(simulate: Simulate) -> None:
    async def main() -> None:
        door = await broken()
        waiting = asyncio.create_task(door.enter(0))
        await asyncio.sleep(0.5)
        door.close()
        with pytest.raises(Closed):
            await waiting
        assert now() == 0.5

    simulate(main())


# The pace

TOKENS = st.lists(st.integers(0, 3000), min_size=2, max_size=150)
LIMITS = st.one_of(st.none(), st.integers(1, 200)), st.one_of(st.none(), st.integers(100, 100_000))


def starts(pace: Pace, tokens: list[int], arrivals: list[float]) -> list[float]:
    return [round(at + pace.take(needed, at), 6) for needed, at in zip(tokens, arrivals, strict=True)]


@given(TOKENS, *LIMITS, st.integers())
def test_in_every_minute_the_endpoints_limits_are_kept_but_for_the_call_that_ends_it(
    tokens, requests_per_minute, tokens_per_minute, seed
) -> None:
    """Of tokens one call may go beyond: only a call that is larger than the rest of its minute does so."""
    chance = random.Random(seed)
    arrivals = sorted(chance.uniform(0, 100) for _ in tokens)
    went = starts(Pace(requests_per_minute, tokens_per_minute), tokens, arrivals)
    assert went == sorted(went)
    assert all(start >= arrived - 1e-6 for start, arrived in zip(went, arrivals, strict=True))
    for first, begins in enumerate(went):
        within = [n for n in range(first, len(went)) if went[n] < begins + 60 - 1e-3]
        if requests_per_minute:
            assert len(within) <= requests_per_minute
        if tokens_per_minute:
            assert sum(tokens[n] for n in within[:-1]) <= tokens_per_minute


def test_without_limits_nobody_waits() -> None:
    assert starts(Pace(None, None), [10**9] * 3, [0.0, 0.0, 1.0]) == [0.0, 0.0, 1.0]


def test_an_idle_minute_saves_up_no_burst() -> None:
    assert starts(Pace(60, None), [0] * 3, [0.0, 600.0, 600.0]) == [0.0, 600.0, 601.0]


def test_calls_leave_by_the_pace_of_requests_and_tokens(simulate: Simulate) -> None:
    async def main() -> list[float]:
        door = await opened(100, requests_per_minute=60, tokens_per_minute=6000)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(door, tokens=n)) for n in (300, 10, 10, 200, 0)]
        return [task.result() for task in tasks]

    assert simulate(main()) == pytest.approx([1, 4, 5, 6, 8])


def test_who_is_called_off_while_paced_leaves_the_place_to_others(simulate: Simulate) -> None:
    async def main() -> int:
        door = await opened(1, requests_per_minute=1)
        paced = asyncio.create_task(door.enter(0))
        await asyncio.sleep(1)
        assert door.out == 1
        paced.cancel()
        await asyncio.wait([paced])
        return door.out

    assert simulate(main()) == 0


# Whatever happens

RESULTS = st.sampled_from([None, None, None, BUSY, DOWN, AUTH, failure("bad request"), failure("unreadable")])
VISITS = st.lists(
    st.tuples(
        st.floats(0, 5),  # arrives
        st.floats(0, 3),  # takes
        st.none() | st.floats(0, 8),  # is called off
        RESULTS,
    ),
    max_size=80,
)


@given(VISITS, st.integers(1, 6), st.none() | st.integers(100, 1000))
@settings(max_examples=200)
def test_no_place_is_ever_lost_and_everybody_gets_through(simulate, visits, most, requests_per_minute) -> None:
    async def main() -> None:
        door = Door(most, give_up_after=1e9, requests_per_minute=requests_per_minute)

        async def visit(arrives: float, takes: float, off: float | None, result: CallFailure | None) -> None:
            await asyncio.sleep(arrives)
            try:
                async with asyncio.timeout(off):
                    ticket = await door.enter(0)
                    assert 0 < door.out <= most
                    try:
                        await asyncio.sleep(takes)
                    except asyncio.CancelledError:
                        result = DOWN
                        raise
                    finally:
                        door.leave(ticket, result, answered=result is None)
                        assert 0 <= door.out < most
            except TimeoutError:
                pass

        async with asyncio.TaskGroup() as group:
            for one in visits:
                group.create_task(visit(*one))
        assert door.out == 0
        assert 1 <= door.limit <= most

    simulate(main())
