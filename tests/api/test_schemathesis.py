"""Every operation of the API as its own description tells it, with data that fits it and data that does not."""

import json
from typing import Any
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("schemathesis", reason="schemathesis is not installed: make test-review installs it")

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

ROLES = ("annotator", "adjudicator", "admin")
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = "/api/runs/{run}/events"  # a stream, which the tests of the run's page listen to
SLOW = {"/api/runs/{run}/start": 3, "/api/runs/{run}/lead/draw": 3}  # each starts a process
ENDS_SESSIONS = ("/api/logout", "/api/me/password", "/api/users/{name}", "/api/login", "/api/invites/accept")
EXAMPLES = 12  # for each operation, role and kind of data


def described(api: Any) -> dict[str, Any]:
    with urlopen(Request(f"{api.url}/api/openapi.json", headers=api.headers("annotator")), timeout=30) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def config() -> Any:
    found = schemathesis.Config()
    for project in [found.projects.default]:
        project.generation.update(with_security_parameters=False)
    return found


def known(api: Any) -> dict[str, str]:
    """Path parameters that name something that is there."""
    return {"run": "demo", "item": api.items[0], "name": "victim", "number": "1", "id": "prompt-1"}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfit"])
@pytest.mark.parametrize("role", ROLES)
def test_no_data_breaks_the_service_and_every_reply_is_as_documented(api: Any, role: str, mode: Any) -> None:
    schema = schemathesis.openapi.from_dict(described(api), config=config())
    schema.config.update(base_url=api.url)
    tried, wrong = 0, []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == ENDLESS:
            continue
        try:
            try_out(api, operation, role, mode)
            tried += 1
        except Unsatisfiable:
            assert mode == GenerationMode.NEGATIVE  # it takes nothing that could be wrong
        except BaseExceptionGroup as group:
            wrong += [f"{operation.label}: {one}\n" for one in group.exceptions]
    assert not wrong, "\n".join(wrong)
    assert tried > (40 if mode == GenerationMode.POSITIVE else 20)


def try_out(api: Any, operation: Any, role: str, mode: Any) -> None:
    real = known(api)

    @seed(20_260_730)
    @settings(
        max_examples=SLOW.get(operation.path, EXAMPLES), deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
    def ask(case: Any, there: bool) -> None:
        if there:
            case.path_parameters = {name: real.get(name, value) for name, value in (case.path_parameters or {}).items()}
        headers = api.fresh(role) if operation.path in ENDS_SESSIONS else api.headers(role)
        case.call_and_validate(headers=headers, checks=CHECKS, timeout=60)

    ask()
