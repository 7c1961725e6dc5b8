"""The cap over what a run may cost: while it works, over kills, and over sessions of the command line."""

import asyncio
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.errors import NotFinished, StorageError
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, Outcome, Usage
from generator.models.calling import Patience, Persistent
from generator.models.door import Door
from solon.budget import NANO, NOTHING, Amount, Budget, Cap, ModelPurse, amount_of
from solon.database import Database
from solon.journal import Journal
from solon.prices import Price
from solon.supply import UNACCOUNTED

Cli = Callable[..., subprocess.CompletedProcess[str]]
Begin = Callable[..., subprocess.Popen[str]]
WriteRun = Callable[..., Path]

AMOUNTS = st.builds(Amount, st.integers(0, 1000), st.integers(0, 1000))
CAPS = st.builds(
    lambda usd, tokens: Cap(None if usd is None else usd / NANO, tokens),
    st.none() | st.integers(1, 3000),
    st.none() | st.integers(1, 3000),
)


@dataclass(frozen=True)
class Call:
    """One call: what it may cost, what becomes of it, and how many turns of the loop its parts take."""

    worst: Amount
    share: float  # of the worst that it really costs
    end: Literal["reply", "charged", "free"]
    waits: tuple[int, int, int, int]

    @property
    def actual(self) -> Amount | None:
        if self.end == "charged":
            return None
        share = self.share if self.end == "reply" else 0.0
        return Amount(int(self.worst.nanodollars * share), int(self.worst.tokens * share))


CALLS = st.builds(
    Call,
    AMOUNTS,
    st.floats(0, 1),
    st.sampled_from(["reply", "reply", "reply", "charged", "free"]),
    st.tuples(*[st.integers(0, 6)] * 4),
)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@dataclass
class World:
    """An endpoint, and a disk that takes its time, one write after the other.

    ``lost_by_a_kill`` is what the next session would not know of if this one ended now.
    """

    charged: Amount = NOTHING  # at most, by the endpoint
    noted: Amount = NOTHING
    recorded: Amount = NOTHING
    slow: int = 0
    disk: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def note(self, amount: Amount) -> None:
        async with self.disk:
            await turns(self.slow)
            self.noted = amount
        self.check()

    def charge(self, amount: Amount) -> None:
        self.charged += amount
        self.check()

    def check(self) -> None:
        assert self.charged.within(self.recorded + self.noted), "a kill now would lose what was paid"

    async def call(self, budget: Budget, call: Call) -> bool:
        await turns(call.waits[0])
        try:
            await budget.reserve(call.worst)
        except NotFinished:
            assert not budget.cap.holds(budget.spent + call.worst)
            return False
        assert budget.cap.holds(budget.spent + budget.held)
        self.charge(call.worst)
        await turns(call.waits[1])
        budget.settle(call.worst, call.actual)
        assert budget.cap.holds(budget.spent + budget.held)
        if call.actual is not None:
            self.charge(call.actual - call.worst)
            await turns(call.waits[2])
            async with self.disk:
                self.recorded += call.actual
            await turns(call.waits[3])
            budget.kept(call.actual)
        self.check()
        return True


@settings(max_examples=400, deadline=None)
@given(CAPS, st.lists(CALLS, max_size=25), st.integers(0, 5))
def test_spent_and_held_stay_within_the_cap_all_that_fits_gets_through_and_a_kill_loses_nothing(
    cap: Cap, calls: list[Call], slow: int
) -> None:
    async def session() -> None:
        world = World(slow=slow)
        budget = Budget(cap, NOTHING, NOTHING, world.note)
        async with asyncio.timeout(20):  # nobody waits for ever
            done = await asyncio.gather(*(world.call(budget, call) for call in calls))
        assert budget.held == budget.at_risk == NOTHING
        assert cap.holds(budget.spent)
        for call, through in zip(calls, done, strict=True):
            if not through:
                assert not cap.holds(budget.spent + call.worst)
        await budget.close()
        assert world.noted == budget.unaccounted
        assert world.recorded + world.noted == world.charged == budget.spent

    asyncio.run(session())


async def test_of_two_notes_under_way_the_later_never_promises_less_than_is_out() -> None:
    written: list[int] = []
    disk = asyncio.Event()

    async def note(amount: Amount) -> None:
        written.append(amount.tokens)  # in this order they come onto the disk
        await disk.wait()

    budget = Budget(Cap(tokens=10_000), NOTHING, NOTHING, note)
    disk.set()
    await budget.reserve(Amount(0, 100))
    await budget.reserve(Amount(0, 100))
    disk.clear()
    first = asyncio.create_task(budget.reserve(Amount(0, 50)))
    await turns(2)
    for _ in range(2):
        budget.settle(Amount(0, 100), NOTHING)
    second = asyncio.create_task(budget.reserve(Amount(0, 180)))
    await turns(2)
    disk.set()
    await asyncio.gather(first, second)
    await budget.reserve(Amount(0, 250))
    assert len(written) == 3
    assert budget.at_risk.tokens == 480 <= written[-1]


