"""The tables of the review, the same in SQLite and PostgreSQL. Each holds all runs of its database."""

from typing import Any

import sqlalchemy as sa

from solon.database import COUNT, TEXT

SCHEMA = sa.MetaData()
_NUMBER = COUNT.with_variant(sa.Integer, "sqlite")  # SQLite numbers rows only in a column of this type


def _key(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, TEXT, primary_key=True) for name in names]


def _text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, TEXT, nullable=False) for name in names]


def _whole(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, COUNT, nullable=False, server_default="0") for name in names]


def _real(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Double, nullable=False) for name in names]


def _version(name: str) -> sa.Column[Any]:
    return sa.Column(name, COUNT, primary_key=True, autoincrement=False)


def _rising() -> sa.Column[Any]:
    return sa.Column("number", _NUMBER, primary_key=True, autoincrement=True)


# What every lease needs to know of the run. Locked by whatever the lead changes.
RUNS = sa.Table("runs", SCHEMA, *_key("run"), *_whole("guidelines", "stretch"), *_text("gold_seed"))

# Sums over the ordinary tasks, so that nobody counts a hundred thousand of them. Locked last of all.
COUNTS = sa.Table("counts", SCHEMA, *_key("run"), *_whole("items", "open", "labels", "wanted"))

ROUNDS = sa.Table("rounds", SCHEMA, *_key("run"), _version("number"), *_real("at"), *_text("seed", "asked"))
# ``chances``: JSON, the item's chance to have been drawn by then after each round that chose from it.
POOL = sa.Table("pool", SCHEMA, *_key("run", "item"), *_text("stratum", "chances"), *_real("score", "probability"))

# ``turned`` is the round since which the item counts as drawn evenly, where that is not the one that brought it.
# ``labels`` are the current ones. ``shelf`` is open while they are fewer than ``overlap``, then full; or gold; or gone,
# where the run no longer has the couple and nobody has labelled it.
TASKS = sa.Table(
    "tasks",
    SCHEMA,
    *_key("run", "item"),
    *_text("kind", "shelf"),
    *_real("place"),
    *_whole("round", "overlap", "labels", "turned"),
    sa.Column("known", TEXT),
    sa.CheckConstraint("labels >= 0", name="labels_not_below_none"),
)
sa.Index("tasks_in_order", TASKS.c.run, TASKS.c.shelf, TASKS.c.place, TASKS.c.item)

# Apart from the tasks, whose rows change with every label.
BODIES = sa.Table("bodies", SCHEMA, *_key("run", "item"), *_text("one", "two", "body"))

GUIDELINES = sa.Table("guidelines", SCHEMA, *_key("run"), _version("version"), *_text("text", "by"), *_real("at"))

ANNOTATORS = sa.Table(
    "annotators",
    SCHEMA,
    *_key("run", "name"),
    sa.Column("dropped", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("changed_by", TEXT),
    sa.Column("changed_at", sa.Double),
)

# An item in somebody's hands, now or once: leased, labelled, skipped or released.
ASSIGNMENTS = sa.Table(
    "assignments",
    SCHEMA,
    *_key("run", "item", "annotator"),
    *_text("state"),
    *_whole("side", "guidelines"),
    *_real("shown_at", "lease_until"),
    sqlite_with_rowid=False,
)
_LEASED = ASSIGNMENTS.c.state == "leased"
sa.Index(  # nobody holds two items, whatever the code does
    "one_lease_each",
    ASSIGNMENTS.c.run,
    ASSIGNMENTS.c.annotator,
    unique=True,
    sqlite_where=_LEASED,
    postgresql_where=_LEASED,
)

# Labels and skips as they came. A row is never changed but for the mark that it holds no more.
ACTS = sa.Table(
    "acts",
    SCHEMA,
    _rising(),
    *_text("run", "item", "annotator", "act", "text", "flag", "key", "source"),
    sa.Column("choice", TEXT),  # of the item's own completions; none for a skip
    sa.Column("strength", COUNT),
    *_whole("side", "guidelines"),
    *_real("seconds", "at"),
    sa.Column("undone_at", sa.Double),
    sa.Column("undone_why", TEXT),  # undone or replaced
    sqlite_autoincrement=True,
)
CURRENT = ACTS.c.undone_at.is_(None)
sa.Index(  # nobody's word counts twice on one item, whatever the code does
    "one_word_each",
    ACTS.c.run,
    ACTS.c.item,
    ACTS.c.annotator,
    unique=True,
    sqlite_where=CURRENT,
    postgresql_where=CURRENT,
)
sa.Index("acts_of_annotator", ACTS.c.run, ACTS.c.annotator, ACTS.c.number)

# What was done under an idempotency key: the hash of what was asked, and the reply.
KEYS = sa.Table("keys", SCHEMA, *_key("run", "annotator", "key"), *_text("asked", "reply"), *_real("at"))

EDITS = sa.Table(
    "edits",
    SCHEMA,
    _rising(),
    *_text("run", "item", "annotator", "id", "call", "prompt", "revises", "text"),
    *_real("at"),
    sqlite_autoincrement=True,
)
sa.Index("edits_of_run", EDITS.c.run)

DECISIONS = sa.Table(
    "decisions",
    SCHEMA,
    _rising(),
    *_text("run", "item", "choice", "by", "rationale"),
    *_real("at"),
    sqlite_autoincrement=True,
)
sa.Index("decisions_of_run", DECISIONS.c.run, DECISIONS.c.item)
