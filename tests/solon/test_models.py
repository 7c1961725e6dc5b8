import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError, ModelError, NotFinished
from constitution.identity import bytes_hash, canonical_json
from generator.chat import STOPS_THE_RUN, CallFailure, ChatReply, ChatRequest, Message, Usage, call_key, spelled
from generator.models.calling import Patience, Persistent
from generator.models.door import Closed, Door
from generator.models.scripted import Script, ScriptedModel
from solon.backends import open_backend, probe
from solon.config import Limits
from solon.endpoints import Endpoint
from solon.models import Gate, JournaledModel, Meter
from solon.records import Receipt

Cli = Callable[..., subprocess.CompletedProcess[str]]
WriteRun = Callable[..., Path]


class MemoryLedger:
    """Keeps replies in memory, and in ``events`` what happened when."""

    def __init__(self, events: list[str] | None = None) -> None:
        self.replies: dict[str, bytes] = {}
        self.requests: dict[str, bytes] = {}
        self.receipts: dict[str, Receipt] = {}
        self.events = [] if events is None else events

    async def find(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        return self.replies.get(key)

    async def record(self, key: str, model: str, request: bytes, reply: bytes, receipt: Receipt) -> None:
        self.events.append("recording")
        await asyncio.sleep(0.005)
        self.replies[key] = reply
        self.requests[key] = request
        self.receipts[key] = receipt
        self.events.append(f"recorded for {model}")


def asking(text: str, sample: int = 0) -> ChatRequest:
    return ChatRequest((Message("user", text),), 1.0, 10, sample=sample)


def echo(request: ChatRequest) -> ChatReply:
    return ChatReply("", request.messages[-1].content.upper(), "stop", "m", Usage(3, 2, 1))


def around(backend: ScriptedModel, ledger: MemoryLedger, in_flight: int, **given: Any) -> JournaledModel:
    """A model with all that stands around it in a run; it tries each call once."""
    gate, door = Gate(), Door(in_flight)
    gate.doors.append(door)
    return JournaledModel(Persistent(backend, door, Patience(attempts=1)), ledger, gate, Meter(), **given)


def journaled(
    script: Script, *, latency: float = 0.0, in_flight: int = 8, ledger: MemoryLedger | None = None, **given: Any
) -> tuple[JournaledModel, ScriptedModel, MemoryLedger]:
    backend = ScriptedModel(script, "fake", latency)
    ledger = ledger or MemoryLedger()
    return around(backend, ledger, in_flight, **given), backend, ledger


async def test_a_reply_is_recorded_before_anybody_sees_it() -> None:
    model, _, ledger = journaled(echo)
    reply = await model.reply(asking("hi"))
    ledger.events.append("seen")
    assert ledger.events == ["recording", "recorded for fake", "seen"]
    key = call_key("fake", asking("hi"))
    assert isinstance(reply, ChatReply)
    assert (reply.key, reply.text) == (key, "HI")
    assert bytes_hash(ledger.requests[key]) == key  # what is on record is what the key was made of
    assert json.loads(ledger.requests[key]) == {"model": "fake", **json.loads(canonical_json(spelled(asking("hi"))))}
    assert ledger.receipts[key] == Receipt("m", Usage(3, 2, 1))
    assert (model.meter.sent, model.meter.prompt_tokens, model.meter.completion_tokens) == (1, 3, 2)


async def test_what_is_recorded_is_read_again_and_not_sent_again() -> None:
    model, backend, ledger = journaled(echo)
    first = await model.reply(asking("hi"))
    second = await model.reply(asking("hi"))
    other, untouched, _ = journaled(echo, ledger=ledger)
    assert first == second == await other.reply(asking("hi"))
    assert (len(backend.calls), model.meter.sent, model.meter.reused) == (1, 1, 1)
    assert (untouched.calls, other.meter.sent, other.meter.reused, other.meter.prompt_tokens) == ([], 0, 1, 0)


async def test_two_that_ask_the_same_at_once_share_one_call_and_samples_do_not() -> None:
    model, backend, _ = journaled(echo, latency=0.01)
    same = await asyncio.gather(*(model.reply(asking("hi")) for _ in range(10)))
    assert len(backend.calls) == 1
    assert len(set(same)) == 1
    await asyncio.gather(*(model.reply(asking("hi", sample)) for sample in range(5)))
    assert len(backend.calls) == 5
    assert model.pending == {}
    assert model.gate.out == set()


async def test_cancelling_whoever_asked_loses_no_reply() -> None:
    model, backend, ledger = journaled(echo, latency=0.02)
    asker = asyncio.create_task(model.reply(asking("hi")))
    patient = asyncio.create_task(model.reply(asking("hi")))
    lonely = asyncio.create_task(model.reply(asking("you")))
    await asyncio.sleep(0.005)
    asker.cancel()
    lonely.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    await model.gate.settled()
    assert len(ledger.replies) == 2
    assert (await patient) == await model.reply(asking("hi"))
    assert len(backend.calls) == 2


async def test_at_most_in_flight_calls_are_out_at_once() -> None:
    class Watched(ScriptedModel):
        now = most = 0

        async def send(self, key: str, request: ChatRequest) -> bytes | CallFailure:
            self.now += 1
            self.most = max(self.most, self.now)
            raw = await super().send(key, request)
            self.now -= 1
            return raw

    backend = Watched(echo, "fake", 0.002)
    model = around(backend, MemoryLedger(), in_flight=3)
    await asyncio.gather(*(model.reply(asking(str(n))) for n in range(20)))
    assert backend.most == 3


async def test_a_shut_gate_receives_what_is_out_and_lets_nothing_more_out() -> None:
    model, backend, ledger = journaled(echo, latency=0.02, in_flight=2)
    await model.reply(asking("first"))  # until one call has come back, no second goes out
    askers = [asyncio.create_task(model.reply(asking(str(n)))) for n in range(6)]
    await asyncio.sleep(0.01)
    model.gate.shut_down()
    await model.gate.settled()
    said = await asyncio.gather(*askers, return_exceptions=True)
    assert [isinstance(one, ChatReply) for one in said] == [True, True, False, False, False, False]
    assert all(isinstance(one, Closed) for one in said[2:])
    assert len(backend.calls) == len(ledger.replies) == 3
    with pytest.raises(Closed):
        await model.reply(asking("new"))
    assert await model.reply(asking("0")) == said[0]  # what is recorded needs no gate


STOPPING: dict[str, tuple[type[Exception], str]] = {
    "auth": (ModelError, "fake: auth: said so: correct the key or its rights, then run again"),
    "unknown model": (InputError, "fake: no such model (said so): correct its name or base_url"),
    "quota": (NotFinished, "fake: quota: said so: pay or wait, then run again"),
}


@pytest.mark.parametrize("reason", sorted(STOPS_THE_RUN))
async def test_a_failure_that_a_person_must_mend_stops_the_run_after_one_request(reason: Any) -> None:
    model, backend, ledger = journaled(lambda request: CallFailure("", reason, "said so"), in_flight=64)
    askers = [model.reply(asking(str(n))) for n in range(200)]
    said = await asyncio.gather(*askers, return_exceptions=True)
    kind, told = STOPPING[reason]
    assert [type(one) for one in said] == [kind] + [Closed] * 199
    assert str(said[0]) == told
    assert len(backend.calls) == 1
    assert ledger.replies == {}


async def test_any_other_failure_is_counted_given_back_and_never_recorded() -> None:
    model, backend, ledger = journaled(lambda request: CallFailure("", "timeout", "too slow"))
    assert await model.reply(asking("hi")) == CallFailure("", "timeout", "too slow")
    await model.reply(asking("hi"))
    assert len(backend.calls) == 2
    assert ledger.replies == {}
    assert model.meter.failures == {"timeout": 2}
    assert model.meter.sent == 0


FAILING = """
from generator.chat import CallFailure
from generator.models.rambler import SCRIPTS, ramble
SCRIPTS["shaky"] = lambda r: CallFailure("", "server error", "down") if {which} else ramble(r)
"""
DRAFTS = "len(r.messages) == 1 and not r.top_logprobs and 'number 2' in r.messages[0].content"
VERDICTS = "r.top_logprobs and 'number 2' in r.messages[0].content"


@pytest.mark.parametrize("which", [DRAFTS, VERDICTS], ids=["drafts", "verdicts"])
def test_a_row_with_failed_calls_is_tried_again_by_the_next_run_which_pays_for_nothing_else(
    cli: Cli, write_run: WriteRun, which: str
) -> None:
    changes = {"policy": {"model": "shaky"}, "judge": {"model": "shaky"}}
    config = write_run(changes, prompts=4, principles=[{"id": "plain", "rule": "It uses everyday words."}])

    def run(which: str, out: str) -> dict[str, Any]:
        said = cli("run", config, "--json", "--out", out, script=FAILING.format(which=which))
        assert said.returncode == 0, said.stderr
        summary: dict[str, Any] = json.loads(said.stdout)
        return summary

    whole = run("False", "whole")
    assert (whole["rows"], whole["incomplete"], whole["failures"]) == (4, 0, {})
    first = run(which, "shaky")
    assert (first["rows"], first["incomplete"]) == (4, 1)
    failures = first["failures"]["server error"]
    assert failures > 1  # twins that ask at once share one call, and so its failure
    assert failures == 2 if which == DRAFTS else failures <= first["no_verdicts"]["error"]
    second = run("False", "shaky")
    assert (second["incomplete"], second["failures"], second["no_verdicts"]) == (0, {}, {})
    assert second["calls_sent"] >= failures
    assert first["calls_sent"] + second["calls_sent"] == whole["calls_sent"]
    for key in ("rows", "pairs", "candidates", "drops", "judges"):
        assert second[key] == whole[key]
    assert run("False", "shaky")["calls_reused"] == 0


LIMITS = Limits()


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (Endpoint("scripted", "absent"), "model 'absent': no such script: use rambler"),
        (Endpoint("llamacpp", "absent.gguf"), r"absent\.gguf: no such model"),
        (
            Endpoint("openai", "m", api_key_env="SOLON_TEST_NO_KEY"),
            "^api_key_env: the variable that it names is not set",
        ),
        (Endpoint("anthropic", "m", api_key_env="SOLON_TEST_NO_KEY"), "^api_key_env: the variable .* is not set"),
    ],
)
def test_a_model_that_is_not_there_is_refused_before_it_is_asked(
    tmp_path: Path, endpoint: Endpoint, message: str
) -> None:
    for look in (lambda: probe(endpoint, tmp_path), lambda: open_backend(endpoint, LIMITS, tmp_path)):
        with pytest.raises(InputError, match=message):
            look()


def test_an_endpoint_that_nobody_answers_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/v1: nobody answers .*start it, or correct base_url"):
        probe(Endpoint("openai", "m", base_url="http://127.0.0.1:9/v1"), tmp_path)


async def test_a_scripted_backend_is_called_by_its_script(tmp_path: Path) -> None:
    backend = open_backend(Endpoint("scripted", "rambler", latency=0.001), LIMITS, tmp_path)
    assert backend.identity == "scripted:rambler"
    raw = await backend.send("key", asking("What is rain?"))
    assert isinstance(raw, bytes)
    reply = backend.read("key", asking("What is rain?"), raw)
    assert isinstance(reply, ChatReply)
    assert (reply.key, reply.model) == ("key", "rambler")
    await backend.close()
