import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.errors import InputError, ModelError, NotFinished
from generator.chat import (
    STOPS_THE_RUN,
    WORTH_RETRYING,
    CallFailure,
    ChatReply,
    ChatRequest,
    FailureReason,
    Message,
    Outcome,
    Usage,
)
from generator.models.calling import CHARACTERS_PER_TOKEN, Patience, Persistent, likely_tokens
from generator.models.door import FAILURES_IN_A_ROW, Closed, Door, Ticket

Simulate = Callable[[Any], Any]
REQUEST = ChatRequest((Message("user", "Hi"),), 1.0, 10)
PATIENT = Patience(deadline=1000, attempts=4)
REPLY = b"reply"
USED = Usage(7, 3)


def failure(reason: FailureReason, detail: str = "", wait: float | None = None, charged: bool = False) -> CallFailure:
    return CallFailure("key", reason, detail, wait, charged)


DOWN, AUTH = failure("server error", "down"), failure("auth", "who are you")
UNREADABLE = failure("unreadable", "what", charged=True)
EMPTY = failure("empty", "nothing", charged=True)


def now() -> float:
    return asyncio.get_running_loop().time()


class Endpoint:
    """A ``Backend`` that gives each try the next of ``results``, and the last of them from then on.

    Bytes that read as ``unreadable`` or ``empty`` are no reply; an error is raised.
    """

    identity = "endpoint"

    def __init__(self, *results: bytes | CallFailure | Exception, takes: float = 0.0) -> None:
        self.results = results
        self.takes = takes
        self.tries: list[float] = []  # when

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        self.tries.append(now())
        result = self.results[min(len(self.tries), len(self.results)) - 1]
        await asyncio.sleep(self.takes)
        if isinstance(result, Exception):
            raise result
        return result

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        match raw:
            case b"unreadable":
                return UNREADABLE
            case b"empty":
                return EMPTY
            case _:
                return ChatReply(key, raw.decode("latin-1"), "stop", "m", USED)

    async def close(self) -> None: ...


class Purse:
    """Counts what is put aside and what is settled."""

    def __init__(self, enough_for: int = 10**9) -> None:
        self.enough_for = enough_for
        self.reserved = 0
        self.settled: list[Usage | None] = []

    async def reserve(self, request: ChatRequest) -> None:
        await asyncio.sleep(0)
        if self.reserved >= self.enough_for:
            raise NotFinished("the budget is reached")
        self.reserved += 1

    def settle(self, request: ChatRequest, usage: Usage | None) -> None:
        self.settled.append(usage)
        assert len(self.settled) <= self.reserved


def opened(most: int = 8) -> Door:
    door = Door(most)
    door.went_well()
    return door


def send(
    simulate: Simulate, endpoint: Endpoint, patience: Patience = PATIENT, door: Door | None = None
) -> bytes | CallFailure:
    result: bytes | CallFailure = simulate(Persistent(endpoint, door or opened(), patience).send("key", REQUEST))
    return result


# What is tried again


@pytest.mark.parametrize("reason", sorted(WORTH_RETRYING))
def test_what_can_be_cured_is_tried_again(simulate: Simulate, reason: FailureReason) -> None:
    endpoint = Endpoint(failure(reason), failure(reason), REPLY)
    assert send(simulate, endpoint) == REPLY
    assert len(endpoint.tries) == 3


@pytest.mark.parametrize("reason", sorted(set(get_args(FailureReason)) - WORTH_RETRYING))
def test_what_cannot_be_cured_is_tried_once(simulate: Simulate, reason: FailureReason) -> None:
    endpoint = Endpoint(failure(reason), REPLY)
    assert send(simulate, endpoint) == failure(reason)
    assert len(endpoint.tries) == 1


def test_what_a_person_must_mend_is_never_tried_again() -> None:
    assert STOPS_THE_RUN.isdisjoint(WORTH_RETRYING)


def test_after_the_last_attempt_the_last_failure_is_given(simulate: Simulate) -> None:
    endpoint = Endpoint(*(failure("server error", f"try {n}") for n in range(1, 9)))
    assert send(simulate, endpoint) == failure("server error", "try 4")
    assert len(endpoint.tries) == 4


