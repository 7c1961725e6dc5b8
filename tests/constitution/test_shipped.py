"""The principle files in ``principles/``."""

import pytest

from constitution.files import load, shipped_folder, shipped_names
from constitution.principle import Constitution, Example, Principle

NAMES = ("balanced-refusal", "harmless", "helpful-honest", "no-sycophancy", "plain-speaking")


def shipped(name: str) -> Constitution:
    return load(shipped_folder() / f"{name}.toml")


PRINCIPLES = [pytest.param(p, id=f"{name}/{p.id}") for name in NAMES for p in shipped(name).principles]
CHECKED = [
    pytest.param(p, example, id=f"{p.id}-{number}")
    for name in NAMES
    for p in shipped(name).principles
    if p.check
    for number, example in enumerate(p.examples)
]


def test_the_shipped_files_are_these() -> None:
    assert shipped_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_constitution_has_a_title_a_description_and_ids_of_its_own(name: str) -> None:
    constitution = shipped(name)
    assert constitution.title.strip()
    assert constitution.description.strip()
    ids = [principle.id for principle in constitution.principles]
    assert len(set(ids)) == len(ids) >= 8


def test_harmless_has_sixteen_principles() -> None:
    assert len(shipped("harmless").principles) == 16


@pytest.mark.parametrize("principle", PRINCIPLES)
def test_a_shipped_principle_shows_what_it_means_by_two_examples_or_more(principle: Principle) -> None:
    assert len(principle.examples) >= 2
    assert len({example.prompt for example in principle.examples}) == len(principle.examples)
    for example in principle.examples:
        texts = [example.prompt.strip(), example.better.strip(), example.worse.strip()]
        assert all(texts)
        assert len(set(texts)) == 3


@pytest.mark.parametrize(("principle", "example"), CHECKED)
def test_a_check_agrees_with_the_examples_of_its_principle(principle: Principle, example: Example) -> None:
    assert principle.check is not None
    assert principle.check.kept(example.prompt, example.better)
    assert not principle.check.kept(example.prompt, example.worse)


def test_plain_speaking_is_decided_mostly_by_code() -> None:
    principles = shipped("plain-speaking").principles
    assert sum(p.check is not None for p in principles) >= 4
    assert sum(p.check is None for p in principles) >= 2
