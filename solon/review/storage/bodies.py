"""Tasks as the text that is stored. ASCII, so that a completion may hold what a database's text may not."""

import json
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from constitution.principle import Example
from judge.review.records import Guide, Task, Turn
from solon.review.storage.tables import BODIES

_BODY = sa.select(BODIES.c.body).where(BODIES.c.run == sa.bindparam("run"), BODIES.c.item == sa.bindparam("item"))


def _members(record: Any) -> dict[str, object]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


_JSON = json.JSONEncoder(separators=(",", ":"), default=_members)  # ``asdict`` would copy every text of a large round


def written(task: Task) -> str:
    return _JSON.encode(task)


def read(body: str) -> Task:
    """The task that ``written`` made ``body`` of."""
    fields = json.loads(body)
    guides = tuple(
        Guide(g["id"], g["rule"], g["rationale"], tuple(Example(**example) for example in g["examples"]))
        for g in fields["guides"]
    )
    one, two = fields["completions"]
    prompt = tuple(Turn(**turn) for turn in fields["prompt"])
    return Task(**{**fields, "prompt": prompt, "completions": (one, two), "guides": guides})


def body_of(connection: sa.Connection, run: str, item: str) -> Task:
    return read(connection.execute(_BODY, {"run": run, "item": item}).scalar_one())
