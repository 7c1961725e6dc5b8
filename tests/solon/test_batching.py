import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError, NotFinished
from generator.chat import Backend, CallFailure, ChatReply, ChatRequest, Message, Outcome, Usage, call_key
from generator.models.anthropic import AnthropicBackend
from generator.models.anthropic_batches import AnthropicBatches
from generator.models.batches import BatchTransport, Limits, Progress, Row
from generator.models.door import Closed
from generator.models.openai import OpenAIBackend
from generator.models.openai_batches import OpenAIBatches
from solon.batching.backend import BatchedBackend
from solon.batching.session import Batching, Times
from solon.budget import NOTHING, Amount, Budget, Cap, ModelPurse, amount_of
from solon.database import Database
from solon.fake_provider.faults import BatchFaults, Fault, Faults
from solon.fake_provider.replies import sha256
from solon.fake_provider.server import Server, serving
from solon.journal import Journal
from solon.models import Gate, JournaledModel, Meter
from solon.prices import Price
from solon.records import Receipt, SentBatch
from solon.supply import in_open_batches

HASTY = Times(wait=60.0, poll=0.001, quiet=0.004, lull=0.05, settle=0.001)
IMPATIENT = Times(wait=0.0, poll=60.0, quiet=0.004, lull=0.05, settle=0.001)
Fate = Callable[[str, int], CallFailure | str | None]


class Killed(Exception):
    """The process is gone: from here on nothing that it does takes effect."""


class Process:
    """Counts the steps that a process takes, and dies at one of them."""

    def __init__(self, dies_at: int = 0) -> None:
        self.dies_at = dies_at
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.dies_at and self.steps >= self.dies_at:
            raise Killed


def asking(text: str) -> ChatRequest:
    return ChatRequest((Message("user", text),), 1.0, 50)


def key_of(text: str) -> str:
    return call_key("m", asking(text))


@dataclass
class Service:
    """A service that carries out batches, and outlives every process that sends it one.

    ``fate`` says of a call and the how-manieth batch it is in: a failure, another text to reply, or None.
    """

    named: bool = True  # whether a batch bears a name, or can only be told by its size
    looks: int = 1  # at a batch before it has ended
    fate: Fate = lambda key, time: None
    limits: Limits = field(default_factory=lambda: Limits(1000, 1_000_000))
    batches: dict[str, tuple[str, list[bytes]]] = field(default_factory=dict)  # by id: name and results
    paid: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    polls: Counter[str] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)
    trouble: list[CallFailure] = field(default_factory=list)  # what the next questions are answered with

    def take(self, name: str, lines: Sequence[bytes]) -> str:
        id = f"batch-{len(self.batches)}"
        results = [result for line in lines for result in self.result(json.loads(line))]
        self.batches[id] = (name, random.Random(id).sample(results, len(results)))
        self.sizes.append(len(lines))
        return id

    def result(self, line: dict[str, Any]) -> list[bytes]:
        key = line["custom_id"]
        self.seen[key] += 1
        fate = self.fate(key, self.seen[key])
        if isinstance(fate, CallFailure):
            return [json.dumps({"custom_id": key, "reason": fate.reason}).encode()]
        if fate == "missing":
            return []
        self.paid[key] += 1
        return [json.dumps({"custom_id": key, "reply": line["text"].upper() if fate is None else fate}).encode()]


