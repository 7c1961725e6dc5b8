"""Recorded verdicts of real judges as runs of Solon: a label averaged over all judges, beside what people chose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import sqrt

import numpy as np
from sets import Judged, decided_arena, of_arena, of_llmbar, of_pandalm, of_xstest, shared_llmbar, with_judges

from judge.audit.blend import Ground, ground, signed
from judge.audit.ppi import predictions_of_agreement
from judge.audit.reliability import outcomes
from judge.audit.table import Averaged, Bools, Floats, Ints, choices
from judge.review.worth import Couple

ALIKE = 0.95  # share of couples that are equally sure, from which a run tells nothing apart
MOST_ITEMS = 600  # of a run: enough to tell, and draws take time
AGREED: Mapping[int, bool | None] = {1: True, 0: False, -1: None}


@dataclass(frozen=True, slots=True, eq=False)
class Studied:
    """A run. Its label counts as one judge more, the last, as it does where Solon merges."""

    judges: tuple[str, ...]
    averaged: Averaged  # of all judges and the label
    human: Ints  # (items,)
    names: tuple[str, ...]
    base: tuple[Couple, ...]
    ground: Ground = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ground", ground(signed(self.averaged)))

    @property
    def items(self) -> int:
        return len(self.human)

    @property
    def p(self) -> Floats:
        """(items,) the label's chance of completion 1."""
        return self.averaged.p_one[:, -1]

    @property
    def known(self) -> Bools:
        return self.averaged.known[:, -1:]

    @property
    def said(self) -> Ints:
        return choices(self.averaged.p_one[:, -1:], self.known)[:, 0]

    @property
    def right(self) -> Floats:
        """(items,) 1 where the label chooses as people do."""
        return (self.said == self.human).astype(np.float64)

    @property
    def predictions(self) -> Floats:
        return predictions_of_agreement(self.said, self.averaged.p_one[:, -1:])

    @property
    def tells(self) -> bool:
        """Whether the label is surely better than a coin, and surer of some couples than of others."""
        agreed, margins = self.agreement(self.p), np.unique(np.abs(self.p - 0.5), return_counts=True)[1]
        better = float(agreed.mean()) - 1.96 * float(agreed.std()) / sqrt(self.items) > 0.5
        return better and int(margins.max()) < ALIKE * self.items

    def agreement(self, p: Floats) -> Floats:
        """(items,) 1 where the side preferred is people's, 0 where it is not, one half for a tie of one of the two."""
        side, wanted = np.sign(p - 0.5), np.sign(outcomes(self.human) - 0.5)
        return np.where((side == 0) & (wanted == 0), 1.0, 0.5 + side * wanted / 2)

    def couples(self, p: Floats | None) -> tuple[Couple, ...]:
        """With the chances ``p`` in place of the label's own."""
        if p is None:
            return self.base
        margins = np.abs(2 * p - 1).tolist()
        return tuple(
            replace(one, p=chance, margin=margin)
            for one, chance, margin in zip(self.base, p.tolist(), margins, strict=True)
        )


def as_run(of: Judged) -> Studied:
    """What the judges of a set would have been in a run in which all of them count alike."""
    picked = np.sort(np.random.default_rng(0).permutation(len(of.human))[:MOST_ITEMS])
    p_one, known, agree = (column[picked] for column in (of.averaged.p_one, of.averaged.known, of.averaged.agree))
    count = np.maximum(known.sum(axis=1), 1)
    away = np.where(known, p_one - 0.5, 0.0)
    p, heard = 0.5 + away.sum(axis=1) / count, known.any(axis=1)
    apart = 2 * np.sqrt(np.maximum((away**2).sum(axis=1) / count - (p - 0.5) ** 2, 0.0))
    orders = np.where((agree == 0).any(axis=1), 0, agree.max(axis=1))
    whole = Averaged(np.column_stack([p_one, p]), np.column_stack([known, heard]), np.column_stack([agree, orders]))
    names = tuple(f"{item:05d}" for item in range(len(picked)))
    strata = of.material.stratum[picked] if len(of.material.stratum) == len(of.human) else np.zeros(len(picked), int)
    base = tuple(
        Couple(
            name,
            name,
            str(stratum),
            p if heard else None,
            abs(2 * p - 1) if heard else 0.0,
            AGREED[order],
            min(1.0, far),
        )
        for name, stratum, p, heard, order, far in zip(
            names, strata.tolist(), p.tolist(), heard.tolist(), orders.tolist(), apart.tolist(), strict=True
        )
    )
    return Studied((*of.judges, "the run's label"), whole, of.human[picked], names, base)


def alone(of: Callable[[], Judged], judge: str) -> Studied:
    whole = of()
    return as_run(with_judges(whole, np.array([name == judge for name in whole.judges])))


def together(of: Callable[[], Judged]) -> Studied:
    return as_run(of())


RUNS: Mapping[str, Callable[[], Studied]] = {
    **{f"LLMBar {name}": partial(together, partial(of_llmbar, name)) for name in ("GPTInst", "Natural", "LLMEval^2")},
    "LLMBar, all three sets": partial(together, shared_llmbar),
    **{
        f"LLMBar, all three sets, {judge} alone": partial(alone, shared_llmbar, judge)
        for judge in ("GPT-4/Vanilla_NoRules", "GPT-4/Metrics_Reference")
    },
    "Arena, votes without ties": partial(together, decided_arena),
    **{
        f"Arena, votes without ties, {judge} alone": partial(alone, decided_arena, judge)
        for judge in ("gpt-4-0125-preview", "gpt-3.5-turbo")
    },
    "Arena, with ties": partial(together, of_arena),
    "XSTest": partial(together, of_xstest),
    "PandaLM": partial(together, of_pandalm),
}