def test_one_attempt_is_one_attempt(simulate: Simulate) -> None:
    endpoint = Endpoint(DOWN)
    assert send(simulate, endpoint, Patience(attempts=1)) == DOWN
    assert len(endpoint.tries) == 1


def test_a_retry_may_end_in_a_failure_that_no_retry_cures(simulate: Simulate) -> None:
    assert send(simulate, Endpoint(failure("rate limit"), AUTH, REPLY)) == AUTH


def test_a_body_comes_through_as_it_is(simulate: Simulate) -> None:
    endpoint = Endpoint(b"\xff\x00")
    assert send(simulate, endpoint) == b"\xff\x00"
    assert len(endpoint.tries) == 1


def test_a_reply_that_cannot_be_read_is_asked_for_again(simulate: Simulate) -> None:
    assert send(simulate, Endpoint(b"unreadable", b"unreadable", REPLY)) == REPLY
    assert send(simulate, Endpoint(b"unreadable")) == UNREADABLE


@pytest.mark.parametrize("before", [0, 1, 5])
def test_a_model_that_has_nothing_to_say_is_asked_a_few_times_however_often_it_failed_before(
    simulate: Simulate, before: int
) -> None:
    endpoint = Endpoint(*[DOWN] * before, b"empty")
    assert send(simulate, endpoint, Patience(deadline=1000, attempts=20, empty_attempts=3)) == EMPTY
    assert len(endpoint.tries) == before + 3


def test_empty_replies_count_also_between_others(simulate: Simulate) -> None:
    endpoint = Endpoint(b"empty", DOWN, b"empty", DOWN, b"empty", REPLY)
    assert send(simulate, endpoint, Patience(deadline=1000, attempts=20, empty_attempts=3)) == EMPTY


def test_of_empty_replies_too_there_are_no_more_than_attempts(simulate: Simulate) -> None:
    endpoint = Endpoint(b"empty")
    send(simulate, endpoint, Patience(deadline=1000, attempts=2, empty_attempts=3))
    assert len(endpoint.tries) == 2


# How long


def pauses(endpoint: Endpoint) -> list[float]:
    return [later - earlier for earlier, later in zip(endpoint.tries, endpoint.tries[1:], strict=False)]


def test_pauses_are_drawn_from_nothing_up_to_a_doubling_bound(simulate: Simulate) -> None:
    bounds = [0.5, 1, 2, 4, 8, 16, 20, 20]
    drawn: list[list[float]] = [[] for _ in bounds]
    for _ in range(200):
        endpoint = Endpoint(DOWN)
        send(simulate, endpoint, Patience(deadline=1000, attempts=9, longest_pause=20))
        for pause, pauses_there in zip(pauses(endpoint), drawn, strict=True):
            pauses_there.append(pause)
    for bound, there in zip(bounds, drawn, strict=True):
        assert max(there) <= bound + 1e-9
        assert max(there) > bound * 0.9
        assert min(there) < bound * 0.1
        assert sum(there) / len(there) == pytest.approx(bound / 2, rel=0.2)


@pytest.mark.parametrize(("wait", "least"), [(7.0, 7.0), (0.0, 0.0), (1e300, 60.0), (float("inf"), 60.0)])
def test_an_endpoint_may_ask_for_a_longer_pause_within_reason(simulate: Simulate, wait: float, least: float) -> None:
    endpoint = Endpoint(failure("rate limit", wait=wait), REPLY)
    assert send(simulate, endpoint, PATIENT) == REPLY
    (pause,) = pauses(endpoint)
    assert least <= pause <= max(0.5, least * 1.1)


def test_calls_that_were_asked_to_wait_equally_do_not_come_back_at_once(simulate: Simulate) -> None:
    came_back = set()
    for _ in range(20):
        endpoint = Endpoint(failure("rate limit", wait=10), REPLY)
        send(simulate, endpoint)
        came_back.add(endpoint.tries[1])
    assert len(came_back) > 15


def test_a_request_to_wait_holds_for_one_pause_only(simulate: Simulate) -> None:
    endpoint = Endpoint(failure("rate limit", wait=50), DOWN, REPLY)
    send(simulate, endpoint)
    long, short = pauses(endpoint)
    assert long >= 50 > 1 >= short


