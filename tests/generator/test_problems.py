import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.chat import MAY_PASS, STOPS_THE_RUN, WORTH_RETRYING, FailureReason
from generator.models.problems import LONGEST_MESSAGE, Problem, problem_of
from generator.models.wire import Answer


def answer(status: int, body: object, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def reason(status: int, body: object = b"") -> FailureReason:
    return problem_of(answer(status, body)).reason


def openai(message: str = "no", **fields: object) -> dict[str, object]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}}


def anthropic(type: str, message: str = "no", **fields: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": type, "message": message, **fields}, "request_id": "req_1"}


def llamacpp(code: int, type: str, message: str = "no") -> dict[str, object]:
    return {"error": {"code": code, "message": message, "type": type}}


def vllm(message: str, code: int = 400) -> dict[str, object]:
    return {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": code}


TOO_LONG = "This model's maximum context length is 2048 tokens. However, you requested 9000 tokens."


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "bad request"), (401, "auth"), (402, "quota"), (403, "auth"), (404, "unknown model"),
        (405, "bad request"), (408, "timeout"), (409, "server error"), (413, "context overflow"),
        (418, "bad request"), (422, "bad request"), (425, "rate limit"), (429, "rate limit"),
        (500, "server error"), (502, "server error"), (503, "overloaded"), (504, "server error"),
        (520, "server error"), (529, "overloaded"), (599, "server error"),
        (204, "bad request"), (301, "bad request"), (307, "bad request"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [b"", b"busy", b"<html><h1>busy</h1></html>", b"\xff\xfe", {}, [], None, 7, "no", {"error": None}, {"error": "no"},
     {"error": {}}, {"detail": "no"}, openai(), vllm("no"), {"error": {"code": 7, "type": [], "message": {}}}],
    ids=repr,
)  # fmt: skip
def test_where_a_body_names_no_cause_the_status_decides(status: int, body: object, expected: str) -> None:
    assert reason(status, body) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, openai("Incorrect API key", code="invalid_api_key"), "auth"),
        (400, openai("Incorrect API key", code="invalid_api_key"), "auth"),
        (404, openai("no", code="model_not_found"), "unknown model"),
        (429, openai("You exceeded your current quota", code="insufficient_quota", type="insufficient_quota"), "quota"),
        (429, openai("no", code="billing_hard_limit_reached"), "quota"),
        (429, openai("no", code="rate_limit_exceeded"), "rate limit"),
        (400, openai(TOO_LONG, code="context_length_exceeded"), "context overflow"),
        (400, anthropic("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), "context overflow"),
        (400, anthropic("invalid_request_error", "Your credit balance is too low to access the API"), "quota"),
        (400, anthropic("invalid_request_error", "You have reached your specified API usage limits."), "quota"),
        (401, anthropic("authentication_error"), "auth"),
        (402, anthropic("billing_error"), "quota"),
        (403, anthropic("permission_error"), "auth"),
        (404, anthropic("not_found_error"), "unknown model"),
        (413, anthropic("request_too_large"), "context overflow"),
        (429, anthropic("rate_limit_error"), "rate limit"),
        (429, anthropic("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "quota"),
        (429, anthropic("rate_limit_error", details=["odd"]), "rate limit"),
        (500, anthropic("api_error"), "server error"),
        (504, anthropic("timeout_error"), "timeout"),
        (529, anthropic("overloaded_error"), "overloaded"),
        (500, anthropic("overloaded_error"), "overloaded"),
        (400, llamacpp(400, "exceed_context_size_error"), "context overflow"),
        (503, llamacpp(503, "unavailable_error", "Loading model"), "overloaded"),
        (401, llamacpp(401, "authentication_error"), "auth"),
        (400, vllm(TOO_LONG), "context overflow"),
        (400, {"error": vllm(TOO_LONG)}, "context overflow"),
        (400, vllm("The prompt is longer than max_model_len"), "context overflow"),
        (404, vllm("The model `x` does not exist.", 404), "unknown model"),
        (422, {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required"}]}, "bad request"),
        (400, TOO_LONG.encode(), "context overflow"),
        (500, TOO_LONG.encode(), "server error"),
    ],
)
def test_a_body_that_names_the_cause_decides(status: int, body: object, expected: str) -> None:
    assert reason(status, body) == expected


def test_a_call_that_is_too_long_is_never_tried_again_and_stops_no_other() -> None:
    assert "context overflow" not in WORTH_RETRYING | MAY_PASS | STOPS_THE_RUN


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (openai("It is  wrong."), "It is  wrong."),
        (vllm("It is wrong."), "It is wrong."),
        ({"error": "It is wrong."}, "It is wrong."),
        (b" It\n is\twrong. ", "It is wrong."),
        (b"<html>\n<p>busy</p>\n</html>", "<html> <p>busy</p> </html>"),
        ({"detail": "wrong"}, '{"detail": "wrong"}'),
        ({"error": {"message": None, "code": "x"}}, '{"error": {"message": null, "code": "x"}}'),
        (b"", ""),
    ],
)
def test_what_the_endpoint_says_is_told(body: object, message: str) -> None:
    assert problem_of(answer(400, body)).message == message
    told = problem_of(answer(400, body)).failure("key", answer(400, body))
    assert (told.key, told.reason, told.detail) == ("key", "bad request", f"status 400: {message}")


def test_a_parameter_that_is_named_is_known() -> None:
    assert problem_of(answer(400, openai(param="seed"))) == Problem(400, ("invalid_request_error",), "seed", "no")
    assert problem_of(answer(400, openai(param=["seed"]))).param is None


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"message":', "}"), ('{"error":', "}")])
def test_a_body_of_any_depth_is_only_a_message(opening: str, closing: str) -> None:
    for depth in (*range(1, 800, 29), *range(800, 1000), 10**5):
        deep = opening * depth + "1" + closing * depth
        for body in (deep, f'{{"message": {deep}}}', f'{{"error": {{"message": {deep}, "code": {deep}}}}}'):
            told = problem_of(answer(400, body.encode()))
            assert told.reason == "bad request"
            assert len(told.failure("key", answer(400, body.encode())).detail) <= LONGEST_MESSAGE


def test_a_long_message_is_cut() -> None:
    for body in (10**6 * b"x", openai("x" * 10**6), {"x": "x" * 10**6}):
        said = answer(500, body)
        assert len(problem_of(said).failure("key", said).detail) == LONGEST_MESSAGE


def test_the_time_that_the_endpoint_asks_for_is_told() -> None:
    said = answer(429, openai(), retry_after="7")
    assert problem_of(said).failure("key", said).wait == 7.0


@pytest.mark.parametrize(("status", "charged"), [(400, False), (408, True), (429, False), (500, False), (504, True)])
def test_only_where_a_gateway_gave_up_waiting_the_work_may_be_charged(status: int, charged: bool) -> None:
    assert problem_of(answer(status, b"")).failure("key", answer(status, b"")).charged is charged


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "param", "details", "error_code"]), inner, max_size=4
        )
    ),
)


@given(st.integers(100, 999), JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_any_body_under_any_status_is_a_failure_with_a_reason(status: int, body: bytes) -> None:
    told = problem_of(answer(status, body)).failure("key", answer(status, body))
    assert told.reason in get_args(FailureReason)
