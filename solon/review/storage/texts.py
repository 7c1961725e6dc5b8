"""What people send, looked at before it goes into a database."""

from constitution.errors import InputError
from judge.pairs import is_unicode
from judge.review.records import CHOICES, STRENGTHS, HumanLabel
from solon.review.errors import Unknown
from solon.review.records import Said


def storable(text: str) -> bool:
    """Whether every database takes the text: PostgreSQL's texts hold no NUL, and no UTF-8 a lone surrogate."""
    return "\0" not in text and is_unicode(text)


def check_text(place: str, *texts: str) -> None:
    """Raises InputError for a text that cannot be kept."""
    if not all(storable(text) for text in texts):
        raise InputError(place, "the text holds a character that cannot be kept", "remove it")


def check_item(item: str) -> None:
    """Raises Unknown for what can be no item's name."""
    if not storable(item):
        raise Unknown(item)


def check_said(said: Said | HumanLabel) -> None:
    """Raises InputError for a choice or a strength that there is not, or a text that cannot be kept."""
    if said.choice not in CHOICES:
        raise InputError("label", f"{said.choice!r} is no choice", f"choose one of {', '.join(CHOICES)}")
    if said.strength is not None and (said.strength not in STRENGTHS or said.choice not in ("1", "2")):
        raise InputError(
            "label", "the strength does not fit", "give 1 to 4, and only where one completion is preferred"
        )
    check_text("label", said.rationale, said.flag)
