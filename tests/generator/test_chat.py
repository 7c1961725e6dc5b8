from dataclasses import astuple, fields, replace

from hypothesis import given
from hypothesis import strategies as st

from generator.chat import ChatRequest, Message, call_key, sampling_seed, spelled

MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1, max_size=3
)
REQUESTS = st.builds(
    ChatRequest,
    messages=MESSAGES.map(tuple),
    temperature=st.floats(0, 2),
    max_tokens=st.integers(1, 4096),
    sample=st.integers(0, 9),
    seed=st.integers(0, 99),
    top_logprobs=st.integers(0, 20),
    choices=st.lists(st.text(max_size=3), max_size=3).map(tuple),
)
REQUEST = ChatRequest((Message("system", "S"), Message("user", "U")), 1.0, 160, sample=1, seed=7)


def test_a_key_stays_what_it_was_when_journals_were_written() -> None:
    assert call_key("m", REQUEST) == "a5fbacbea9d13f970b5835d155e61cd84a006bbb1f101aa6dda1dd7b31a226b3"


@given(st.text(), REQUESTS, st.text(), REQUESTS)
def test_two_calls_share_a_key_only_if_they_are_the_same(identity, request, other_identity, other) -> None:
    same = (identity, astuple(request)) == (other_identity, astuple(other))  # `shared` is 0 in both
    assert (call_key(identity, request) == call_key(other_identity, other)) == same


@given(st.text(), REQUESTS)
def test_every_field_of_a_request_and_the_identity_decide_the_key(identity: str, request: ChatRequest) -> None:
    first, *rest = request.messages
    variants = [
        replace(request, messages=(replace(first, content=first.content + "x"), *rest)),
        replace(request, messages=(replace(first, role="user" if first.role != "user" else "system"), *rest)),
        replace(request, messages=(*request.messages, Message("user", ""))),
        replace(request, temperature=request.temperature + 0.5),
        replace(request, max_tokens=request.max_tokens + 1),
        replace(request, sample=request.sample + 1),
        replace(request, seed=request.seed + 1),
        replace(request, top_logprobs=request.top_logprobs + 1),
        replace(request, choices=(*request.choices, "")),
    ]
    keys = {call_key(identity, variant) for variant in [request, *variants]} | {call_key(identity + "x", request)}
    assert len(keys) == len(variants) + 2


def test_what_is_spelled_is_every_field_but_the_hint_for_caches() -> None:
    assert spelled(REQUEST).keys() == {field.name for field in fields(REQUEST)} - {"shared"}


@given(REQUESTS, st.integers(0, 10**6))
def test_a_hint_for_caches_makes_no_other_call(request: ChatRequest, shared: int) -> None:
    hinted = replace(request, shared=shared)
    assert call_key("m", hinted) == call_key("m", request)
    assert (hinted, hash(hinted)) == (request, hash(request))


@given(REQUESTS)
def test_a_request_built_again_has_the_same_key(request: ChatRequest) -> None:
    again = replace(request, messages=tuple(Message(m.role, m.content) for m in request.messages))
    assert call_key("m", again) == call_key("m", request)


@given(REQUESTS)
def test_the_seed_sent_fits_31_bits_and_is_decided_by_the_key(request: ChatRequest) -> None:
    key = call_key("m", request)
    assert 0 <= sampling_seed(key) < 2**31
    assert sampling_seed(key) == sampling_seed(key[:8] + "0" * 56)
