"""The prompt files under ``examples/``."""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

import constitution.files
from generator.prompts import Prompt, parse_prompts

EXAMPLES = Path(constitution.files.__file__).parents[1] / "examples"
FILES = sorted(EXAMPLES.rglob("*.jsonl"))


def prompts_in(path: Path) -> list[Prompt]:
    with path.open(encoding="utf-8") as lines:
        return [prompt for _, prompt in parse_prompts(lines, str(path))]


PROMPTS = {path.relative_to(EXAMPLES).as_posix(): prompts_in(path) for path in FILES}
GENERAL = [prompt for name, prompts in PROMPTS.items() if name.startswith("prompts/") for prompt in prompts]


def test_every_id_and_every_text_is_used_once() -> None:
    everything = [prompt for prompts in PROMPTS.values() for prompt in prompts]
    assert [name for name, count in Counter(p.id for p in everything).items() if count > 1] == []
    assert [text for text, count in Counter(p.text.casefold() for p in everything).items() if count > 1] == []


def test_there_are_three_hundred_prompts_to_start_with() -> None:
    assert len(GENERAL) >= 300


@pytest.mark.parametrize("tag", ["everyday", "looks-dangerous", "should-decline", "opinion", "factual"])
def test_every_kind_of_prompt_is_there(tag: str) -> None:
    assert sum(tag in prompt.tags for prompt in GENERAL) >= 40


def test_every_prompt_has_tags_and_a_source() -> None:
    assert [p.id for prompts in PROMPTS.values() for p in prompts if not (p.tags and p.source)] == []


def test_each_topic_of_opinion_is_asked_from_both_sides() -> None:
    sides = defaultdict(list)
    for prompt in GENERAL:
        if "opinion" in prompt.tags:
            (topic,) = (tag for tag in prompt.tags if tag.startswith("topic:"))
            (side,) = (tag for tag in prompt.tags if tag.startswith("side:"))
            sides[topic].append(side)
    assert sides
    assert all(sorted(both) == ["side:against", "side:for"] for both in sides.values())


def test_held_out_prompts_are_not_trained_on() -> None:
    trained = {prompt.text.casefold() for prompt in PROMPTS["plain-speaking/prompts.jsonl"]}
    held_out = {prompt.text.casefold() for prompt in PROMPTS["plain-speaking/held-out.jsonl"]}
    assert len(trained) >= 64
    assert len(held_out) >= 48
    assert trained.isdisjoint(held_out)