def test_one_deadline_ends_a_try_without_end(simulate: Simulate) -> None:
    endpoint = Endpoint(REPLY, takes=10**6)
    assert send(simulate, endpoint, Patience(deadline=5)) == failure("timeout", "no reply within 5 s", charged=True)


def test_one_deadline_ends_all_tries(simulate: Simulate) -> None:
    endpoint = Endpoint(DOWN, takes=0.3)
    result = send(simulate, endpoint, Patience(deadline=5, attempts=10**6, longest_pause=0.5))
    assert isinstance(result, CallFailure)
    assert len(endpoint.tries) > 5
    assert endpoint.tries[-1] < 5


def test_a_deadline_in_a_pause_tells_what_came_last(simulate: Simulate) -> None:
    endpoint = Endpoint(failure("rate limit", "slow down", wait=50))
    result = send(simulate, endpoint, Patience(deadline=5))
    assert result == failure("rate limit", "no reply within 5 s; last: slow down")


def test_a_deadline_in_a_later_try_tells_that_no_reply_came(simulate: Simulate) -> None:
    class Stuck(Endpoint):
        async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
            self.takes = 100.0 * len(self.tries)
            return await super().send(key, request)

    result = send(simulate, Stuck(DOWN), Patience(deadline=5))
    assert result == failure("timeout", "no reply within 5 s", charged=True)


def test_waiting_for_a_place_for_another_try_takes_no_time_off_the_deadline(simulate: Simulate) -> None:
    async def main() -> bytes | CallFailure:
        door = opened(1)
        persistent = Persistent(Endpoint(DOWN, REPLY, takes=20), door, Patience(deadline=50, longest_pause=0.5))
        call = asyncio.create_task(persistent.send("key", REQUEST))
        await asyncio.sleep(1)
        another = asyncio.create_task(door.enter(0))
        await asyncio.sleep(1000)
        door.leave(await another, None)
        return await call

    assert simulate(main()) == REPLY


def test_waiting_for_the_first_place_takes_no_time_off_the_deadline(simulate: Simulate) -> None:
    async def main() -> bytes | CallFailure:
        door = opened(1)
        ticket = await door.enter(0)
        call = asyncio.create_task(Persistent(Endpoint(REPLY, takes=4), door, Patience(deadline=5)).send("k", REQUEST))
        await asyncio.sleep(1000)
        door.leave(ticket, None, answered=True)
        return await call

    assert simulate(main()) == REPLY


def test_stopping_a_run_is_not_taken_for_a_timeout(simulate: Simulate) -> None:
    async def main() -> None:
        task = asyncio.create_task(Persistent(Endpoint(REPLY, takes=100), opened(), PATIENT).send("key", REQUEST))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    simulate(main())


# Doors


def test_a_wrong_key_costs_one_request_however_many_calls_wait(simulate: Simulate) -> None:
    endpoint, door, purse = Endpoint(AUTH, takes=1), Door(50), Purse()

    async def one(n: int) -> bytes | CallFailure:
        result = await Persistent(endpoint, door, PATIENT, purse).send(str(n), REQUEST)
        door.close()  # as the run's gate does
        return result

    async def main() -> list[object]:
        return await asyncio.gather(*(one(n) for n in range(50)), return_exceptions=True)

    results = simulate(main())
    assert Counter(map(type, results)) == {CallFailure: 1, Closed: 49}
    assert len(endpoint.tries) == 1
    assert (purse.reserved, purse.settled) == (1, [Usage()])


def test_an_endpoint_that_never_was_there_is_bad_input_at_the_first_call(simulate: Simulate) -> None:
    refused = failure("connection", "nobody answers")
    endpoint = Endpoint(refused)
    with pytest.raises(InputError, match=r"^endpoint: nobody answers: start the endpoint, or correct base_url$"):
        send(simulate, endpoint, door=Door(8))
    assert len(endpoint.tries) == 1


@pytest.mark.parametrize("broken", [failure("connection", "reset", charged=True), failure("timeout"), DOWN])
def test_an_endpoint_that_is_there_but_unwell_is_tried_again(simulate: Simulate, broken: CallFailure) -> None:
    assert send(simulate, Endpoint(broken, REPLY), door=Door(8)) == REPLY


