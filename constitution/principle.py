"""The records of a constitution. They know nothing of models and open no file."""

from dataclasses import dataclass

from constitution.checks import STRICT, Check


@dataclass(frozen=True, slots=True)
class Example:
    """A unit test of a principle: ``better`` must follow it better than ``worse``."""

    __pydantic_config__ = STRICT

    prompt: str
    better: str
    worse: str


@dataclass(frozen=True, slots=True)
class Principle:
    """One written rule, with the requests that apply it.

    The three requests are derived from ``rule`` where they are empty (``constitution.requests``).
    Where ``check`` is given, code decides the principle and no model is asked to judge it.
    """

    __pydantic_config__ = STRICT

    id: str
    rule: str
    critique: str = ""  # asks where a completion breaks the rule
    revision: str = ""  # asks for the completion without that fault
    preference: str = ""  # asks which of two completions follows the rule better
    weight: float = 1.0  # share in a label, and in being drawn; above 0
    priority: int = 0  # a lower priority is heard only where the higher ones tie
    hard: bool = False  # heard before everything else
    tags: tuple[str, ...] = ()
    applies_to: tuple[str, ...] = ()  # prompt tags; empty means every prompt
    rationale: str = ""
    check: Check | None = None
    examples: tuple[Example, ...] = ()

    def applies(self, prompt_tags: tuple[str, ...]) -> bool:
        return not self.applies_to or not set(self.applies_to).isdisjoint(prompt_tags)


@dataclass(frozen=True, slots=True)
class Constitution:
    """A set of principles; their order in the file means nothing."""

    name: str
    title: str
    version: str
    description: str
    principles: tuple[Principle, ...]

    def applying_to(self, prompt_tags: tuple[str, ...]) -> tuple[Principle, ...]:
        return tuple(p for p in self.principles if p.applies(prompt_tags))

    def get(self, principle_id: str) -> Principle:
        """The principle of that id; a ``KeyError`` means that a row names one that is not in this file."""
        for principle in self.principles:
            if principle.id == principle_id:
                return principle
        raise KeyError(principle_id)
