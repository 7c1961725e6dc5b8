"""What a person's label of a couple is worth: how likely the label is wrong, times how much that matters."""

from dataclasses import dataclass

OPEN = 1 / 3  # margin below which a chance is called close to one half
APART = 0.5  # disagreement from which judges or principles are said to disagree
CONFIDENT = 0.5  # margin from which a win is confident
BY_ORDERS = 0.5  # how far towards a coin a label is taken to be whose judge contradicts itself
BY_APART = 0.5  # the same of judges that are wholly at odds
COIN = 0.5

NO_VERDICT = "no judge gave a verdict"
CLOSE = "the label is close to one half"
ORDERS = "the judge's two orders disagree"
DISAGREE = "judges or principles disagree"
SUSPICIOUS = "a suspicious text wins with confidence"
REASONS = (NO_VERDICT, CLOSE, ORDERS, DISAGREE, SUSPICIOUS)


@dataclass(frozen=True, slots=True)
class Couple:
    """What the run says of an item, as far as it tells what a label would be worth."""

    item: str
    prompt: str  # id
    stratum: str  # the prompt's source
    p: float | None  # chance of completion 1 by the run's label; None: no verdict
    margin: float  # |2·p - 1|; 0 where there is no verdict
    orders_agree: bool | None = None  # None where no model gave both orders
    disagreement: float = 0.0  # between judges and principles that decided, in [0, 1]
    suspicious: bool = False  # whether the side that wins shows signs of manipulation


@dataclass(frozen=True, slots=True)
class Worth:
    """``score`` lies in [0, 1]; ``reasons`` are some of ``REASONS``, for a person to read."""

    item: str
    score: float
    reasons: tuple[str, ...]


def worth(couple: Couple) -> Worth:
    """Higher: a label is worth more. It hangs on this couple alone.

    A win of suspicious text is as likely wrong as not, whatever the margin says, and the surer it is, the more a
    trainer will believe it.
    """
    if couple.p is None:
        return Worth(couple.item, COIN, (NO_VERDICT,))
    fooled = couple.suspicious and couple.margin >= CONFIDENT
    apart = couple.disagreement if couple.disagreement >= APART else 0.0
    wrong = COIN * (1 - couple.margin)
    wrong += BY_ORDERS * (COIN - wrong) * (couple.orders_agree is False)
    wrong += BY_APART * (COIN - wrong) * apart
    score = COIN * (1 + couple.margin) if fooled else wrong
    told = (
        (CLOSE, couple.margin < OPEN),
        (ORDERS, couple.orders_agree is False),
        (DISAGREE, apart > 0.0),
        (SUSPICIOUS, fooled),
    )
    return Worth(couple.item, score, tuple(reason for reason, holds in told if holds))