def test_an_endpoint_that_was_there_may_come_back(simulate: Simulate) -> None:
    assert send(simulate, Endpoint(failure("connection", "nobody answers"), REPLY), door=opened()) == REPLY


def test_a_door_that_closes_turns_away_whoever_has_not_begun(simulate: Simulate) -> None:
    endpoint, door = Endpoint(REPLY), opened()
    door.close()
    with pytest.raises(Closed):
        send(simulate, endpoint, door=door)
    assert endpoint.tries == []


@pytest.mark.parametrize("waits", [None, 50.0])
def test_a_door_that_closes_ends_the_retries_at_once_with_the_last_failure(
    simulate: Simulate, waits: float | None
) -> None:
    busy = failure("rate limit", "slow down", wait=waits)
    endpoint = Endpoint(busy, takes=1)
    knocks: list[float] = []

    class Watched(Door):
        async def enter(self, tokens: int) -> Ticket:
            knocks.append(now())
            return await super().enter(tokens)

    async def main() -> tuple[object, float]:
        door = Watched(8)
        door.went_well()
        patience = Patience(deadline=1000, attempts=1000, longest_pause=0.01)
        call = asyncio.create_task(Persistent(endpoint, door, patience).send("key", REQUEST))
        await asyncio.sleep(20.5)
        door.close()
        return await call, now()

    result, at = simulate(main())
    assert result == busy
    assert at < 21.6  # at most the try that was out
    assert len([knock for knock in knocks if knock >= 20.5]) <= 1


def test_a_call_that_is_out_when_the_door_closes_is_received(simulate: Simulate) -> None:
    async def main() -> bytes | CallFailure:
        door = opened()
        call = asyncio.create_task(Persistent(Endpoint(REPLY, takes=9), door, PATIENT).send("key", REQUEST))
        await asyncio.sleep(1)
        door.close()
        return await call

    assert simulate(main()) == REPLY


def test_an_endpoint_that_only_fails_is_given_up(simulate: Simulate) -> None:
    endpoint, door = Endpoint(DOWN), Door(8, give_up_after=60)

    async def main() -> list[object]:
        model = Persistent(endpoint, door, Patience(deadline=600, attempts=10**6))
        return await asyncio.gather(*(model.send(str(n), REQUEST) for n in range(8)), return_exceptions=True)

    results = simulate(main())
    assert [type(result) for result in results] == [ModelError] * 8
    assert len(endpoint.tries) < FAILURES_IN_A_ROW + 10


def test_the_door_is_told_how_long_a_call_is_likely_to_be() -> None:
    request = ChatRequest((Message("system", "a" * 80), Message("user", "b" * 40)), 1.0, 16)
    assert likely_tokens(request) == 120 // CHARACTERS_PER_TOKEN + 16


# The purse


def settled(simulate: Simulate, *results: bytes | CallFailure | Exception, **options: Any) -> list[Usage | None]:
    purse, door = Purse(), opened()

    async def main() -> None:
        await asyncio.wait([asyncio.ensure_future(attempt())])

    async def attempt() -> object:
        try:
            return await Persistent(Endpoint(*results, **options), door, Patience(deadline=50), purse).send(
                "k", REQUEST
            )
        except Exception as error:
            return error

    simulate(main())
    assert purse.reserved == len(purse.settled)
    assert door.out == 0
    return purse.settled


def test_a_reply_is_settled_by_its_usage(simulate: Simulate) -> None:
    assert settled(simulate, REPLY) == [USED]


def test_a_failure_is_settled_by_whether_it_may_be_charged(simulate: Simulate) -> None:
    assert settled(simulate, DOWN, failure("timeout", charged=True), b"unreadable", AUTH) == [
        Usage(),
        None,
        None,
        Usage(),
    ]


def test_a_call_that_the_deadline_cuts_off_may_be_charged(simulate: Simulate) -> None:
    assert settled(simulate, REPLY, takes=100) == [None]


def test_a_call_that_raises_is_settled_and_gives_its_place_back(simulate: Simulate) -> None:
    assert settled(simulate, InputError("temperature", "is out of range", "set it")) == [Usage()]
    assert settled(simulate, RuntimeError("a bug")) == [None]


