"""Label noise that is known: the chance, pair by pair, that the label is the wrong way round.

Sources: Mitchell 2023, "A note on DPO with noisy preferences & relationship to IPO" (conservative DPO);
Chowdhury et al. 2024, "Provably Robust DPO", arXiv:2403.00409 (the unbiased form).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constitution.errors import InputError
from trainer.settings import DpoSettings

BY_PAIR = ("sigmoid", "robust")  # losses that take a chance for each pair
BY_SETTING = ("exo_pair", "aot", "aot_unpaired")  # those that take one for all
# The unbiased loss is divided by 1 - 2·epsilon, so pairs that tell next to nothing would drown all others. Where
# people were split on three pairs of five, as in tests/trainer/test_noise.py, it got 59 % of held-out pairs right
# with those (held at 0.45), plain DPO 77 %, and 91 % without those.
MOST_ROBUST = 0.4
EXO_REMEDY = 'write epsilon = 0.001 under [dpo], and noise = "none"'


@dataclass(frozen=True, slots=True)
class Noise:
    """What is done about wrong labels: as TRL's loss takes it, and as a record tells it."""

    losses: tuple[str, ...]  # TRL's names
    weights: tuple[float, ...] | None  # what they count for in the sum
    smoothing: float  # one number for all pairs
    places: tuple[int, ...]  # of the pairs to train on; the others are left out
    by_pair: tuple[float, ...] | None  # TRL's ``label_smoothing`` for each of these
    told: Mapping[str, float]  # of the pairs to train on


def noise_of(row: Mapping[str, Any], settings: DpoSettings) -> float:
    """The chance in [0, 1] that the label of ``row`` is wrong, by whose word ``settings.noise`` takes.

    People's is taken first. Where there is none of theirs, a judge's, if it is asked for, is what its own
    verdict leaves to the other completion; else it is ``settings.epsilon``.
    """
    if settings.noise != "none" and row.get("epsilon") is not None:
        return float(row["epsilon"])
    if settings.noise == "judge" and row.get("p_chosen") is not None:
        return 1 - float(row["p_chosen"])
    return settings.epsilon


def plan(epsilons: Sequence[float], settings: DpoSettings) -> Noise:
    """The loss for pairs of which ``epsilons``, one each, are the chances of a wrong label.

    Raises:
        InputError: there is noise, and the loss has no way to take it.
    """
    loss, told, places = settings.loss, summary(epsilons), tuple(range(len(epsilons)))
    if loss == "exo_pair" and settings.epsilon == 0:
        raise InputError("[dpo]", 'loss = "exo_pair" divides by epsilon, which is 0', EXO_REMEDY)
    if loss in BY_SETTING and all(epsilon == settings.epsilon for epsilon in epsilons):
        return Noise((loss,), None, settings.epsilon, places, None, told)
    if not any(epsilons):
        return Noise(("sigmoid",) if loss == "robust" else (loss,), None, 0.0, places, None, told)
    if loss == "sigmoid":
        return Noise(("sigmoid", "robust"), (2.0, -1.0), 0.0, places, tuple(map(conservative, epsilons)), told)
    if loss == "robust":
        places = tuple(place for place in places if epsilons[place] <= MOST_ROBUST)
        if not places:
            fact = f"every label is wrong with a chance above {MOST_ROBUST}, and the unbiased loss cannot take it"
            raise InputError("[dpo]", fact, 'write loss = "sigmoid" under [dpo]')
        kept = tuple(epsilons[place] for place in places)
        return Noise(("robust",), None, 0.0, places, kept, summary(kept))
    remedy = 'write noise = "none" and epsilon = 0 under [dpo], or take one of: ' + ", ".join(BY_PAIR)
    raise InputError("[dpo]", f"loss = {loss!r} knows no chance of a wrong label for each pair", remedy)


def conservative(epsilon: float) -> float:
    """The ``label_smoothing`` s at which twice TRL's "sigmoid" less its "robust" is conservative DPO with ``epsilon``.

    With A = -log σ(x), and so -log σ(-x) = A + x, "robust" is A - x·s / (1 - 2s). Two A less that are
    A + x·s / (1 - 2s), and conservative DPO, (1 - epsilon)·A + epsilon·(A + x), is A + epsilon·x. The two are
    one where s / (1 - 2s) = epsilon; s is at most 1/3, so nothing is divided by 0 at any epsilon.
    """
    return epsilon / (1 + 2 * epsilon)


def summary(epsilons: Sequence[float]) -> dict[str, float]:
    return {
        "rows": sum(epsilon > 0 for epsilon in epsilons),
        "mean": sum(epsilons) / len(epsilons),
        "highest": max(epsilons),
    }