class Transport:
    """The way to the service for one process."""

    def __init__(self, service: Service, process: Process) -> None:
        self.service = service
        self.process = process
        self.limits = service.limits

    def line(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        return json.dumps({"custom_id": key, "text": request.messages[-1].content}).encode()

    async def between(self) -> None:
        self.process.step()
        await asyncio.sleep(0)

    async def submit(self, name: str, lines: Sequence[bytes]) -> str | CallFailure:
        await self.between()
        if self.service.trouble and not self.service.trouble[0].charged:
            return self.service.trouble.pop(0)
        id = self.service.take(name, lines)
        await self.between()
        return self.service.trouble.pop(0) if self.service.trouble else id

    async def find(self, name: str, since: float, count: int) -> tuple[str, ...] | CallFailure:
        await self.between()
        if self.service.named:
            return tuple(id for id, batch in self.service.batches.items() if batch[0] == name)
        return tuple(id for id, size in zip(self.service.batches, self.service.sizes, strict=True) if size == count)

    async def poll(self, batch: str) -> Progress | CallFailure:
        await self.between()
        if self.service.trouble:
            return self.service.trouble.pop(0)
        self.service.polls[batch] += 1
        return Progress(self.service.polls[batch] > self.service.looks)

    async def results(self, batch: str) -> list[bytes] | CallFailure:
        await self.between()
        return self.service.trouble.pop(0) if self.service.trouble else list(self.service.batches[batch][1])

    def read(self, line: bytes) -> Row:
        said = json.loads(line)
        if "reply" in said:
            return Row(said["custom_id"], said["reply"])
        return Row(said["custom_id"], failure=CallFailure(said["custom_id"], said["reason"], "as told"))


class Reader:
    """The backend that reads the service's lines."""

    identity = "m"

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        raise AssertionError("no call goes out alone")

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        said = json.loads(raw)
        if said["custom_id"] != key:
            return CallFailure(key, "unreadable", "of another call", charged=True)
        if not said["reply"]:
            return CallFailure(key, "empty", "nothing", charged=True)
        return ChatReply(key, said["reply"], "stop", "m", Usage(3, 2))

    async def close(self) -> None: ...


class Memory:
    """A journal without a file, for tests that open hundreds."""

    writing = False

    def __init__(self) -> None:
        self.replies: dict[str, bytes] = {}
        self.sent: dict[str, SentBatch] = {}

    def batches(self) -> tuple[SentBatch, ...]:
        return tuple(self.sent[name] for name in sorted(self.sent))

    def lacking(self, keys: Collection[str]) -> tuple[str, ...]:
        return tuple(key for key in keys if key not in self.replies)

    async def find(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        return self.replies.get(key)

    async def save_batch(self, batch: SentBatch) -> None:
        await asyncio.sleep(0)
        self.sent[batch.name] = batch

    async def record(self, key: str, model: str, request: bytes, reply: bytes, receipt: Receipt) -> None:
        await asyncio.sleep(0)
        self.replies.setdefault(key, reply)


class Ledger:
    """A journal whose every write is a step of the process, once before it and once after."""

    def __init__(self, journal: Journal | Memory, process: Process) -> None:
        self.journal = journal
        self.process = process

    @property
    def writing(self) -> bool:
        return self.journal.writing

    def batches(self) -> tuple[SentBatch, ...]:
        return self.journal.batches()

    def lacking(self, keys: Collection[str]) -> tuple[str, ...]:
        return self.journal.lacking(keys)

    async def find(self, key: str) -> bytes | None:
        return await self.journal.find(key)

    async def save_batch(self, batch: SentBatch) -> None:
        self.process.step()
        await self.journal.save_batch(batch)
        self.process.step()

    async def record(self, key: str, model: str, request: bytes, reply: bytes, receipt: Receipt) -> None:
        self.process.step()
        await self.journal.record(key, model, request, reply, receipt)
        self.process.step()


@dataclass
class Session:
    """One process at work on one run."""

    model: JournaledModel
    backend: BatchedBackend
    batching: Batching
    closed: asyncio.Event

    async def ask(self, *texts: str) -> list[Any]:
        return await asyncio.gather(*(self.model.reply(asking(text)) for text in texts), return_exceptions=True)

    async def waves(self, *texts: str) -> list[Any]:
        """Each text, and then each reply."""

        async def both(text: str) -> Any:
            reply = await self.model.reply(asking(text))
            assert isinstance(reply, ChatReply)
            return await self.model.reply(asking(f"{reply.text}?"))

        return await asyncio.gather(*(both(text) for text in texts), return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@asynccontextmanager
async def session(
    place: Path | Memory,
    transport: BatchTransport,
    process: Process,
    times: Times = HASTY,
    backend: Backend | None = None,
) -> AsyncIterator[Session]:
    with nullcontext(place) if isinstance(place, Memory) else Journal.open(Database.file(place)) as journal:
        ledger = Ledger(journal, process)
        gate, closed = Gate(), asyncio.Event()
        batching = Batching(ledger, times, lambda: len(gate.out))
        batched = BatchedBackend(backend or Reader(), transport, batching, closed)
        model = JournaledModel(batched, ledger, gate, Meter(), batch=True)
        try:
            yield Session(model, batched, batching, closed)
        finally:
            if process.dies_at and process.steps >= process.dies_at:  # then nothing is closed in good order
                for task in {*batched.desk.tasks, *filter(None, [batching.leaving])}:
                    task.cancel()
                await asyncio.gather(*batched.desk.tasks, return_exceptions=True)
                await batched.backend.close()
            else:
                await batched.close()


@asynccontextmanager
async def asked_of(place: Path | Memory, service: Service, times: Times = HASTY) -> AsyncIterator[Session]:
    process = Process()
    async with session(place, Transport(service, process), process, times) as one:
        yield one


def texts_of(said: list[Any]) -> list[str]:
    for one in said:
        assert isinstance(one, ChatReply), one
    return [one.text for one in said]


async def test_all_that_is_asked_at_once_goes_out_in_one_batch(path: Path) -> None:
    service = Service()
    async with asked_of(path, service) as one:
        assert texts_of(await one.waves("a", "b", "c")) == ["A?", "B?", "C?"]
        assert texts_of(await one.ask("a")) == ["A"]
    assert service.sizes == [3, 3]
    assert set(service.paid.values()) == {1}
    with Journal.open(Database.file(path)) as journal:
        assert [spent.receipt.batch for spent in journal.spent()] == [True]


async def test_calls_that_follow_from_slow_calls_of_another_model_go_out_together(path: Path) -> None:
    service = Service()
    async with asked_of(path, service, Times(lull=60.0, poll=0.001, quiet=0.004)) as one:

        async def slow(text: str) -> ChatReply:
            await asyncio.sleep(0.03 * (1 + ord(text) - ord("a")))
            return ChatReply("", text, "stop", "another")

        async def follow(text: str) -> Any:
            call = asyncio.create_task(slow(text))
            one.model.gate.out.add(call)
            call.add_done_callback(one.model.gate.out.discard)
            await call
            return await one.model.reply(asking(text))

        assert texts_of(await asyncio.gather(*map(follow, "abcde"))) == list("ABCDE")
    assert service.sizes == [5]


async def test_a_call_of_another_model_that_takes_long_does_not_hold_up_a_batch_for_ever(path: Path) -> None:
    async with asked_of(path, Service()) as one:
        endless = asyncio.create_task(asyncio.sleep(60.0, CallFailure("", "timeout", "")))
        one.model.gate.out.add(endless)  # type: ignore[arg-type]
        assert texts_of(await one.ask("a")) == ["A"]
        endless.cancel()


async def test_files_are_no_larger_than_the_service_takes(path: Path) -> None:
    texts = [f"{n:03d}" for n in range(25)]
    service = Service(limits=Limits(10, 1_000_000))
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask(*texts)) == texts
    assert sorted(service.sizes) == [5, 10, 10]
    length = len(Transport(service, Process()).line(key_of("000"), asking("000"))) + 1  # type: ignore[arg-type]
    service = Service(limits=Limits(1000, 8 * length))
    async with asked_of(path.with_name("other.db"), service) as one:
        assert texts_of(await one.ask(*texts)) == texts
        long = "x" * 8 * length
        assert (await one.ask(long))[0].reason == "context overflow"
    assert sorted(service.sizes) == [1, 8, 8, 8]


EXPIRED = CallFailure("", "expired", "")


@pytest.mark.parametrize("named", [True, False])
async def test_a_process_killed_at_any_step_pays_for_nothing_twice(named: bool) -> None:
    """Batches are paid for as they are taken; a call that expired is not paid for, and goes out again."""
    texts = ["a", "b", "c"]
    paid = {key_of(text): 1 for text in ("a", "b", "c", "A?", "B?", "C?")}
    for dies_at in range(1, 200):
        service = Service(named, fate=lambda key, time: EXPIRED if key == key_of("b") and time == 1 else None)
        journal, process = Memory(), Process(dies_at)
        async with session(journal, Transport(service, process), process) as one:
            await one.waves(*texts)
        async with asked_of(journal, service) as one:
            assert texts_of(await one.waves(*texts)) == ["A?", "B?", "C?"], dies_at
        assert service.paid == paid, dies_at
        if process.steps < dies_at:
            break
    assert 25 < dies_at < 199


@pytest.mark.parametrize("named", [True, False])
async def test_a_process_killed_again_and_again_pays_for_nothing_twice(named: bool) -> None:
    for seed in range(20):
        chance = random.Random(seed)
        service = Service(named, looks=chance.randint(0, 3), limits=Limits(chance.randint(2, 9), 1_000_000))
        journal = Memory()
        for _ in range(8):
            process = Process(chance.randint(1, 30))
            async with session(journal, Transport(service, process), process) as one:
                await one.waves(*"abcdefg")
        async with asked_of(journal, service) as one:
            assert texts_of(await one.waves(*"abcdefg")) == [f"{letter}?" for letter in "ABCDEFG"]
        assert set(service.paid.values()) == {1}, seed


async def test_the_name_and_the_keys_are_on_the_disk_before_a_batch_is_sent_and_the_id_after(path: Path) -> None:
    service = Service()
    kept: list[tuple[SentBatch, ...]] = []

    class Watched(Transport):
        async def submit(self, name: str, lines: Sequence[bytes]) -> str | CallFailure:
            with Journal.open(Database.file(path), read_only=True) as journal:
                kept.append(journal.batches())
            return await super().submit(name, lines)

        async def poll(self, batch: str) -> Progress | CallFailure:
            with Journal.open(Database.file(path), read_only=True) as journal:
                kept.append(journal.batches())
            return await super().poll(batch)

    async with session(path, Watched(service, Process()), Process()) as one:
        await one.ask("a", "b")
    (before,), (after,) = kept[:2]
    assert (before.state, before.id, set(before.keys)) == ("submitting", "", {key_of("a"), key_of("b")})
    assert (after.state, after.id, after.keys) == ("sent", "batch-0", before.keys)
    assert service.batches["batch-0"][0] == before.name


async def test_a_session_without_patience_leaves_and_the_next_picks_up(path: Path) -> None:
    service = Service(looks=2)
    said: list[Any] = []
    sessions = 0
    for _ in range(10):
        async with asked_of(path, service, IMPATIENT) as one:
            said = await one.waves("a", "b")
        sessions += 1
        if all(isinstance(reply, ChatReply) for reply in said):
            break
        assert any(isinstance(error, NotFinished) for error in said)
        assert all(isinstance(error, NotFinished | Closed) for error in said)
    assert sessions == 5
    assert texts_of(said) == ["A?", "B?"]
    assert service.sizes == [2, 2]


async def test_whoever_leaves_says_how_much_is_where_and_since_when(path: Path) -> None:
    service = Service(looks=1000, limits=Limits(2, 1000))
    async with asked_of(path, service, Times(wait=0.05, poll=0.001, quiet=0.004, settle=0.001)) as one:
        said = await one.ask("a", "b", "c")
    error = next(error for error in said if isinstance(error, NotFinished))
    assert str(error).startswith("3 requests are in 2 batches at the service since 20")
    assert str(error).endswith(" UTC: run again to pick them up")
    assert error.exit_code == 3


async def test_what_has_come_back_is_used_before_the_session_is_left(path: Path) -> None:
    class Uneven(Transport):
        async def poll(self, batch: str) -> Progress | CallFailure:
            await self.between()
            return Progress(batch != "batch-0")

    service = Service(limits=Limits(2, 1000))
    async with session(path, Uneven(service, Process()), Process(), IMPATIENT) as one:
        said = await one.waves("a", "b", "c", "d")
    assert [isinstance(reply, ChatReply) for reply in said] == [False, False, True, True]
    assert service.sizes == [2, 2, 2]


async def test_batches_whose_replies_are_all_recorded_are_closed_by_the_next_session(path: Path) -> None:
    service = Service()
    async with asked_of(path, service) as one:
        await one.ask("a")
    async with asked_of(path, service) as one:
        await one.ask("a", "b")
    with Journal.open(Database.file(path)) as journal:
        assert [(batch.state, batch.keys) for batch in journal.batches()] == [("done", ()), ("sent", (key_of("b"),))]
    assert service.polls["batch-0"] == 2


async def test_a_reply_that_nobody_asks_for_at_first_is_still_there_when_somebody_does(path: Path) -> None:
    service = Service(looks=1)
    async with asked_of(path, service, IMPATIENT) as one:
        await one.ask("a", "b")
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("b")) == ["B"]
        assert texts_of(await one.ask("a")) == ["A"]
    assert service.sizes == [2]


@pytest.mark.parametrize("reason", ["expired", "server error", "missing"])
async def test_what_failed_goes_out_again_alone_and_at_most_three_times(path: Path, reason: Any) -> None:
    def fate(key: str, time: int) -> CallFailure | str | None:
        lasting = key == key_of("c") or (key == key_of("b") and time == 1)
        return (reason if reason == "missing" else CallFailure("", reason, "")) if lasting else None

    service = Service(fate=fate)
    async with asked_of(path, service) as one:
        good, mended, failed = await one.ask("a", "b", "c")
    assert texts_of([good, mended]) == ["A", "B"]
    assert isinstance(failed, CallFailure)
    assert (failed.key, failed.reason) == (key_of("c"), "unreadable" if reason == "missing" else reason)
    assert service.seen == {key_of("a"): 1, key_of("b"): 2, key_of("c"): 4}


@pytest.mark.parametrize("reason", ["bad request", "context overflow"])
async def test_a_refusal_that_will_not_pass_is_given_back_at_once_and_only_once(path: Path, reason: Any) -> None:
    service = Service(fate=lambda key, time: CallFailure("", reason, ""))
    async with asked_of(path, service) as one:
        (failed,) = await one.ask("a")
    assert (failed.key, failed.reason) == (key_of("a"), reason)
    assert service.seen == {key_of("a"): 1}


async def test_what_failed_in_one_session_is_asked_for_anew_in_the_next(path: Path) -> None:
    service = Service(fate=lambda key, time: CallFailure("", "bad request", "") if time == 1 else None)
    async with asked_of(path, service) as one:
        assert isinstance((await one.ask("a"))[0], CallFailure)
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a")) == ["A"]
    assert service.sizes == [1, 1]


async def test_a_call_that_was_sent_again_is_looked_for_where_it_was_sent_last(path: Path) -> None:
    service = Service(looks=0, fate=lambda key, time: "" if time == 1 else None)

    class Halting(Transport):
        async def poll(self, batch: str) -> Progress | CallFailure:
            await self.between()
            return Progress(batch == "batch-0")

    async with session(path, Halting(service, Process()), Process(), IMPATIENT) as one:
        assert isinstance((await one.ask("a"))[0], NotFinished)
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a")) == ["A"]
    assert service.paid == {key_of("a"): 2}


async def test_a_reply_without_text_is_asked_for_again(path: Path) -> None:
    service = Service(fate=lambda key, time: "" if time < 3 else None)
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a")) == ["A"]
    assert service.sizes == [1, 1, 1]


async def test_a_call_whose_line_has_changed_goes_out_again_after_a_refusal(path: Path) -> None:
    class Particular(Transport):
        refused = False

        def line(self, key: str, request: ChatRequest) -> bytes | CallFailure:
            line = super().line(key, request)
            assert isinstance(line, bytes)
            return line if self.refused else line.replace(b"}", b', "seed": 1}')

        def read(self, line: bytes) -> Row:
            row = super().read(line)
            self.refused |= row.failure is not None
            return row

    service = Service(fate=lambda key, time: CallFailure("", "bad request", "") if time == 1 else None)
    async with session(path, Particular(service, Process()), Process()) as one:
        assert texts_of(await one.ask("a", "b")) == ["A", "B"]
    assert service.sizes == [2, 2]


@pytest.mark.parametrize(
    ("reason", "error"), [("auth", ModelError), ("quota", NotFinished), ("unknown model", InputError)]
)
async def test_a_batch_that_a_person_must_see_to_stops_the_run_at_once(path: Path, reason: Any, error: Any) -> None:
    service = Service(trouble=[CallFailure("", reason, "said so")])
    async with asked_of(path, service) as one:
        said = await one.ask("a", "b")
    assert any(type(one) is error for one in said)
    assert service.sizes == []
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a", "b")) == ["A", "B"]
    assert service.sizes == [2]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("arrived", [True, False])
async def test_a_batch_that_may_have_arrived_is_looked_for_before_it_is_sent_again(
    path: Path, named: bool, arrived: bool
) -> None:
    service = Service(named, trouble=[CallFailure("", "server error", "status 502", charged=arrived)])
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a", "b")) == ["A", "B"]
    assert service.sizes == [2]


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_batch_of_the_same_size_that_is_somebody_elses_is_left_alone(path: Path, arrived: bool) -> None:
    service = Service(named=False, trouble=[CallFailure("", "server error", "status 502", charged=arrived)])
    foreign = json.dumps({"custom_id": key_of("x"), "text": "x"}).encode()
    service.take("of another run", [foreign])
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a")) == ["A"]
    assert service.paid == {key_of("x"): 1, key_of("a"): 1}


async def test_an_unreadable_answer_does_not_make_a_batch_somebody_elses(path: Path) -> None:
    service = Service(named=False, trouble=[CallFailure("", "server error", "status 502", charged=True)])
    spoilt = [b"<html>", b"</html>"]

    class Spoilt(Transport):
        async def results(self, batch: str) -> list[bytes] | CallFailure:
            return [spoilt.pop()] if spoilt else await super().results(batch)

    async with session(path, Spoilt(service, Process()), Process()) as one:
        assert texts_of(await one.ask("a")) == ["A"]
    assert (service.sizes, spoilt) == ([1], [])


async def test_a_service_in_trouble_while_a_batch_is_there_is_asked_again(path: Path) -> None:
    service = Service(looks=0)

    class Shaky(Transport):
        async def poll(self, batch: str) -> Progress | CallFailure:
            if len(trouble) > 3:
                return trouble.pop()
            return await super().poll(batch)

        async def results(self, batch: str) -> list[bytes] | CallFailure:
            return trouble.pop() if trouble else await super().results(batch)

    trouble = [CallFailure("", reason, "") for reason in ("server error", "connection", "timeout", "rate limit") * 2]
    async with session(path, Shaky(service, Process()), Process()) as one:
        assert texts_of(await one.ask("a")) == ["A"]
    assert (service.sizes, trouble) == ([1], [])


async def test_a_service_that_takes_no_batch_for_long_ends_the_session(path: Path) -> None:
    service = Service(trouble=[CallFailure("", "server error", "status 503")] * 1000)
    service.named = True

    class Down(Transport):
        async def find(self, name: str, since: float, count: int) -> tuple[str, ...] | CallFailure:
            return ()

    async with session(path, Down(service, Process()), Process()) as one:
        said = await one.ask("a", "b")
    assert any(isinstance(error, ModelError) and "takes no batches (status 503)" in str(error) for error in said)
    assert service.sizes == []


@pytest.mark.parametrize("under_way", [True, False])
async def test_an_address_where_nobody_ever_answers_is_said_at_once(path: Path, under_way: bool) -> None:
    nobody = CallFailure("", "connection", "nobody answers (port 9)")
    service = Service(looks=1000)
    if under_way:
        async with asked_of(path, service, IMPATIENT) as one:
            await one.ask("a")
    service.trouble = [nobody] * 1000
    async with asked_of(path, service) as one:
        said = await one.ask("a")
    assert [str(error) for error in said] == ["m: nobody answers (port 9): start the endpoint, or correct base_url"]
    service.trouble, service.looks = [], 0
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a")) == ["A"]
    assert service.sizes == [1]


async def test_a_closed_door_leaves_the_batch_where_it_is_and_the_next_session_has_it(path: Path) -> None:
    service = Service(looks=1000)
    async with asked_of(path, service) as one:
        waiting = asyncio.create_task(one.ask("a", "b"))
        while not service.polls:
            await asyncio.sleep(0.001)
        began = time.monotonic()
        one.closed.set()
        said = await waiting
        assert all(isinstance(error, Closed) for error in said)
        assert isinstance((await one.ask("c"))[0], Closed)
    assert time.monotonic() - began < 5
    service.looks = 0
    async with asked_of(path, service) as one:
        assert texts_of(await one.ask("a", "b")) == ["A", "B"]
    assert service.sizes == [2]


async def test_a_batch_that_is_being_sent_when_the_door_closes_is_sent_and_noted(path: Path) -> None:
    service = Service()
    begun = asyncio.Event()

    class Slow(Transport):
        async def submit(self, name: str, lines: Sequence[bytes]) -> str | CallFailure:
            begun.set()
            await asyncio.sleep(0.05)
            return await super().submit(name, lines)

    async with session(path, Slow(service, Process()), Process()) as one:
        waiting = asyncio.create_task(one.ask("a"))
        await begun.wait()
        one.closed.set()
        assert isinstance((await waiting)[0], Closed)
    with Journal.open(Database.file(path)) as journal:
        assert [(batch.state, batch.id) for batch in journal.batches()] == [("sent", "batch-0")]


class Counted:
    """A purse that remembers every coin."""

    def __init__(self) -> None:
        self.held = 0
        self.spent: list[Usage | None] = []

    async def reserve(self, request: ChatRequest) -> None:
        self.held += 1

    def worst(self, request: ChatRequest) -> Amount:
        return Amount(0, 1)

    def settle_at(self, aside: Amount, usage: Usage | None) -> None:
        self.held -= aside.tokens
        self.spent.append(usage)


async def test_what_is_put_aside_for_a_call_is_settled_by_what_came_of_it(path: Path) -> None:
    service = Service(fate=lambda key, time: EXPIRED if time == 1 else "" if time == 2 else None)
    purse = Counted()
    async with asked_of(path, service) as one:
        one.backend.purse = purse
        assert texts_of(await one.ask("a")) == ["A"]
    assert purse.held == 0
    assert purse.spent == [Usage(), None, Usage(3, 2)]


def give_purse(one: Session, budget: Budget) -> ModelPurse:
    purse = ModelPurse(budget, Price(input=1.0, output=1.0), batch=True)
    one.backend.purse, one.backend.desk.dearest = purse, purse.dearest
    return purse


async def unwritten(amount: Amount) -> None:
    raise AssertionError("what lies in a batch is on record: there is nothing to note")


async def test_what_an_earlier_sessions_batch_may_cost_is_put_aside_also_for_calls_that_nobody_asks_for_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(looks=10**9)
    async with asked_of(path, service, replace(HASTY, wait=0.0)) as one:
        purse = give_purse(one, Budget(Cap(tokens=10**9), NOTHING, NOTHING, unwritten))
        assert {type(said) for said in await one.ask("a", "bb")} == {NotFinished}
        dearest = purse.worst(asking("bb"))
    service.looks = 1
    async with asked_of(path, service) as one:
        with Journal.open(Database.file(path), read_only=True) as journal:
            budget = Budget(Cap(tokens=2 * dearest.tokens), NOTHING, NOTHING, unwritten)
            budget.park(in_open_batches(journal))
        assert budget.held == dearest * 2
        give_purse(one, budget)
        assert texts_of(await one.ask("bb")) == ["BB"]
        assert budget.held == dearest  # for "a", which is paid for all the same
        assert budget.spent == amount_of(Usage(3, 2), Price(input=1.0, output=1.0), batch=True)
        monkeypatch.setattr("solon.budget.TAKEN_UP_WITHIN", 0.01)
        with pytest.raises(NotFinished, match="the budget of"):  # though nothing that is held will ever come back
            await one.model.reply(asking("c" * dearest.tokens))
    assert set(service.paid.values()) == {1}


async def test_a_call_of_an_earlier_sessions_batch_that_goes_out_again_is_put_aside_anew(path: Path) -> None:
    service = Service(looks=10**9, fate=lambda key, time: EXPIRED if time == 1 else None)
    async with asked_of(path, service, replace(HASTY, wait=0.0)) as one:
        give_purse(one, Budget(Cap(tokens=10**9), NOTHING, NOTHING, unwritten))
        await one.ask("a")
    service.looks = 1
    async with asked_of(path, service) as one:
        budget = Budget(Cap(tokens=10**9), NOTHING, NOTHING, unwritten)
        with Journal.open(Database.file(path), read_only=True) as journal:
            budget.park(in_open_batches(journal))
        give_purse(one, budget)
        assert texts_of(await one.ask("a")) == ["A"]
        assert budget.held == NOTHING
        assert budget.spent.tokens == 5


STYLES = ["openai", "anthropic"]


def over_http(style: str, server: Server, path: Path | Memory, process: Process | None = None) -> Any:
    """A session with the service's own SDK against the fake provider."""
    process = process or Process()
    if style == "openai":
        openai = OpenAIBackend("echo", f"{server.url}/v1", "none")
        return session(path, OpenAIBatches(openai), process, OVER_HTTP, openai)
    anthropic = AnthropicBackend("echo", server.url, "none")
    return session(path, AnthropicBatches(anthropic), process, OVER_HTTP, anthropic)


OVER_HTTP = Times(wait=20.0, poll=0.02, quiet=0.02, lull=0.1, settle=0.05)


def echoed(text: str) -> str:
    return f"echo {sha256(text)}"


def done_rows(server: Server) -> Counter[str]:
    """How often each call was done by a model, and so paid for."""
    rows = (row for row in server.requests if row.event == "row" and row.status == 200)
    return Counter(row.custom_id or "" for row in rows)


MANY = [f"Text number {n}, and nothing else." for n in range(120)]


@pytest.mark.parametrize("style", STYLES)
async def test_results_out_of_order_doubled_failed_and_expired_come_to_the_right_calls(style: str) -> None:
    faults = BatchFaults(seconds=0.05, shuffled=True, doubled=0.2, failed=0.15, expired=0.15)
    async with serving(Faults(batch=faults)) as server, over_http(style, server, Memory()) as one:
        said = await one.ask(*MANY)
        right = [echoed(text) for text in MANY]
        assert [reply.text for reply in said if isinstance(reply, ChatReply)] == [
            text for text, reply in zip(right, said, strict=True) if isinstance(reply, ChatReply)
        ]
        assert sum(isinstance(reply, CallFailure) for reply in said) < 5  # thrice unlucky
        rows = done_rows(server)
        assert set(rows.values()) == {1}
        assert len(rows) == sum(isinstance(reply, ChatReply) for reply in said)


@pytest.mark.parametrize("style", STYLES)
async def test_results_that_are_missing_or_forged_come_to_no_call(style: str) -> None:
    faults = BatchFaults(seconds=0.05, shuffled=True, missing=0.2, forged=0.2)
    async with serving(Faults(batch=faults)) as server, over_http(style, server, Memory()) as one:
        said = await one.ask(*MANY)
        for text, reply in zip(MANY, said, strict=True):
            if isinstance(reply, ChatReply):
                assert reply.text == echoed(text)
            else:
                assert (reply.key, reply.reason) == (call_key("echo", asking(text)), "unreadable")
        assert sum(isinstance(reply, ChatReply) for reply in said) > 100


@pytest.mark.parametrize("style", STYLES)
async def test_a_process_killed_around_a_real_batch_pays_for_nothing_twice(style: str) -> None:
    """The third step comes between the service's answer and the note of it."""
    for dies_at in (2, 3, 4, 6):
        process, journal = Process(dies_at), Memory()
        async with serving(Faults(batch=BatchFaults(seconds=0.02, shuffled=True))) as server:
            async with over_http(style, server, journal, process) as one:
                await one.ask(*MANY[:3])
            async with over_http(style, server, journal) as one:
                assert texts_of(await one.ask(*MANY[:3])) == [echoed(text) for text in MANY[:3]]
            assert set(done_rows(server).values()) == {1}, dies_at


CREATION = {"openai": "POST /v1/batches", "anthropic": "POST /v1/messages/batches"}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["reset", "truncated", "wrong-shape", "invalid", "server-error", "rate-limit"])
async def test_trouble_on_the_wire_loses_no_batch_and_doubles_none(style: str, kind: Any) -> None:
    shown = "GET /v1/batches*" if style == "openai" else "GET /v1/messages/batches*"
    faults = (Fault(kind, first=1, on=CREATION[style]), Fault(kind, first=4, on=shown))
    faults += (Fault(kind, first=1, on="POST /v1/files"), Fault(kind, first=2, on="GET /v1/files/*/content"))
    async with serving(Faults(fault=faults, batch=BatchFaults(seconds=0.02))) as server:
        async with over_http(style, server, Memory()) as one:
            assert texts_of(await one.ask(*MANY[:3])) == [echoed(text) for text in MANY[:3]]
        assert set(done_rows(server).values()) == {1}


