"""What a run came to and what it took, for people and for programs."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from solon.backends import is_billed
from solon.budget import NANO, amount_of
from solon.config import RunConfig
from solon.folder import RunFolder, write_whole
from solon.journal import Journal
from solon.prices import Price, price_of
from solon.run import Outcome


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run went, as ``--json`` gives it and as a person reads it."""

    data: dict[str, Any]
    text: str


def summarise(folder: RunFolder, journal: Journal, outcome: Outcome, prices: Mapping[str, Price]) -> Summary:
    """Puts the figures and what the session took together, and writes ``summary.json`` into the run's folder."""
    figures = outcome.figures
    counts = figures.tally
    meter, known = outcome.meter, is_cost_known(folder.config, prices)
    data = {
        "run": str(folder.path),
        "finished": outcome.finished,
        "limit": outcome.limit,
        "rows": counts.rows,
        "incomplete": counts.incomplete,
        "candidates": counts.candidates,
        "pairs": counts.pairs,
        "orders_disagree": counts.orders_disagree,
        "drops": dict(counts.drops.most_common()),
        "no_verdicts": dict(counts.no_verdicts.most_common()),
        "failures": dict(meter.failures.most_common()),
        "calls_sent": meter.sent,
        "calls_reused": meter.reused,
        "tokens": {
            "prompt": meter.prompt_tokens,
            "completion": meter.completion_tokens,
            "cached": meter.cached_tokens,
        },
        "cost_usd": outcome.meter.nanodollars / NANO if known else None,
        "seconds": round(outcome.seconds, 2),
        "in_all": add_up(journal, outcome, prices) | ({} if known else {"cost_usd": None}),
        "answered_by": answered_by(journal),
        "flags": dict(counts.flags.most_common()),
        "told": outcome.told,
        "cascade": {"settled": counts.settled, "passed_on": counts.passed_on},
        "judges": [{**asdict(seen.position), "canaries": asdict(seen.canaries)} for seen in figures.judges],
        "warnings": figures.warnings,
    }
    write_whole(folder.summary, json.dumps(data, indent=2) + "\n")
    return Summary(data, told(data))


def is_cost_known(config: RunConfig, prices: Mapping[str, Price]) -> bool:
    """Whether every model that somebody pays for has a price."""
    return all(section.model in prices or not is_billed(section) for section in config.endpoints.values())


def add_up(journal: Journal, outcome: Outcome, prices: Mapping[str, Price]) -> dict[str, float | None]:
    """What the run took over all its sessions, killed ones too: what is recorded, and the seconds noted."""
    seconds = float(journal.note("seconds") or 0) + (outcome.seconds if outcome.meter.sent else 0.0)
    journal.set_note("seconds", str(seconds))
    spent = journal.spent()
    costs = [amount_of(s.receipt.usage, price_of(prices, s.model), s.receipt.batch).nanodollars for s in spent]
    return {
        "calls_sent": sum(s.calls for s in spent),
        "prompt_tokens": sum(s.receipt.usage.prompt for s in spent),
        "completion_tokens": sum(s.receipt.usage.completion for s in spent),
        "cost_usd": sum(costs) / NANO,
        "seconds": round(seconds, 2),
    }


def answered_by(journal: Journal) -> dict[str, dict[str, int]]:
    """Who really answered: for each model asked, how many calls each model answered, in its endpoint's words."""
    found: dict[str, Counter[str]] = {}
    for spent in journal.spent():
        found.setdefault(spent.model, Counter())[spent.receipt.answered_by] += spent.calls
    return {model: dict(counts.most_common()) for model, counts in found.items()}


def cost_told(data: Mapping[str, Any]) -> str:
    """Dollars, where there were any: this session's, and all sessions' where that is more."""
    now, in_all = data["cost_usd"], data["in_all"]["cost_usd"]
    if not in_all:
        return "" if in_all == 0 else "cost unknown; "
    return f"{now:.4f} USD{f' ({in_all:.4f} in all)' if in_all > now else ''}; "


def told(data: dict[str, Any]) -> str:
    tokens = data["tokens"]
    lines = [
        f"{data['rows']} prompts, {data['candidates']} candidates, {data['pairs']} preference pairs"
        f" ({data['orders_disagree']} where the judge's two orders disagree)",
        *(f"  dropped {count}: {reason}" for reason, count in data["drops"].items()),
        *(f"  no verdict {count}: {reason}" for reason, count in data["no_verdicts"].items()),
        f"{data['calls_sent']} calls sent, {data['calls_reused']} reused; {tokens['prompt']:,} tokens read"
        f" ({tokens['cached']:,} from a cache), {tokens['completion']:,} written;"
        f" {cost_told(data)}{data['seconds']:.0f} s",
    ]
    lines += data["warnings"]
    if any(data["cascade"].values()):
        settled, passed_on = data["cascade"]["settled"], data["cascade"]["passed_on"]
        lines.append(f"cascade: the first judge settled {settled} of {settled + passed_on} judgements alone")
    if data["flags"]:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in data["flags"].items())
        lines.append(f"candidates that look like manipulation, flagged in the export: {kinds}")
    if data["incomplete"]:
        lines.append(f"{data['incomplete']} rows have failed calls ({data['failures']}): run again to try them again")
    lines += data["told"]
    for asked, answers in data["answered_by"].items():
        if len(answers) > 1:
            lines.append(f"{asked} was answered by {', '.join(f'{name} ({n})' for name, n in answers.items())}")
    if data["limit"]:
        lines.append(f"stopped: {data['limit']}")
    elif not data["finished"]:
        lines.append("interrupted: run again to go on; nothing that was received is lost")
    return "\n".join([*lines, f"everything is in {data['run']}, the report in {data['run']}/report.md"])
