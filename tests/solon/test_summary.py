from collections.abc import Callable
from pathlib import Path

import pytest

from constitution.checks import MaxWords
from constitution.principle import Constitution, Principle
from generator.candidates import Candidate, Candidates, Drop
from generator.chat import Message
from generator.prompts import Prompt
from judge.pairs import PreferencePair
from judge.verdict import Judgement, NoVerdict, Verdict
from solon.cli import actions
from solon.database import Database
from solon.figures import figures
from solon.journal import Journal
from solon.pipeline import Row, dump_row, load_row
from solon.run import stored_rows

PROMPT = Prompt("p", (Message("user", "Why?"),), ("t",))
DRAFT = Candidate("a", "one two three", "stop", "call-a", 0, 0)
REVISION = Candidate("b", "one", "length", "call-b", 0, 1, revises="a", principle="short")
PAIR = PreferencePair("pair", PROMPT, REVISION, DRAFT, 0.75, 0.5, ("short",), False)
SHORT = Principle("short", "At most two words.", check=MaxWords("max_words", 2))
OTHERS = Principle("others", "For others.", applies_to=("elsewhere",), check=MaxWords("max_words", 1))
CONSTITUTION = Constitution("c", "C", "1", "", (SHORT, OTHERS, Principle("kind", "Kind.")))


def row(*judgements: Judgement, drops: tuple[Drop, ...] = (), pairs: tuple[PreferencePair, ...] = ()) -> Row:
    return Row(Candidates(PROMPT, (DRAFT, REVISION), (), drops), judgements, (), pairs, ())


def by_model(forward: Verdict | NoVerdict, backward: Verdict | NoVerdict) -> Judgement:
    return Judgement("a", "b", "kind", "model", forward, backward)


ERROR = NoVerdict("error", "k", "timeout: late", "timeout")
REFUSED = NoVerdict("error", "k", "context overflow: too long", "context overflow")


@pytest.mark.parametrize(
    ("made", "complete"),
    [
        (row(), True),
        (row(by_model(Verdict(0.9, "k"), Verdict(0.2, "k"))), True),
        (row(by_model(Verdict(0.9, "k"), NoVerdict("truncated", "k"))), True),
        (row(by_model(Verdict(0.9, "k"), ERROR)), False),
        (row(by_model(Verdict(0.9, "k"), REFUSED)), True),
        (row(drops=(Drop("respond", "context overflow", "p"),)), True),
        (row(drops=(Drop("respond", "timeout", "p"),)), False),
        (row(drops=(Drop("respond", "bad request", "p"),)), False),
        (row(drops=(Drop("revise", "empty completion", "b"),)), True),
        (row(drops=(Drop("pairs", "no verdict", "pair"),)), True),
    ],
)
def test_a_row_is_complete_unless_a_call_failed_in_a_way_that_may_pass_or_be_mended(made: Row, complete: bool) -> None:
    assert made.complete is complete
    assert figures([made], CONSTITUTION).tally.incomplete == (not complete)


def test_a_row_is_the_same_after_it_was_stored() -> None:
    made = row(
        by_model(Verdict(0.9, "k", 0.99), NoVerdict("refusal", "k", "\ud800 no")),
        Judgement("a", "b", "short", "check", Verdict(0.0, ""), None),
        drops=(Drop("respond", "timeout", "p", "x"),),
        pairs=(PAIR,),
    )
    assert load_row(dump_row(made)) == made
    assert dump_row(load_row(dump_row(made))) == dump_row(made)


def test_the_tally_counts_verdicts_that_are_none_by_their_reason() -> None:
    rows = [row(by_model(ERROR, ERROR), pairs=(PAIR,)), row(by_model(NoVerdict("refusal", "k"), Verdict(1.0, "k")))]
    counts = figures(rows, CONSTITUTION).tally
    assert counts.no_verdicts == {"error": 2, "refusal": 1}
    assert (counts.rows, counts.candidates, counts.pairs, counts.orders_disagree) == (2, 4, 1, 1)


def test_position_is_counted_over_a_models_verdicts_in_both_orders_alone() -> None:
    check = Judgement("a", "b", "short", "check", Verdict(1.0, ""), None)
    agree, disagree = by_model(Verdict(0.9, "k"), Verdict(0.2, "k")), by_model(Verdict(0.9, "k"), Verdict(0.9, "k"))
    rows = [row(check, agree), row(disagree), row(by_model(Verdict(0.9, "k"), ERROR))]
    (judge,) = figures(rows, CONSTITUTION).judges
    position = judge.position
    assert (position.judgements, position.orders_agree, position.first_slot) == (2, 0.5, 0.75)
    assert position.warning is None  # too few to say


def test_kept_shares_tell_drafts_from_revisions_and_pass_over_what_does_not_apply() -> None:
    short, others = figures([row(pairs=(PAIR,)), row()], CONSTITUTION).kept
    assert (short.drafts, short.revisions, short.chosen, short.rejected) == (0.0, 1.0, 1.0, 0.0)
    assert (others.drafts, others.revisions, others.chosen, others.rejected) == (None,) * 4


def test_the_summary_counts_what_the_rows_hold(write_run: Callable[..., Path], tmp_path: Path) -> None:
    summary = actions.run(write_run(prompts=7), tmp_path / "out", accept_changes=False, no_budget=False).data
    with Journal.open(Database.file(tmp_path / "out" / "journal.db"), read_only=True) as journal:
        rows = list(stored_rows(journal))
        sent = len(journal.call("", limit=100_000))
    assert summary["rows"] == len(rows) == 7
    assert summary["pairs"] == sum(len(r.pairs) for r in rows)
    assert summary["candidates"] == sum(len(r.made.candidates) for r in rows)
    assert sum(summary["drops"].values()) == sum(len(r.drops) for r in rows)
    assert summary["calls_sent"] == sent