def test_nothing_is_put_aside_for_a_call_that_waits_for_a_place(simulate: Simulate) -> None:
    async def main() -> int:
        purse, door = Purse(), opened(2)
        model = Persistent(Endpoint(REPLY, takes=10), door, PATIENT, purse)
        tasks = [asyncio.create_task(model.send(str(n), REQUEST)) for n in range(9)]
        await asyncio.sleep(5)
        reserved = purse.reserved
        await asyncio.gather(*tasks)
        assert purse.settled == [USED] * 9
        return reserved

    assert simulate(main()) == 2


def test_a_door_that_closes_turns_away_also_who_waits_for_money(simulate: Simulate) -> None:
    class Slow(Purse):
        async def reserve(self, request: ChatRequest) -> None:
            await super().reserve(request)
            await asyncio.sleep(5)

    async def main() -> None:
        endpoint, purse, door = Endpoint(REPLY), Slow(), opened()
        call = asyncio.create_task(Persistent(endpoint, door, PATIENT, purse).send("key", REQUEST))
        await asyncio.sleep(1)
        door.close()
        with pytest.raises(Closed):
            await call
        assert (endpoint.tries, purse.settled, door.out) == ([], [Usage()], 0)

    simulate(main())


def test_no_call_goes_out_that_the_purse_does_not_hold(simulate: Simulate) -> None:
    endpoint, purse, door = Endpoint(DOWN), Purse(enough_for=2), opened()
    with pytest.raises(NotFinished):
        simulate(Persistent(endpoint, door, PATIENT, purse).send("key", REQUEST))
    assert (len(endpoint.tries), len(purse.settled), door.out) == (2, 2, 0)


RESULTS = st.lists(
    st.sampled_from(
        [
            *[REPLY, REPLY, REPLY, b"unreadable", b"empty", DOWN, AUTH, failure("rate limit", wait=3), UNREADABLE],
            *[failure("timeout", charged=True), failure("connection"), RuntimeError("a bug")],
            InputError("a", "b", "c"),
        ]
    ),
    min_size=1,
    max_size=6,
)
CALLS = st.lists(
    st.tuples(
        RESULTS,
        st.floats(0, 4),  # begins
        st.floats(0, 9),  # a try takes
        st.none() | st.floats(0, 20),  # is called off
    ),
    max_size=25,
)


def pieces(results: Iterable[object]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


@given(CALLS, st.integers(1, 4), st.none() | st.floats(0, 30), st.integers(0, 60))
@settings(max_examples=150)
def test_whatever_happens_all_that_is_put_aside_is_settled_once_and_every_place_comes_back(
    simulate, calls, most, closes, enough_for
) -> None:
    async def main() -> None:
        door, purse = Door(most, give_up_after=20), Purse(enough_for)

        async def one(results: list[Any], begins: float, takes: float, off: float | None) -> object:
            await asyncio.sleep(begins)
            endpoint = Endpoint(*results, takes=takes)
            model = Persistent(endpoint, door, Patience(deadline=12, attempts=5), purse)
            return await asyncio.wait_for(model.send("key", REQUEST), off)

        async def close() -> None:
            if closes is not None:
                await asyncio.sleep(closes)
                door.close()

        told = await asyncio.gather(*(one(*call) for call in calls), close(), return_exceptions=True)
        expected = {"bytes", "CallFailure", "TimeoutError", "Closed", "ModelError", "NotFinished", "InputError"}
        assert pieces(told).keys() <= expected | {"RuntimeError", "NoneType"}
        assert len(purse.settled) == purse.reserved
        assert door.out == 0

    simulate(main())


def test_a_call_that_the_backend_knows_to_be_in_vain_takes_no_place_no_turn_and_no_money(simulate: Simulate) -> None:
    class Knowing(Endpoint):
        def refusal(self, key: str, request: ChatRequest) -> CallFailure | None:
            return failure("unsupported", "no log-probs")

    async def main() -> tuple[bytes | CallFailure, int, int]:
        endpoint, door, purse = Knowing(REPLY), Door(1, requests_per_minute=1), Purse(0)
        result = await Persistent(endpoint, door, PATIENT, purse).send("key", REQUEST)
        return result, door.entered, len(endpoint.tries)

    assert simulate(main()) == (failure("unsupported", "no log-probs"), 0, 0)
