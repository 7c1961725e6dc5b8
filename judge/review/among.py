"""How far people agree among themselves in review, as records; `agreeing` makes them."""

from dataclasses import dataclass

from judge.audit.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Couple:
    """Two annotators on the items that both labelled."""

    one: str
    other: str
    accuracy: Estimate
    kappa: Estimate | None


@dataclass(frozen=True, slots=True)
class Among:
    """As in `judge.audit.agreement.HumanAgreement`; None where no item has two people's choices."""

    items: int  # labelled by somebody
    shared: int  # labelled by two people or more
    pairwise: Estimate | None
    left_out: Estimate | None
    alpha: Estimate | None
    five: (
        Estimate | None
    )  # alpha, where a tie, both good and both bad are three choices; None where nobody told them apart
    kappa: Estimate | None  # the mean over ``couples``
    couples: tuple[Couple, ...]