@pytest.mark.parametrize(("style", "reason"), [("openai", "server error"), ("anthropic", "server error")])
async def test_a_batch_that_fails_as_a_whole_fails_every_call_by_its_reason(style: str, reason: str) -> None:
    async with serving(Faults(batch=BatchFaults(seconds=0.01, whole="failed"))) as server:
        async with over_http(style, server, Memory()) as one:
            said = await one.ask(*MANY[:2])
        assert [failure.reason for failure in said] == [reason, reason]
        assert done_rows(server) == Counter()


@pytest.mark.parametrize("style", STYLES)
async def test_a_batch_that_this_endpoint_does_not_know_is_said_and_not_paid_for_again(style: str) -> None:
    journal = Memory()
    slow = Faults(batch=BatchFaults(seconds=30.0))
    async with serving(slow) as server, over_http(style, server, journal) as one:
        waiting = asyncio.create_task(one.ask(*MANY[:2]))
        while not any(batch.id for batch in journal.batches()):
            await asyncio.sleep(0.01)
        one.closed.set()
        await waiting
    async with serving() as other, over_http(style, other, journal) as one:
        said = await one.ask(*MANY[:2])
        assert any(isinstance(error, InputError) and "does not know it" in str(error) for error in said)
        assert done_rows(other) == Counter()


async def test_an_endpoint_without_batches_is_refused_with_what_to_do(path: Path) -> None:
    async with serving() as server:
        backend = OpenAIBackend("echo", f"{server.url}/v1/nowhere", "none")
        async with session(path, OpenAIBatches(backend), Process(), OVER_HTTP, backend) as one:
            said = await one.ask("a")
    assert isinstance(said[0], InputError)
    assert "this endpoint takes no batches: set batch = false, or correct base_url" in str(said[0])


@pytest.mark.parametrize("style", STYLES)
async def test_a_real_address_where_nobody_answers_is_said_at_once(style: str) -> None:
    async with serving() as server:
        pass
    async with over_http(style, server, Memory()) as one:
        (error,) = await one.ask("a")
    assert isinstance(error, InputError)
    assert "nobody answers" in str(error)


@pytest.mark.parametrize("style", STYLES)
async def test_a_wrong_key_ends_the_run_before_anything_is_done(style: str) -> None:
    async with serving(key="the right one") as server:
        async with over_http(style, server, Memory()) as one:
            said = await one.ask("a", "b")
        assert any(isinstance(error, ModelError) and "auth" in str(error) for error in said)
        assert done_rows(server) == Counter()
