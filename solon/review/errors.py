"""What the review says no to. Each tells one person one fact, and what to do about it."""

from constitution.errors import SolonError


class ReviewError(SolonError):
    """Something was asked of the review that it does not do."""

    def __init__(self, fact: str, remedy: str) -> None:
        super().__init__(f"{fact}: {remedy}")
        self.fact = fact
        self.remedy = remedy


class LeaseLost(ReviewError):
    """The time for the item was over, and others took the place."""

    def __init__(self) -> None:
        super().__init__("the time for this item was over and somebody else has it now", "go on with the next one")


class NotYours(ReviewError):
    """The item was never given to this person."""

    def __init__(self) -> None:
        super().__init__("this item was not given to you", "go on with the next one")


class Dropped(ReviewError):
    """The lead has dropped this person."""

    def __init__(self) -> None:
        super().__init__("you no longer label here", "ask the lead if that is not as it should be")


class InHand(ReviewError):
    """An adjudicator who labels asks for what others say of the item that they are about to label."""

    def __init__(self) -> None:
        super().__init__("you are labelling this item yourself", "label it or skip it, and come again")


class TooManyEdits(ReviewError):
    """One person has rewritten one item so often that it is no work any more."""

    def __init__(self, most: int) -> None:
        super().__init__(f"you have rewritten this item {most} times", "label it, and go on with the next one")


class Unknown(ReviewError):
    """There is no such thing in this run's review."""

    def __init__(self, name: str, what: str = "item") -> None:
        super().__init__(f"there is no {what} {name[:40]!r} in this review", "name one that it has")


class KeyReused(ReviewError):
    """An idempotency key came again with something else."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for something else", "make a new key for every action")
