import pytest

from constitution.principle import Constitution, Principle

EVERYWHERE = Principle("everywhere", "r")
SCIENCE = Principle("science", "r", applies_to=("science", "nature"))
CONSTITUTION = Constitution("n", "t", "1", "", (EVERYWHERE, SCIENCE))


def test_a_principle_applies_to_prompts_of_any_of_its_tags_or_to_all() -> None:
    assert CONSTITUTION.applying_to(("nature", "easy")) == (EVERYWHERE, SCIENCE)
    assert CONSTITUTION.applying_to(("history",)) == (EVERYWHERE,)
    assert CONSTITUTION.applying_to(()) == (EVERYWHERE,)


def test_a_principle_is_found_by_its_id_and_an_unknown_one_is_not() -> None:
    assert CONSTITUTION.get("science") is SCIENCE
    with pytest.raises(KeyError, match="gone"):
        CONSTITUTION.get("gone")
