import time
from dataclasses import replace

from generator.chat import CallFailure, ChatReply, ChatRequest, Message, TokenLogprob, Usage, call_key
from generator.models.scripted import ScriptedModel

REQUEST = ChatRequest((Message("system", "S"), Message("user", "Hi")), 1.0, 10)


async def test_a_scripted_model_says_what_it_is_told_to_the_last_message() -> None:
    reply = await ScriptedModel({"Hi": "Hello \ud800"}, "me").reply(REQUEST)
    assert reply == ChatReply(call_key("me", REQUEST), "Hello \ud800", "stop", "me")


async def test_what_is_not_in_the_script_is_a_bad_request() -> None:
    reply = await ScriptedModel({"Bye": "Hello"}).reply(REQUEST)
    assert isinstance(reply, CallFailure)
    assert (reply.key, reply.reason) == (call_key("scripted", REQUEST), "bad request")


async def test_a_computed_reply_survives_its_way_through_bytes() -> None:
    tokens = TokenLogprob(" 1", -0.1), TokenLogprob("2", -2.5)
    said = ChatReply("", "1", "length", "m", Usage(3, 1, 2, 1), tokens, held=True)
    model = ScriptedModel(lambda request: said)
    raw = await model.send("k", REQUEST)
    assert isinstance(raw, bytes)
    assert model.read("k", REQUEST, raw) == replace(said, key="k")


async def test_a_scripted_failure_is_a_failure() -> None:
    failure = CallFailure("k", "quota", "no credit")
    assert await ScriptedModel(lambda request: failure).reply(REQUEST) == failure


async def test_every_call_is_recorded_and_takes_its_time() -> None:
    model = ScriptedModel({"Hi": "Hello"}, latency=0.02)
    began = time.monotonic()
    await model.reply(REQUEST)
    await model.send("k", REQUEST)
    assert model.calls == [REQUEST, REQUEST]
    assert time.monotonic() - began >= 0.04