async def test_a_reply_that_never_came_on_record_is_noted_at_the_end() -> None:
    world = World()
    budget = Budget(Cap(tokens=1000), NOTHING, NOTHING, world.note)
    await budget.reserve(Amount(5, 100))
    budget.settle(Amount(5, 100), Amount(2, 40))  # and then the disk was full
    await budget.close()
    assert world.noted == Amount(2, 40)


async def test_what_earlier_sessions_spent_counts_from_the_start() -> None:
    world = World()
    budget = Budget(Cap(usd=1.0), Amount(NANO // 2, 10), Amount(NANO // 4, 10), world.note)
    with pytest.raises(
        NotFinished,
        match=r"^the budget of 1 USD is reached: 0\.7500 USD and 20 tokens are spent "
        r"\(0\.2500 USD and 10 tokens of it perhaps, by calls that were cut off\),"
        r" and the next call may take 0\.3000 USD and 7 tokens: raise it and run again",
    ):
        await budget.reserve(Amount(3 * NANO // 10, 7))  # fmt: skip
    await budget.reserve(Amount(NANO // 4, 7))
    assert world.noted == Amount(NANO // 2 + NANO // 4, 24)  # twice what is out, so that it is seldom written


async def test_where_the_note_cannot_be_written_no_call_goes_out_and_nothing_stays_held() -> None:
    async def note(amount: Amount) -> None:
        raise StorageError("full")

    budget = Budget(Cap(tokens=1000), NOTHING, NOTHING, note)
    with pytest.raises(StorageError):
        await budget.reserve(Amount(0, 10))
    assert budget.held == budget.at_risk == budget.spent == NOTHING


async def test_a_batch_that_is_on_record_is_held_and_not_noted() -> None:
    world = World()
    budget = Budget(Cap(tokens=100), NOTHING, NOTHING, world.note)
    await budget.reserve(Amount(0, 60), durable=True)
    assert (budget.held, budget.at_risk, world.noted) == (Amount(0, 60), NOTHING, NOTHING)
    budget.settle(Amount(0, 60), Amount(0, 50), durable=True)
    assert (budget.held, budget.at_risk, budget.spent) == (NOTHING, NOTHING, Amount(0, 50))


PRICE = Price(input=3.3, output=7.7, cached_input=0.3, stored_input=4.1)


class Till:
    """A backend that adds up what its endpoint served, at the most that it may charge for it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.served = NOTHING
        self.calls = self.out = self.most_out = 0

    @property
    def identity(self) -> str:
        return "till"

    async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
        purse = ModelPurse(Budget(Cap(), NOTHING, NOTHING, unwritten), PRICE, batch=False)
        self.calls += 1
        self.out += 1
        self.most_out = max(self.out, self.most_out)
        await turns(self.random.randrange(8))
        self.out -= 1
        kind = self.random.random()
        if kind < 0.1:
            return CallFailure(key, "server error", "down")
        if kind < 0.2:
            self.served += purse.worst(request)
            return CallFailure(key, "timeout", "no reply", charged=True)
        prompt = self.random.randrange(sum(len(m.content) for m in request.messages))
        cached, stored = prompt // 3, prompt // 4
        usage = Usage(prompt, self.random.randrange(request.max_tokens + 1), cached, stored)
        self.served += amount_of(usage, PRICE)
        return json.dumps([usage.prompt, usage.completion, usage.cached, usage.stored]).encode()

    def read(self, key: str, request: ChatRequest, raw: bytes) -> Outcome:
        return ChatReply(key, "text", "stop", "till", Usage(*json.loads(raw)))

    async def close(self) -> None: ...


async def unwritten(amount: Amount) -> None: ...


@pytest.mark.parametrize("cap", [Cap(usd=0.5), Cap(tokens=120_000), Cap(usd=0.5, tokens=120_000)], ids=str)
@pytest.mark.parametrize("seed", [1, 2])
async def test_of_a_thousand_calls_at_once_no_more_is_served_than_the_cap_pays_for(cap: Cap, seed: int) -> None:
    budget, till, chance = Budget(cap, NOTHING, NOTHING, unwritten), Till(seed), random.Random(seed)
    persistent = Persistent(
        till, Door(64), Patience(attempts=3, longest_pause=0.002), ModelPurse(budget, PRICE, batch=False)
    )
    requests = [
        ChatRequest((Message("user", "x" * chance.randrange(1, 3000)),), 1.0, chance.randrange(1, 400), sample=n)
        for n in range(1000)
    ]
    ends = await asyncio.gather(*(persistent.send(str(r.sample), r) for r in requests), return_exceptions=True)
    assert cap.holds(till.served)
    assert budget.held == NOTHING
    assert budget.spent == till.served
    refused = [r for r, end in zip(requests, ends, strict=True) if isinstance(end, NotFinished)]
    assert 0 < len(refused) < 1000
    assert not [end for end in ends if isinstance(end, BaseException) and not isinstance(end, NotFinished)]
    assert till.most_out > 8
    purse = ModelPurse(budget, PRICE, batch=False)
    assert not any(cap.holds(budget.spent + purse.worst(request)) for request in refused)


def test_amounts_are_the_same_after_a_note() -> None:
    assert Amount.load(Amount(3, 5).dump()) == Amount(3, 5)
    assert Amount.load(NOTHING.dump()) == NOTHING


@pytest.mark.parametrize(
    ("cap", "told"),
    [
        (Cap(5.0), "5 USD"),
        (Cap(tokens=12_000), "12,000 tokens"),
        (Cap(0.25, 7), "0.25 USD or 7 tokens"),
    ],
)
def test_a_cap_is_told_in_plain_words(cap: Cap, told: str) -> None:
    assert str(cap) == told
    assert bool(cap)
    assert not Cap()


SERVED = """
import os
from dataclasses import replace
from generator.models.rambler import SCRIPTS, ramble
served = os.open(os.environ["SERVED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def metered(request):
    reply = ramble(request)
    os.write(served, f"{reply.usage.prompt} {reply.usage.completion}\\n".encode())
    return reply
SCRIPTS["metered"] = metered
"""
METERED = {"model": "metered", "latency": 0.004}
PRICED = "as_of = 2026-01-01\n[model.metered]\ninput = 2.0\noutput = 5.0\n"
CAPPED: dict[str, Any] = {"policy": METERED, "judge": METERED, "limits": {"in_flight": 8}}


def served(log: Path) -> Amount:
    counts = [tuple(map(int, line.split())) for line in log.read_text().splitlines()] if log.exists() else []
    price = Price(2.0, 5.0)
    return sum((amount_of(Usage(*count), price) for count in counts), NOTHING)


def exported(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def unaccounted(folder: Path) -> Amount:
    with Journal.open(Database.file(folder / "journal.db"), read_only=True) as journal:
        return Amount.load(journal.note(UNACCOUNTED) or NOTHING.dump())


@pytest.mark.parametrize("unit", ["usd", "tokens"])
def test_a_budget_holds_over_sessions_and_the_end_is_that_of_a_run_without_one(
    cli: Cli, write_run: WriteRun, tmp_path: Path, unit: str
) -> None:
    (tmp_path / "prices.toml").write_text(PRICED)
    log = tmp_path / "whole.log"
    whole = cli("run", write_run(CAPPED, prompts=12), "--out", "whole", "--json", script=SERVED, SERVED=str(log))
    assert whole.returncode == 0, whole.stderr
    cost = served(log)
    in_all = json.loads(whole.stdout)["in_all"]
    assert in_all["cost_usd"] == pytest.approx(cost.usd)
    assert in_all["prompt_tokens"] + in_all["completion_tokens"] == cost.tokens

    log = tmp_path / "capped.log"
    spent = []
    for share in (0.3, 0.6, 0.6, 1.5):
        cap = cost.usd * share if unit == "usd" else int(cost.tokens * share)
        config = write_run({**CAPPED, "budget": {unit: cap}})
        said = cli("run", config, "--json", script=SERVED, SERVED=str(log))
        assert said.returncode == (0 if share > 1 else 3), said.stderr
        summary = json.loads(said.stdout)
        assert json.loads((tmp_path / "runs/demo/summary.json").read_text()) == summary
        assert Cap(**{unit: cap}).holds(served(log))
        assert summary["in_all"]["cost_usd"] == pytest.approx(served(log).usd)
        assert ("is reached" in summary["limit"]) == (share < 1)
        assert unaccounted(tmp_path / "runs/demo") == NOTHING
        spent.append(served(log).tokens)
    assert spent[1] > spent[0] > 0
    assert spent[3] == cost.tokens  # nothing was paid for twice
    for name in ("whole", "runs/demo"):
        assert cli("export", name).returncode == 0
    assert exported(tmp_path / "whole/export") == exported(tmp_path / "runs/demo/export")


def test_a_run_that_is_killed_again_and_again_stays_within_its_budget(
    cli: Cli, begin: Begin, write_run: WriteRun, tmp_path: Path
) -> None:
    log, cap, chance = tmp_path / "served.log", 45_000, random.Random(7)
    config = write_run({**CAPPED, "budget": {"tokens": cap}}, prompts=30)
    before = NOTHING
    for _ in range(6):
        lines = log.read_text().count("\n") if log.exists() else 0
        process = begin("run", config, script=SERVED, SERVED=str(log))
        more, until = lines + chance.randrange(1, 25), time.monotonic() + 30
        while not (log.exists() and log.read_text().count("\n") >= more) and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode in (-signal.SIGKILL, 3)
        with Journal.open(Database.file(tmp_path / "runs/demo/journal.db"), read_only=True) as journal:
            known = sum((amount_of(s.receipt.usage, None) for s in journal.spent()), NOTHING)
        known += unaccounted(tmp_path / "runs/demo")
        assert served(log).tokens <= known.tokens
        assert served(log).tokens > before.tokens or process.returncode == 3
        before = served(log)
    said = cli("run", config, "--json", script=SERVED, SERVED=str(log))
    assert said.returncode == 3
    assert served(log).tokens <= cap
