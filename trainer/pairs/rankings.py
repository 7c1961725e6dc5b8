"""Pairs gathered by prompt: every completion of it once, and which of them is held against which.

A prompt whose K completions were ranked has up to C(K,2) pairs, and each completion stands in K-1 of them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.chat import Message
from trainer.models.chat import messages
from trainer.settings import RewardSettings


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two places in a prompt's completions."""

    chosen: int
    rejected: int
    target: float  # the chance, in (0, 1], that the chosen one is the better one
    margin: float  # that its reward is to lead by, beyond what the target asks


@dataclass(frozen=True, slots=True)
class Ranking:
    """One prompt; no two of its completions are the same, and each stands in a comparison."""

    prompt: tuple[Message, ...]
    completions: tuple[str, ...]
    texts: tuple[tuple[int, ...], ...]  # the tokens of prompt and completion, for each
    comparisons: tuple[Comparison, ...]  # at least one


@dataclass(frozen=True, slots=True)
class Rankings:
    found: tuple[Ranking, ...]  # in the order of each prompt's first row
    dropped: Mapping[str, int]  # rows left out, by reason

    @property
    def rows(self) -> int:
        return sum(len(ranking.comparisons) for ranking in self.found)


Tokens = Callable[[Sequence[Message], str], tuple[int, ...]]


def rankings_of(rows: Iterable[Mapping[str, Any]], settings: RewardSettings, tokens: Tokens) -> Rankings:
    """The rows of an export, by what their prompts say: ids may be missing, and exports may be put together.

    Left out are rows whose two completions are the same, and those with a text of over ``max_length`` tokens.
    """
    groups: dict[tuple[Message, ...], list[tuple[str, str, Comparison]]] = {}
    dropped: Counter[str] = Counter({"identical": 0, "too long": 0})
    for row in rows:
        prompt = messages(row["prompt"])
        chosen, rejected = row["chosen"][-1]["content"], row["rejected"][-1]["content"]
        if chosen == rejected:
            dropped["identical"] += 1
        else:
            groups.setdefault(prompt, []).append((chosen, rejected, comparison(row, settings)))
    found = []
    for prompt, pairs in groups.items():
        texts = {text: tokens(prompt, text) for pair in pairs for text in pair[:2]}
        kept = [pair for pair in pairs if all(len(texts[text]) <= settings.max_length for text in pair[:2])]
        dropped["too long"] += len(pairs) - len(kept)
        if kept:
            found.append(ranking(prompt, kept, texts))
    return Rankings(tuple(found), dict(dropped))


def comparison(row: Mapping[str, Any], settings: RewardSettings) -> Comparison:
    """What a row says of its pair, not yet of its places. What people tell of a label's noise goes before the judge."""
    epsilon, p_chosen = row.get("epsilon"), row.get("p_chosen")
    soft = 1 - epsilon if epsilon is not None else 1.0 if p_chosen is None else p_chosen
    return Comparison(0, 0, soft if settings.labels == "soft" else 1.0, settings.margin * (row.get("margin") or 0.0))


def ranking(
    prompt: tuple[Message, ...],
    pairs: Sequence[tuple[str, str, Comparison]],
    texts: Mapping[str, tuple[int, ...]],
) -> Ranking:
    places = {text: place for place, text in enumerate(dict.fromkeys(t for pair in pairs for t in pair[:2]))}
    comparisons = (
        Comparison(places[chosen], places[rejected], said.target, said.margin) for chosen, rejected, said in pairs
    )
    return Ranking(prompt, tuple(places), tuple(texts[text] for text in places), tuple(comparisons))
