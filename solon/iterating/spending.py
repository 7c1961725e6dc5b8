"""What the rounds may still cost: the run's budget is one for all of them."""

from collections.abc import Sequence
from dataclasses import replace

from constitution.errors import InputError, NotFinished
from solon.budget import NANO, NOTHING, Amount
from solon.config import BudgetCap
from solon.folder import RunFolder
from solon.journal import Journal
from solon.supply import UNACCOUNTED, prices_of, recorded


def budget_left(whole: BudgetCap, others: Sequence[RunFolder]) -> BudgetCap:
    """What the ``others`` leave of the budget that is for all.

    Raises:
        NotFinished: they leave nothing.
    """
    if whole.usd is None and whole.tokens is None:
        return whole
    spent = sum((spent_by(folder) for folder in others), NOTHING)
    usd = None if whole.usd is None else whole.usd - spent.nanodollars / NANO
    tokens = None if whole.tokens is None else whole.tokens - spent.tokens
    if (usd is not None and usd <= 0) or (tokens is not None and tokens <= 0):
        told = f"{spent.usd:.4f} USD and {spent.tokens:,} tokens are spent"
        raise NotFinished(f"the rounds before reached the budget, {told}: raise it and run again; nothing is lost")
    return replace(whole, usd=usd, tokens=tokens)


def spent_by(folder: RunFolder) -> Amount:
    """What is on record, and what may have been charged without a reply to show for it."""
    try:
        with Journal.open(folder.journal, read_only=True) as journal:
            lost = Amount.load(journal.note(UNACCOUNTED) or NOTHING.dump())
            return recorded(journal, prices_of(folder)) + lost
    except InputError:
        return NOTHING  # the round has no journal yet
